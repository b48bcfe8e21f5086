// SPDX-License-Identifier: Apache-2.0
// LogDriver: the work of a StorageProgram on one log, until the process ends or the log's directory
// fails: whatever a leader, a follower, a coordinator or an administrator may ask for, drawn from
// the log's own stream of chance. What it did it tells the LogModel; what it was told it checks.
#pragma once

#include <optional>
#include <set>
#include <vector>

#include "ottla/ports.h"
#include "records/codec.h"
#include "storage/log_store.h"
#include "tests/sim/storage_world.h"

namespace ottla::sim {

class StorageProgram;

class LogDriver final : public storage::LogObserver {
public:
    LogDriver(StorageProgram& program, TestedLog& tested, Ports ports, storage::LogStore& store);
    ~LogDriver() = default;

    /// The log as a start found it, null if there is none.
    void adopt(storage::Log* log);
    /// Reads all of it and holds it against the model.
    Task<Status> check_recovered();
    Task<> run();

    void durable_end_moved(storage::Log& log, Offset durable_end) override;
    void log_failed(storage::Log& log, const Error& why) override;

private:
    /// The directory that the log is in, or was last.
    [[nodiscard]] size_t where() const;
    [[nodiscard]] bool is_offline() const;
    void offline(const Error& why);
    void failed(const std::string& what);
    /// True when the error ends this driver's work.
    bool is_fatal(const Error& error, const char* doing);
    /// The log start went over what was to be done, which retention may do.
    [[nodiscard]] bool was_overtaken(const Error& error) const;
    size_t change(const LogChange& what);
    void follow_retention();

    Task<> act(uint64_t what);
    Task<> append();
    Task<> append_again(ProducerId producer);
    Task<> append_next(ProducerId producer, bool out_of_sequence);
    Task<> append_transactional(size_t which);
    Task<> append_bytes(Buffer batch, bool out_of_sequence);
    void took(const storage::AppendResult& result, const Buffer& batch);
    Buffer make_batch(ProducerId producer, int32_t sequence, bool transactional);
    Task<> truncate();
    void move_start();
    void note_high_watermark();
    Task<> wait_until_durable();
    Task<> remove();
    Task<> switch_durability();
    Task<> have_something_unsynced();
    Task<> begin_or_end_move();
    void create();

    // storage_hurt.cc
    /// A bit flipped in a file of this log, and a read of all of it says so: what else it has.
    Task<Status> check_around_damage();
    /// One at a time, by index and by time: the same as in one read.
    Task<Status> check_lookups(const LogState& found);

    // storage_checks.cc
    Task<> read_something();
    Task<> read_as_consumer();
    Task<Result<LogState>> read_all();
    void note_found(const LogState& found) const;
    void check_epochs();
    void check_stable_end();
    void check_transactions(const LogState& found);

    /// Readable batches of `producer`, the newest first, at most five.
    [[nodiscard]] std::vector<BatchFact> newest_of(ProducerId producer) const;
    [[nodiscard]] Offset lowest_kept() const;
    [[nodiscard]] BatchFact fact_of(const BatchView& batch, Offset base) const;

    StorageProgram& program_;
    StorageWorld& world_;
    TestedLog& tested_;
    Ports ports_;
    storage::LogStore& store_;
    storage::Log* log_ = nullptr;
    /// Of its own, so that moves take no draw from other acts.
    Random moves_;
    Codecs codecs_;
    /// Of the batches of the last read_all.
    std::vector<storage::EpochStart> read_epochs_;
    /// ... and those of them, by base, that a read_committed consumer drops.
    std::set<Offset> read_dropped_;
    /// ... and the time of each, kNoTimestamp if no record of it is left.
    std::vector<WallTime> read_times_;
};

}  // namespace ottla::sim
