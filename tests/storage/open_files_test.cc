// SPDX-License-Identifier: Apache-2.0
// Descriptors: the bound of open segment files, what is never closed, and logs that have far more files.
#include "storage/open_files.h"

#include <gtest/gtest.h>

#include "storage/log_parts.h"
#include "storage/shard_directory.h"
#include "tests/storage/store_bench.h"

namespace ottla::storage::test {
namespace {

using Values = std::vector<std::string>;

struct FilesBench {
    FilesBench() { bench.disk().prepare_directory("/data"); }
    std::shared_ptr<File> open() {
        OpenOptions options;
        options.write = true;
        options.create = true;
        auto file = bench.run(bench.files().open(fmt::format("/data/{}", ++opened), options));
        CHECK(file.has_value(), "a file is made");
        return *std::move(file);
    }
    sim::Bench bench{3};
    int opened = 0;
};

TEST(OpenFiles, TheOneThatWasIdleLongestIsClosed) {
    FilesBench bench;
    OpenFiles among(2);
    KeptFile a(&among);
    KeptFile b(&among);
    KeptFile c(&among);
    a.keep(bench.open());
    b.keep(bench.open());
    EXPECT_NE(a.use(), nullptr);
    c.keep(bench.open());
    EXPECT_TRUE(a.is_open());
    EXPECT_FALSE(b.is_open());
    EXPECT_EQ(b.use(), nullptr);
    EXPECT_TRUE(c.is_open());
    EXPECT_EQ(among.count(), 2U);
}

TEST(OpenFiles, ADirtyFileStaysOpenUntilItsSync) {
    FilesBench bench;
    OpenFiles among(2);
    KeptFile a(&among);
    KeptFile b(&among);
    KeptFile c(&among);
    a.note_dirty();  // Made by its opening.
    a.keep(bench.open());
    b.keep(bench.open());
    b.note_dirty();
    EXPECT_TRUE(among.is_full());
    c.keep(bench.open());
    EXPECT_TRUE(a.is_open() && b.is_open() && c.is_open());
    EXPECT_EQ(among.dirty(), 2U);
    a.note_synced();
    EXPECT_FALSE(c.is_open()) << "the oldest idle one, now that two are enough";
    EXPECT_TRUE(a.is_open());
    EXPECT_FALSE(among.is_full());
    EXPECT_TRUE(among.is_crowded());
    b.release();
    EXPECT_EQ(among.count(), 1U);
    EXPECT_EQ(among.dirty(), 0U);
}

TEST(OpenFiles, WhatIsWrittenDuringASweepStaysDirtyAfterIt) {
    FilesBench bench;
    OpenFiles among(2);
    KeptFile quiet(&among);
    KeptFile busy(&among);
    KeptFile late(&among);
    for (KeptFile* file : {&quiet, &busy, &late}) file->keep(bench.open());
    quiet.note_dirty();
    busy.note_dirty();
    for (KeptFile* file : {&quiet, &busy, &late}) file->begin_sweep();
    busy.note_dirty();
    late.note_dirty();
    EXPECT_TRUE(quiet.is_swept() && busy.is_swept());
    EXPECT_FALSE(late.is_swept()) << "the sweep does not cover it";
    quiet.note_swept();
    busy.note_swept();
    EXPECT_FALSE(quiet.is_dirty());
    EXPECT_TRUE(busy.is_dirty() && late.is_dirty());
    EXPECT_FALSE(quiet.is_swept() || busy.is_swept()) << "it was checked";
}

TEST(OpenFiles, AFileInUseAndAPinnedOneStayOpen) {
    FilesBench bench;
    OpenFiles among(2);
    KeptFile used(&among);
    KeptFile pinned(&among);
    KeptFile third(&among);
    KeptFile fourth(&among);
    used.keep(bench.open());
    const std::shared_ptr<File> operation = used.use();
    pinned.keep(bench.open());
    pinned.pin();
    third.keep(bench.open());
    fourth.keep(bench.open());
    EXPECT_TRUE(used.is_open());
    EXPECT_TRUE(pinned.is_open());
    EXPECT_FALSE(third.is_open());
    EXPECT_TRUE(fourth.is_open());
    pinned.release();
    EXPECT_EQ(among.count(), 2U);
}

class ManyBench : public StoreBench {
public:
    static constexpr int kLogs = 60;

    ManyBench() : StoreBench(7) {
        settings.open_files = 6;
        settings.sync_all_above = 1000;
        // Nothing but the want of descriptors asks for a checkpoint.
        settings.checkpoint_interval = std::chrono::hours(1);
    }
    void create_all() {
        for (int i = 0; i < kLogs; ++i) logs.push_back(&create("many", i));
    }
    void write_to_all(std::string_view value) {
        for (int i = 0; i < kLogs; ++i) {
            CHECK(append(*logs[static_cast<size_t>(i)], fmt::format("{} {}", value, i)).has_value(),
                  "a record is taken");
        }
    }
    OpenFiles& open_files() { return logs.front()->parts().home.open_files(); }
    /// The most that were open at once while time passes.
    size_t most_open(Duration span) {
        size_t most = 0;
        const Duration end = bench.world.now() + span;
        while (bench.world.now() < end && bench.world.step()) {
            most = std::max(most, open_files().count());
        }
        return most;
    }
    size_t unflushed() const {
        return static_cast<size_t>(std::ranges::count_if(
            logs, [](Log* log) { return log->flushed_end() < log->log_end(); }));
    }
    /// Out of memory: what follows is read from files.
    void forget_tails() {
        ASSERT_TRUE(bench.run(store->checkpoint()));
        logs.front()->parts().home.journal().trim();
        for (Log* log : logs) ASSERT_TRUE(log->parts().tail.empty());
    }
    std::vector<Log*> logs;
};

TEST(OpenFiles, LogsWithFarMoreFilesThanDescriptorsAreFlushedSyncedAndRead) {
    ManyBench bench;
    bench.start();
    bench.create_all();
    EXPECT_EQ(bench.open_files().count(), 0U) << "an idle log has no file";
    bench.write_to_all("one");
    const size_t while_flushing = bench.most_open(std::chrono::seconds(5));
    EXPECT_GE(while_flushing, 6U);
    EXPECT_LE(while_flushing, 6U + bench.settings.flush_lanes);
    EXPECT_EQ(bench.unflushed(), 0U) << "the flusher does not wait for ever";
    bench.forget_tails();
    for (int i = 0; i < ManyBench::kLogs; ++i) {
        Log& log = *bench.logs[static_cast<size_t>(i)];
        EXPECT_EQ(bench.values(log), Values{fmt::format("one {}", i)});
        EXPECT_LE(bench.open_files().count(), 6U);
    }
    bench.write_to_all("two");
    bench.clean_stop();
    bench.start();
    for (int i = 0; i < ManyBench::kLogs; ++i) {
        const Values wanted{fmt::format("one {}", i), fmt::format("two {}", i)};
        EXPECT_EQ(bench.values(*bench.find("many", i)), wanted);
    }
}

TEST(OpenFiles, APowerCutInTheMiddleOfDirtyPressureLosesNothingDurable) {
    for (uint64_t cut = 1; cut <= 20; ++cut) {
        ManyBench bench;
        bench.start();
        bench.create_all();
        bench.write_to_all("one");
        for (Log* log : bench.logs) bench.settle(*log);
        bench.run_for(std::chrono::milliseconds(2 * cut));
        bench.logs.clear();
        bench.power_cut();
        bench.start();
        for (int i = 0; i < ManyBench::kLogs; ++i) {
            ASSERT_EQ(bench.values(*bench.find("many", i)), Values{fmt::format("one {}", i)})
                << "cut " << cut;
        }
    }
}

TEST(OpenFiles, AReaderGoesOnWhenItsFileIsClosedUnderIt) {
    ManyBench bench;
    bench.start();
    bench.create_all();
    bench.write_to_all("one");
    bench.run_for(std::chrono::seconds(5));
    bench.forget_tails();
    // Every read is a trip to the disk, and meanwhile others open their files.
    bench.bench.disk().faults.cache_miss = 1'000'000;
    bench.bench.disk().faults.slow_operation = 300'000;
    std::vector<Task<Values>> readers;
    for (Log* log : bench.logs) readers.push_back(bench.read_values(*log, Offset{0}));
    auto all = when_all(bench.ports().runtime, std::move(readers));
    const std::vector<Values> read = bench.bench.run(std::move(all));
    for (int i = 0; i < ManyBench::kLogs; ++i) {
        EXPECT_EQ(read[static_cast<size_t>(i)], Values{fmt::format("one {}", i)});
    }
    // One more opening closes what they left.
    static_cast<void>(bench.values(*bench.logs.front()));
    static_cast<void>(bench.values(*bench.logs.back()));
    EXPECT_LE(bench.open_files().count(), 6U);
}

}  // namespace
}  // namespace ottla::storage::test
