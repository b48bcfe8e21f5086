// SPDX-License-Identifier: Apache-2.0
// covers app/inspect/text_files
#include <gtest/gtest.h>

#include "app/inspect/file_kind.h"
#include "raft/quorum_state.h"
#include "storage/catalogue.h"
#include "storage/leader_epochs.h"
#include "storage/meta_properties.h"
#include "storage/moved_logs.h"
#include "storage/offset_checkpoint.h"
#include "storage/producer_state.h"
#include "tests/app/inspect_bench.h"

namespace ottla::app {
namespace {

Sample checkpoint(std::string name, std::string text) {
    return {FileKind::checkpoint, "data/" + std::move(name), std::move(text)};
}

std::string catalogue(const TopicPartition& first, const TopicPartition& second) {
    storage::CatalogueEntry entry;
    entry.name = first;
    entry.topic_id = kMetadataTopicId;
    entry.recovery_point = Offset{9};
    entry.log_start = Offset{2};
    entry.high_watermark = Offset{8};
    entry.whole = true;
    entry.end = Offset{11};
    storage::SegmentEntry segment;
    segment.bytes = 300;
    segment.inlined = true;
    segment.offsets = Buffer::copy_of(std::string(16, '\1'));
    entry.segments.push_back(segment);
    entry.epochs = {{LeaderEpoch{3}, Offset{2}}};
    entry.snapshots = {Offset{5}};
    storage::ProducerState producers;
    producers.appended({.producer = ProducerId{70},
                        .epoch = ProducerEpoch{1},
                        .first_sequence = 0,
                        .last_sequence = 4,
                        .first_offset = Offset{6},
                        .last_offset = Offset{10},
                        .transactional = true});
    entry.producers = producers.image();
    entry.instance = 0xabc;
    entry.group = 12;
    storage::CatalogueWriter writer(kMetadataTopicId, 7);
    writer.add(entry);
    entry = {};
    entry.name = second;
    entry.topic_id = kMetadataTopicId;
    entry.recovery_point = entry.high_watermark = Offset{1};
    writer.add(entry);
    return std::string(writer.finish().text());
}

std::vector<Sample> samples() {
    const TopicPartition first{"a", PartitionIndex{0}};
    const TopicPartition second{"orders", PartitionIndex{12}};
    storage::LeaderEpochs epochs;
    epochs.assign(LeaderEpoch{1}, Offset{0});
    epochs.assign(LeaderEpoch{5}, Offset{100});
    return {
        checkpoint("recovery-point-offset-checkpoint",
                   storage::to_text(
                       storage::OffsetCheckpoint{{first, Offset{7}}, {second, Offset{1'000'000}}})),
        checkpoint("leader-epoch-checkpoint", epochs.checkpoint()),
        checkpoint("partition.metadata", storage::partition_metadata_text(kMetadataTopicId)),
        checkpoint("meta.properties", storage::to_text({.cluster_id = "cluster",
                                                        .node_id = BrokerId{3},
                                                        .directory_id = kMetadataTopicId})),
        checkpoint(".kafka_cleanshutdown", R"({"version":0,"brokerEpoch":41})"),
        checkpoint(".ottla-catalogue-0", catalogue(first, second)),
        checkpoint(".ottla-retired-0", "00000000000000ff\n"),
        checkpoint("t-0/.ottla-moved", storage::moved_text(kMetadataTopicId, 3)),
        {FileKind::quorum_state, "data/quorum-state",
         raft::to_json({LeaderEpoch{4}, BrokerId{2}, {kNoBroker, {}}}, 1, {})},
    };
}

TEST(InspectText, EveryFileIsPrintedByLine) {
    const std::vector<std::vector<std::string>> expected = {
        {R"("topic": "a", "partition": 0, "offset": 7)",
         R"("topic": "orders", "partition": 12, "offset": 1000000)"},
        {R"("leader_epoch": 1, "start_offset": 0)", R"("leader_epoch": 5, "start_offset": 100)"},
        {R"("key": "version", "value": "0")",
         R"("key": "topic_id", "value": "AAAAAAAAAAAAAAAAAAAAAQ")"},
        {R"("key": "version", "value": "1")", R"("key": "cluster.id", "value": "cluster")",
         R"("key": "node.id", "value": "3")",
         R"("key": "directory.id", "value": "AAAAAAAAAAAAAAAAAAAAAQ")"},
        {R"("version": 0, "broker_epoch": 41)"},
        {R"("topic": "a", "partition": 0, "topic_id": "AAAAAAAAAAAAAAAAAAAAAQ", )"
         R"("log_start": 2, "recovery_point": 9, "high_watermark": 8, "cleaned": -1, )"
         R"("end": 11, "segments": 1, "last_segment": 0, "last_bytes": 300, "grown_bytes": null, )"
         R"("journal_id": "0000000000000007", "journal_group": 12, "log_instance": "0000000000000abc")",
         R"("topic": "orders", "partition": 12, "topic_id": "AAAAAAAAAAAAAAAAAAAAAQ", )"
         R"("log_start": 0, "recovery_point": 1, "high_watermark": 1, "cleaned": -1, )"
         R"("end": null)"},
        {R"("journal_id": "00000000000000ff")"},
        {R"("moves": 3, "reign": "AAAAAAAAAAAAAAAAAAAAAQ")"},
        {R"("leader_epoch": 4, "leader_id": 2, "voted_id": null, "voted_directory_id": null, )"
         R"("data_version": 1, "content": "{\"leaderId\":2)"},
    };
    const auto all = samples();
    ASSERT_EQ(all.size(), expected.size());
    for (size_t i = 0; i < all.size(); ++i) {
        const Printed printed = print_sample(all[i]);
        EXPECT_TRUE(printed.intact) << printed.verdict;
        ASSERT_EQ(printed.lines.size(), expected[i].size()) << all[i].name;
        for (size_t line = 0; line < expected[i].size(); ++line) {
            EXPECT_NE(printed.lines[line].find(expected[i][line]), std::string::npos)
                << printed.lines[line];
        }
    }
}

TEST(InspectText, KindIsGuessedFromTheContentUnderAnotherName) {
    for (Sample sample : samples()) {
        if (sample.kind != FileKind::checkpoint) continue;
        const Printed named = print_sample(sample);
        const bool retired = sample.name.contains("retired");
        sample.name = "copy.txt";
        Printed copied = print_sample(sample);
        if (retired) continue;  // A bare number says nothing about itself.
        EXPECT_TRUE(copied.intact) << copied.verdict << sample.bytes;
        EXPECT_EQ(copied.lines.size(), named.lines.size());
    }
}

TEST(InspectText, BadLineIsReportedWithItsPlaceAndTheOthersShown) {
    const Sample sample =
        checkpoint("log-start-offset-checkpoint", "0\n3\na 0 1\nb zero 2\nc 1 3\n");
    const Printed printed = print_sample(sample);
    EXPECT_EQ(printed.lines.size(), 2U);
    EXPECT_EQ(printed.verdict,
              "data/log-start-offset-checkpoint: position 10: a line cannot be read\n");
}

TEST(InspectText, CountIsComparedWithTheLines) {
    const Printed fewer =
        print_sample(checkpoint("replication-offset-checkpoint", "0\n2\na 0 1\n"));
    EXPECT_FALSE(fewer.intact);
    EXPECT_NE(fewer.verdict.find("1 entries, the second line says 2"), std::string::npos);
    EXPECT_FALSE(print_sample(checkpoint("leader-epoch-checkpoint", "0\n2\n1 5\n0 9\n")).intact);
}

TEST(InspectText, WhatAPictureHoldsIsPrintedThingByThing) {
    Sample sample = samples()[5];
    sample.options.entries = true;
    const Printed printed = print_sample(sample);
    EXPECT_TRUE(printed.intact) << printed.verdict;
    const std::vector<std::string> expected = {
        R"("topic": "a", "partition": 0, "kind": "epoch", "offset": 2, "last_offset": null, "bytes": null, "leader_epoch": 3)",
        R"("kind": "segment", "offset": 0, "last_offset": null, "bytes": 300)",
        R"("kind": "snapshot", "offset": 5)",
        R"("kind": "producer", "offset": 6, "last_offset": 10, "bytes": null, "leader_epoch": null, "producer_id": 70, "producer_epoch": 1, "last_sequence": 4)",
    };
    ASSERT_EQ(printed.lines.size(), expected.size());
    for (size_t i = 0; i < expected.size(); ++i) {
        EXPECT_TRUE(printed.lines[i].contains(expected[i])) << printed.lines[i];
    }
    EXPECT_TRUE(printed.lines[1].contains(R"("more_index": 2, "more_time": 0, "aborted": 0)"));
}

TEST(InspectText, EveryChangedByteOfACatalogueIsReported) {
    Sample sample = samples()[5];
    for (char& byte : sample.bytes) {
        byte = static_cast<char>(byte ^ 1);
        EXPECT_FALSE(print_sample(sample).intact);
        byte = static_cast<char>(byte ^ 1);
    }
    EXPECT_TRUE(print_sample(sample).intact);
}

TEST(InspectText, AHalfOfAMarkThatIsHurtIsReportedAndTheOtherShown) {
    Sample sample = checkpoint(".ottla-moved", storage::moved_text(kMetadataTopicId, 3));
    sample.bytes[10] = 'x';
    const Printed printed = print_sample(sample);
    EXPECT_FALSE(printed.intact);
    ASSERT_EQ(printed.lines.size(), 1U);
    EXPECT_EQ(field(printed.lines[0], "moves"), "3");
    EXPECT_NE(printed.verdict.find("the two halves differ"), std::string::npos);
}

TEST(InspectText, AnyDamageIsSurvived) {
    for (const Sample& sample : samples()) {
        expect_survives_cuts(sample);
        expect_survives_flips(sample);
    }
}

TEST(InspectText, EmptyCheckpointsAreKafkasBeforeTheirFirstEntry) {
    for (const auto* name : {"replication-offset-checkpoint", "leader-epoch-checkpoint"}) {
        const Printed printed = print_sample(checkpoint(name, ""));
        EXPECT_TRUE(printed.intact);
        EXPECT_NE(printed.verdict.find("position 0: empty"), std::string::npos) << printed.verdict;
    }
}

TEST(InspectText, EmptyCleanShutdownFileIsAnOlderKafkas) {
    EXPECT_TRUE(print_sample(checkpoint(".kafka_cleanshutdown", "")).intact);
    EXPECT_FALSE(print_sample(checkpoint(".kafka_cleanshutdown", "{}")).intact);
}

TEST(InspectFileKind, IsToldFromTheName) {
    const auto kind = [](std::string_view path) {
        const auto found = file_kind_of(path);
        return found ? name_of(*found) : "";
    };
    EXPECT_EQ(kind("/d/t-0/00000000000000000000.log"), "segment");
    EXPECT_EQ(kind("00000000000000000000.log.deleted"), "segment");
    EXPECT_EQ(kind("/d/__cluster_metadata-0/00000000000000000000.log"), "metadata");
    EXPECT_EQ(kind("00000000000000000000-0000000000.checkpoint"), "metadata");
    EXPECT_EQ(kind("00000000000000000009-0000000000.checkpoint.part"), "metadata");
    EXPECT_EQ(kind("t-0/00000000000000000000.index"), "index");
    EXPECT_EQ(kind("t-0/00000000000000000000.timeindex.swap"), "timeindex");
    EXPECT_EQ(kind("t-0/00000000000000000000.txnindex"), "txnindex");
    EXPECT_EQ(kind("t-0/00000000000000000007.snapshot"), "snapshot");
    EXPECT_EQ(kind(".ottla-journal-1-12"), "journal");
    EXPECT_EQ(kind("/d/.ottla-catalogue-1"), "checkpoint");
    EXPECT_EQ(kind("/d/replication-offset-checkpoint"), "checkpoint");
    EXPECT_EQ(kind("t-0/leader-epoch-checkpoint"), "checkpoint");
    EXPECT_EQ(kind("quorum-state"), "quorum-state");
    EXPECT_EQ(kind(".lock"), "");
    EXPECT_EQ(kind(""), "");
    EXPECT_EQ(base_offset_of("x/00000000000000000123.timeindex"), 123);
    EXPECT_EQ(base_offset_of("x/short.log"), 0);
    EXPECT_EQ(base_offset_of("99999999999999999999.log"), 0);
    EXPECT_EQ(parse_file_kind("quorum-state"), FileKind::quorum_state);
    EXPECT_EQ(parse_file_kind("nonsense"), std::nullopt);
}

TEST(InspectReport, TablesPadColumnsAndJsonNamesThem) {
    static constexpr std::array kColumns = {Column{"long_name"}, Column{"hidden", 0, true},
                                            Column{"wide", 8}, Column{"last"}};
    for (const auto format : {OutputFormat::table, OutputFormat::json}) {
        std::vector<std::string> lines;
        KeptLines out(lines);
        Report report("f\"1", format, out);
        report.begin(kColumns);
        report.row({int64_t{1}, "x", true, "a\nb"});
        if (format == OutputFormat::table) {
            EXPECT_EQ(lines, (std::vector<std::string>{"LONG NAME  WIDE      LAST",
                                                       "1          yes       a\nb"}));
        } else {
            EXPECT_EQ(
                lines.at(0),
                R"({"file": "f\"1", "long_name": 1, "hidden": "x", "wide": true, "last": "a\nb"})");
        }
    }
}

TEST(InspectReport, TimesAreDatesForPeople) {
    EXPECT_EQ(plain_text(time_cell(1'700'000'000'123)), "2023-11-14T22:13:20.123Z");
    EXPECT_EQ(json_text(time_cell(1'700'000'000'123)), "1700000000123");
    EXPECT_EQ(plain_text(time_cell(-1)), "-");
    EXPECT_EQ(plain_text(time_cell(INT64_MAX)), std::to_string(INT64_MAX));
    EXPECT_EQ(plain_text(time_cell(INT64_MIN)), std::to_string(INT64_MIN));
}

TEST(InspectReport, ReadableTextIsUtf8WithoutControlCharacters) {
    EXPECT_TRUE(is_readable(""));
    EXPECT_TRUE(is_readable("grüße\t€\n"));
    EXPECT_FALSE(is_readable("a\x01"));
    EXPECT_FALSE(is_readable("\x7F"));
    EXPECT_FALSE(is_readable("\xC3"));
    EXPECT_FALSE(is_readable(std::string_view("\0", 1)));
}

}  // namespace
}  // namespace ottla::app
