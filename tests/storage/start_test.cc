// SPDX-License-Identifier: Apache-2.0
// What a start after an unclean stop reads, and in which order it serves, syncs and lets go: records are read
// before what was replayed is synced, and whatever happens until then the journals of the last life say it again.
// covers storage/log_directory, storage/recovery, storage/journal_replay, storage/shard_directory
#include <gtest/gtest.h>

#include "tests/storage/store_bench.h"

namespace ottla::storage::test {
namespace {

using Values = std::vector<std::string>;
using namespace std::chrono_literals;

const sim::Survival kNothing{sim::Survival::Kind::nothing, 0};
constexpr size_t kMebibyte = 1024UZ * 1024;

Values append_some(StoreBench& bench, int count, size_t bytes) {
    Log& log = bench.create("t");
    Values wanted;
    for (int i = 0; i < count; ++i) {
        wanted.push_back(fmt::format("{} {}", i, std::string(bytes, 'v')));
        EXPECT_TRUE(bench.append(log, wanted.back()));
        bench.settle(log);
    }
    return wanted;
}

bool is_journal(const std::string& path) {
    return path.find("/.ottla-journal-") != std::string::npos;
}

uint64_t bytes_of_journals(StoreBench& bench) {
    uint64_t bytes = 0;
    for (const std::string& path : bench.bench.disk().files()) {
        if (is_journal(path)) bytes += bench.bench.disk().contents(path)->size();
    }
    return bytes;
}

uint64_t bytes_read_of_journals(StoreBench& bench) {
    uint64_t bytes = 0;
    for (const auto& [path, read] : bench.bench.disk().read_bytes) {
        if (is_journal(path)) bytes += read;
    }
    return bytes;
}

/// Files of several windows, whose ends lie in groups.
StorageSettings large_journals() {
    StorageSettings settings = StoreBench::small_settings();
    settings.journal_file_bytes = 9 * kMebibyte;
    settings.journal_limit_bytes = 64 * kMebibyte;
    settings.checkpoint_interval = 10min;
    return settings;
}

void boot_to_read(StoreBench& bench) {
    const Status booted = bench.bench.run(bench.boot_to_read());
    ASSERT_TRUE(booted) << booted.error().detail;
}

TEST(Start, TheJournalIsReadOnce) {
    StorageSettings settings = large_journals();
    settings.replay_bytes = 64 * kMebibyte;
    StoreBench bench(1, settings);
    bench.start();
    const Values wanted = append_some(bench, 400, 50'000);
    bench.kill();
    const uint64_t size = bytes_of_journals(bench);
    ASSERT_GT(size, 18 * kMebibyte);
    bench.bench.disk().read_bytes.clear();
    bench.start();
    EXPECT_LE(bytes_read_of_journals(bench), size + size / 10);
    EXPECT_EQ(bench.values(*bench.find("t")), wanted);
}

TEST(Start, OfAJournalThatDoesNotFitIntoMemoryTheRestIsReadAgain) {
    StoreBench bench(1, large_journals());
    bench.start();
    const Values wanted = append_some(bench, 400, 50'000);
    bench.kill();
    const uint64_t size = bytes_of_journals(bench);
    bench.bench.disk().read_bytes.clear();
    bench.start();
    EXPECT_GT(bytes_read_of_journals(bench), size + size / 10);
    EXPECT_EQ(bench.values(*bench.find("t")), wanted);
}

TEST(Start, TheDirectoryIsListedBeforeAndBehindTheReplayAndNotInBetween) {
    StoreBench bench;
    bench.start();
    append_some(bench, 3, 10);
    bench.kill();
    auto& listings = bench.bench.disk().listings;
    listings.clear();
    boot_to_read(bench);
    EXPECT_EQ(listings[kDirectory], 3U) << "to open it, and twice to replay";
}

TEST(Start, RecordsAreReadBeforeWhatWasReplayedIsSyncedAndStayInTheJournals) {
    StoreBench bench;
    bench.start();
    const Values wanted = append_some(bench, 5, 100);
    bench.power_cut(kNothing);
    for (int life = 0; life < 3; ++life) {
        boot_to_read(bench);
        EXPECT_EQ(bench.values(*bench.find("t")), wanted) << life;
        EXPECT_GT(bytes_of_journals(bench), 0U) << life;
        bench.power_cut(kNothing);
    }
    bench.start();
    bench.power_cut(kNothing);
    bench.start();
    EXPECT_EQ(bench.values(*bench.find("t")), wanted);
}

TEST(Start, WhatIsWrittenBeforeItIsSettledIsAcknowledgedBehindThat) {
    StoreBench bench;
    bench.start();
    Values wanted = append_some(bench, 2, 100);
    bench.kill();
    boot_to_read(bench);
    Log& log = *bench.find("t");
    ASSERT_TRUE(bench.append(log, "new"));
    bench.run_for(20s);  // Several checkpoints would have been made.
    EXPECT_EQ(log.durable_end(), Offset{2});
    EXPECT_FALSE(bench.bench.disk().contents(kDirectory + "/.ottla-catalogue-0"));
    ASSERT_TRUE(bench.bench.run(bench.finish_boot()));
    bench.settle(log);
    EXPECT_EQ(log.durable_end(), Offset{3});
    bench.power_cut(kNothing);
    bench.start();
    wanted.emplace_back("new");
    EXPECT_EQ(bench.values(*bench.find("t")), wanted);
}

TEST(Start, ASweepThatFailsTakesTheDirectoryOfflineAndLosesNothing) {
    StoreBench bench;
    bench.start();
    const Values wanted = append_some(bench, 5, 100);
    bench.power_cut(kNothing);
    boot_to_read(bench);
    bench.bench.disk().plan({.of_file = false,
                             .file_kind = FileOp::Kind::read,
                             .name_kind = FileSystemOp::Kind::sync_all,
                             .path = kDirectory,
                             .error = ErrorCode::no_space});
    const Status settled = bench.bench.run(bench.finish_boot());
    ASSERT_FALSE(settled);
    EXPECT_EQ(settled.error().code, ErrorCode::io_error) << "it must not be tried again";
    EXPECT_EQ(bench.values(*bench.find("t")), wanted);
    bench.power_cut(kNothing);
    bench.start();
    EXPECT_EQ(bench.values(*bench.find("t")), wanted);
}

TEST(Start, OnAFullDiskRecordsAreReadAndWritingBeginsOnceThereIsSpace) {
    StoreBench bench;
    bench.start();
    Values wanted = append_some(bench, 5, 100);
    bench.kill();
    boot_to_read(bench);
    sim::SimDisk& disk = bench.bench.disk();
    const uint64_t capacity = disk.capacity();
    disk.set_capacity(capacity - disk.free_space());
    const Status full = bench.bench.run(bench.finish_boot());
    ASSERT_FALSE(full);
    ASSERT_EQ(full.error().code, ErrorCode::no_space);
    EXPECT_EQ(bench.values(*bench.find("t")), wanted);
    disk.set_capacity(capacity);
    ASSERT_TRUE(bench.bench.run(bench.finish_boot()));
    Log& log = *bench.find("t");
    ASSERT_TRUE(bench.append(log, "new"));
    bench.settle(log);
    bench.power_cut(kNothing);
    bench.start();
    wanted.emplace_back("new");
    EXPECT_EQ(bench.values(*bench.find("t")), wanted);
}

TEST(Start, AJournalThatFindsNoSpaceForItsFirstFileBeginsLater) {
    StoreBench bench;
    bench.start();
    append_some(bench, 1, 100);
    bench.kill();
    boot_to_read(bench);
    bench.bench.disk().plan({.of_file = true,
                             .file_kind = FileOp::Kind::allocate,
                             .name_kind = FileSystemOp::Kind::open,
                             .path = ".ottla-journal-0",
                             .error = ErrorCode::no_space});
    ASSERT_TRUE(bench.bench.run(bench.finish_boot()));
    EXPECT_EQ(bench.disk_full, 1);
    Log& log = *bench.find("t");
    EXPECT_FALSE(bench.append(log, "refused"));
    bench.run_for(2s);
    ASSERT_TRUE(bench.append(log, "new"));
    bench.settle(log);
    EXPECT_EQ(log.durable_end(), Offset{2});
}

}  // namespace
}  // namespace ottla::storage::test
