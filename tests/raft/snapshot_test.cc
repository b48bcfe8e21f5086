// SPDX-License-Identifier: Apache-2.0
#include "raft/snapshot.h"

#include <gtest/gtest.h>

#include "base/uuid.h"

namespace ottla::raft {
namespace {

// The first 166 bytes of the bootstrap checkpoint that Apache Kafka 4.3.1 wrote for
// `kafka-storage format --standalone` of node 1 with CONTROLLER://127.0.0.1:21091.
constexpr std::string_view kOfKafka =
    "00000000000000000000009a000000000268f58eb5002000000002000001a1fdd3e32f000001a1fdd3e32fff"
    "ffffffffffffffffffffffffff000000032a0000000800000003160000000001a1fdd3e32200001e00000208"
    "000000050a000000010000820100000408000000066e00000200000001809445dee091444d98641f5ce48131"
    "1f020b434f4e54524f4c4c45520a3132372e302e302e315263000000000100000000";

std::string hex(std::span<const std::byte> bytes) {
    std::string text;
    for (std::byte byte : bytes) text += fmt::format("{:02x}", std::to_integer<int>(byte));
    return text;
}

SnapshotWriting of_kafka() {
    SnapshotWriting content;
    content.now = WallTime{1795259884335};
    content.last_contained_timestamp = WallTime{1795259884322};
    content.kraft_version = 1;
    Voter voter;
    voter.key = {BrokerId{1}, *parse_uuid("gJRF3uCRRE2YZB9c5IExHw")};
    voter.endpoints = {{"CONTROLLER", "127.0.0.1", 21091}};
    content.voters = VoterSet{{voter}};
    return content;
}

TEST(Snapshot, BootstrapCheckpointIsKafkasByteForByte) {
    const Buffer bytes = encode_snapshot(of_kafka());
    ASSERT_EQ(bytes.size(), 241U);
    EXPECT_EQ(hex(bytes.span().first(166)), kOfKafka);
}

TEST(Snapshot, IsReadBack) {
    SnapshotWriting content = of_kafka();
    for (int i = 0; i < 2500; ++i) {
        content.records.push_back(
            {protocol::TopicRecord{fmt::format("t{}", i), make_uuid(1, static_cast<uint64_t>(i))}, 0});
    }
    const auto read = parse_snapshot(encode_snapshot(content));
    ASSERT_TRUE(read) << read.error().detail;
    EXPECT_EQ(read->last_contained_timestamp, content.last_contained_timestamp);
    EXPECT_EQ(read->kraft_version, int16_t{1});
    EXPECT_EQ(read->voters, content.voters);
    ASSERT_EQ(read->records.size(), 2500U);
    EXPECT_EQ(std::get<protocol::TopicRecord>(read->records.back()).name, "t2499");
}

TEST(Snapshot, RefusesEveryCutAndEveryFlippedByte) {
    const Buffer bytes = encode_snapshot(of_kafka());
    for (size_t size = 0; size < bytes.size(); ++size) {
        EXPECT_FALSE(parse_snapshot(bytes.slice(0, size))) << size;
    }
    for (size_t at = 0; at < bytes.size(); ++at) {
        // Offsets and leader epoch lie outside the CRC: nothing here depends on them.
        const size_t in_batch = at < 166 ? at : at - 166;
        if (in_batch < 8 || (in_batch >= 12 && in_batch < 16)) continue;
        BlockRef block = make_block(bytes.size());
        std::memcpy(block->data(), bytes.data(), bytes.size());
        block->data()[at] ^= std::byte{0x10};
        EXPECT_FALSE(parse_snapshot(Buffer{block, 0, bytes.size()})) << at;
    }
}

TEST(Snapshot, NamesAreKafkas) {
    const SnapshotId id{Offset{42}, LeaderEpoch{7}};
    EXPECT_EQ(snapshot_file_name(id), "00000000000000000042-0000000007.checkpoint");
    EXPECT_EQ(parse_snapshot_file(snapshot_file_name(id)), id);
    EXPECT_FALSE(parse_snapshot_file("00000000000000000042-0000000007.checkpoint.part"));
    EXPECT_FALSE(parse_snapshot_file("bootstrap.checkpoint"));
    EXPECT_FALSE(parse_snapshot_file("0000000000000000004x-0000000007.checkpoint"));
}

}  // namespace
}  // namespace ottla::raft
