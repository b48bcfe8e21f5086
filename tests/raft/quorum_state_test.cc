// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "base/uuid.h"
#include "raft/quorum_state.h"

namespace ottla::raft {
namespace {

// As Apache Kafka 4.3.1 wrote it for `kafka-storage format --standalone`.
constexpr std::string_view kOfKafka =
    R"({"leaderId":1,"leaderEpoch":1,"votedId":-1,"votedDirectoryId":"AAAAAAAAAAAAAAAAAAAAAA","data_version":1})";

TEST(QuorumState, WritesWhatKafkaWrites) {
    const QuorumState state{LeaderEpoch{1}, BrokerId{1}, {}};
    EXPECT_EQ(to_json(state, 1, {}), kOfKafka);
}

TEST(QuorumState, ReadsWhatItWrites) {
    const QuorumState voted{LeaderEpoch{9}, kNoBroker, {BrokerId{3}, make_uuid(77, 99)}};
    EXPECT_EQ(parse_quorum_state(to_json(voted, 1, {})), voted);
}

TEST(QuorumState, ReadsAndWritesTheStaticFormat) {
    VoterSet voters;
    voters.voters.resize(2);
    voters.voters[0].key.id = BrokerId{1};
    voters.voters[1].key.id = BrokerId{2};
    const QuorumState state{LeaderEpoch{5}, BrokerId{2}, {}};
    const std::string json = to_json(state, 0, voters);
    EXPECT_EQ(json,
              R"({"clusterId":"","leaderId":2,"leaderEpoch":5,"votedId":-1,"appliedOffset":0,)"
              R"("currentVoters":[{"voterId":1},{"voterId":2}],"data_version":0})");
    EXPECT_EQ(parse_quorum_state(json), state);
}

TEST(QuorumState, TakesBlanksAndFieldsItDoesNotKnow) {
    const auto state = parse_quorum_state(
        R"( { "leaderId" : -1 , "leaderEpoch" : 3 , "votedId":2, "x": [1,{"y":[2]}], "z":null,)"
        R"("data_version":0 } )");
    ASSERT_TRUE(state) << state.error().detail;
    EXPECT_EQ(state->epoch, LeaderEpoch{3});
    EXPECT_EQ(state->voted.id, BrokerId{2});
}

TEST(QuorumState, RefusesEveryCutOfTheFile) {
    for (size_t size = 0; size < kOfKafka.size(); ++size) {
        EXPECT_FALSE(parse_quorum_state(kOfKafka.substr(0, size))) << size;
    }
}

TEST(QuorumState, RefusesWhatIsMissingOrOutOfRange) {
    for (
        std::string_view text : {
            R"({"leaderEpoch":1,"votedId":-1,"data_version":1})",
            R"({"leaderId":1,"votedId":-1,"data_version":1})",
            R"({"leaderId":1,"leaderEpoch":1,"data_version":1})",
            R"({"leaderId":1,"leaderEpoch":1,"votedId":-1})",
            R"({"leaderId":1,"leaderEpoch":1,"votedId":-1,"data_version":2})",
            R"({"leaderId":1,"leaderEpoch":-1,"votedId":-1,"data_version":1})",
            R"({"leaderId":1,"leaderEpoch":2147483647,"votedId":-1,"data_version":1})",
            R"({"leaderId":x,"leaderEpoch":1,"votedId":-1,"data_version":1})",
            R"({"leaderId":1,"leaderEpoch":1,"votedId":-1,"votedDirectoryId":"?","data_version":1})",
        }) {
        EXPECT_FALSE(parse_quorum_state(text)) << text;
    }
}

TEST(Voters, SurviveTheirRecord) {
    Voter voter;
    voter.key = {BrokerId{1}, make_uuid(1, 2)};
    voter.endpoints = {{"CONTROLLER", "127.0.0.1", 21091}};
    const VoterSet set{{voter}};
    EXPECT_EQ(decode_voters(encode_voters(set)), set);
    EXPECT_EQ(encode_voters(set).size(), 55U);  // as long as Kafka's record of the same voter
    EXPECT_EQ(decode_kraft_version(encode_kraft_version(1)), int16_t{1});
}

TEST(Uuid, TextIsKafkas) {
    EXPECT_EQ(to_string(kMetadataTopicId), "AAAAAAAAAAAAAAAAAAAAAQ");
    const Uuid id = make_uuid(0x0123456789abcdefU, 0xfedcba9876543210U);
    EXPECT_EQ(parse_uuid(to_string(id)), id);
    EXPECT_FALSE(parse_uuid("AAAAAAAAAAAAAAAAAAAAA"));
    EXPECT_FALSE(parse_uuid("AAAAAAAAAAAAAAAAAAAA+Q"));
    EXPECT_NE(to_string(make_uuid(~0ULL - (0x01ULL << 58U), 1)).front(), '-');
}

}  // namespace
}  // namespace ottla::raft
