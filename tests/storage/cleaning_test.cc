// SPDX-License-Identifier: Apache-2.0
// The pure parts of the cleaner: the offset map, which part of a log is due, what stays of a batch.
#include <gtest/gtest.h>

#include <fmt/format.h>

#include "records/control.h"
#include "storage/batch_filter.h"
#include "storage/cleaning_plan.h"
#include "storage/offset_map.h"

namespace ottla::storage {
namespace {

constexpr KeyHash kSecret{0x0f0e0d0c0b0a0908, 0x0706050403020100};

TEST(OffsetMap, HashesAsThePaperSays) {
    // The first vectors of the reference implementation's table for 128 bits.
    const KeyHash none = siphash128(kSecret, {});
    EXPECT_EQ(none.low, 0xe6a825ba047f81a3U);
    EXPECT_EQ(none.high, 0x930255c71472f66dU);
    const std::byte zero{0};
    const KeyHash one = siphash128(kSecret, {&zero, 1});
    EXPECT_EQ(one.low, 0x44af996bd8c187daU);
    EXPECT_EQ(one.high, 0x45fc229b11597634U);
}

TEST(OffsetMap, KeepsTheNewestOffsetOfEveryKey) {
    OffsetMap map(1UZ << 24U, kSecret);
    for (int64_t i = 0; i < 50'000; ++i) {
        ASSERT_TRUE(map.put(as_bytes(fmt::format("key {}", i % 20'000)), Offset{i}));
    }
    EXPECT_EQ(map.size(), 20'000U);
    EXPECT_EQ(map.find(as_bytes("key 3")), Offset{40'003});
    EXPECT_EQ(map.find(as_bytes("key 10001")), Offset{30'001});
    EXPECT_EQ(map.find(as_bytes("key 20000")), std::nullopt);
    EXPECT_EQ(map.find(as_bytes("")), std::nullopt);
}

TEST(OffsetMap, MemoryFollowsTheKeysAndEndsAtTheBound) {
    constexpr size_t kBound = 256UZ * 1024;
    OffsetMap map(kBound, kSecret);
    EXPECT_EQ(map.memory_bytes(), 0U);
    int64_t keys = 0;
    while (map.put(as_bytes(fmt::format("key {}", keys)), Offset{keys})) ++keys;
    EXPECT_LE(map.memory_bytes(), kBound);
    EXPECT_GT(keys, 4000) << "of 10922 slots";
    EXPECT_TRUE(map.put(as_bytes("key 7"), Offset{keys + 1})) << "a known key needs no room";
    for (int64_t i = 8; i < keys; ++i) {
        ASSERT_EQ(map.find(as_bytes(fmt::format("key {}", i))), Offset{i});
    }
}

/// Five segments of 100 bytes and 10 records; the last is active.
struct Example {
    std::vector<CleanerSegment> segments;
    LogConfig rules;
    CleanerFacts log;
    Example() {
        for (int64_t i = 0; i < 5; ++i) {
            segments.push_back({Offset{i * 10}, 100, 8, 12, WallTime{1000 * (i + 1)},
                                WallTime{1000 * (i + 1) - 500}});
        }
        rules.compacts = true;
        log.log_end = log.last_stable = log.synced_end = Offset{50};
        log.now = WallTime{10'000};
    }
    CleaningPlan plan() {
        log.segments = segments;
        return plan_cleaning(rules, log);
    }
};

TEST(CleaningPlan, EverythingBelowTheActiveSegmentIsDirtyAtFirst) {
    const CleaningPlan plan = Example().plan();
    EXPECT_EQ(plan.first_dirty, Offset{0});
    EXPECT_EQ(plan.first_uncleanable, Offset{40});
    EXPECT_EQ(plan.cleanable_bytes, 400U);
    EXPECT_EQ(plan.dirty_millionths, 1'000'000);
    EXPECT_TRUE(plan.due);
}

TEST(CleaningPlan, OnlyALogThatIsDirtyEnoughIsDue) {
    Example log;
    log.log.cleaned = Offset{20};
    EXPECT_EQ(log.plan().dirty_millionths, 500'000);
    EXPECT_FALSE(log.plan().due) << "more than half, as Kafka";
    log.log.cleaned = Offset{10};
    EXPECT_TRUE(log.plan().due);
    log.log.cleaned = Offset{40};
    EXPECT_EQ(log.plan().cleanable_bytes, 0U);
    log.rules.min_cleanable_dirty_millionths = 0;
    EXPECT_FALSE(log.plan().due);
}

TEST(CleaningPlan, OpenTransactionsAndYoungRecordsAreLeftAlone) {
    Example log;
    log.log.last_stable = Offset{25};
    EXPECT_EQ(log.plan().first_uncleanable, Offset{20});
    log.log.last_stable = Offset{50};
    log.rules.min_compaction_lag_ms = 7500;  // Younger than 2500 is old enough.
    EXPECT_EQ(log.plan().first_uncleanable, Offset{20});
    log.rules.min_compaction_lag_ms = std::numeric_limits<int64_t>::max();
    EXPECT_EQ(log.plan().first_uncleanable, Offset{0});
    EXPECT_FALSE(log.plan().due);
}

TEST(CleaningPlan, WhatIsNotCheckpointedIsLeftAlone) {
    Example log;
    log.log.synced_end = Offset{29};
    EXPECT_EQ(log.plan().first_uncleanable, Offset{20});
}

TEST(CleaningPlan, ARecordThatWaitedTooLongMakesALogDue) {
    Example log;
    log.rules.min_cleanable_dirty_millionths = 1'000'000;
    EXPECT_FALSE(log.plan().due);
    log.rules.max_compaction_lag_ms = 9'500;
    EXPECT_FALSE(log.plan().due);
    log.rules.max_compaction_lag_ms = 9'499;
    EXPECT_TRUE(log.plan().overdue);
    EXPECT_TRUE(log.plan().due);
    log.log.cleaned = Offset{10};
    EXPECT_FALSE(log.plan().due) << "the second segment begins at 1500";
}

TEST(CleaningPlan, ACheckpointOutsideTheLogCountsForNothing) {
    Example log;
    log.log.cleaned = Offset{60};
    EXPECT_EQ(log.plan().first_dirty, Offset{0});
    log.log.log_start = Offset{15};
    log.log.cleaned = Offset{12};
    EXPECT_EQ(log.plan().first_dirty, Offset{15});
}

TEST(CleaningPlan, SegmentsAreGroupedUpToTheSizeOfOne) {
    Example log;
    log.rules.segment_bytes = 250;
    const auto groups = group_segments(log.rules, log.segments, Offset{40}, Offset{40});
    ASSERT_EQ(groups.size(), 2U);
    EXPECT_EQ(groups[0].first, 0U);
    EXPECT_EQ(groups[0].last, 2U);
    EXPECT_EQ(groups[1].last, 4U);
    log.rules.segment_bytes = 10;
    EXPECT_EQ(group_segments(log.rules, log.segments, Offset{40}, Offset{40}).size(), 4U);
    log.rules.segment_bytes = 10'000;
    log.rules.segment_index_bytes = 24;
    EXPECT_EQ(group_segments(log.rules, log.segments, Offset{40}, Offset{40}).size(), 2U);
}

TEST(CleaningPlan, AGroupSpansNoMoreOffsetsThanAnIndexCanCount) {
    Example log;
    log.segments[2].base = Offset{1LL << 31U};
    log.segments[3].base = Offset{(1LL << 31U) + 5};
    log.segments[4].base = Offset{(1LL << 31U) + 9};
    const auto groups = group_segments(log.rules, log.segments, log.segments[4].base,
                                       log.segments[4].base);
    ASSERT_EQ(groups.size(), 2U);
    EXPECT_EQ(groups[0].last, 2U);
}

/// A log of batches, cleaned with the keys of all of it.
class Cleaning {
public:
    Cleaning() : map_(1UZ << 20U, kSecret) { rules.map_end = rules.end = Offset{INT64_MAX}; }

    using Pairs = std::vector<std::pair<std::string, std::optional<std::string>>>;
    BatchOptions producer(int64_t id, bool transactional = false) {
        BatchOptions options;
        options.producer_id = ProducerId{id};
        options.producer_epoch = ProducerEpoch{1};
        options.base_sequence = 7;
        options.transactional = transactional;
        return options;
    }
    void add(const Pairs& records, BatchOptions options = {}) {
        options.base_offset = end_;
        BatchBuilder builder(codecs, options);
        for (const auto& [key, value] : records) {
            OptionalBytes bytes;
            if (value) bytes = as_bytes(*value);
            builder.append(WallTime{500}, as_bytes(key), bytes);
            map_.put(as_bytes(key), end_);
            end_ = end_ + 1;
        }
        stored.push_back(*builder.finish());
    }
    void mark(int64_t producer, bool committed) {
        MarkerOptions options;
        options.producer_id = ProducerId{producer};
        options.producer_epoch = ProducerEpoch{1};
        options.timestamp = WallTime{500};
        options.base_offset = end_;
        stored.push_back(build_end_transaction_batch(options, {committed, 0}));
        end_ = end_ + 1;
    }
    /// One pass; what stays is the log of the next one.
    void clean(int64_t now, std::vector<AbortedTransaction> aborted = {}) {
        rules.now = WallTime{now};
        rules.delete_retention_ms = 1000;
        BatchFilter filter(map_, producers, rules, codecs);
        filter.transactions().add_aborted(Offset{0}, aborted);
        GrowingBuffer out;
        for (const Buffer& batch : stored) {
            const Status done = filter.filter(BatchView(batch.span()), out);
            ASSERT_TRUE(done) << done.error().detail;
        }
        kept_aborted = filter.transactions().take_kept();
        const Buffer bytes = out.take();
        stored.clear();
        BatchCursor cursor(bytes.span(), BatchCursor::Crc::check);
        while (cursor.next() == BatchStep::batch) {
            stored.push_back(bytes.slice(cursor.position(), cursor.batch().size()));
        }
        ASSERT_EQ(cursor.next(), BatchStep::end) << cursor.error().detail;
    }
    /// "0:a=1 2:b=- [5]": offset, key, value; a batch without records by its last offset.
    std::string text() {
        std::string all;
        for (const Buffer& bytes : stored) {
            const BatchView batch(bytes.span());
            if (batch.record_count() == 0) all += fmt::format("[{}] ", batch.last_offset().value());
            const auto plain = codecs.records_of(batch, 1UZ << 20U);
            RecordIterator records(batch, *plain);
            Record record;
            while (records.next(record)) {
                const int64_t offset = batch.base_offset().value() + record.offset_delta;
                if (batch.is_control()) {
                    all += fmt::format("{}:marker ", offset);
                    continue;
                }
                all += fmt::format("{}:{}={} ", offset, as_text(*record.key),
                                   record.value ? as_text(*record.value) : "-");
                EXPECT_EQ(record.timestamp, WallTime{500});
            }
            EXPECT_TRUE(records.finish());
        }
        if (!all.empty()) all.pop_back();
        return all;
    }

    Codecs codecs;
    std::vector<Buffer> stored;
    ActiveProducers producers;
    CleaningRules rules;
    std::vector<AbortedTransaction> kept_aborted;

private:
    OffsetMap map_;
    Offset end_{0};
};

TEST(BatchFilter, TheLastRecordOfEachKeyStaysAtItsOffset) {
    Cleaning log;
    log.add({{"a", "1"}, {"b", "1"}, {"a", "2"}});
    log.add({{"c", "1"}, {"b", "2"}});
    log.clean(1000);
    EXPECT_EQ(log.text(), "2:a=2 3:c=1 4:b=2");
    EXPECT_EQ(BatchView(log.stored[0].span()).base_offset(), Offset{0});
    EXPECT_EQ(BatchView(log.stored[0].span()).last_offset(), Offset{2});
}

TEST(BatchFilter, ABatchThatLosesNothingKeepsItsBytes) {
    Cleaning log;
    BatchOptions options;
    options.compression.codec = Codec::zstd;
    log.add({{"a", "1"}, {"b", "1"}}, options);
    const Buffer before = log.stored[0];
    log.clean(1000);
    ASSERT_EQ(log.stored.size(), 1U);
    EXPECT_TRUE(std::ranges::equal(log.stored[0].span(), before.span()));
}

TEST(BatchFilter, EveryCodecIsWrittenAsItWasRead) {
    for (const Codec codec : {Codec::none, Codec::gzip, Codec::snappy, Codec::lz4, Codec::zstd}) {
        Cleaning log;
        BatchOptions options;
        options.compression.codec = codec;
        log.add({{"a", "1"}, {"b", "1"}}, options);
        log.add({{"a", "2"}}, options);
        log.clean(1000);
        EXPECT_EQ(log.text(), "1:b=1 2:a=2");
        EXPECT_EQ(BatchView(log.stored[0].span()).codec(), codec);
    }
}

TEST(BatchFilter, ATombstoneStaysForItsTimeThenGoes) {
    Cleaning log;
    log.add({{"a", "1"}, {"a", std::nullopt}, {"b", "1"}});
    log.clean(10'000);
    EXPECT_EQ(log.text(), "1:a=- 2:b=1");
    EXPECT_EQ(BatchView(log.stored[0].span()).delete_horizon(), WallTime{11'000});
    log.clean(10'999);
    EXPECT_EQ(log.text(), "1:a=- 2:b=1");
    EXPECT_EQ(BatchView(log.stored[0].span()).delete_horizon(), WallTime{11'000}) << "set once";
    log.clean(11'000);
    EXPECT_EQ(log.text(), "2:b=1");
}

TEST(BatchFilter, RecordsWithoutAKeyGoAndThoseBehindTheMapStay) {
    Cleaning log;
    log.add({{"a", "1"}, {"a", "2"}});
    log.add({{"a", "3"}, {"a", "4"}});
    log.rules.map_end = Offset{2};
    log.clean(1000);
    EXPECT_EQ(log.text(), "2:a=3 3:a=4");
}

TEST(BatchFilter, TheLastBatchOfAProducerStaysEmptyForItsSequence) {
    Cleaning log;
    log.add({{"a", "1"}}, log.producer(5));
    log.add({{"a", "2"}, {"a", "3"}}, log.producer(6));
    log.add({{"a", "4"}});
    log.producers[ProducerId{6}] = {Offset{2}, ProducerEpoch{1}};
    log.clean(1000);
    EXPECT_EQ(log.text(), "[2] 3:a=4");
    const BatchView empty(log.stored[0].span());
    EXPECT_EQ(empty.size(), kBatchHeaderBytes);
    EXPECT_EQ(empty.base_offset(), Offset{1});
    EXPECT_EQ(empty.last_sequence(), 8);
    EXPECT_EQ(empty.max_timestamp(), WallTime{500});
    log.clean(2000);
    EXPECT_EQ(log.text(), "[2] 3:a=4");
    log.producers.clear();
    log.clean(3000);
    EXPECT_EQ(log.text(), "3:a=4");
}

TEST(BatchFilter, TheLastBatchOfTheCleaningStaysForItsOffset) {
    Cleaning log;
    log.add({{"a", "1"}, {"a", std::nullopt}});
    log.rules.end = Offset{2};
    log.clean(1000);
    log.clean(5000);
    EXPECT_EQ(log.text(), "[1]");
}

TEST(BatchFilter, AbortedDataGoAtOnceAndTheirMarkerAfterItsTime) {
    Cleaning log;
    log.add({{"a", "1"}});
    log.add({{"a", "2"}}, log.producer(5, true));
    log.mark(5, false);
    log.add({{"b", "1"}});
    const std::vector<AbortedTransaction> aborted{
        {ProducerId{5}, Offset{1}, Offset{2}, Offset{3}}};
    log.rules.map_end = Offset{0};
    log.clean(10'000, aborted);
    EXPECT_EQ(log.text(), "0:a=1 2:marker 3:b=1");
    EXPECT_EQ(log.kept_aborted, aborted) << "the new segment's index";
    log.clean(20'000, aborted);
    EXPECT_EQ(log.text(), "0:a=1 2:marker 3:b=1");
    EXPECT_EQ(BatchView(log.stored[1].span()).delete_horizon(), WallTime{21'000});
    EXPECT_TRUE(log.kept_aborted.empty());
    log.clean(20'999);
    EXPECT_EQ(log.text(), "0:a=1 2:marker 3:b=1");
    log.clean(21'000);
    EXPECT_EQ(log.text(), "0:a=1 3:b=1");
}

TEST(BatchFilter, ACommitMarkerGoesOnlyWhenNoRecordOfItsTransactionIsLeft) {
    Cleaning log;
    log.add({{"a", "1"}}, log.producer(5, true));
    log.mark(5, true);
    log.clean(10'000);
    log.clean(50'000);
    EXPECT_EQ(log.text(), "0:a=1 1:marker");
    log.add({{"a", "2"}});
    log.clean(60'000);
    EXPECT_EQ(log.text(), "1:marker 2:a=2") << "its data went in this pass";
    log.clean(70'000);
    EXPECT_EQ(log.text(), "1:marker 2:a=2");
    log.clean(71'000);
    EXPECT_EQ(log.text(), "2:a=2");
}

TEST(BatchFilter, TheLastMarkerOfAProducerWithoutDataStaysForItsEpoch) {
    Cleaning log;
    log.mark(5, true);
    log.add({{"a", "1"}});
    log.producers[ProducerId{5}] = {kNoOffset, ProducerEpoch{1}};
    log.clean(10'000);
    log.clean(20'000);
    log.clean(30'000);
    EXPECT_EQ(log.text(), "[0] 1:a=1");
    log.producers.clear();
    log.clean(40'000);
    EXPECT_EQ(log.text(), "1:a=1");
}

TEST(BatchFilter, DamagedRecordsAreAnErrorAndNothingElse) {
    Cleaning log;
    log.add({{"a", "1"}, {"a", "2"}});
    BlockRef block = make_block(log.stored[0].size());
    std::memcpy(block->data(), log.stored[0].data(), log.stored[0].size());
    block->data()[kBatchHeaderBytes] = std::byte{0xff};
    const Buffer bad{std::move(block), 0, log.stored[0].size()};
    const OffsetMap map(1000, kSecret);
    const ActiveProducers nobody;
    BatchFilter filter(map, nobody, log.rules, log.codecs);
    GrowingBuffer out;
    EXPECT_FALSE(filter.filter(BatchView(bad.span()), out));
}

}  // namespace
}  // namespace ottla::storage
