// SPDX-License-Identifier: Apache-2.0
// Who votes on the metadata log. A voter is a node id together with the id of its metadata
// directory, so that a node that lost its disk is another voter (KIP-853). The set is written into
// the log and into snapshots as a VotersRecord (kraft.version 1); a static quorum (kraft.version 0)
// knows it from `controller.quorum.voters` and has no directory ids. Invariant: ids are unique and
// ordered.
// pure
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ottla/buffer.h"
#include "ottla/result.h"
#include "ottla/types.h"

namespace ottla::raft {

struct VoterKey {
    BrokerId id = kNoBroker;
    Uuid directory;
    auto operator<=>(const VoterKey&) const = default;
};

/// Where a voter's controller listener is.
struct VoterEndpoint {
    std::string listener;
    std::string host;
    uint16_t port = 0;
    bool operator==(const VoterEndpoint&) const = default;
};

/// The highest kraft.version there is for us: dynamic voters.
inline constexpr int16_t kMaxKraftVersion = 1;

struct Voter {
    VoterKey key;
    std::vector<VoterEndpoint> endpoints;
    int16_t min_kraft_version = 0;
    int16_t max_kraft_version = kMaxKraftVersion;
    bool operator==(const Voter&) const = default;
};

struct VoterSet {
    std::vector<Voter> voters;
    [[nodiscard]] bool is_only(BrokerId id) const {
        return voters.size() == 1 && voters.front().key.id == id;
    }
    bool operator==(const VoterSet&) const = default;
};

/// The value of a KRaftVoters control record.
Buffer encode_voters(const VoterSet& set);
Result<VoterSet> decode_voters(Buffer value);
/// The value of a KRaftVersion control record.
Buffer encode_kraft_version(int16_t version);
Result<int16_t> decode_kraft_version(Buffer value);

}  // namespace ottla::raft
