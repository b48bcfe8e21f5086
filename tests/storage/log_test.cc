// SPDX-License-Identifier: Apache-2.0
// What a Log promises to those above it: appends, duplicates, reads, timestamps, truncation, room.
#include "storage/log.h"

#include <gtest/gtest.h>

#include "tests/storage/store_bench.h"

namespace ottla::storage::test {
namespace {

using Values = std::vector<std::string>;

BatchOptions from_producer(int64_t producer, int32_t sequence) {
    BatchOptions options;
    options.producer_id = ProducerId{producer};
    options.producer_epoch = ProducerEpoch{0};
    options.base_sequence = sequence;
    return options;
}

/// Appends, waiting for room as a partition does.
Task<> append_many(StoreBench& bench, Log& log, std::string value, int count) {
    for (int i = 0; i < count; ++i) {
        auto result = bench.append(log, value);
        while (!result && result.error().code == ErrorCode::would_block) {
            co_await bench.store->wait_for_room(kDirectory);
            result = bench.append(log, value);
        }
        CHECK(result.has_value(), "an append that has room");
    }
}

TEST(Log, LeaderAppendAssignsOffsetsAndEpochWithoutTouchingTheChecksum) {
    StoreBench bench;
    bench.start();
    bench.epoch = LeaderEpoch{4};
    Log& log = bench.create("t");
    ASSERT_TRUE(bench.append(log, "a"));
    const auto second = bench.append(log, "b");
    EXPECT_EQ(second->base_offset, Offset{1});
    const auto slice = log.read(Offset{1}, 1000, log.log_end(), false);
    ASSERT_TRUE(slice);
    const Buffer bytes = slice->bytes.flatten();
    const BatchView batch(bytes.span());
    EXPECT_EQ(batch.base_offset(), Offset{1});
    EXPECT_EQ(batch.leader_epoch(), LeaderEpoch{4});
    EXPECT_TRUE(crc_matches(batch));
    EXPECT_EQ(log.latest_epoch(), LeaderEpoch{4});
    EXPECT_EQ(log.end_offset_for_epoch(LeaderEpoch{4}), (EpochEnd{LeaderEpoch{4}, Offset{2}}));
}

TEST(Log, FollowerAppendKeepsOffsetsAndMayLeaveGapsButNeverGoesBack) {
    StoreBench bench;
    bench.start();
    Log& log = bench.create("t");
    BatchOptions options;
    options.base_offset = Offset{7};
    options.leader_epoch = LeaderEpoch{2};
    const Buffer batch = make_batch(bench.codecs, "x", options);
    AppendRequest request;
    request.batch = batch.span();
    request.mode = AppendMode::follower;
    ASSERT_TRUE(log.append(request));
    EXPECT_EQ(log.log_end(), Offset{8});
    EXPECT_EQ(log.latest_epoch(), LeaderEpoch{2});
    EXPECT_EQ(log.append(request).error().code, ErrorCode::invalid_request);
}

TEST(Log, ReadFromBelowTheFirstBatchFindsItWhileNothingIsInFilesYet) {
    StoreBench bench;
    bench.start();
    Log& log = bench.create("t");
    for (const int64_t base : {7, 8}) {
        BatchOptions options;
        options.base_offset = Offset{base};
        const Buffer batch = make_batch(bench.codecs, "x", options);
        AppendRequest request;
        request.batch = batch.span();
        request.mode = AppendMode::follower;
        ASSERT_TRUE(log.append(request));
        // Of the segment behind it there is no file either.
        ASSERT_TRUE(log.roll());
    }
    EXPECT_EQ(bench.values(log), (std::vector<std::string>{"x", "x"}));
    EXPECT_TRUE(bench.bench.run(log.truncate_to(Offset{8})));
    EXPECT_TRUE(bench.failures.empty());
}

TEST(Log, DuplicateOfOneOfTheLastFiveBatchesGetsTheFirstAnswer) {
    StoreBench bench;
    bench.start();
    Log& log = bench.create("t");
    for (int i = 0; i < 6; ++i) ASSERT_TRUE(bench.append(log, "v", from_producer(9, i)));
    for (int i = 1; i < 6; ++i) {
        const auto again = bench.append(log, "v", from_producer(9, i));
        ASSERT_TRUE(again);
        EXPECT_EQ(again->verdict, AppendResult::Verdict::duplicate);
        EXPECT_EQ(again->base_offset, Offset{i});
        EXPECT_EQ(again->timestamp, WallTime{1000});
    }
    EXPECT_EQ(bench.append(log, "v", from_producer(9, 0)).error().code,
              ErrorCode::out_of_order_sequence_number);
    EXPECT_EQ(bench.append(log, "v", from_producer(9, 8)).error().code,
              ErrorCode::out_of_order_sequence_number);
    EXPECT_EQ(log.log_end(), Offset{6});
}

void expect_duplicates_recognised(StoreBench& bench) {
    Log& log = *bench.find("t");
    ASSERT_EQ(log.log_end(), Offset{8});
    for (int i = 3; i < 8; ++i) {
        const auto again = bench.append(log, "v", from_producer(9, i));
        ASSERT_TRUE(again) << i << again.error().detail;
        EXPECT_EQ(again->verdict, AppendResult::Verdict::duplicate) << i;
        EXPECT_EQ(again->base_offset, Offset{i});
    }
    EXPECT_EQ(bench.append(log, "v", from_producer(9, 8))->verdict,
              AppendResult::Verdict::appended);
}

TEST(Log, AllFiveDuplicatesAreRecognisedAfterACleanStop) {
    StoreBench bench;
    bench.start();
    Log& log = bench.create("t");
    for (int i = 0; i < 8; ++i) ASSERT_TRUE(bench.append(log, "v", from_producer(9, i)));
    bench.clean_stop();
    bench.start();
    expect_duplicates_recognised(bench);
}

TEST(Log, AllFiveDuplicatesAreRecognisedAfterAKillWithARollBetween) {
    StoreBench bench;
    bench.start();
    Log& log = bench.create("t");
    for (int i = 0; i < 6; ++i) ASSERT_TRUE(bench.append(log, "v", from_producer(9, i)));
    ASSERT_TRUE(log.roll());
    for (int i = 6; i < 8; ++i) ASSERT_TRUE(bench.append(log, "v", from_producer(9, i)));
    bench.settle(log);
    bench.run_for(std::chrono::seconds(1));
    bench.kill();
    bench.start();
    expect_duplicates_recognised(bench);
}

TEST(Log, ReadStopsAtWholeBatchesMaxBytesAndTheUpperBound) {
    StoreBench bench;
    bench.start();
    Log& log = bench.create("t");
    for (int i = 0; i < 4; ++i) ASSERT_TRUE(bench.append(log, std::string(200, 'v')));
    const size_t one = log.size_bytes() / 4;
    EXPECT_EQ(log.read(Offset{0}, 2 * one + 10, Offset{4}, false)->next, Offset{2});
    EXPECT_EQ(log.read(Offset{0}, 100 * one, Offset{3}, false)->next, Offset{3});
    const auto small = log.read(Offset{1}, 10, Offset{4}, false);
    EXPECT_TRUE(small->bytes.empty());
    EXPECT_TRUE(small->first_too_large);
    EXPECT_EQ(log.read(Offset{1}, 10, Offset{4}, true)->next, Offset{2});
    EXPECT_TRUE(log.read(Offset{4}, 10, Offset{4}, true)->bytes.empty());
    EXPECT_EQ(log.read(Offset{5}, 10, Offset{9}, true).error().code,
              ErrorCode::offset_out_of_range);
}

TEST(Log, ColdReadGivesTheSameAsTheHotTail) {
    StoreBench bench;
    bench.config.segment_bytes = 20'000;
    bench.config.index_interval_bytes = 1000;
    bench.start();
    Log& log = bench.create("t");
    Values wanted;
    for (int i = 0; i < 200; ++i) {
        wanted.push_back(fmt::format("{}-{}", i, std::string(static_cast<size_t>(i) * 7, 'x')));
        ASSERT_TRUE(bench.append(log, wanted.back()));
    }
    bench.clean_stop();
    bench.start();
    Log& again = *bench.find("t");
    EXPECT_EQ(again.read(Offset{0}, 100, Offset{200}, true).error().code, ErrorCode::would_block);
    for (int64_t from = 0; from < 200; from += 13) {
        const auto one = bench.bench.run(again.read_cold(Offset{from}, 1, Offset{200}, true));
        ASSERT_TRUE(one);
        EXPECT_EQ(BatchView(one->bytes.flatten().span()).base_offset(), Offset{from});
        EXPECT_EQ(one->next, Offset{from + 1});
        const auto none = bench.bench.run(again.read_cold(Offset{from}, 1, Offset{200}, false));
        EXPECT_TRUE(none->first_too_large);
        const Values rest(wanted.begin() + from, wanted.end());
        EXPECT_EQ(bench.values(again, Offset{from}), rest);
    }
}

TEST(Log, EvictedBytesAreReadFromFilesWhileTheTailStaysInMemory) {
    StoreBench bench;
    bench.start();
    Log& log = bench.create("t");
    bench.bench.run(append_many(bench, log, std::string(10'000, 'y'), 200));  // 4x the budget.
    EXPECT_EQ(log.read(Offset{0}, 100, Offset{200}, true).error().code, ErrorCode::would_block);
    EXPECT_TRUE(log.read(Offset{199}, 100, Offset{200}, true));
    EXPECT_EQ(bench.values(log).size(), 200U);
}

TEST(Log, AppendsArePushedBackWhenTheChunksAreFullAndGoOnWhenTheyAreFlushed) {
    StoreBench bench;
    bench.start();
    Log& log = bench.create("t");
    int appended = 0;
    while (bench.append(log, std::string(10'000, 'y'))) ++appended;
    EXPECT_EQ(bench.append(log, std::string(10'000, 'y')).error().code, ErrorCode::would_block);
    EXPECT_FALSE(bench.store->has_room(kDirectory));
    EXPECT_GT(appended, 30);
    EXPECT_LE(static_cast<size_t>(appended) * 10'000, bench.settings.chunk_budget_bytes);
    bench.bench.run(bench.store->wait_for_room(kDirectory));
    EXPECT_TRUE(bench.append(log, std::string(10'000, 'y')));
}

TEST(Log, AJournalAtItsLimitIsEmptiedByACheckpoint) {
    StoreBench bench;
    bench.settings.chunk_budget_bytes = 8UZ * 1024 * 1024;
    bench.start();
    Log& log = bench.create("t");
    bench.bench.run(append_many(bench, log, std::string(20'000, 'y'), 400));  // 8x the limit.
    EXPECT_EQ(bench.values(log).size(), 400U);
    bench.settle(log);
    bench.kill();
    bench.start();
    EXPECT_EQ(bench.find("t")->log_end(), Offset{400});
}

TEST(Log, ABatchLargerThanAChunkGoesThrough) {
    StoreBench bench;
    bench.settings.chunk_budget_bytes = 4UZ * 1024 * 1024;
    bench.start();
    Log& log = bench.create("t");
    ASSERT_TRUE(bench.append(log, "small"));
    ASSERT_TRUE(bench.append(log, std::string(3'000'000, 'L')));
    ASSERT_TRUE(bench.append(log, "small again"));
    bench.settle(log);
    bench.power_cut(sim::Survival{sim::Survival::Kind::nothing, 0});
    bench.start();
    const Values found = bench.values(*bench.find("t"));
    ASSERT_EQ(found.size(), 3U);
    EXPECT_EQ(found[1].size(), 3'000'000U);
}

TEST(Log, TruncationIsSeenByReadersProducersAndEpochs) {
    StoreBench bench;
    bench.start();
    Log& log = bench.create("t");
    bench.epoch = LeaderEpoch{1};
    for (int i = 0; i < 4; ++i) ASSERT_TRUE(bench.append(log, "old", from_producer(9, i)));
    bench.epoch = LeaderEpoch{2};
    for (int i = 4; i < 6; ++i) ASSERT_TRUE(bench.append(log, "old", from_producer(9, i)));
    bench.settle(log);
    bench.run_for(std::chrono::seconds(1));
    ASSERT_TRUE(bench.bench.run(log.truncate_to(Offset{3})));
    EXPECT_EQ(log.log_end(), Offset{3});
    EXPECT_EQ(log.durable_end(), Offset{3});
    EXPECT_EQ(log.latest_epoch(), LeaderEpoch{1});
    const auto next = bench.append(log, "new", from_producer(9, 3));
    ASSERT_TRUE(next);
    EXPECT_EQ(next->verdict, AppendResult::Verdict::appended);
    EXPECT_EQ(bench.values(log), (Values{"old", "old", "old", "new"}));
    bench.clean_stop();
    bench.start();
    EXPECT_EQ(bench.values(*bench.find("t")), (Values{"old", "old", "old", "new"}));
}

TEST(Log, AfterATruncationTheLargestTimeIsThatOfWhatIsLeft) {
    StoreBench bench;
    bench.start();
    Log& log = bench.create("t");
    for (const int64_t time : {1000, 3000, 2000, 4000}) {
        const Buffer batch = make_batch(bench.codecs, "value", {}, WallTime{time});
        AppendRequest request;
        request.batch = batch.span();
        request.leader_epoch = bench.epoch;
        ASSERT_TRUE(log.append(request));
    }
    bench.settle(log);
    ASSERT_TRUE(bench.bench.run(log.truncate_to(Offset{3})));
    const auto largest = bench.bench.run(log.max_timestamp());
    ASSERT_TRUE(largest && *largest);
    EXPECT_EQ((*largest)->timestamp, WallTime{3000}) << "no index entry was near it";
    EXPECT_EQ((*largest)->offset, Offset{1});
    const auto found = bench.bench.run(log.offset_for_timestamp(WallTime{2500}));
    ASSERT_TRUE(found && *found);
    EXPECT_EQ((*found)->offset, Offset{1});
}

/// Nothing may be made of producers as they were before the cut, nor of times.
TEST(Log, ATruncationThatCannotReadWhatIsLeftTakesTheDirectoryOffline) {
    StoreBench bench;
    bench.start();
    Log& before = bench.create("t");
    for (int i = 0; i < 4; ++i) ASSERT_TRUE(bench.append(before, "value"));
    bench.settle(before);
    bench.clean_stop();
    bench.start();
    Log& log = *bench.find("t");
    bench.bench.disk().faults.cache_miss = 1'000'000;
    std::optional<Status> done;
    const auto cut = [](Log& one, std::optional<Status>& into) -> Task<> {
        into = co_await one.truncate_to(Offset{3});
    };
    bench.ports().runtime.spawn(cut(log, done));
    while (log.log_end() > Offset{3} && bench.bench.world.step()) continue;
    ASSERT_FALSE(done) << "what is left is looked at behind the cut";
    bench.bench.disk().faults.read_error = 1'000'000;
    bench.bench.disk().faults.only_under = log.path();
    while (!done && bench.bench.world.step()) continue;
    ASSERT_TRUE(done);
    EXPECT_FALSE(*done);
    EXPECT_TRUE(log.is_offline());
}

TEST(Log, DurableEndWaitsForTheSyncOrOnlyForTheWriteWhenRelaxed) {
    for (const Durability durability : {Durability::strict, Durability::relaxed}) {
        StoreBench bench;
        bench.config.durability = durability;
        bench.bench.disk().faults.sync = std::chrono::seconds(10);
        bench.start();
        Log& log = bench.create("t");
        ASSERT_TRUE(bench.append(log, "v"));
        bench.run_for(std::chrono::milliseconds(500));
        EXPECT_EQ(log.durable_end(), Offset{durability == Durability::relaxed ? 1 : 0});
        if (durability == Durability::strict) continue;
        // Switching back waits for the sync of what was acknowledged without one.
        const Duration before = bench.bench.world.now();
        ASSERT_TRUE(bench.bench.run(log.set_durability(Durability::strict)));
        EXPECT_GT(bench.bench.world.now() - before, std::chrono::seconds(1));
    }
}

TEST(Log, DeleteBeforeMovesTheStartAndRemovesWholeSegments) {
    StoreBench bench;
    bench.start();
    Log& log = bench.create("t");
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(bench.append(log, fmt::format("{}", i)));
    ASSERT_TRUE(log.roll());
    for (int i = 3; i < 6; ++i) ASSERT_TRUE(bench.append(log, fmt::format("{}", i)));
    EXPECT_EQ(log.delete_before(Offset{4}).error().code, ErrorCode::offset_out_of_range);
    bench.settle(log);
    bench.run_for(std::chrono::seconds(1));
    ASSERT_TRUE(log.delete_before(Offset{4}));
    EXPECT_EQ(log.log_start(), Offset{4});
    EXPECT_EQ(log.read(Offset{3}, 100, Offset{6}, true).error().code,
              ErrorCode::offset_out_of_range);
    bench.settle(log);
    ASSERT_TRUE(bench.append(log, "6"));
    bench.settle(log);
    bench.run_for(std::chrono::seconds(10));
    EXPECT_FALSE(bench.bench.disk().exists("/data/logs/t-0/00000000000000000000.log"));
    bench.kill();
    bench.start();
    EXPECT_EQ(bench.find("t")->log_start(), Offset{4});
    EXPECT_EQ(bench.values(*bench.find("t")), (Values{"4", "5", "6"}));
    bench.clean_stop();
    bench.start();
    EXPECT_EQ(bench.find("t")->log_start(), Offset{4});
}

TEST(Log, TimestampsAreFoundAcrossSegmentsInMemoryAndInFiles) {
    StoreBench bench;
    bench.config.index_interval_bytes = 200;
    bench.config.segment_bytes = 1500;
    bench.start();
    Log& log = bench.create("t");
    for (int i = 0; i < 40; ++i) {
        const Buffer batch =
            make_batch(bench.codecs, std::string(50, 'v'), {}, WallTime{1000 + 10 * i}, 2);
        AppendRequest request;
        request.batch = batch.span();
        request.leader_epoch = LeaderEpoch{3};
        ASSERT_TRUE(log.append(request));
    }
    const auto check = [&bench](Log& where) {
        const auto found = bench.bench.run(where.offset_for_timestamp(WallTime{1105}));
        ASSERT_TRUE(found && *found);
        EXPECT_EQ(**found, (TimestampedOffset{WallTime{1110}, Offset{22}, LeaderEpoch{3}}));
        EXPECT_EQ(bench.bench.run(where.offset_for_timestamp(WallTime{0})).value()->offset,
                  Offset{0});
        EXPECT_FALSE(*bench.bench.run(where.offset_for_timestamp(WallTime{1391})));
        EXPECT_EQ(bench.bench.run(where.max_timestamp()).value()->offset, Offset{78});
    };
    check(log);
    bench.clean_stop();
    bench.start();
    check(*bench.find("t"));
}

}  // namespace
}  // namespace ottla::storage::test
