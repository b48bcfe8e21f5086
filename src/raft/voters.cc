// SPDX-License-Identifier: Apache-2.0
#include "raft/voters.h"

#include <algorithm>

#include "protocol/codec.h"
#include "protocol/raft_records.h"

namespace ottla::raft {

Buffer encode_voters(const VoterSet& set) {
    protocol::VotersRecord record;
    for (const Voter& voter : set.voters) {
        protocol::VotersRecord::Voter one;
        one.voter_id = voter.key.id.value();
        one.voter_directory_id = voter.key.directory;
        for (const VoterEndpoint& endpoint : voter.endpoints) {
            one.endpoints.push_back({endpoint.listener, endpoint.host, endpoint.port});
        }
        one.kraft_version_feature = {voter.min_kraft_version, voter.max_kraft_version};
        record.voters.push_back(std::move(one));
    }
    return protocol::encode(0, record).flatten();
}

Result<VoterSet> decode_voters(Buffer value) {
    TRY(auto record, protocol::decode<protocol::VotersRecord>(std::move(value), 0));
    VoterSet set;
    for (const auto& one : record.voters) {
        Voter voter;
        voter.key = {BrokerId{one.voter_id}, one.voter_directory_id};
        for (const auto& endpoint : one.endpoints) {
            voter.endpoints.push_back({endpoint.name, endpoint.host, endpoint.port});
        }
        voter.min_kraft_version = one.kraft_version_feature.min_supported_version;
        voter.max_kraft_version = one.kraft_version_feature.max_supported_version;
        set.voters.push_back(std::move(voter));
    }
    std::ranges::sort(set.voters, {}, [](const Voter& voter) { return voter.key; });
    return set;
}

Buffer encode_kraft_version(int16_t version) {
    protocol::KRaftVersionRecord record;
    record.kraft_version = version;
    return protocol::encode(0, record).flatten();
}

Result<int16_t> decode_kraft_version(Buffer value) {
    TRY(auto record, protocol::decode<protocol::KRaftVersionRecord>(std::move(value), 0));
    return record.kraft_version;
}

}  // namespace ottla::raft
