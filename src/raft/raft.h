// SPDX-License-Identifier: Apache-2.0
// Raft: the consensus of one KRaft node as a pure state machine (KIP-595). Inputs carry `now`,
// effects come out of take_output(); the driver (raft/driver.h) performs them in the order of the
// fields:
//
//   inputs    tick(now)  propose(now, batch)  persisted(end)
//   output    1. quorum_state     make it durable, before anything below
//             2. append           write and sync these batches, then call persisted(end)
//             3. high_watermark   everything below it is committed: apply it
//             4. next_deadline    call tick() no later
//
// The core counts offsets and epochs; the bytes of a batch only pass through it. It supports the
// sole voter: that one needs nobody's vote, so in one step it takes the next epoch and leads it.
// More voters add `receive` to the inputs and `send` to the output, behind `append`.
//
// Invariants. The epoch never goes back. A leader led no epoch before this process took it: it
// starts with epoch + 1, even over its own last one. The first batch of an epoch is its
// LeaderChange record; the high watermark moves only once that record is durable (a leader commits
// what came before by committing its own epoch), and then equals the durable end. Batches follow
// each other without a gap.
// Errors: not_controller when a proposal was built for another epoch or
// position.
// pure
#pragma once

#include <optional>
#include <vector>

#include "ottla/buffer.h"
#include "ottla/result.h"
#include "ottla/types.h"
#include "raft/quorum_state.h"
#include "raft/voters.h"

namespace ottla::raft {

struct RaftOutput {
    std::optional<QuorumState> quorum_state;
    std::vector<Buffer> append;
    std::optional<Offset> high_watermark;
    Instant next_deadline = kNever;

    [[nodiscard]] bool nothing_to_do() const {
        return !quorum_state && append.empty() && !high_watermark;
    }
};

/// What the disk holds when a process starts.
struct RaftStart {
    VoterKey self;
    VoterSet voters;
    int16_t kraft_version = kMaxKraftVersion;
    /// The log itself already has the KRaftVersion and Voters records; if not, the first leader
    /// copies them from the bootstrap checkpoint into its first batch.
    bool voters_in_log = false;
    QuorumState state;
    /// Everything on the disk was synced when the log was opened.
    Offset log_end{0};
    /// Of the last batch (or the snapshot it follows): an epoch at or below it was led already,
    /// even if quorum-state was lost.
    LeaderEpoch last_epoch{0};
};

enum class Role : uint8_t { unattached, leader };

class Raft {
public:
    /// invalid_argument unless `start.self` is the only voter.
    static Result<Raft> create(RaftStart start);

    /// `now` moved on. `wall` stamps the control records that this may write.
    void tick(Instant now, WallTime wall);
    /// `batch` was built with base offset log_end() and leader epoch epoch(); answers where the log
    /// ends behind it, which is committed when the high watermark gets there.
    Result<Offset> propose(Instant now, Buffer batch);
    /// Everything handed out in `append` up to `end` is durable.
    void persisted(Offset end);
    RaftOutput take_output();

    [[nodiscard]] Role role() const { return role_; }
    [[nodiscard]] bool is_leader() const { return role_ == Role::leader; }
    [[nodiscard]] LeaderEpoch epoch() const { return state_.epoch; }
    [[nodiscard]] BrokerId leader() const { return state_.leader; }
    [[nodiscard]] const QuorumState& quorum_state() const { return state_; }
    [[nodiscard]] const VoterSet& voters() const { return voters_; }
    [[nodiscard]] Offset log_end() const { return log_end_; }
    [[nodiscard]] Offset durable_end() const { return durable_end_; }
    /// kNoOffset until something of this leader's epoch was committed.
    [[nodiscard]] Offset high_watermark() const { return high_watermark_; }
    /// Where this leader's epoch began.
    [[nodiscard]] Offset epoch_start() const { return epoch_start_; }

private:
    explicit Raft(RaftStart start);
    void lead(WallTime wall);
    void append(Buffer batch);

    VoterKey self_;
    VoterSet voters_;
    int16_t kraft_version_;
    bool voters_in_log_;
    Role role_ = Role::unattached;
    QuorumState state_;
    Offset log_end_;
    Offset durable_end_;
    Offset epoch_start_ = kNoOffset;
    Offset high_watermark_ = kNoOffset;
    RaftOutput output_;
};

}  // namespace ottla::raft
