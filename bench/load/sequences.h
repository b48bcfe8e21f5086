// SPDX-License-Identifier: Apache-2.0
// What an idempotent loop keeps: its producer id and, for each partition, the next sequence. A loop
// has one request in flight, so a batch that was not acknowledged is sent again as it was. Without
// `open` batches go out without a producer, as they are.
#pragma once

#include <vector>

#include "client/client.h"
#include "ottla/buffer.h"

namespace ottla::bench {

class Sequences {
public:
    /// Asks for a producer id of its own.
    Task<Status> open(client::Connection& connection, int32_t partitions, Instant deadline);

    /// A copy of `batch` with this producer and the partition's next sequence; `batch` itself if
    /// there is no producer.
    [[nodiscard]] Buffer stamped(const Buffer& batch, int32_t partition) const;
    /// The `records` that were stamped last are stored.
    void acknowledged(int32_t partition, int32_t records);

private:
    ProducerId id_ = kNoProducer;
    ProducerEpoch epoch_ = kNoProducerEpoch;
    std::vector<int32_t> next_;
};

}  // namespace ottla::bench
