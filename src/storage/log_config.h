// SPDX-License-Identifier: Apache-2.0
// What storage/ is told from outside: the topic's settings for one log, and the process's settings
// for a shard's share of storage. Kafka's names and defaults (kafka_facts (c)); values are checked
// by whoever parsed them. `durability` has no key of its own: relaxed is the broker's setting or an
// explicit flush.messages=9223372036854775807 on the topic (DESIGN 7.2). pure
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>

#include "ottla/test_faults.h"
#include "ottla/types.h"

namespace ottla::storage {

enum class Durability : uint8_t {
    strict,   ///< durable_end moves when the journal group is synced
    relaxed,  ///< ... when it is written: survives kill -9, not a power cut
};

struct LogConfig {
    int64_t segment_bytes = 1024LL * 1024 * 1024;
    int64_t segment_ms = 7LL * 24 * 60 * 60 * 1000;
    int64_t segment_jitter_ms = 0;
    int64_t segment_index_bytes = 10LL * 1024 * 1024;
    int64_t index_interval_bytes = 4096;
    int64_t producer_id_expiration_ms = 24LL * 60 * 60 * 1000;
    bool preallocate = false;

    // cleanup.policy; neither is legal too (KIP-1161) and keeps everything.
    bool deletes = true;
    bool compacts = false;
    /// -1: no limit.
    int64_t retention_ms = 7LL * 24 * 60 * 60 * 1000;
    int64_t retention_bytes = -1;
    /// Of tombstones and transaction markers, from when a cleaning first saw that they may go.
    int64_t delete_retention_ms = 24LL * 60 * 60 * 1000;
    int64_t min_compaction_lag_ms = 0;
    int64_t max_compaction_lag_ms = std::numeric_limits<int64_t>::max();
    /// min.cleanable.dirty.ratio, in millionths.
    int64_t min_cleanable_dirty_millionths = 500'000;
    Durability durability = Durability::strict;
};

struct StorageSettings {
    /// Journal chunks of this shard: the hot tail. Appends are pushed back when it is full of
    /// unflushed bytes.
    size_t chunk_budget_bytes = 32UZ * 1024 * 1024;
    size_t chunk_bytes = 1024UZ * 1024;
    /// The first journal file is small, so that a first start is instant; multiples of 4 KiB.
    uint64_t journal_first_file_bytes = 4ULL * 1024 * 1024;
    uint64_t journal_file_bytes = 32ULL * 1024 * 1024;
    /// Replay is bounded by it: at 75 % checkpoints hurry, at 100 % appends are pushed back.
    uint64_t journal_limit_bytes = 128ULL * 1024 * 1024;
    /// A start keeps so much of the journals in memory between finding and applying it, or what the
    /// chunks of all shards may take if that is more.
    size_t replay_bytes = 0;
    Duration checkpoint_interval = std::chrono::seconds(5);
    /// A flush waits this long for more bytes of a log, unless room runs short: one write of a
    /// second's bytes costs as much as one of 20 ms. Readers and replay do not mind (memory, checkpoints).
    Duration flush_delay = std::chrono::seconds(1);
    /// Flushes of different logs that may be on their way at once.
    size_t flush_lanes = 4;
    size_t flush_piece_bytes = 1024UZ * 1024;
    /// Flush past the page cache? Where memory is short (docs/adr/0050). Else readers that lag find
    /// their bytes in it.
    bool direct_flush = false;
    /// ... from so many bytes on: below, a write costs more than a page.
    size_t direct_least_bytes = 256UZ * 1024;
    /// More dirty files than this are synced by one sync_all of the directory.
    size_t sync_all_above = 64;
    /// Segment files that stay open, of one log directory (open_files.h).
    size_t open_files = 512;
    /// Indexes of closed segments that stay in memory (index_cache.h).
    size_t index_cache_bytes = 8UZ * 1024 * 1024;
    /// log.retention.check.interval.ms.
    Duration retention_check_interval = std::chrono::minutes(5);
    /// log.cleaner.enable, .backoff.ms, .dedupe.buffer.size (a shard's, used only while a log is
    /// being cleaned), .io.buffer.size, .io.max.bytes.per.second.
    bool cleaner_enabled = true;
    Duration cleaner_backoff = std::chrono::seconds(15);
    size_t cleaner_map_bytes = 128UZ * 1024 * 1024;
    size_t cleaner_io_bytes = 512UZ * 1024;
    uint64_t cleaner_bytes_per_second = std::numeric_limits<uint64_t>::max();
    /// ottla.scrub.bytes.per.second (this shard's share; 0: never), .interval.ms.
    uint64_t scrub_bytes_per_second = 8ULL * 1024 * 1024;
    Duration scrub_interval = std::chrono::hours(7 * 24);
    /// Appends leave this much of the disk free (disk_room.h).
    std::optional<uint64_t> disk_reserve_bytes;
    /// How often free space is looked at while appends come, and a full disk is tried again.
    Duration disk_interval = std::chrono::milliseconds(500);
    /// Of this process; they write to the same disks.
    uint32_t shards = 1;
    TestFaults faults;
};

}  // namespace ottla::storage
