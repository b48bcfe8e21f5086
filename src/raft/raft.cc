// SPDX-License-Identifier: Apache-2.0
#include "raft/raft.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "ottla/check.h"
#include "protocol/codec.h"
#include "protocol/raft_records.h"
#include "records/control.h"

namespace ottla::raft {
namespace {

Buffer encode_leader_change(BrokerId leader, const VoterSet& voters) {
    protocol::LeaderChangeMessage message;
    message.leader_id = leader.value();
    for (const Voter& voter : voters.voters) {
        protocol::LeaderChangeMessage::Voter one;
        one.voter_id = voter.key.id.value();
        message.voters.push_back(one);
    }
    // A sole voter is elected by its own vote.
    message.granting_voters = message.voters;
    return protocol::encode(0, message).flatten();
}

}  // namespace

Raft::Raft(RaftStart start)
    : self_(start.self),
      voters_(std::move(start.voters)),
      kraft_version_(start.kraft_version),
      voters_in_log_(start.voters_in_log),
      state_(start.state),
      log_end_(start.log_end),
      durable_end_(start.log_end) {
    state_.epoch = std::max(state_.epoch, start.last_epoch);
}

Result<Raft> Raft::create(RaftStart start) {
    if (start.voters.voters.empty()) {
        return fail(ErrorCode::invalid_argument, "the metadata quorum has no voters");
    }
    if (start.voters.voters.size() > 1) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("the metadata quorum has {} voters; this version of Ottla runs a "
                                "quorum of one",
                                start.voters.voters.size()));
    }
    const VoterKey& voter = start.voters.voters.front().key;
    const bool same_directory =
        voter.directory.is_zero() || voter.directory == start.self.directory;
    if (voter.id != start.self.id || !same_directory) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("node {} is not the voter of its metadata log, which is node {}: "
                                "meta.properties has another node.id or directory.id",
                                start.self.id.value(), voter.id.value()));
    }
    return Raft{std::move(start)};
}

void Raft::tick(Instant, WallTime wall) {
    if (role_ == Role::unattached) lead(wall);
}

void Raft::lead(WallTime wall) {
    role_ = Role::leader;
    state_ = {LeaderEpoch{state_.epoch.value() + 1}, self_.id, VoterKey{}};
    output_.quorum_state = state_;
    epoch_start_ = log_end_;

    const Buffer change = encode_leader_change(self_.id, voters_);
    std::vector<ControlRecord> records{{ControlType::leader_change, change.span()}};
    Buffer version;
    Buffer voters;
    if (kraft_version_ > 0 && !voters_in_log_) {
        version = encode_kraft_version(kraft_version_);
        voters = encode_voters(voters_);
        records.push_back({ControlType::kraft_version, version.span()});
        records.push_back({ControlType::kraft_voters, voters.span()});
        voters_in_log_ = true;
    }
    append(build_control_batch({wall, log_end_, state_.epoch}, records));
}

void Raft::append(Buffer batch) {
    log_end_ = BatchView{batch.span()}.offset_end();
    output_.append.push_back(std::move(batch));
}

Result<Offset> Raft::propose(Instant, Buffer batch) {
    const BatchView view{batch.span()};
    if (!is_leader() || view.leader_epoch() != state_.epoch || view.base_offset() != log_end_) {
        return fail(
            ErrorCode::not_controller,
            fmt::format("proposal for offset {} of epoch {}, but the log is at {} of epoch {}",
                        view.base_offset().value(), view.leader_epoch().value(), log_end_.value(),
                        state_.epoch.value()));
    }
    append(std::move(batch));
    return log_end_;
}

void Raft::persisted(Offset end) {
    CHECK(end >= durable_end_ && end <= log_end_, "the durable end moves forward inside the log");
    durable_end_ = end;
    if (!is_leader() || durable_end_ <= epoch_start_ || durable_end_ == high_watermark_) return;
    high_watermark_ = durable_end_;
    output_.high_watermark = high_watermark_;
}

RaftOutput Raft::take_output() { return std::exchange(output_, {}); }

}  // namespace ottla::raft
