// SPDX-License-Identifier: Apache-2.0
// covers app/inspect/segment app/inspect/metadata
#include <gtest/gtest.h>

#include "app/inspect/batches.h"
#include "protocol/metadata_frame.h"
#include "raft/snapshot.h"
#include "records/control.h"
#include "tests/app/inspect_bench.h"
#include "tests/records/samples.h"

namespace ottla::app {
namespace {

using namespace std::string_literals;

std::string text(const Buffer& buffer) { return std::string(buffer.text()); }

/// Two records in each codec, then a commit marker: offsets 100 to 110.
std::string every_codec() {
    std::string bytes;
    for (int codec = 0; codec < 5; ++codec) {
        BatchOptions options;
        options.compression.codec = static_cast<Codec>(codec);
        options.base_offset = Offset{100 + 2 * codec};
        options.leader_epoch = LeaderEpoch{3};
        options.transactional = true;
        options.producer_id = ProducerId{7};
        options.producer_epoch = ProducerEpoch{1};
        options.base_sequence = 2 * codec;
        bytes += text(samples::build(
            {{0, 1000, "key", "value", {{"h", "\x01"}}}, {1, 2000, std::nullopt, "\xFF\x00"s, {}}},
            options));
    }
    return bytes + text(build_end_transaction_batch({.producer_id = ProducerId{7},
                                                     .producer_epoch = ProducerEpoch{1},
                                                     .timestamp = WallTime{3000},
                                                     .base_offset = Offset{110},
                                                     .leader_epoch = LeaderEpoch{3}},
                                                    {.committed = true, .coordinator_epoch = 9}));
}

Sample segment(std::string bytes, bool records = false) {
    return {FileKind::segment, "t-0/00000000000000000100.log", std::move(bytes), {records, false}};
}

TEST(InspectSegment, PrintsOneLineForEachBatch) {
    const Printed printed = print_sample(segment(every_codec()));
    EXPECT_TRUE(printed.intact);
    EXPECT_EQ(printed.verdict, "");
    ASSERT_EQ(printed.lines.size(), 6U);
    const std::vector<std::string> codecs = {"\"none\"", "\"gzip\"", "\"snappy\"",
                                             "\"lz4\"",  "\"zstd\"", "\"none\""};
    for (size_t i = 0; i < 6; ++i) {
        EXPECT_EQ(field(printed.lines[i], "base_offset"), std::to_string(100 + 2 * i));
        EXPECT_EQ(field(printed.lines[i], "codec"), codecs[i]);
        EXPECT_EQ(field(printed.lines[i], "crc_valid"), "true");
        EXPECT_EQ(field(printed.lines[i], "transactional"), "true");
        EXPECT_EQ(field(printed.lines[i], "control"), i == 5 ? "true" : "false");
        EXPECT_EQ(field(printed.lines[i], "leader_epoch"), "3");
        EXPECT_EQ(field(printed.lines[i], "base_sequence"),
                  i == 5 ? "null" : std::to_string(2 * i));
    }
    EXPECT_EQ(field(printed.lines[0], "last_offset"), "101");
    EXPECT_EQ(field(printed.lines[0], "records"), "2");
    EXPECT_EQ(field(printed.lines[0], "max_timestamp"), "2000");
    EXPECT_EQ(field(printed.lines[0], "producer_id"), "7");
}

TEST(InspectSegment, PrintsRecordsOfCompressedBatches) {
    const Printed printed = print_sample(segment(every_codec(), true));
    ASSERT_TRUE(printed.intact) << printed.verdict;
    ASSERT_EQ(printed.lines.size(), 11U);
    for (size_t i = 0; i < 10; ++i) {
        EXPECT_EQ(field(printed.lines[i], "offset"), std::to_string(100 + i));
        EXPECT_EQ(field(printed.lines[i], "sequence"), std::to_string(i));
        const bool first = i % 2 == 0;
        EXPECT_EQ(field(printed.lines[i], "timestamp"), first ? "1000" : "2000");
        EXPECT_EQ(field(printed.lines[i], "key"), first ? "\"key\"" : "null");
        EXPECT_EQ(field(printed.lines[i], "key_size"), first ? "3" : "null");
        EXPECT_EQ(field(printed.lines[i], "value"), first ? "\"value\"" : "\"ff00\"");
        EXPECT_EQ(field(printed.lines[i], "value_format"), first ? "\"text\"" : "\"hex\"");
        EXPECT_EQ(field(printed.lines[i], "value_size"), first ? "5" : "2");
    }
    EXPECT_NE(
        printed.lines[0].find(R"("headers": [{"key": "h", "value": "01", "value_format": "hex"}])"),
        std::string::npos)
        << printed.lines[0];
    EXPECT_EQ(field(printed.lines[10], "control"), "\"commit, coordinator epoch 9\"");
}

TEST(InspectSegment, TablesQuoteTextSoThatNullAndEmptyDiffer) {
    const Buffer batch = samples::build({{0, 0, std::nullopt, "", {}}, {1, 0, "-", "a\nb", {}}});
    Sample sample = segment(text(batch), true);
    sample.name = "00000000000000000000.log";
    const Printed printed = print_sample(sample, OutputFormat::table);
    ASSERT_EQ(printed.lines.size(), 3U);
    EXPECT_TRUE(printed.lines[0].starts_with("OFFSET  "));
    EXPECT_TRUE(printed.lines[1].find("-             \"\"") != std::string::npos);
    EXPECT_TRUE(printed.lines[2].find("\"-\"           \"a\\nb\"") != std::string::npos);
    EXPECT_NE(printed.lines[1].find("1970-01-01T00:00:00.000Z"), std::string::npos);
}

TEST(InspectSegment, WrongCrcIsShownAndTheWalkGoesOn) {
    const std::string good = every_codec();
    const Printed before = print_sample(segment(good));
    const size_t second = std::stoul(field(before.lines[1], "position"));
    std::string bad = good;
    bad[second + 70] = static_cast<char>(bad[second + 70] ^ 1);
    const Printed printed = print_sample(segment(bad));
    ASSERT_EQ(printed.lines.size(), 6U);
    EXPECT_FALSE(printed.intact);
    EXPECT_EQ(field(printed.lines[1], "crc_valid"), "false");
    EXPECT_EQ(printed.lines[2], before.lines[2]);
    EXPECT_TRUE(printed.verdict.starts_with("t-0/00000000000000000100.log: position " +
                                            std::to_string(second) + ": batch CRC is "))
        << printed.verdict;
    // Its records are not shown: nothing of them can be believed.
    EXPECT_EQ(print_sample(segment(bad, true)).lines.size(), 9U);
}

TEST(InspectSegment, TornEndIsDamageAndPreallocatedZerosAreNot) {
    const std::string good = every_codec();
    const Printed torn = print_sample(segment(good.substr(0, good.size() - 1)));
    EXPECT_FALSE(torn.intact);
    EXPECT_EQ(torn.lines.size(), 5U);
    EXPECT_NE(torn.verdict.find("a batch of 78 bytes, of which 77 are there"), std::string::npos)
        << torn.verdict;
    const Printed padded = print_sample(segment(good + std::string(5000, '\0')));
    EXPECT_TRUE(padded.intact);
    EXPECT_EQ(padded.lines.size(), 6U);
    EXPECT_NE(padded.verdict.find("5000 zeros up to the end"), std::string::npos);
    const Printed hole = print_sample(segment(good + std::string(5000, '\0') + "x"));
    EXPECT_FALSE(hole.intact);
    EXPECT_NE(hole.verdict.find("data again at " + std::to_string(good.size() + 5000)),
              std::string::npos)
        << hole.verdict;
}

TEST(InspectSegment, OffsetsThatFallAreDamageThoughNoCrcCoversThem) {
    const std::string good = every_codec();
    const Printed twice = print_sample(segment(good + good));
    EXPECT_FALSE(twice.intact);
    EXPECT_EQ(twice.lines.size(), 12U);
    EXPECT_NE(twice.verdict.find("base offset 100 where 111 is the least (and 5 more)"),
              std::string::npos)
        << twice.verdict;
    Sample later = segment(good);
    later.name = "00000000000000000101.log";
    EXPECT_FALSE(print_sample(later).intact);
}

TEST(InspectSegment, BatchesLargerThanTheWindowAreChecked) {
    std::string value(3 * Window::kPiece + 17, 'v');
    const std::string bytes =
        text(samples::build({{0, 5, "k", value, {}}})) +
        text(samples::build({{0, 5, "k", "w", {}}}, {.base_offset = Offset{1}}));
    Sample sample{FileKind::segment, "x.log", bytes, {}};
    EXPECT_TRUE(print_sample(sample).intact);
    EXPECT_EQ(print_sample(sample).lines.size(), 2U);
    sample.bytes[2 * Window::kPiece] = 'w';
    const Printed printed = print_sample(sample);
    EXPECT_EQ(field(printed.lines.at(0), "crc_valid"), "false");
    EXPECT_EQ(field(printed.lines.at(1), "crc_valid"), "true");
}

TEST(InspectSegment, AnyCutShowsWhatIsWhole) {
    expect_prefixes_of(segment(every_codec()));
    expect_prefixes_of(segment(every_codec(), true));
}

TEST(InspectSegment, AnyChangedByteIsSurvived) {
    expect_survives_flips(segment(every_codec()));
    expect_survives_flips(segment(every_codec(), true));
}

TEST(InspectSegment, AnyChangedByteUnderTheCrcIsReported) {
    const std::string good = text(samples::build({{0, 1000, "key", "value", {}}}));
    for (size_t at = batch_layout::kCrc; at < good.size(); ++at) {
        Sample bad{FileKind::segment, "x.log", good, {}};
        bad.bytes[at] = static_cast<char>(bad.bytes[at] ^ 4);
        const Printed printed = print_sample(bad);
        EXPECT_FALSE(printed.intact) << at;
    }
}

Sample metadata_snapshot() {
    raft::SnapshotWriting content;
    content.id = {Offset{50}, LeaderEpoch{2}};
    content.now = WallTime{5000};
    content.kraft_version = 1;
    content.voters = raft::VoterSet{};
    content.records = {{protocol::TopicRecord{.name = "orders", .topic_id = kMetadataTopicId}, 0},
                       {protocol::RemoveTopicRecord{.topic_id = kMetadataTopicId}, 0}};
    return {FileKind::metadata,
            "00000000000000000050-0000000002.checkpoint",
            text(raft::encode_snapshot(content)),
            {}};
}

TEST(InspectMetadata, DecodesRecordsAndControlRecords) {
    const Printed printed = print_sample(metadata_snapshot());
    ASSERT_TRUE(printed.intact) << printed.verdict;
    std::vector<std::string> types;
    for (const std::string& line : printed.lines) types.push_back(field(line, "type"));
    EXPECT_EQ(types, (std::vector<std::string>{
                         "\"SnapshotHeaderRecord\"", "\"KRaftVersionRecord\"", "\"VotersRecord\"",
                         "\"TopicRecord\"", "\"RemoveTopicRecord\"", "\"SnapshotFooterRecord\""}));
    EXPECT_NE(
        printed.lines[3].find(R"("data": {"name":"orders","topicId":"AAAAAAAAAAAAAAAAAAAAAQ"})"),
        std::string::npos)
        << printed.lines[3];
}

TEST(InspectMetadata, RecordOfANewerKafkaIsShownInHexAndReported) {
    const Buffer batch = samples::build({{0, 1, std::nullopt, "\x01\x7F\x00z"s, {}}});
    const Sample sample{FileKind::metadata, "00000000000000000000.log", text(batch), {}};
    const Printed printed = print_sample(sample);
    ASSERT_EQ(printed.lines.size(), 1U);
    EXPECT_EQ(field(printed.lines[0], "type"), "null");
    EXPECT_EQ(field(printed.lines[0], "data"), "\"017f007a\"");
    EXPECT_NE(printed.verdict.find("offset 0: no metadata record has type 127"), std::string::npos)
        << printed.verdict;
}

TEST(InspectMetadata, AnyDamageIsSurvived) {
    expect_prefixes_of(metadata_snapshot());
    expect_survives_flips(metadata_snapshot());
    // Without the CRC in the way: what a writer with a bug would leave.
    const std::string value = text(protocol::encode_metadata_record(
        protocol::TopicRecord{.name = "orders", .topic_id = kMetadataTopicId}, 0));
    for (size_t at = 0; at < value.size(); ++at) {
        for (const int mask : {0x01, 0x7F, 0xFF}) {
            std::string bad = value;
            bad[at] = static_cast<char>(bad[at] ^ mask);
            for (const bool control : {false, true}) {
                const Buffer batch =
                    samples::build({{0, 1, "\0\0\0\x02"s, bad, {}}}, {.control = control});
                const Sample sample{FileKind::metadata, "x.log", text(batch), {}};
                expect_sound(sample, print_sample(sample));
            }
        }
    }
}

TEST(InspectBatches, ExtremeOffsetsDoNotOverflow) {
    for (const int64_t base : {INT64_MAX, INT64_MAX - 1, INT64_MIN, int64_t{-1}}) {
        std::string bytes =
            text(samples::build({{0, INT64_MAX, "k", "v", {}}, {1, 0, "k", "v", {}}}));
        const std::string offset = Bytes().put(base).text();
        bytes.replace(0, 8, offset);
        const Sample sample{FileKind::segment, "x.log", bytes, {true, false}};
        const Printed printed = print_sample(sample);
        EXPECT_FALSE(printed.intact) << base;
        EXPECT_EQ(printed.lines.size(), 2U);
        expect_sound(sample, printed);
    }
}

}  // namespace
}  // namespace ottla::app
