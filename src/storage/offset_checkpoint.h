// SPDX-License-Identifier: Apache-2.0
// Kafka's "topic partition offset" checkpoint files and partition.metadata, as text.
//
//   0\n<count>\n<topic> <partition> <offset>\n...      recovery-point-, log-start-, replication-offset-checkpoint
//   version: 0\ntopic_id: <22 characters>\n             partition.metadata
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

/// Kafka's print of a Uuid: URL-safe base64 without padding, 22 characters.
std::string uuid_text(const Uuid& id);
std::optional<Uuid> parse_uuid(std::string_view text);

}  // namespace ottla::storage
