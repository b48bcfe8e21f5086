// SPDX-License-Identifier: Apache-2.0
// Partition: one replica on the shard that owns it; glue of the log, the replica set and who waits.
//
// Walk A steps 5-8 and walk B steps 5-7 (docs/ARCHITECTURE.md). An append is synchronous: validate,
// sequence check, copy into the journal chunk. What the client is told depends on `wait_durable`
// (acks=1) or `wait_committed` (acks=all). A read is synchronous while the hot tail has it and goes
// to the segment files otherwise.
//
// Invariants: high_watermark <= durable_end <= log_end; the last stable offset is the high
// watermark as long as transactions are refused; everything that suspends stands inside `gate_`, so
// close() returns only when nobody can touch the log any more. Belongs to one shard. Errors are
// Kafka's own for Produce, Fetch and ListOffsets; epochs are checked before leadership (trap 51).
#pragma once

#include <deque>
#include <string>

#include "ottla/buffer.h"
#include "ottla/sync.h"
#include "records/validate.h"
#include "replication/replica_set.h"
#include "replication/waiters.h"
#include "storage/log.h"

namespace ottla::replication {

/// What a topic's settings mean for one of its partitions.
struct PartitionConfig {
    storage::LogConfig log;
    ProduceRules rules;
    int32_t min_in_sync = 1;
};

struct AppendAsk {
    /// One partition's records field: a slice of the frame.
    std::optional<Buffer> records;
    int16_t acks = -1;
    bool zstd_allowed = true;
};

struct Appended {
    Offset base_offset;
    /// Behind the last record: what durable_end or the high watermark must reach.
    Offset end;
    /// kNoTimestamp unless the topic uses LogAppendTime (trap 33).
    WallTime log_append_time = kNoTimestamp;
    Offset log_start;
};

struct AppendRefusal {
    Error error;
    std::vector<RecordError> records;
    Offset log_start = kNoOffset;
};

struct FetchAsk {
    Offset from;
    size_t max_bytes = 0;
    /// Even if it is larger than max_bytes (trap 42).
    bool at_least_one = false;
    LeaderEpoch current_leader_epoch = kNoLeaderEpoch;
    BrokerId replica = kNoBroker;
    /// Nothing behind the last stable offset, and what was aborted below it (read_committed).
    bool committed = false;
};

struct FetchAnswer {
    ErrorCode error = ErrorCode::none;
    Offset high_watermark = kNoOffset;
    Offset last_stable_offset = kNoOffset;
    Offset log_start = kNoOffset;
    /// That overlap the records, by first offset; only for who asked for `committed`.
    std::vector<storage::AbortedTransaction> aborted;
    Chain records;
};

struct ListOffsetsAsk {
    int64_t timestamp = 0;
    LeaderEpoch current_leader_epoch = kNoLeaderEpoch;
    /// Offsets from the last stable one on do not count (read_committed).
    bool committed = false;
};

class Partition final : public storage::LogObserver {
public:
    Partition(Runtime& runtime, BrokerId self, storage::Log& log, PartitionConfig config);
    Partition(const Partition&) = delete;
    Partition& operator=(const Partition&) = delete;

    /// The committed metadata changed: lead, or stop leading.
    void apply(const Leadership& leadership);
    void configure(PartitionConfig config);
    /// Fails who waits with `why`, then returns when nobody is inside; the log may go afterwards.
    Task<> close(Error why);

    /// would_block in the refusal: the journal has no room; nothing happened, wait and ask again.
    std::expected<Appended, AppendRefusal> append_as_leader(const AppendAsk& ask,
                                                            WallTime now,
                                                            Codecs& codecs);
    /// acks=1: on stable storage here.
    Task<Status> wait_durable(Offset end);
    /// acks=all: on stable storage of every in-sync replica; request_timed_out at the deadline.
    Task<Status> wait_committed(Offset end, Instant deadline);

    Task<FetchAnswer> fetch(FetchAsk ask);
    /// Parks a fetch here. False, and not parked, when the reader's view (the high watermark it
    /// saw) is out of date or this broker cannot serve it any more.
    bool watch(FetchWatch& watch, Offset seen_high_watermark);
    Task<Result<storage::TimestampedOffset>> list_offsets(ListOffsetsAsk ask);
    /// DeleteRecords: the low watermark, once it is durable. kNoOffset: up to the high watermark.
    /// policy_violation: a topic that only compacts; offset_out_of_range: above the high watermark.
    Task<Result<Offset>> delete_records(Offset before);

    [[nodiscard]] const Leadership& leadership() const { return leadership_; }
    [[nodiscard]] Offset high_watermark() const { return replicas_.high_watermark(); }
    [[nodiscard]] storage::Log& log() { return log_; }
    [[nodiscard]] const TopicPartition& log_name() const { return log_.name(); }
    [[nodiscard]] const PartitionConfig& config() const { return config_; }

    void durable_end_moved(storage::Log& log, Offset durable_end) override;
    void log_failed(storage::Log& log, const Error& why) override;
    void log_stalled(storage::Log& log, const Error& why) override { log_failed(log, why); }

private:
    /// Bytes that became visible to consumers are told to parked fetches.
    struct Uncommitted {
        Offset end;
        size_t bytes;
    };

    [[nodiscard]] Status check_leader(LeaderEpoch asked) const;
    /// Where a consumer's log ends: at the last stable offset if it reads `committed`.
    [[nodiscard]] Offset readable_end(bool committed) const;
    [[nodiscard]] AppendRefusal refusal(Error error) const;
    void act(const ReplicaSet::Effects& effects);
    Task<Result<storage::CommittedSlice>> read(FetchAsk ask, Offset upper);
    Task<Result<storage::TimestampedOffset>> find_timestamp(int64_t timestamp, bool committed);

    Runtime& runtime_;
    const BrokerId self_;
    storage::Log& log_;
    PartitionConfig config_;
    Leadership leadership_;
    ReplicaSet replicas_;
    OffsetWaiters durable_waiters_;
    OffsetWaiters committed_waiters_;
    FetchWatches watches_;
    std::vector<Uncommitted> uncommitted_;
    Gate gate_;
};

}  // namespace ottla::replication
