// SPDX-License-Identifier: Apache-2.0
// Moves of a log between two directories: what it is afterwards, and what it follows meanwhile.
// covers storage/log_move
#include <gtest/gtest.h>

#include <algorithm>

#include "records/control.h"
#include "tests/storage/move_bench.h"

namespace ottla::storage::test {
namespace {

using namespace std::chrono_literals;

TEST(LogMove, LeavesTheSameLogInTheOtherDirectoryAndAStartFindsItThere) {
    MoveBench bench;
    bench.start();
    Log& log = bench.create();
    Values wanted = append_values(bench, log, 20);
    ASSERT_TRUE(bench.move(log));
    bench.finish_move();
    EXPECT_EQ(&log, bench.find()) << "the Log is the same object";
    expect_moved(bench, wanted);
    wanted.push_back("afterwards");
    ASSERT_TRUE(bench.append(log, wanted.back()));
    bench.settle(log);
    bench.power_cut(kNothing);
    bench.start();
    expect_moved(bench, wanted);
    bench.clean_stop();
    bench.start();
    expect_moved(bench, wanted);
}

TEST(LogMove, GoesThereAndBackAgain) {
    MoveBench bench;
    bench.start();
    Log& log = bench.create(kTo);
    Values wanted = append_values(bench, log, 5);
    for (const std::string& next : {kFrom, kTo, kFrom, kTo}) {
        ASSERT_TRUE(bench.move(log, next));
        bench.finish_move();
        wanted.push_back("in " + next);
        ASSERT_TRUE(bench.append(log, wanted.back()));
        bench.settle(log);
        if (next == kFrom) bench.run_for(1s);
    }
    bench.power_cut(kNothing);
    bench.start();
    expect_moved(bench, wanted);
}

TEST(LogMove, IsRefusedToWhereTheLogIsAndToADirectoryThatIsNotServed) {
    MoveBench bench;
    bench.start();
    Log& log = bench.create();
    EXPECT_EQ(bench.move(log, kFrom).error().code, ErrorCode::already_exists);
    EXPECT_EQ(bench.move(log, "/data/c").error().code, ErrorCode::not_found);
    ASSERT_TRUE(bench.move(log));
    EXPECT_EQ(bench.move(log).error().code, ErrorCode::already_exists) << "it moves already";
}

Task<> append_for_ever(MoveBench& bench, Log& log, Values& written, const bool& stop) {
    while (!stop) {
        const std::string value = value_of(static_cast<int>(written.size()));
        const auto done = bench.append(log, value);
        if (done) {
            written.push_back(value);
            co_await bench.ports().runtime.yield();
        } else {
            CHECK(done.error().code == ErrorCode::would_block, "it has to wait, nothing else");
            co_await bench.store->wait_for_room(log.log_dir());
        }
    }
}

TEST(LogMove, OfALogThatIsWrittenAllTheTimeComesToItsEndAndKeepsEveryRecord) {
    MoveBench bench;
    bench.config.segment_bytes = 20'000;
    bench.start();
    Log& log = bench.create();
    Values written = append_values(bench, log, 30);
    bool stop = false;
    bench.ports().runtime.spawn(append_for_ever(bench, log, written, stop));
    bench.run_for(20ms);
    ASSERT_TRUE(bench.move(log));
    bench.finish_move();
    EXPECT_EQ(log.log_dir(), kTo);
    const size_t at_swap = written.size();
    bench.run_for(20ms);
    stop = true;
    bench.run_for(20ms);
    EXPECT_GT(written.size(), at_swap) << "it is written on";
    EXPECT_EQ(bench.values(log), written);
    bench.settle(log);
    bench.power_cut(kNothing);
    bench.start();
    EXPECT_EQ(bench.values(*bench.find()), written);
}

Task<> truncate(Log& log, Offset to, bool& done) {
    const Status cut = co_await log.truncate_to(to);
    CHECK(cut.has_value(), "a truncation inside the log");
    done = true;
}

TEST(LogMove, FollowsTruncationsOfTheLogAndWhatIsWrittenBehindThem) {
    for (uint64_t events = 1; events < 400; events += 7) {
        MoveBench bench(events);
        bench.start();
        Log& log = bench.create();
        Values wanted = append_values(bench, log, 12);
        ASSERT_TRUE(bench.move(log));
        for (uint64_t i = 0; i < events; ++i) bench.bench.world.step();
        bool done = false;
        bench.ports().runtime.spawn(truncate(log, Offset{5}, done));
        while (!done) ASSERT_TRUE(bench.bench.world.step());
        ASSERT_EQ(log.log_end(), Offset{5}) << events;
        wanted.resize(5);
        bench.epoch = LeaderEpoch{1};
        while (wanted.size() < 9) {
            const std::string other = fmt::format("other {}", wanted.size());
            const auto appended = bench.append(log, other);
            if (appended) wanted.push_back(other);
            if (!appended) ASSERT_TRUE(bench.bench.world.step());
        }
        bench.finish_move();
        bench.settle(log);
        EXPECT_EQ(log.epoch_at(Offset{6}), LeaderEpoch{1}) << events;
        EXPECT_EQ(log.epoch_at(Offset{4}), LeaderEpoch{0}) << events;
        bench.power_cut(kNothing);
        bench.start();
        expect_moved(bench, wanted);
        EXPECT_EQ(bench.find()->epoch_at(Offset{6}), LeaderEpoch{1}) << events;
        if (testing::Test::HasFailure()) return;
    }
}

TEST(LogMove, FollowsATruncationBehindWhichTheLogIsAsLongAgain) {
    for (uint64_t events = 1; events < 400; ++events) {
        MoveBench bench(events);
        bench.start();
        Log& log = bench.create();
        Values wanted = append_values(bench, log, 12);
        ASSERT_TRUE(bench.move(log));
        for (uint64_t i = 0; i < events; ++i) bench.bench.world.step();
        bool done = false;
        bench.ports().runtime.spawn(truncate(log, Offset{9}, done));
        while (!done) ASSERT_TRUE(bench.bench.world.step());
        wanted.resize(9);
        bench.epoch = LeaderEpoch{1};
        while (wanted.size() < 12) {
            const std::string other = fmt::format("other {}", wanted.size());
            const auto appended = bench.append(log, other);
            if (appended) wanted.push_back(other);
            if (!appended) ASSERT_TRUE(bench.bench.world.step());
        }
        bench.finish_move();
        bench.settle(log);
        expect_moved(bench, wanted);
        ASSERT_FALSE(testing::Test::HasFailure()) << events;
    }
}

TEST(LogMove, FollowsTheStartOfTheLogAlsoWhereItOvertakesTheCopy) {
    for (uint64_t events = 1; events < 400; events += 7) {
        MoveBench bench(events);
        bench.start();
        Log& log = bench.create();
        Values wanted = append_values(bench, log, 12);
        ASSERT_TRUE(bench.move(log));
        for (uint64_t i = 0; i < events; ++i) bench.bench.world.step();
        const int64_t start = events % 2 == 0 ? 12 : 7;
        ASSERT_TRUE(log.delete_before(Offset{start}));
        wanted.erase(wanted.begin(), wanted.begin() + start);
        bench.finish_move();
        EXPECT_EQ(log.log_start(), Offset{start}) << events;
        EXPECT_EQ(log.log_end(), Offset{12}) << events;
        expect_moved(bench, wanted);
        wanted.push_back("afterwards");
        ASSERT_TRUE(bench.append(log, "afterwards"));
        bench.settle(log);
        bench.power_cut(kNothing);
        bench.start();
        EXPECT_EQ(bench.find()->log_start(), Offset{start}) << events;
        expect_moved(bench, wanted);
        if (testing::Test::HasFailure()) return;
    }
}

TEST(LogMove, OfALogWhoseStartLiesWithinABatchKeepsTheBatch) {
    MoveBench bench;
    bench.start();
    Log& log = bench.create();
    const Buffer batch = make_batch(bench.codecs, "ten", {}, WallTime{1000}, 10);
    AppendRequest request;
    request.batch = batch.span();
    request.leader_epoch = LeaderEpoch{0};
    ASSERT_TRUE(log.append(request));
    ASSERT_TRUE(bench.append(log, "one"));
    bench.settle(log);
    ASSERT_TRUE(log.delete_before(Offset{4}));
    ASSERT_TRUE(bench.move(log));
    bench.finish_move();
    EXPECT_EQ(log.log_start(), Offset{4});
    EXPECT_EQ(bench.values(log), (Values{"ten", "ten", "ten", "ten", "ten", "ten", "one"}));
}

TEST(LogMove, KeepsProducersOpenTransactionsAbortedOnesAndTheStableEnd) {
    MoveBench bench;
    bench.start();
    Log& log = bench.create();
    BatchOptions producer;
    producer.producer_id = ProducerId{7};
    producer.producer_epoch = ProducerEpoch{2};
    for (int32_t i = 0; i < 7; ++i) {
        producer.base_sequence = i;
        ASSERT_TRUE(bench.append(log, value_of(i), producer));
    }
    BatchOptions aborts;
    aborts.producer_id = ProducerId{8};
    aborts.producer_epoch = ProducerEpoch{0};
    aborts.base_sequence = 0;
    aborts.transactional = true;
    ASSERT_TRUE(bench.append(log, "aborted", aborts));
    MarkerOptions marker;
    marker.producer_id = ProducerId{8};
    marker.producer_epoch = ProducerEpoch{0};
    const Buffer end = build_end_transaction_batch(marker, {false, 0});
    AppendRequest request;
    request.batch = end.span();
    request.leader_epoch = LeaderEpoch{0};
    ASSERT_TRUE(log.append(request));
    aborts.producer_id = ProducerId{9};
    ASSERT_TRUE(bench.append(log, "open", aborts));
    bench.settle(log);
    log.note_high_watermark(log.log_end());
    // Of one whose records are gone the log still knows the last batch.
    ASSERT_TRUE(log.delete_before(Offset{5}));
    const ProducerState before = log.parts().producers;
    const Offset stable = log.last_stable_offset();
    ASSERT_TRUE(bench.move(log));
    bench.finish_move();
    ASSERT_EQ(log.log_dir(), kTo);
    EXPECT_EQ(log.parts().producers, before);
    EXPECT_EQ(log.last_stable_offset(), stable);
    EXPECT_EQ(log.first_open_transaction(), Offset{9});
    const auto aborted = bench.bench.run(log.aborted_transactions(Offset{5}, log.log_end()));
    ASSERT_TRUE(aborted);
    ASSERT_EQ(aborted->size(), 1U);
    EXPECT_EQ(aborted->front().first, Offset{7});
    producer.base_sequence = 6;
    const auto again = bench.append(log, value_of(6), producer);
    ASSERT_TRUE(again);
    EXPECT_EQ(again->verdict, AppendResult::Verdict::duplicate);
    bench.power_cut(kNothing);
    bench.start();
    EXPECT_EQ(bench.find()->first_open_transaction(), Offset{9});
    const auto once_more = bench.append(*bench.find(), value_of(6), producer);
    ASSERT_TRUE(once_more);
    EXPECT_EQ(once_more->verdict, AppendResult::Verdict::duplicate);
}

TEST(LogMove, WaitsForPermissionAndGoesOnFollowingMeanwhile) {
    MoveBench bench;
    bench.observes = true;
    bench.start();
    Log& log = bench.create();
    Values wanted = append_values(bench, log, 5);
    ASSERT_TRUE(bench.move(log));
    bench.run_for(2s);
    EXPECT_EQ(bench.caught_up, 1);
    EXPECT_EQ(log.log_dir(), kFrom);
    const auto uses = bench.store->uses();
    ASSERT_EQ(uses.size(), 2U);
    ASSERT_EQ(uses[0].logs.size(), 1U);
    ASSERT_EQ(uses[1].logs.size(), 1U);
    EXPECT_FALSE(uses[0].logs[0].is_copy);
    EXPECT_TRUE(uses[1].logs[0].is_copy);
    EXPECT_EQ(uses[1].logs[0].lag, 0);
    EXPECT_EQ(uses[1].logs[0].bytes, uses[0].logs[0].bytes);
    wanted.push_back("meanwhile");
    ASSERT_TRUE(bench.append(log, wanted.back()));
    EXPECT_EQ(bench.store->uses()[1].logs[0].lag, 1);
    bench.run_for(1s);
    EXPECT_EQ(bench.store->uses()[1].logs[0].lag, 0);
    bench.store->permit_swap(log.name());
    bench.finish_move();
    ASSERT_EQ(bench.ended.size(), 1U);
    EXPECT_TRUE(bench.ended[0]);
    expect_moved(bench, wanted);
}

TEST(LogMove, LosesToRetentionWhatTheLogLosesMeanwhile) {
    for (uint64_t events = 1; events < 400; events += 13) {
        MoveBench bench(events);
        bench.observes = true;
        bench.config.retention_bytes = 4000;
        bench.settings.retention_check_interval = 1ms;
        bench.start();
        Log& log = bench.create();
        Values wanted = append_values(bench, log, 30);
        ASSERT_EQ(log.log_start(), Offset{0}) << "nothing is committed yet";
        ASSERT_TRUE(bench.move(log));
        for (uint64_t i = 0; i < events; ++i) bench.bench.world.step();
        log.note_high_watermark(log.log_end());
        bench.run_for(50ms);
        const Offset start = log.log_start();
        ASSERT_GT(start, Offset{10});
        ASSERT_EQ(log.log_dir(), kFrom);
        bench.store->permit_swap(log.name());
        bench.finish_move();
        EXPECT_EQ(log.log_start(), start) << events;
        wanted.erase(wanted.begin(), wanted.begin() + (start - Offset{0}));
        expect_moved(bench, wanted);
        bench.power_cut(kNothing);
        bench.start();
        EXPECT_EQ(bench.find()->log_start(), start) << events;
        expect_moved(bench, wanted);
        ASSERT_FALSE(testing::Test::HasFailure()) << events;
    }
}

/// Null value: a tombstone.
void put(MoveBench& bench, Log& log, const std::string& key, std::optional<std::string> value) {
    BatchBuilder builder(bench.codecs, {});
    OptionalBytes bytes;
    if (value) bytes = as_bytes(*value);
    builder.append(bench.ports().runtime.wall_time(), as_bytes(key), bytes);
    const Buffer batch = *builder.finish();
    AppendRequest request;
    request.batch = batch.span();
    request.leader_epoch = bench.epoch;
    ASSERT_TRUE(log.append(request));
}

TEST(LogMove, OfACompactedLogRestsItsCleaningAndLeavesNothingThatATombstoneTook) {
    MoveBench bench;
    bench.observes = true;
    bench.config.compacts = true;
    bench.config.deletes = false;
    bench.settings.cleaner_backoff = 5ms;
    bench.settings.checkpoint_interval = 5ms;
    bench.settings.cleaner_map_bytes = 1UZ << 20U;
    bench.start();
    Log& log = bench.create();
    for (int i = 0; i < 40; ++i) {
        put(bench, log, fmt::format("key {}", i % 4), fmt::format("{} of {}", value_of(i), i % 4));
    }
    bench.settle(log);
    ASSERT_TRUE(bench.move(log));
    bench.run_for(100ms);
    ASSERT_EQ(bench.caught_up, 1);
    put(bench, log, "key 1", std::nullopt);
    for (int i = 0; i < 10; ++i) put(bench, log, "key 0", fmt::format("{} of 0", value_of(40 + i)));
    bench.settle(log);
    log.note_high_watermark(log.log_end());
    const uint64_t bytes = log.size_bytes();
    bench.run_for(500ms);
    EXPECT_EQ(log.size_bytes(), bytes) << "not cleaned while it moves";
    bench.store->permit_swap(log.name());
    bench.finish_move();
    ASSERT_EQ(log.log_dir(), kTo);
    EXPECT_EQ(bench.values(log).size(), 51U);
    bench.run_for(500ms);
    EXPECT_LT(log.size_bytes(), bytes / 2) << "cleaned afterwards";
    for (const bool again : {false, true}) {
        if (again) bench.power_cut(kNothing);
        if (again) bench.start();
        const Values left = bench.values(*bench.find());
        const auto of_key_1 = [](const std::string& one) { return one.ends_with(" of 1"); };
        EXPECT_EQ(std::ranges::count_if(left, of_key_1), 0);
        EXPECT_EQ(std::ranges::count(left, value_of(38) + " of 2"), 1);
        EXPECT_EQ(std::ranges::count(left, value_of(49) + " of 0"), 1);
    }
}

}  // namespace
}  // namespace ottla::storage::test
