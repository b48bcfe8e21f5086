// SPDX-License-Identifier: Apache-2.0
// covers app/inspect/indexes app/inspect/producer_snapshot
#include <gtest/gtest.h>

#include "base/crc32c.h"
#include "storage/offset_index.h"
#include "storage/producer_state.h"
#include "storage/time_index.h"
#include "tests/app/inspect_bench.h"

namespace ottla::app {
namespace {

Sample offset_index() {
    storage::OffsetIndex index(Offset{1000}, 4096);
    index.append(Offset{1010}, 5000);
    index.append(Offset{1020}, 9100);
    index.append(Offset{1031}, 14000);
    return {FileKind::index, "00000000000000001000.index", std::string(index.bytes().text())};
}

TEST(InspectOffsetIndex, AddsTheBaseOfTheName) {
    const Printed printed = print_sample(offset_index());
    ASSERT_TRUE(printed.intact) << printed.verdict;
    ASSERT_EQ(printed.lines.size(), 3U);
    EXPECT_EQ(printed.lines[1],
              R"({"file": "00000000000000001000.index", "entry": 1, "offset": 1020, )"
              R"("relative_offset": 20, "file_position": 9100, "valid": true})");
}

TEST(InspectOffsetIndex, PreallocatedTailIsANoteAndDataBehindItDamage) {
    Sample sample = offset_index();
    sample.bytes += std::string(4096, '\0');
    const Printed padded = print_sample(sample);
    EXPECT_TRUE(padded.intact);
    EXPECT_EQ(padded.lines.size(), 3U);
    EXPECT_NE(padded.verdict.find("position 24: 4096 zeros"), std::string::npos) << padded.verdict;
    sample.bytes.back() = 1;
    EXPECT_FALSE(print_sample(sample).intact);
}

TEST(InspectOffsetIndex, EntryThatDoesNotRiseIsMarked) {
    Sample sample = offset_index();
    sample.bytes.replace(8, 8, sample.bytes.substr(0, 8));
    const Printed printed = print_sample(sample);
    ASSERT_EQ(printed.lines.size(), 3U);
    EXPECT_EQ(field(printed.lines[1], "valid"), "false");
    EXPECT_EQ(field(printed.lines[2], "valid"), "true");
    EXPECT_EQ(printed.verdict,
              "00000000000000001000.index: position 8: entry 1: offset and position "
              "do not rise\n");
}

Sample time_index() {
    storage::TimeIndex index(Offset{1000}, 4096);
    index.maybe_append(WallTime{1'700'000'000'000}, Offset{1010});
    index.maybe_append(WallTime{1'700'000'000'500}, Offset{1020});
    return {FileKind::timeindex, "00000000000000001000.timeindex",
            std::string(index.bytes().text())};
}

TEST(InspectTimeIndex, PrintsTimestampsAndOffsets) {
    const Printed printed = print_sample(time_index());
    ASSERT_TRUE(printed.intact) << printed.verdict;
    ASSERT_EQ(printed.lines.size(), 2U);
    EXPECT_EQ(field(printed.lines[1], "timestamp"), "1700000000500");
    EXPECT_EQ(field(printed.lines[1], "offset"), "1020");
    const Printed table = print_sample(time_index(), OutputFormat::table);
    EXPECT_NE(table.lines.at(2).find("2023-11-14T22:13:20.500Z"), std::string::npos);
}

TEST(InspectTimeIndex, FirstEntryOfZerosIsARecordOf1970UnlessMoreFollow) {
    Sample sample{FileKind::timeindex, "00000000000000001000.timeindex", std::string(12, '\0')};
    EXPECT_EQ(print_sample(sample).lines.size(), 1U);
    sample.bytes += Bytes().put(int64_t{7}).put(int32_t{3}).text();
    EXPECT_EQ(print_sample(sample).lines.size(), 2U);
    sample.bytes = std::string(24, '\0');
    EXPECT_EQ(print_sample(sample).lines.size(), 0U);
    EXPECT_TRUE(print_sample(sample).intact);
}

Sample transaction_index() {
    Bytes bytes;
    for (int64_t i = 0; i < 3; ++i) {
        bytes.put(int16_t{0}).put(int64_t{4000 + i}).put(10 * i).put(10 * i + 5).put(10 * i);
    }
    return {FileKind::txnindex, "00000000000000000000.txnindex", bytes.text()};
}

TEST(InspectTransactionIndex, PrintsAbortedTransactions) {
    const Printed printed = print_sample(transaction_index());
    ASSERT_TRUE(printed.intact) << printed.verdict;
    ASSERT_EQ(printed.lines.size(), 3U);
    EXPECT_EQ(printed.lines[2],
              R"({"file": "00000000000000000000.txnindex", "entry": 2, "version": 0, )"
              R"("producer_id": 4002, "first_offset": 20, "last_offset": 25, )"
              R"("last_stable_offset": 20, "valid": true})");
}

TEST(InspectTransactionIndex, MarkersThatDoNotRiseAreDamage) {
    Sample sample = transaction_index();
    sample.bytes += sample.bytes.substr(0, 34);
    const Printed printed = print_sample(sample);
    EXPECT_EQ(printed.lines.size(), 4U);
    EXPECT_NE(printed.verdict.find("position 102: entry 3: the markers' offsets do not rise"),
              std::string::npos)
        << printed.verdict;
}

Sample producer_snapshot() {
    storage::ProducerState state;
    for (int64_t id = 1; id <= 3; ++id) {
        state.appended({.producer = ProducerId{id},
                        .epoch = ProducerEpoch{2},
                        .first_sequence = 0,
                        .last_sequence = 4,
                        .first_offset = Offset{10 * id},
                        .last_offset = Offset{10 * id + 4},
                        .max_timestamp = WallTime{1000 + id},
                        .transactional = id == 3});
    }
    return {FileKind::snapshot, "00000000000000000040.snapshot",
            std::string(state.snapshot().text())};
}

TEST(InspectProducerSnapshot, PrintsTheLastBatchOfEachProducer) {
    const Printed printed = print_sample(producer_snapshot());
    ASSERT_TRUE(printed.intact) << printed.verdict;
    ASSERT_EQ(printed.lines.size(), 3U);
    EXPECT_EQ(printed.lines[2],
              R"({"file": "00000000000000000040.snapshot", "producer_id": 3, "producer_epoch": 2, )"
              R"("last_sequence": 4, "last_offset": 34, "offset_delta": 4, "timestamp": 1003, )"
              R"("coordinator_epoch": -1, "current_transaction_first_offset": 30})");
    EXPECT_EQ(field(printed.lines[0], "current_transaction_first_offset"), "null");
}

TEST(InspectProducerSnapshot, EveryChangedByteIsReported) {
    const Sample good = producer_snapshot();
    for (size_t at = 0; at < good.bytes.size(); ++at) {
        Sample bad = good;
        bad.bytes[at] = static_cast<char>(bad.bytes[at] ^ 2);
        EXPECT_FALSE(print_sample(bad).intact) << at;
    }
}

TEST(InspectProducerSnapshot, CountIsComparedWithTheLength) {
    Sample more = producer_snapshot();
    more.bytes += "tail";
    const std::string body = more.bytes.substr(6);
    more.bytes.replace(2, 4, Bytes().put(crc32c(0, as_bytes(body))).text());
    const Printed printed = print_sample(more);
    EXPECT_EQ(printed.lines.size(), 3U);
    EXPECT_NE(printed.verdict.find("4 bytes behind the last of 3 producers"), std::string::npos)
        << printed.verdict;
}

TEST(InspectIndexes, AnyDamageIsSurvived) {
    for (const Sample& sample :
         {offset_index(), time_index(), transaction_index(), producer_snapshot()}) {
        expect_prefixes_of(sample);
        expect_survives_flips(sample);
    }
}

}  // namespace
}  // namespace ottla::app
