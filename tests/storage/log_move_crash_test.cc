// SPDX-License-Identifier: Apache-2.0
// A move of a log between two directories, and a crash at every event of it.
// covers storage/log_move, storage/close_directories
#include <gtest/gtest.h>

#include "records/control.h"
#include "storage/close_directories.h"
#include "tests/storage/move_bench.h"

namespace ottla::storage::test {
namespace {

using namespace std::chrono_literals;

// A crash at every event.

struct Story {
    Values appended;
    size_t acknowledged = 0;
    bool done = false;
};

Task<> write_on(MoveBench& bench, Log& log, Story& story, int count) {
    for (int i = 0; i < count;) {
        const std::string value = value_of(static_cast<int>(story.appended.size()));
        if (bench.append(log, value)) {
            story.appended.push_back(value);
            ++i;
            co_await bench.ports().runtime.yield();
        } else {
            co_await bench.store->wait_for_room(log.log_dir());
        }
    }
    const size_t end = story.appended.size();
    while (log.durable_end() < log.log_end()) {
        static_cast<void>(co_await bench.ports().runtime.sleep_for(50us));
    }
    story.acknowledged = end;
}

Task<> move_story(MoveBench& bench, Story& story) {
    Log& log = bench.create();
    co_await write_on(bench, log, story, 6);
    CHECK(bench.move(log).has_value(), "a move");
    while (log.log_dir() == kFrom) co_await write_on(bench, log, story, 1);
    co_await write_on(bench, log, story, 2);
    while (bench.is_moving()) co_await bench.ports().runtime.yield();
    co_await write_on(bench, log, story, 1);
    story.done = true;
}

enum class End : uint8_t { kill, power_cut, nothing_survives };

void strike_everywhere(End how) {
    uint64_t copies = 0;
    uint64_t moved = 0;
    for (uint64_t events = 1; events < 5000; ++events) {
        MoveBench bench(events);
        bench.start();
        if (testing::Test::HasFatalFailure()) return;
        Story story;
        bench.ports().runtime.spawn(move_story(bench, story));
        for (uint64_t i = 0; i < events && !story.done; ++i) bench.bench.world.step();
        if (how == End::kill) bench.kill();
        if (how == End::power_cut) bench.power_cut();
        if (how == End::nothing_survives) bench.power_cut(kNothing);
        const std::string where = fmt::format("after {} events", events);
        const Status booted = bench.bench.run(bench.boot());
        ASSERT_TRUE(booted) << where << ": " << booted.error().detail;
        copies += bench.found_copies;
        Log* const log = bench.find();
        if (log == nullptr) {
            ASSERT_EQ(story.acknowledged, 0U) << where;
            continue;
        }
        if (bench.found_copies == 0 && log->log_dir() == kTo) ++moved;
        const Values found = bench.values(*log);
        ASSERT_GE(found.size(), story.acknowledged) << where;
        ASSERT_LE(found.size(), story.appended.size()) << where;
        EXPECT_TRUE(std::equal(found.begin(), found.end(), story.appended.begin())) << where;
        // A move that was on its way goes on, and ends.
        bench.finish_move();
        Values wanted = found;
        wanted.push_back("after");
        ASSERT_TRUE(bench.append(*log, "after")) << where;
        bench.settle(*log);
        bench.power_cut();
        bench.start();
        EXPECT_EQ(bench.values(*bench.find()), wanted) << where;
        EXPECT_EQ(bench.count_files("-future"), 0U) << where;
        const size_t both = (bench.count_files(kFrom + "/t-0/") > 0 ? 1 : 0) +
                            (bench.count_files(kTo + "/t-0/") > 0 ? 1 : 0);
        EXPECT_LE(both, 1U) << where;
        if (story.done || testing::Test::HasFailure()) break;
    }
    EXPECT_GT(copies, 20U);
    EXPECT_GT(moved, 20U);
}

TEST(PowerCut, AtAnyEventOfAMoveBetweenDirectoriesLeavesOneLogWithAllThatWasAcknowledged) {
    strike_everywhere(End::power_cut);
}
TEST(PowerCut, OfAMoveThatLosesEverythingUnsyncedLosesNothingAcknowledged) {
    strike_everywhere(End::nothing_survives);
}
TEST(Kill, AtAnyEventOfAMoveBetweenDirectoriesLeavesOneLogWithAllThatWasAcknowledged) {
    strike_everywhere(End::kill);
}

TEST(Kill, OfAMoveAnywhereAndACloseOfBothDirectoriesLeaveOneLog) {
    uint64_t moved = 0;
    for (uint64_t events = 1; events < 5000; ++events) {
        MoveBench bench(events);
        bench.start();
        Story story;
        bench.ports().runtime.spawn(move_story(bench, story));
        for (uint64_t i = 0; i < events && !story.done; ++i) bench.bench.world.step();
        bench.kill();
        const Status closed =
            bench.bench.run(close_directories(bench.ports(), {kFrom, kTo}, bench.settings));
        ASSERT_TRUE(closed) << events << ": " << closed.error().detail;
        EXPECT_EQ(bench.count_files("-future"), 0U) << events;
        EXPECT_EQ(bench.count_files(".ottla-journal"), 0U) << events;
        const bool from = bench.count_files(kFrom + "/t-0/") > 0;
        const bool to = bench.count_files(kTo + "/t-0/") > 0;
        EXPECT_FALSE(from && to) << events << ": Kafka refuses a log in two directories";
        if (to) ++moved;
        bench.start();
        const Values found = bench.find() == nullptr ? Values{} : bench.values(*bench.find());
        ASSERT_GE(found.size(), story.acknowledged) << events;
        if (story.done || testing::Test::HasFailure()) break;
    }
    EXPECT_GT(moved, 20U);
}

/// A transaction that was aborted, its end at 1, and two records.
void append_aborted(MoveBench& bench, Log& log) {
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
    append_values(bench, log, 2);
}

TEST(PowerCut, AtAnyEventOfAMoveLeavesAStableEndThatFitsTheHighWatermark) {
    for (uint64_t events = 1; events < 400; ++events) {
        MoveBench bench(events);
        bench.settings.checkpoint_interval = 200us;
        bench.start();
        Log& log = bench.create();
        append_aborted(bench, log);
        log.note_high_watermark(log.log_end());
        ASSERT_TRUE(bench.move(log));
        for (uint64_t i = 0; i < events; ++i) bench.bench.world.step();
        bench.power_cut(kNothing);
        bench.start();
        const Log& found = *bench.find();
        const Offset high = found.noted_high_watermark();
        // Whose end is not committed yet may still change.
        const Offset stable = high <= Offset{1} ? Offset{0} : high;
        ASSERT_EQ(found.last_stable_offset(), stable) << events << " " << high.value();
    }
}

Task<> sync_start(Log& log, bool& done) {
    const Status synced = co_await log.sync_start();
    CHECK(synced.has_value(), "no disk fails here");
    done = true;
}

TEST(PowerCut, BehindADeletionOfRecordsDuringAMoveLeavesThemDeleted) {
    for (uint64_t events = 1; events < 400; ++events) {
        MoveBench bench(events);
        bench.start();
        Log& log = bench.create();
        append_values(bench, log, 12);
        ASSERT_TRUE(bench.move(log));
        for (uint64_t i = 0; i < events; ++i) bench.bench.world.step();
        ASSERT_TRUE(log.delete_before(Offset{5}));
        bool done = false;
        bench.ports().runtime.spawn(sync_start(log, done));
        while (!done) ASSERT_TRUE(bench.bench.world.step());
        bench.power_cut(kNothing);
        bench.start();
        ASSERT_EQ(bench.find()->log_start(), Offset{5}) << events;
    }
}

}  // namespace
}  // namespace ottla::storage::test
