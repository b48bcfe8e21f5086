// SPDX-License-Identifier: Apache-2.0
// Log: one partition's records on one shard. Synchronous over memory: an append copies the
// validated batch once into the shard's journal chunk, assigns offsets and leader epoch there and
// returns; the journal makes it durable, the flusher fills the segment files behind it
// (DESIGN 7.2, 7.3).
//
//   log_start <= local_log_start ... synced_end <= flushed_end ... log_end, durable_end <= log_end
//
//   log_end      assigned, in memory: sequence checks, what followers may read
//   durable_end  its journal group is synced (relaxed: written): high watermark, acks, ISR entry
//   flushed_end  in the segment file: chunks above it are pinned
//   synced_end   segment synced and checkpointed: where replay starts
//
// Invariants: ends never go back except by truncate_to; durable_end moves only over whole batches,
// in order; bytes that were handed out never change; file effects of a log pass through one ordered
// lane. Errors: kafka_storage_error once the directory is offline (for every operation, for good),
// no_space (append: the disk is full, which passes; everything else goes on),
// offset_out_of_range, would_block (append: no room, await LogStore::wait_for_room; read: use
// read_cold), out_of_order_sequence_number, invalid_producer_epoch, corrupt.
// Owned by LogStore; references to it die with delete_log or close. Belongs to one shard. It may move
// to another of its shard's directories (LogStore::move_log): path and log_dir change then, nothing else.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ottla/buffer.h"
#include "ottla/result.h"
#include "ottla/task.h"
#include "ottla/types.h"
#include "records/batch.h"
#include "storage/leader_epochs.h"
#include "storage/log_config.h"
#include "storage/transaction_index.h"

namespace ottla::storage {

class Log;
struct LogParts;

/// Told, on the log's shard and in the middle of nothing else, what it may act on. Must not call
/// back into append or truncate_to of the same log from inside; it may wake waiters (Event, Op).
class LogObserver {
public:
    /// durable_end moved forward to `durable_end`.
    virtual void durable_end_moved(Log& log, Offset durable_end) = 0;
    /// The directory is offline: nothing that is still in doubt will ever become durable here.
    virtual void log_failed(Log& log, const Error& why) = 0;
    /// The disk is full: what is in doubt waits for space, nobody can say how long. It may become
    /// durable later; said again and again until it does.
    virtual void log_stalled(Log& /*log*/, const Error& /*why*/) {}

protected:
    ~LogObserver() = default;
};

enum class AppendMode : uint8_t {
    leader,    ///< offsets from log_end and `leader_epoch` are assigned; sequences are checked
    follower,  ///< offsets and epoch inside the batch are kept; base offset must be >= log_end
};

struct AppendRequest {
    /// Exactly one batch that records/validate accepted (leader) or a leader sent (follower).
    std::span<const std::byte> batch;
    AppendMode mode = AppendMode::leader;
    LeaderEpoch leader_epoch = kNoLeaderEpoch;
    /// From ValidatedBatch::restamp.
    std::optional<Restamp> restamp;
};

struct AppendResult {
    enum class Verdict : uint8_t { appended, duplicate };
    Verdict verdict = Verdict::appended;
    Offset base_offset;
    Offset last_offset;
    /// The batch's max timestamp as stored; of a duplicate that of the stored batch.
    WallTime timestamp = kNoTimestamp;
};

/// Whole batches, the first of which may start below the offset asked for.
struct LogSlice {
    Chain bytes;
    /// The offset behind the last batch; `from` itself when there is none.
    Offset next{0};
    /// A batch was there but larger than max_bytes (and at_least_one was not set).
    bool first_too_large = false;
};

/// What a read_committed reader needs: records, and the aborted transactions that overlap them.
struct CommittedSlice {
    LogSlice records;
    std::vector<AbortedTransaction> aborted;  ///< by first offset (trap 50)
};

struct TimestampedOffset {
    WallTime timestamp = kNoTimestamp;
    Offset offset = kNoOffset;
    LeaderEpoch leader_epoch = kNoLeaderEpoch;
    bool operator==(const TimestampedOffset&) const = default;
};

class Log {
public:
    explicit Log(std::unique_ptr<LogParts> parts);
    ~Log();
    Log(const Log&) = delete;
    Log& operator=(const Log&) = delete;

    [[nodiscard]] const TopicPartition& name() const;
    [[nodiscard]] const Uuid& topic_id() const;
    /// `<log.dir>/<topic>-<partition>`.
    [[nodiscard]] const std::string& path() const;
    [[nodiscard]] const std::string& log_dir() const;
    [[nodiscard]] bool is_offline() const;

    [[nodiscard]] Offset log_start() const;
    [[nodiscard]] Offset local_log_start() const;
    [[nodiscard]] Offset log_end() const;
    [[nodiscard]] Offset durable_end() const;
    [[nodiscard]] Offset flushed_end() const;
    [[nodiscard]] Offset synced_end() const;
    /// Bytes of all segments, whether flushed or not.
    [[nodiscard]] uint64_t size_bytes() const;

    /// At most one; null to leave. It must outlive the log or leave first.
    void observe(LogObserver* observer);

    /// One copy of the batch into the journal chunk. A duplicate of one of the producer's last five
    /// batches is answered with the original offsets and nothing is appended (trap 34): it may
    /// still be on its way to the disk, so await durable_end for it as for any other.
    Result<AppendResult> append(const AppendRequest& request);

    /// Whole batches from the one that holds `from` (or the first behind it) up to `upper`, at most
    /// max_bytes, from memory. at_least_one: the first batch whatever its size. would_block: not in
    /// memory, await read_cold with the same arguments. offset_out_of_range: outside [log_start,
    /// log_end].
    Result<LogSlice> read(Offset from, size_t max_bytes, Offset upper, bool at_least_one) const;
    /// The same from the segment files (cached bytes at once, else an I/O thread).
    Task<Result<LogSlice>> read_cold(Offset from,
                                     size_t max_bytes,
                                     Offset upper,
                                     bool at_least_one);

    /// The same from memory or files, with the aborted transactions. Both are of one moment: nothing
    /// that a cleaning, retention or a truncation does between them can hide an aborted transaction
    /// whose records are in the slice.
    Task<Result<CommittedSlice>> read_committed(Offset from,
                                                size_t max_bytes,
                                                Offset upper,
                                                bool at_least_one);

    /// The batch that holds `offset` and everything behind it goes. Memory at the first resumption,
    /// file effects follow in the lane; returns when the producer state has been rebuilt. No append
    /// meanwhile.
    Task<Status> truncate_to(Offset offset);
    /// Starts a new segment at log_end; nothing if the active one is empty.
    Status roll();
    /// Retention and followers: log_start moves up, segments wholly below it go: their names at
    /// once, their bytes when the last reader lets go. offset_out_of_range above durable_end.
    Status delete_before(Offset offset);
    /// DeleteRecords (KIP-107): the same below the high watermark, which kNoOffset stands for. The
    /// log's start afterwards (the low watermark of this replica); offset_out_of_range above it.
    Result<Offset> delete_records(Offset before);
    /// Returns when no crash takes the log's start back any more.
    Task<Status> sync_start();

    /// The first record with timestamp >= `at`, none if there is none.
    Task<Result<std::optional<TimestampedOffset>>> offset_for_timestamp(WallTime at);
    /// The record with the largest timestamp (ListOffsets -3), none if the log is empty.
    Task<Result<std::optional<TimestampedOffset>>> max_timestamp();

    /// The newest epoch that has a record or was begun; kNoLeaderEpoch at first.
    [[nodiscard]] LeaderEpoch latest_epoch() const;
    /// OffsetForLeaderEpoch (trap 55).
    [[nodiscard]] EpochEnd end_offset_for_epoch(LeaderEpoch epoch) const;
    /// The leader epoch of the record at `offset`.
    [[nodiscard]] LeaderEpoch epoch_at(Offset offset) const;

    /// A new leader writes from log_end on, before its first record.
    void begin_epoch(LeaderEpoch epoch);
    [[nodiscard]] std::optional<Offset> first_open_transaction() const;
    /// Where read_committed ends: no transaction below it is open, or was ended by a marker that is
    /// not below the (noted) high watermark yet.
    [[nodiscard]] Offset last_stable_offset() const;
    /// The aborted transactions that overlap [from, to), by first offset, as the log is now: who has
    /// read records before asks read_committed instead.
    Task<Result<std::vector<AbortedTransaction>>> aborted_transactions(Offset from, Offset to);

    /// Everything but the durability.
    void configure(const LogConfig& config);
    [[nodiscard]] const LogConfig& config() const;
    /// relaxed -> strict returns after everything acknowledged so far is synced.
    Task<Status> set_durability(Durability durability);

    /// What replication-offset-checkpoint will say; the partition owns it, the checkpoint is
    /// storage's.
    void note_high_watermark(Offset high_watermark);
    [[nodiscard]] Offset noted_high_watermark() const;

    /// Forgets idle producers (producer.id.expiration.ms).
    void expire_producers(WallTime now);

    /// For storage/ only.
    [[nodiscard]] LogParts& parts() { return *parts_; }
    /// Each becomes what the other was; whoever is inside stays where it is. For log_move.h only.
    void exchange(Log& other);

private:
    std::unique_ptr<LogParts> parts_;
};

}  // namespace ottla::storage
