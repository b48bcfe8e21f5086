// SPDX-License-Identifier: Apache-2.0
// RaftDriver: performs what the core asks for, in its order - quorum-state, append and sync, then
// committed batches to the listener - and knows nothing of what records mean. Proposals made while
// a sync is under way share the next one.
//
//   open (load, recover) -> start (the only voter leads at once) -> propose ... -> close
//
// Everything runs on shard 0. Whoever proposes builds the batch for `raft().log_end()` and
// `raft().epoch()` and calls propose without waiting in between. A failed write or sync is final:
// the listener is told once, waiting proposals fail, nothing is written any more, and the owner
// ends the process, because a sync that failed cannot be repeated (contract 5 of ottla/file.h).
// Errors: not_controller (not leading, another epoch, closed), and those of MetadataLog.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "ottla/ports.h"
#include "ottla/sync.h"
#include "raft/metadata_log.h"
#include "raft/raft.h"

namespace ottla::raft {

/// Receives the committed log, in order, each batch once since the process started.
class RaftListener {
public:
    /// First of all, once: the newest snapshot (empty for a cluster that never made one).
    virtual Status load_snapshot(const SnapshotId& id, const Snapshot& snapshot) = 0;
    /// Control batches included. An error is final, as a failed sync is.
    virtual Status committed(std::span<const Buffer> batches) = 0;
    /// Everything that is committed has been given: a good moment to publish.
    virtual void caught_up() = 0;
    /// Nothing more will ever be committed here; end the process.
    virtual void failed(const Error& why) = 0;

protected:
    ~RaftListener() = default;
};

struct RaftOptions {
    /// `<metadata.log.dir>/__cluster_metadata-0`.
    std::string directory;
    VoterKey self;
    /// controller.quorum.voters, for logs formatted without dynamic voters (kraft.version 0).
    VoterSet static_voters;
    storage::SegmentLimits limits;
    LastWriter last_writer = LastWriter::ours;
    std::optional<storage::MetadataEnd> known_end;
};

class RaftDriver {
public:
    /// Reads and syncs; the first changes to the directory are those of start(). `inspector` may
    /// be null and is not kept.
    static Task<Result<std::unique_ptr<RaftDriver>>> open(Ports ports,
                                                          RaftOptions options,
                                                          RaftListener& listener,
                                                          LogInspector* inspector = nullptr);

    /// Spawns the loop; the listener hears of everything committed so far and then of what follows.
    void start();
    [[nodiscard]] const Raft& raft() const { return raft_; }
    [[nodiscard]] bool is_leader() const { return !stopped() && raft_.is_leader(); }
    [[nodiscard]] int16_t kraft_version() const { return kraft_version_; }
    /// Takes its place in the log at once; the offset behind it, for wait_committed.
    Result<Offset> propose(Buffer batch);
    /// Returns when everything before `end` is durable, committed and was given to the listener.
    Task<Status> wait_committed(Offset end);
    /// Ends the loop after what it is doing and closes the log cleanly; open proposals fail. One
    /// that was never started leaves the log as it is.
    Task<Status> close();
    /// Of the log, once close() has succeeded.
    [[nodiscard]] std::optional<storage::MetadataEnd> metadata_end() const {
        return log_->file_end();
    }

private:
    RaftDriver(Ports ports,
               std::unique_ptr<MetadataLog> log,
               Raft raft,
               int16_t kraft_version,
               RaftListener& listener);
    [[nodiscard]] bool stopped() const { return closing_ || failure_.has_value(); }
    Task<> run();
    Task<Status> perform(RaftOutput output);
    Task<Status> apply(Offset end);
    void fail_with(Error why);

    Ports ports_;
    std::unique_ptr<MetadataLog> log_;
    Raft raft_;
    const int16_t kraft_version_;
    RaftListener& listener_;
    /// Appended by this process and not yet given to the listener.
    std::deque<Buffer> unapplied_;
    Offset applied_{0};
    Event wake_;
    Event progress_;
    Gate gate_;
    bool started_ = false;
    bool closing_ = false;
    std::optional<Error> failure_;
};

}  // namespace ottla::raft
