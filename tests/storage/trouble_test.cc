// SPDX-License-Identifier: Apache-2.0
// Troubles of a log directory that the issue calls by name and no other file tells (tests/README.md
// says where each is told): deletion by renaming, a full journal, several directories of which one
// fails, a sweep that lost a file without a word.
#include <gtest/gtest.h>

#include <array>

#include "storage/file_names.h"
#include "storage/log_parts.h"
#include "storage/shard_directory.h"
#include "tests/storage/store_bench.h"

namespace ottla::storage::test {
namespace {

using Values = std::vector<std::string>;
using namespace std::chrono_literals;

const sim::Survival kNothing{sim::Survival::Kind::nothing, 0};

size_t count_files(StoreBench& bench, std::string_view part) {
    size_t found = 0;
    for (const std::string& path : bench.bench.disk().files()) {
        if (path.find(part) != std::string::npos) ++found;
    }
    return found;
}

Task<> delete_it(StoreBench& bench, Log& log, bool& done) {
    const Status gone = co_await bench.store->delete_log(log);
    CHECK(gone.has_value(), "a deletion");
    done = true;
}

TEST(Deletion, RenamesToDeleteAndACrashAtAnyEventBehindItIsFinishedByTheNextStart) {
    uint64_t renamed = 0;
    bool done = false;
    for (uint64_t events = 1; events < 1000 && !done; ++events) {
        StoreBench bench(events);
        bench.start();
        Log& log = bench.create("t");
        ASSERT_TRUE(bench.append(log, "value"));
        bench.settle(log);
        bench.run_for(1s);
        bench.ports().runtime.spawn(delete_it(bench, log, done));
        for (uint64_t i = 0; i < events && !done; ++i) bench.bench.world.step();
        const bool on_its_way = count_files(bench, "-delete/") > 0;
        renamed += on_its_way ? 1 : 0;
        if (events % 2 == 0) bench.kill();
        if (events % 2 == 1) bench.power_cut();
        bench.start();
        EXPECT_EQ(count_files(bench, "-delete"), 0U) << events;
        if (bench.find("t") == nullptr) {
            EXPECT_EQ(count_files(bench, "/t-0/"), 0U) << events;
        } else {
            EXPECT_FALSE(done) << events;
            EXPECT_EQ(bench.values(*bench.find("t")), Values{"value"}) << events;
        }
        if (testing::Test::HasFailure()) return;
    }
    EXPECT_TRUE(done);
    EXPECT_GT(renamed, 3U);
}

/// Its log's lane is held, so nothing leaves the journal.
class FullJournal : public testing::Test {
protected:
    FullJournal() : bench(3) {
        bench.settings.chunk_budget_bytes = 8UZ * 1024 * 1024;
        bench.settings.checkpoint_interval = 1000s;
        bench.settings.flush_delay = 1ms;
        bench.start();
        log = &bench.create("t");
        bench.run_for(10ms);
        bench.bench.run(take_lane());
    }
    Task<Status> take_lane() { co_return co_await log->parts().lane.take(1); }
    Journal& journal() { return log->parts().home.journal(); }
    bool append() {
        const auto done = bench.append(*log, std::string(9'000, 'j'));
        if (done) bench.settle(*log);
        if (done) ++appended;
        return done.has_value();
    }
    [[nodiscard]] uint64_t percent() {
        return journal().live_bytes() * 100 / bench.settings.journal_limit_bytes;
    }

    StoreBench bench;
    Log* log = nullptr;
    int64_t appended = 0;
};

TEST_F(FullJournal, At75PercentACheckpointIsWantedAndAppendsGoOn) {
    while (!journal().wants_checkpoint()) ASSERT_TRUE(append());
    EXPECT_GE(percent(), 75U);
    EXPECT_LT(percent(), 80U);
    ASSERT_TRUE(append());
    // Long before the interval, once the flusher may.
    log->parts().lane.give_back(1);
    bench.run_for(2s);
    EXPECT_EQ(log->synced_end(), log->log_end());
    for (int i = 0; i < 20; ++i) ASSERT_TRUE(append()) << "and the journal begins behind it";
    bench.run_for(2s);
    EXPECT_LT(percent(), 75U);
}

TEST_F(FullJournal, At100PercentAppendsWaitUntilACheckpointMadeRoom) {
    while (append()) ASSERT_LT(appended, 1000);
    EXPECT_GE(percent(), 100U);
    EXPECT_EQ(bench.append(*log, "more").error().code, ErrorCode::would_block);
    EXPECT_FALSE(bench.store->has_room(kDirectory));
    bench.run_for(1s);
    EXPECT_FALSE(bench.store->has_room(kDirectory)) << "nobody makes room yet";
    log->parts().lane.give_back(1);
    bench.bench.run(bench.store->wait_for_room(kDirectory));
    ASSERT_TRUE(append());
    bench.power_cut(kNothing);
    bench.start();
    EXPECT_EQ(bench.find("t")->log_end(), Offset{appended});
}

/// Two directories, one store.
class SeveralDirectories : public testing::Test, public StoreBench {
protected:
    SeveralDirectories() : StoreBench(5) {
        paths = {kPaths.begin(), kPaths.end()};
        start();
    }

    void directory_failed(const std::string& log_dir, const Error&) override {
        failed.push_back(log_dir);
    }
    Result<AppendResult> append_one(Log& log) { return append(log, "value"); }

    static inline const std::array<std::string, 2> kPaths = {"/data/a", "/data/b"};
    std::vector<std::string> failed;
};

TEST_F(SeveralDirectories, OneThatFailsASyncIsOfflineWhileTheOtherServesAndBothComeBack) {
    for (const std::string& broken : kPaths) {
        Log& left = create("left-of-" + broken.substr(6), 0, kPaths[0]);
        Log& right = create("right-of-" + broken.substr(6), 0, kPaths[1]);
        ASSERT_TRUE(append_one(left));
        ASSERT_TRUE(append_one(right));
        bench.world.run_for(1s);
        ASSERT_EQ(right.durable_end(), Offset{1});
        bench.disk().plan({.file_kind = FileOp::Kind::sync, .path = broken + "/.ottla-journal"});
        Log& lost = broken == kPaths[0] ? left : right;
        Log& well = broken == kPaths[0] ? right : left;
        ASSERT_TRUE(append_one(lost));
        bench.world.run_for(1s);
        EXPECT_TRUE(lost.is_offline());
        EXPECT_EQ(lost.durable_end(), Offset{1});
        EXPECT_EQ(failed, std::vector<std::string>{broken});
        EXPECT_FALSE(append_one(lost));
        for (int i = 0; i < 5; ++i) ASSERT_TRUE(append_one(well));
        bench.world.run_for(1s);
        EXPECT_FALSE(well.is_offline());
        EXPECT_EQ(well.durable_end(), Offset{6});
        EXPECT_TRUE(bench.run(store->checkpoint()));
        const std::string of_lost = lost.name().topic;
        const std::string of_well = well.name().topic;
        power_cut(kNothing);
        ASSERT_NO_FATAL_FAILURE(start());
        EXPECT_EQ(find(of_well)->log_end(), Offset{6});
        EXPECT_GE(find(of_lost)->log_end(), Offset{1});
        EXPECT_TRUE(append_one(*find(of_lost)));
        failed.clear();
    }
}

/// More dirty logs than are synced one by one.
class Sweep : public testing::Test {
protected:
    Sweep() : bench(4) {
        bench.settings.sync_all_above = 3;
        bench.settings.checkpoint_interval = 1000s;
        bench.settings.flush_delay = 1ms;
        bench.start();
        for (int i = 0; i < kLogs; ++i) bench.create("t", i);
        bench.bench.run(bench.store->checkpoint());
        for (int i = 0; i < kLogs; ++i) {
            EXPECT_TRUE(bench.append(*bench.find("t", i), fmt::format("value {}", i)));
        }
        for (int i = 0; i < kLogs; ++i) bench.settle(*bench.find("t", i));
        bench.run_for(100ms);
    }
    void lose_on_write_back(std::string path) {
        bench.bench.disk().faults.only_under = std::move(path);
        bench.bench.disk().faults.write_back_error = 1'000'000;
    }
    void expect_everything() {
        for (int i = 0; i < kLogs; ++i) {
            EXPECT_EQ(bench.values(*bench.find("t", i)), Values{fmt::format("value {}", i)});
        }
    }

    static constexpr int kLogs = 8;
    StoreBench bench;
};

TEST_F(Sweep, ThatLosesAFileWithoutAWordIsFoundByTheFilesOwnSync) {
    lose_on_write_back(kDirectory + "/t-5/");
    const Status done = bench.bench.run(bench.store->checkpoint());
    EXPECT_FALSE(done);
    EXPECT_EQ(bench.failures.size(), 1U);
    EXPECT_TRUE(bench.find("t", 0)->is_offline()) << "the directory, not the log";
    bench.bench.disk().faults = {};
    bench.power_cut(kNothing);
    bench.start();
    expect_everything();
}

TEST_F(Sweep, OfACleanStopThatLosesAFileIsFoundAndTheGuardStays) {
    Values wanted = {"value 5"};
    for (const std::string_view suffix : {kLogSuffix, kTimeIndexSuffix, kSnapshotSuffix}) {
        Log& log = *bench.find("t", 5);
        wanted.push_back(std::string(suffix));
        ASSERT_TRUE(bench.append(log, wanted.back()));
        bench.settle(log);
        bench.run_for(100ms);
        const Offset named = suffix == kSnapshotSuffix ? log.log_end() : Offset{0};
        lose_on_write_back(kDirectory + "/t-5/" + offset_file_name(named, suffix));
        EXPECT_FALSE(bench.bench.run(bench.stop())) << suffix;
        const auto entries = bench.bench.run(bench.ports().files.list(kDirectory));
        EXPECT_EQ(std::ranges::count(*entries, ".ottla", &DirectoryEntry::name), 1);
        bench.bench.disk().faults = {};
        bench.power_cut(kNothing);
        bench.start();
        EXPECT_EQ(bench.values(*bench.find("t", 5)), wanted);
    }
}

TEST_F(Sweep, OfACleanStopSyncsNoFileOfALogByItself) {
    bench.bench.disk().plan({.file_kind = FileOp::Kind::sync, .path = "/t-"});
    const Status stopped = bench.bench.run(bench.stop());
    ASSERT_TRUE(stopped) << stopped.error().detail;
    bench.power_cut(kNothing);
    bench.start();
    expect_everything();
}

TEST_F(Sweep, APowerCutAtAnyEventOfACleanStopLosesNothing) {
    bool stopped = false;
    for (uint64_t events = 1; !stopped; events += 5) {
        stopped = sim::try_run(bench.bench.world, bench.ports().runtime, bench.stop(), events)
                      .has_value();
        bench.power_cut();
        bench.start();
        ASSERT_NO_FATAL_FAILURE(expect_everything()) << events;
    }
}

TEST_F(Sweep, WhatIsFlushedWhileItGoesOnIsSyncedByTheNextOne) {
    for (uint64_t events = 1; events < 200; events += 3) {
        bench.bench.disk().faults.slow_operation = 300'000;
        bench.bench.disk().faults.slow_by = 5ms;
        for (int i = 0; i < kLogs; ++i) {
            ASSERT_TRUE(bench.append(*bench.find("t", i), fmt::format("{}", events)));
        }
        static_cast<void>(sim::try_run(bench.bench.world, bench.ports().runtime,
                                       bench.store->checkpoint(), events));
    }
    bench.bench.disk().faults = {};
    for (int i = 0; i < kLogs; ++i) bench.settle(*bench.find("t", i));
    bench.run_for(1s);
    // The journal forgets what both took for synced.
    for (int i = 0; i < 2; ++i) ASSERT_TRUE(bench.bench.run(bench.store->checkpoint()));
    std::vector<Values> wanted;
    for (int i = 0; i < kLogs; ++i) wanted.push_back(bench.values(*bench.find("t", i)));
    bench.power_cut(kNothing);
    bench.start();
    for (int i = 0; i < kLogs; ++i) {
        EXPECT_EQ(bench.values(*bench.find("t", i)), wanted[static_cast<size_t>(i)]);
    }
}

TEST_F(Sweep, OfAReplayThatLosesAFileIsFoundAndTheNextReplayDoesItAgain) {
    bench.kill();
    lose_on_write_back(kDirectory + "/t-3/");
    const Status booted = bench.bench.run(bench.boot());
    EXPECT_FALSE(booted);
    bench.bench.disk().faults = {};
    bench.power_cut(kNothing);
    bench.start();
    expect_everything();
}

}  // namespace
}  // namespace ottla::storage::test
