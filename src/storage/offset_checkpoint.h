// SPDX-License-Identifier: Apache-2.0
// Kafka's "topic partition offset" checkpoint files and partition.metadata, as text.
//
//   0\n<count>\n<topic> <partition> <offset>\n...    {recovery-point,log-start,replication}-
//                                                   offset-checkpoint
//   version: 0\ntopic_id: <22 characters>           partition.metadata
// pure
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "ottla/result.h"
#include "ottla/types.h"

namespace ottla::storage {

using OffsetCheckpoint = std::map<TopicPartition, Offset>;

std::string to_text(const OffsetCheckpoint& entries);
/// `malformed` names the line.
Result<OffsetCheckpoint> parse_offset_checkpoint(std::string_view text);

std::string partition_metadata_text(const Uuid& topic_id);
Result<Uuid> parse_partition_metadata(std::string_view text);
/// Could `found` in a log's partition.metadata be what a flipped bit made of `wanted`, or be missing?
/// Another topic's id differs in some 64 bits, a damaged character in six at most.
bool may_be_damaged_id(const Uuid& found, const Uuid& wanted);

}  // namespace ottla::storage
