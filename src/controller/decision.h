// SPDX-License-Identifier: Apache-2.0
// Decision: what a decide function answers - records for the metadata log and the response that is
// released when they are committed. A decision without records still waits: what it read may not be
// committed yet (one rule for reads and writes, DESIGN 9).
// pure
#pragma once

#include <vector>

#include "protocol/metadata_records.h"

namespace ottla::controller {

template <class Response>
struct Decision {
    std::vector<protocol::MetadataRecord> records;
    Response response;
    /// All records in one batch, or the prefix that a crash leaves makes sense by itself.
    bool atomic = true;
};

/// What one request may ask for, as in Kafka: more is refused instead of filling a batch.
inline constexpr size_t kMaxRecordsPerRequest = 10'000;

}  // namespace ottla::controller
