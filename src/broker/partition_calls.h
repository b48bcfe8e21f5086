// SPDX-License-Identifier: Apache-2.0
// What a handler asks of the shard that owns some partitions: all of a request's partitions of one
// shard in one call (DESIGN 2). Coroutines that run on the owner; items and answers stand in the
// same order.
#pragma once

#include "broker/shard.h"

namespace ottla::broker {

struct AppendItem {
    PartitionKey key;
    std::optional<Buffer> records;
};
struct AppendTerms {
    int16_t acks = -1;
    bool zstd_allowed = true;
    Duration timeout{};
};
using AppendOutcome = std::expected<replication::Appended, replication::AppendRefusal>;

/// Appends in order, then waits for what `acks` asks for.
Task<std::vector<AppendOutcome>> append_group(Shard& shard,
                                              std::vector<AppendItem> items,
                                              AppendTerms terms);

struct ReadItem {
    PartitionKey key;
    replication::FetchAsk ask;
};
/// In order, at most `max_bytes` together; the first batch found comes whatever its size (trap 42).
Task<std::vector<replication::FetchAnswer>> read_group(Shard& shard,
                                                       std::vector<ReadItem> items,
                                                       size_t max_bytes);

struct WatchItem {
    PartitionKey key;
    Offset seen_high_watermark;
};
/// Returns when the partitions gained `missing` bytes together, one of them changed in another way,
/// or disarm_group was called with this ticket (also before this call: tickets arrive in order).
Task<Status> watch_group(Shard& shard,
                         std::vector<WatchItem> items,
                         size_t missing,
                         uint64_t ticket);
Task<Status> disarm_group(Shard& shard, uint64_t ticket);

struct ListOffsetsItem {
    PartitionKey key;
    replication::ListOffsetsAsk ask;
};
Task<std::vector<Result<storage::TimestampedOffset>>> list_offsets_group(
    Shard& shard, std::vector<ListOffsetsItem> items);

struct DeleteRecordsItem {
    PartitionKey key;
    Offset before;
};
/// Low watermarks; what is deleted stays deleted over a power cut.
Task<std::vector<Result<Offset>>> delete_records_group(Shard& shard,
                                                       std::vector<DeleteRecordsItem> items);

struct AlterItem {
    PartitionKey key;
    std::string log_dir;
};
/// Begins to move logs to other directories; a code each.
Task<std::vector<ErrorCode>> alter_group(Shard& shard, std::vector<AlterItem> items);

/// What the shard has in each directory.
Task<std::vector<storage::DirectoryUse>> uses_of(Shard& shard);

}  // namespace ottla::broker
