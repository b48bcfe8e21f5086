// SPDX-License-Identifier: Apache-2.0
// A metadata record as the value of a record of `__cluster_metadata`:
//
//     unsigned varint frame version = 1 | unsigned varint type | unsigned varint version | body
//
// Snapshots and Kafka's own tools read the same. Errors: malformed (also for bytes left behind), or
// unsupported_version for a type or version of a newer Kafka, which must stop the reader: skipping
// an unknown record would let two controllers disagree.
// pure
#pragma once

#include <cstdint>
#include <span>

#include "ottla/buffer.h"
#include "ottla/result.h"
#include "protocol/metadata_records.h"

namespace ottla::protocol {

struct FramedMetadataRecord {
    MetadataRecord record;
    int16_t version = 0;
};

Result<FramedMetadataRecord> decode_metadata_record(Buffer value);
/// The record's type, its body not looked at; the error of decode_metadata_record for a type or
/// version that it does not read.
Result<int16_t> metadata_record_type(std::span<const std::byte> value);
Buffer encode_metadata_record(const MetadataRecord& record, int16_t version);
/// "PartitionRecord": for logs and errors.
std::string_view name_of(const MetadataRecord& record);

}  // namespace ottla::protocol
