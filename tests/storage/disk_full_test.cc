// SPDX-License-Identifier: Apache-2.0
// Full disks: filled by our own appends, which stop in time, and filled by somebody else, at every
// moment of what a store does.
#include <gtest/gtest.h>

#include "storage/file_names.h"
#include "tests/storage/store_bench.h"

namespace ottla::storage::test {
namespace {

using Values = std::vector<std::string>;
constexpr uint64_t kMiB = 1024ULL * 1024;
constexpr uint64_t kReserve = 2 * kMiB;

StorageSettings full_settings() {
    StorageSettings settings = StoreBench::small_settings();
    settings.disk_reserve_bytes = kReserve;
    settings.flush_delay = std::chrono::milliseconds(20);
    settings.checkpoint_interval = std::chrono::milliseconds(300);
    return settings;
}

/// Told when what is in doubt waits for space.
class Watcher final : public LogObserver {
public:
    void durable_end_moved(Log&, Offset) override {}
    void log_failed(Log&, const Error&) override { ++failed; }
    void log_stalled(Log&, const Error& why) override {
        ++stalled;
        EXPECT_EQ(why.code, ErrorCode::no_space);
    }
    int failed = 0;
    int stalled = 0;
};

/// A bench on a disk of `capacity` bytes.
class DiskFull : public testing::Test {
protected:
    DiskFull() : bench(7, full_settings()) {}

    void start(uint64_t capacity = 8 * kMiB) {
        bench.disk_full = 0;
        bench.bench.disk().set_capacity(capacity);
        bench.start();
    }
    /// Nothing is left, or as good as nothing.
    void somebody_takes_all_but(uint64_t bytes) {
        sim::SimDisk& disk = bench.bench.disk();
        disk.set_capacity(kMost);
        disk.set_capacity(kMost - disk.free_space() + bytes);
    }
    void give_back() { bench.bench.disk().set_capacity(kMost); }

    /// One batch; waits for room as a broker does. False: refused because the disk is full.
    bool append(Log& log, const std::string& value) {
        for (;;) {
            const auto result = bench.append(log, value);
            if (result) break;
            if (result.error().code == ErrorCode::no_space) return false;
            EXPECT_EQ(result.error().code, ErrorCode::would_block) << result.error().detail;
            if (result.error().code != ErrorCode::would_block) return false;
            bench.bench.run(bench.store->wait_for_room(kDirectory));
        }
        written.push_back(value);
        return true;
    }
    /// Until it is refused; what was taken is durable.
    int fill(Log& log, size_t bytes = 20'000) {
        int count = 0;
        while (append(log, fmt::format("{} {}", written.size(), std::string(bytes, 'f')))) {
            bench.settle(log);
            ++count;
        }
        return count;
    }
    void expect_everything() {
        Log* log = bench.find("t");
        ASSERT_NE(log, nullptr);
        // Not EXPECT_EQ: it would print megabytes.
        EXPECT_TRUE(bench.values(*log) == written);
    }
    uint64_t free_bytes() { return bench.bench.disk().free_space(); }

    static constexpr uint64_t kMost = 1024 * kMiB;
    StoreBench bench;
    Values written;
};

TEST_F(DiskFull, AppendsAreRefusedBeforeTheReserveIsGoneAndReadsGoOn) {
    start();
    Log& log = bench.create("t");
    EXPECT_GT(fill(log), 100);
    bench.run_for(std::chrono::seconds(3));
    EXPECT_GT(free_bytes(), kReserve / 2);
    EXPECT_EQ(log.flushed_end(), log.log_end()) << "what was acknowledged is in its segment";
    EXPECT_FALSE(log.is_offline());
    EXPECT_EQ(bench.disk_full, 1) << "said once";
    expect_everything();
    EXPECT_FALSE(append(log, "no"));
}

TEST_F(DiskFull, ACleanStopAndAStartOfAFullDiskWork) {
    start();
    fill(bench.create("t"));
    bench.clean_stop();
    bench.start();
    EXPECT_TRUE(bench.directory->was_clean());
    // The old journals are gone, which is some room, and the new ones come.
    fill(*bench.find("t"));
    bench.run_for(std::chrono::seconds(1));
    expect_everything();
    EXPECT_GT(free_bytes(), kReserve / 2);
}

TEST_F(DiskFull, KillsAndPowerCutsOfAFullDiskLoseNothingAcknowledged) {
    start();
    fill(bench.create("t"));
    for (int round = 0; round < 4; ++round) {
        if (round % 2 == 0) bench.kill();
        if (round % 2 == 1) bench.power_cut();
        bench.start();
        expect_everything();
        fill(*bench.find("t"));
        EXPECT_GT(free_bytes(), kReserve / 4) << "round " << round;
    }
}

TEST_F(DiskFull, ADeletedLogMakesRoomAndWritesResumeByThemselves) {
    start();
    Log& other = bench.create("other");
    fill(other);
    written.clear();
    Log& log = bench.create("t");
    EXPECT_FALSE(append(log, "no"));
    const Status deleted = bench.bench.run(bench.store->delete_log(other));
    ASSERT_TRUE(deleted) << deleted.error().detail;
    bench.run_for(std::chrono::seconds(2));
    EXPECT_TRUE(append(log, "yes"));
    bench.settle(log);
    EXPECT_EQ(bench.has_room, 1);
    expect_everything();
}

TEST_F(DiskFull, RecordsThatAreDeletedMakeRoom) {
    bench.config.segment_bytes = 200'000;
    start();
    Log& log = bench.create("t");
    const int count = fill(log);
    ASSERT_TRUE(log.delete_before(Offset{count - 10}));
    bench.run_for(std::chrono::seconds(3));
    EXPECT_TRUE(append(log, "yes"));
    bench.settle(log);
    EXPECT_EQ(log.durable_end(), log.log_end());
}

TEST_F(DiskFull, AFlushThatMeetsADiskThatSomebodyFilledIsRetriedAndNothingIsLost) {
    start(kMost);
    Log& log = bench.create("t");
    for (int i = 0; i < 10; ++i)
        EXPECT_TRUE(append(log, fmt::format("{}", std::string(9000, 'a'))));
    bench.settle(log);
    somebody_takes_all_but(0);
    bench.run_for(std::chrono::seconds(5));
    EXPECT_FALSE(log.is_offline());
    EXPECT_LT(log.flushed_end(), log.log_end());
    EXPECT_FALSE(append(log, "no"));
    expect_everything();
    give_back();
    bench.run_for(std::chrono::seconds(3));
    EXPECT_EQ(log.flushed_end(), log.log_end());
    EXPECT_TRUE(append(log, "yes"));
    bench.settle(log);
    bench.power_cut();
    bench.start();
    expect_everything();
}

Task<> wait_for_room(LogStore& store, bool& there) {
    co_await store.wait_for_room(kDirectory);
    there = true;
}

TEST_F(DiskFull, WhoeverWaitsAloneHasTheDiskLookedAtAgain) {
    start();
    Log& log = bench.create("t");
    bench.run_for(std::chrono::seconds(1));
    ASSERT_TRUE(append(log, std::string(20'000, 'x')));
    somebody_takes_all_but(kReserve);
    bench.run_for(std::chrono::milliseconds(5));
    give_back();
    // Flushed, so that nothing is owed any more; the last look at the disk was another one.
    bench.run_for(std::chrono::seconds(1));
    ASSERT_EQ(log.flushed_end(), log.log_end());
    bool there = false;
    bench.ports().runtime.spawn(wait_for_room(*bench.store, there));
    bench.run_for(std::chrono::seconds(1));
    EXPECT_TRUE(there);
}

TEST_F(DiskFull, AStalledLogCanBeTruncatedAndDeleted) {
    start(kMost);
    Log& log = bench.create("t");
    Log& other = bench.create("other");
    for (int i = 0; i < 10; ++i) EXPECT_TRUE(append(log, std::string(9000, 'a')));
    written.clear();
    for (int i = 0; i < 10; ++i) EXPECT_TRUE(append(other, std::string(9000, 'b')));
    bench.settle(other);
    somebody_takes_all_but(0);
    bench.run_for(std::chrono::seconds(2));
    EXPECT_LT(log.flushed_end(), log.log_end());
    const Status cut = bench.bench.run(log.truncate_to(Offset{3}));
    ASSERT_TRUE(cut) << cut.error().detail;
    const Status deleted = bench.bench.run(bench.store->delete_log(other));
    ASSERT_TRUE(deleted) << deleted.error().detail;
    give_back();
    bench.run_for(std::chrono::seconds(3));
    EXPECT_EQ(log.flushed_end(), Offset{3});
    EXPECT_TRUE(bench.append(log, "after"));
    bench.settle(log);
    bench.kill();
    bench.start();
    EXPECT_EQ(bench.find("t")->log_end(), Offset{4});
    EXPECT_EQ(bench.find("other"), nullptr);
}

TEST_F(DiskFull, ACheckpointThatMeetsAFullDiskIsTriedAgain) {
    for (uint64_t left = 0; left < 6; ++left) {
        StoreBench fresh(left + 1, full_settings());
        fresh.start();
        Log& log = fresh.create("t");
        ASSERT_TRUE(fresh.append(log, std::string(5000, 'c')));
        fresh.settle(log);
        fresh.run_for(std::chrono::milliseconds(60));
        ASSERT_EQ(log.flushed_end(), log.log_end());
        sim::SimDisk& disk = fresh.bench.disk();
        disk.set_capacity(kMost);
        disk.set_capacity(kMost - disk.free_space() + left * 4096);
        const Status first = fresh.bench.run(fresh.store->checkpoint());
        if (!first) EXPECT_EQ(first.error().code, ErrorCode::no_space) << first.error().detail;
        EXPECT_FALSE(log.is_offline());
        disk.set_capacity(kMost);
        const Status second = fresh.bench.run(fresh.store->checkpoint());
        EXPECT_TRUE(second) << second.error().detail;
        EXPECT_EQ(log.synced_end(), log.log_end());
        fresh.power_cut(sim::Survival{sim::Survival::Kind::nothing, 0});
        fresh.start();
        EXPECT_EQ(fresh.find("t")->log_end(), Offset{1}) << left;
    }
}

TEST_F(DiskFull, AJournalThatMeetsAFullDiskAcknowledgesNothingAndGoesOnWhenThereIsSpace) {
    start(kMost);
    Log& log = bench.create("t");
    Watcher watcher;
    log.observe(&watcher);
    EXPECT_TRUE(append(log, "first"));
    bench.settle(log);
    sim::PlannedFailure failure;
    failure.of_file = true;
    failure.file_kind = FileOp::Kind::write;
    failure.path = ".ottla-journal-";
    failure.error = ErrorCode::no_space;
    for (int i = 0; i < 3; ++i) bench.bench.disk().plan(failure);
    EXPECT_TRUE(append(log, std::string(30'000, 'd')));
    bench.run_for(std::chrono::milliseconds(700));
    EXPECT_EQ(log.durable_end(), Offset{1}) << "in doubt, not acknowledged";
    EXPECT_GE(watcher.stalled, 1);
    EXPECT_FALSE(append(log, "no"));
    bench.run_for(std::chrono::seconds(3));
    EXPECT_EQ(log.durable_end(), Offset{2});
    EXPECT_EQ(watcher.failed, 0);
    EXPECT_TRUE(append(log, "yes"));
    bench.settle(log);
    log.observe(nullptr);
    bench.power_cut();
    bench.start();
    expect_everything();
}

TEST_F(DiskFull, ASyncThatFailsForWantOfSpaceIsFinal) {
    start(kMost);
    Log& log = bench.create("t");
    EXPECT_TRUE(append(log, "first"));
    bench.settle(log);
    sim::PlannedFailure failure;
    failure.of_file = true;
    failure.file_kind = FileOp::Kind::sync;
    failure.path = ".ottla-journal-";
    failure.error = ErrorCode::no_space;
    bench.bench.disk().plan(failure);
    EXPECT_TRUE(bench.append(log, "in doubt"));
    bench.run_for(std::chrono::seconds(3));
    EXPECT_TRUE(log.is_offline());
    EXPECT_EQ(log.durable_end(), Offset{1});
}

TEST_F(DiskFull, AJournalInShortSpaceGoesRoundInItsSmallFiles) {
    bench.config.segment_bytes = 400'000;
    bench.settings.journal_file_bytes = 4 * kMiB;  // There is never room for it.
    start();
    Log& log = bench.create("t");
    fill(log);
    // 20 times what the journal holds, in what the deletions give back.
    for (int round = 0; round < 20; ++round) {
        ASSERT_TRUE(log.delete_before(log.durable_end()));
        bench.run_for(std::chrono::seconds(2));
        for (int i = 0; i < 20; ++i) {
            ASSERT_TRUE(append(log, std::string(20'000, 'r'))) << round << " " << i;
            bench.settle(log);
        }
    }
    uint64_t journals = 0;
    for (const std::string& path : bench.bench.disk().files()) {
        if (path.find(".ottla-journal-") == std::string::npos) continue;
        journals += bench.bench.disk().contents(path)->size();
    }
    EXPECT_LE(journals, kReserve / 2);
    EXPECT_GT(free_bytes(), kReserve / 2);
}

TEST_F(DiskFull, AReplayThatMeetsAFullDiskSaysSoAndTheNextOneDoesIt) {
    bench.settings.flush_delay = std::chrono::seconds(100);
    start(kMost);
    Log& log = bench.create("t");
    bench.run_for(std::chrono::seconds(1));
    for (int i = 0; i < 12; ++i)
        EXPECT_TRUE(append(log, fmt::format("{} {}", i, std::string(9000, 'p'))));
    bench.settle(log);
    int refused = 0;
    for (uint64_t left = 0; left < 60; ++left) {
        bench.kill();
        somebody_takes_all_but(left * 4096);
        const Status booted = bench.bench.run(bench.boot());
        if (booted) break;
        EXPECT_EQ(booted.error().code, ErrorCode::no_space) << booted.error().detail;
        ++refused;
    }
    EXPECT_GT(refused, 4);
    bench.kill();
    give_back();
    bench.start();
    expect_everything();
}

}  // namespace
}  // namespace ottla::storage::test
