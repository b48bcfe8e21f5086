// SPDX-License-Identifier: Apache-2.0
// What a voter must not forget: its epoch, whom it voted for and whom it follows. One line of JSON
// in `__cluster_metadata-0/quorum-state`, as Kafka writes it:
//
//   kraft.version 1  {leaderId, leaderEpoch, votedId, votedDirectoryId, data_version: 1}
//   kraft.version 0  {clusterId, leaderId, leaderEpoch, votedId, appliedOffset,
//                     currentVoters: [{voterId}] or null, data_version: 0}
//
// It must be durable before a vote is answered or an epoch is led.
// Errors: corrupt.
// pure
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "ottla/result.h"
#include "ottla/types.h"
#include "raft/voters.h"

namespace ottla::raft {

struct QuorumState {
    LeaderEpoch epoch{0};
    BrokerId leader = kNoBroker;
    /// id kNoBroker: no vote in this epoch. A leader's own vote is implied by `leader`.
    VoterKey voted;
    bool operator==(const QuorumState&) const = default;
};

/// `voters` appear only in the old format (kraft.version 0).
std::string to_json(const QuorumState& state, int16_t kraft_version, const VoterSet& voters);
Result<QuorumState> parse_quorum_state(std::string_view json);

}  // namespace ottla::raft
