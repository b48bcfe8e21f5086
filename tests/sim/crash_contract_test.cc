// SPDX-License-Identifier: Apache-2.0
// The crash contract of include/ottla/file.h, clause by clause, as the simulated disk implements
// it.
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "tests/sim/machine.h"

namespace ottla::sim {
namespace {

constexpr Survival kNothing{.kind = Survival::Kind::nothing, .per_million = 0};
constexpr Survival kEverything{.kind = Survival::Kind::everything, .per_million = 1'000'000};
constexpr Survival kHalf{.kind = Survival::Kind::some, .per_million = 500'000};
constexpr OpenOptions kNew{.write = true, .create = true};

Chain bytes_of(std::string text) { return Chain(Buffer::copy_of(text)); }

using FilePtr = std::unique_ptr<File>;

Task<Result<FilePtr>> make_file(FileSystem& files, std::string path, std::string text, bool sync) {
    CO_TRY(FilePtr file, co_await files.open(path, kNew));
    CO_TRY(size_t wrote, co_await file->write(0, bytes_of(text)));
    EXPECT_EQ(wrote, text.size());
    if (sync) CO_TRY_STATUS(co_await file->sync());
    co_return std::move(file);
}

/// A file with durable content and name.
FilePtr durable_file(Bench& bench, const std::string& path, const std::string& text) {
    auto file = bench.run(make_file(bench.files(), path, text, true));
    EXPECT_TRUE(bench.run(bench.files().sync_directory("/data")).has_value());
    return *std::move(file);
}

Task<Status> write_at(File& file, uint64_t position, std::string text) {
    CO_TRY(size_t wrote, co_await file.write(position, bytes_of(text)));
    EXPECT_EQ(wrote, text.size());
    co_return Status{};
}

Task<Result<size_t>> write_staged(File& file, uint64_t position, size_t bytes) {
    co_return co_await file.write_staged(position, bytes_of(std::string(bytes, 'b')));
}

/// Starts an operation that no coroutine waits for.
template <class Operation>
void start_alone(Operation& op) {
    op.on_done([](Op&) {}, nullptr);
    op.start();
}

void finish(Bench& bench, FileOp& op) {
    while (op.phase() != Op::Phase::done) ASSERT_TRUE(bench.world.step());
}

Task<Status> sync_file(File& file) {
    CO_TRY_STATUS(co_await file.sync());
    co_return Status{};
}

Task<Status> check_file(File& file) {
    CO_TRY_STATUS(co_await file.check());
    co_return Status{};
}

TEST(CrashContract, CompletedOperationsSurviveProcessDeath) {
    Bench bench(1);
    auto file = bench.run(make_file(bench.files(), "/data/f", "unsynced", false));
    file->reset();
    bench.kill();
    EXPECT_EQ(bench.disk().contents("/data/f"), "unsynced");
}

TEST(CrashContract, AWriteInFlightAtProcessDeathHappensWhollyInPartOrNot) {
    std::set<std::string> outcomes;
    for (uint64_t seed = 0; seed < 100; ++seed) {
        Bench bench(seed);
        FilePtr file = durable_file(bench, "/data/f", std::string(1024, 'a'));
        FileOp op = file->write(0, bytes_of(std::string(1024, 'b')));
        start_alone(op);
        bench.process.kill();
        const std::string left = *bench.disk().contents("/data/f");
        ASSERT_EQ(left.size(), 1024U);
        ASSERT_EQ(left.find_first_not_of("ab"), std::string::npos);
        outcomes.insert(left);
    }
    EXPECT_TRUE(outcomes.contains(std::string(1024, 'a')));
    EXPECT_TRUE(outcomes.contains(std::string(1024, 'b')));
    EXPECT_TRUE(outcomes.contains(std::string(512, 'a') + std::string(512, 'b')));
    EXPECT_GT(outcomes.size(), 4U);
}

TEST(CrashContract, SyncedDataAndSizeSurviveAPowerCut) {
    for (uint64_t seed = 0; seed < 20; ++seed) {
        Bench bench(seed);
        const std::string text(5000, 'x');
        durable_file(bench, "/data/f", text).reset();
        bench.power_cut();
        ASSERT_EQ(bench.disk().contents("/data/f"), text);
    }
}

TEST(CrashContract, AnySubsetOfUnsyncedSectorsSurvivesEachWholeOrNotAtAll) {
    std::set<std::string> outcomes;
    for (uint64_t seed = 0; seed < 200; ++seed) {
        Bench bench(seed);
        FilePtr file = durable_file(bench, "/data/f", std::string(2048, 'a'));
        ASSERT_TRUE(bench.run(write_at(*file, 0, std::string(2048, 'b'))).has_value());
        file.reset();
        bench.power_cut(kHalf);
        const std::string left = *bench.disk().contents("/data/f");
        ASSERT_EQ(left.size(), 2048U);
        std::string pattern;
        for (size_t sector = 0; sector < 4; ++sector) {
            const std::string part = left.substr(sector * 512, 512);
            ASSERT_EQ(part, std::string(512, part[0]));
            pattern += part[0];
        }
        outcomes.insert(pattern);
    }
    EXPECT_EQ(outcomes.size(), 16U);
}

TEST(CrashContract, ASizeIsIndependentOfItsData) {
    std::set<uint64_t> sizes;
    bool zeros_inside = false;
    for (uint64_t seed = 0; seed < 200; ++seed) {
        Bench bench(seed);
        FilePtr file = durable_file(bench, "/data/f", std::string(512, 'a'));
        ASSERT_TRUE(bench.run(write_at(*file, 512, std::string(1024, 'b'))).has_value());
        file.reset();
        bench.power_cut(kHalf);
        const std::string left = *bench.disk().contents("/data/f");
        ASSERT_GE(left.size(), 512U);
        ASSERT_LE(left.size(), 1536U);
        sizes.insert(left.size());
        zeros_inside = zeros_inside || left.find('\0') != std::string::npos;
    }
    EXPECT_TRUE(sizes.contains(512) && sizes.contains(1536));
    EXPECT_GT(sizes.size(), 10U);
    EXPECT_TRUE(zeros_inside);
}

TEST(CrashContract, AnUnsyncedTruncationMayComeBack) {
    std::set<uint64_t> sizes;
    for (uint64_t seed = 0; seed < 50; ++seed) {
        Bench bench(seed);
        FilePtr file = durable_file(bench, "/data/f", std::string(2048, 'a'));
        FileOp cut = file->truncate(100);
        start_alone(cut);
        finish(bench, cut);
        EXPECT_EQ(bench.disk().contents("/data/f")->size(), 100U);
        file.reset();
        bench.power_cut();
        sizes.insert(bench.disk().contents("/data/f")->size());
    }
    EXPECT_TRUE(sizes.contains(100) && sizes.contains(2048));
}

TEST(CrashContract, ANewFileNeedsItsDirectorysSyncToo) {
    Bench bench(1);
    auto file = bench.run(make_file(bench.files(), "/data/f", "synced", true));
    file->reset();
    bench.power_cut(kNothing);
    EXPECT_FALSE(bench.disk().exists("/data/f"));
}

TEST(CrashContract, ADurableNameWithoutASyncedFileMayBeEmpty) {
    Bench bench(1);
    auto file = bench.run(make_file(bench.files(), "/data/f", "unsynced", false));
    file->reset();
    ASSERT_TRUE(bench.run(bench.files().sync_directory("/data")).has_value());
    bench.power_cut(kNothing);
    EXPECT_EQ(bench.disk().contents("/data/f"), "");
}

TEST(CrashContract, ARenameIsAtomicButNotDurableBeforeItsDirectorysSync) {
    std::set<std::string> outcomes;
    for (uint64_t seed = 0; seed < 50; ++seed) {
        Bench bench(seed);
        durable_file(bench, "/data/old", "1").reset();
        ASSERT_TRUE(bench.run(bench.files().rename("/data/old", "/data/new")).has_value());
        bench.power_cut(kHalf);
        const bool old_there = bench.disk().exists("/data/old");
        ASSERT_NE(old_there, bench.disk().exists("/data/new"));
        outcomes.insert(old_there ? "old" : "new");
    }
    EXPECT_EQ(outcomes.size(), 2U);
}

TEST(CrashContract, AnySubsetOfUnsyncedNamesSurvives) {
    std::set<std::string> outcomes;
    for (uint64_t seed = 0; seed < 100; ++seed) {
        Bench bench(seed);
        durable_file(bench, "/data/a", "1").reset();
        ASSERT_TRUE(bench.run(bench.files().unlink("/data/a")).has_value());
        bench.run(make_file(bench.files(), "/data/b", "2", true))->reset();
        bench.power_cut(kHalf);
        outcomes.insert(std::string(bench.disk().exists("/data/a") ? "a" : "-") +
                        (bench.disk().exists("/data/b") ? "b" : "-"));
    }
    EXPECT_EQ(outcomes.size(), 4U);
}

TEST(CrashContract, AWriteBesideASyncIsNotCoveredByIt) {
    Bench bench(1);
    FilePtr file = durable_file(bench, "/data/f", "aaaa");
    FileOp write = file->write(0, bytes_of("bbbb"));
    FileOp sync = file->sync();
    start_alone(sync);
    start_alone(write);
    finish(bench, sync);
    finish(bench, write);
    ASSERT_FALSE(sync.failed());
    file.reset();
    bench.power_cut(kNothing);
    EXPECT_EQ(bench.disk().contents("/data/f"), "aaaa");
}

TEST(CrashContract, SyncAllCoversEveryFileAndDirectory) {
    Bench bench(1);
    bench.run(make_file(bench.files(), "/data/a", "1", false))->reset();
    ASSERT_TRUE(bench.run(bench.files().make_directory("/data/d")).has_value());
    bench.run(make_file(bench.files(), "/data/d/b", "2", false))->reset();
    ASSERT_TRUE(bench.run(bench.files().sync_all("/data")).has_value());
    bench.power_cut(kNothing);
    EXPECT_EQ(bench.disk().contents("/data/a"), "1");
    EXPECT_EQ(bench.disk().contents("/data/d/b"), "2");
}

TEST(CrashContract, SyncAllSaysNothingOfAFileThatItLostOnlyItsOwnNextSyncDoes) {
    Bench bench(3);
    FilePtr file = durable_file(bench, "/data/f", std::string(4096, 'a'));
    ASSERT_TRUE(bench.run(write_at(*file, 0, std::string(4096, 'b'))).has_value());
    bench.disk().faults.write_back_error = 1'000'000;
    EXPECT_TRUE(bench.run(bench.files().sync_all("/data")).has_value());
    bench.disk().faults.write_back_error = 0;
    EXPECT_EQ(bench.run(sync_file(*file)).error().code, ErrorCode::io_error);
    EXPECT_TRUE(bench.run(sync_file(*file)).has_value()) << "told once";
    file.reset();
    bench.power_cut(kEverything);
    EXPECT_NE(bench.disk().contents("/data/f"), std::string(4096, 'b'));
}

TEST(CrashContract, ACheckTellsOnceOfAFileThatASweepLost) {
    for (const bool by_name : {false, true}) {
        Bench bench(3);
        FilePtr file = durable_file(bench, "/data/f", std::string(4096, 'a'));
        ASSERT_TRUE(bench.run(write_at(*file, 0, std::string(4096, 'b'))).has_value());
        if (by_name) file.reset();
        bench.disk().faults.write_back_error = 1'000'000;
        EXPECT_TRUE(bench.run(bench.files().sync_all("/data")).has_value());
        bench.disk().faults.write_back_error = 0;
        const auto ask = [&] {
            return bench.run(by_name ? bench.files().check("/data/f") : check_file(*file));
        };
        const Status told = ask();
        ASSERT_FALSE(told);
        EXPECT_EQ(told.error().code, ErrorCode::io_error);
        EXPECT_TRUE(ask()) << "told once";
        file.reset();
        bench.power_cut(kEverything);
        EXPECT_NE(bench.disk().contents("/data/f"), std::string(4096, 'b'));
    }
}

TEST(CrashContract, ACheckMakesNothingDurable) {
    Bench bench(1);
    FilePtr file = durable_file(bench, "/data/f", "aaaa");
    ASSERT_TRUE(bench.run(write_at(*file, 0, "bbbb")).has_value());
    EXPECT_TRUE(bench.run(check_file(*file)).has_value());
    file.reset();
    bench.power_cut(kNothing);
    EXPECT_EQ(bench.disk().contents("/data/f"), "aaaa");
}

TEST(CrashContract, APutThatACrashEndsLeavesAnyPartOfIt) {
    std::set<std::string> outcomes;
    for (uint64_t seed = 0; seed < 200; ++seed) {
        Bench bench(seed);
        durable_file(bench, "/data/f", "old").reset();
        FileSystemOp put(bench.files(), FileSystemOp::Kind::put, "/data/f");
        put.content = Buffer::copy_of("newest");
        start_alone(put);
        for (uint64_t i = 0; i < seed % 3; ++i) bench.world.step();
        bench.power_cut(kHalf);
        outcomes.insert(bench.disk().contents("/data/f").value_or("gone"));
    }
    EXPECT_TRUE(outcomes.contains("old"));
    EXPECT_TRUE(outcomes.contains("newest"));
    EXPECT_TRUE(outcomes.contains(""));
}

TEST(CrashContract, AFailedSyncOfADirectoryMakesNoNameDurable) {
    Bench bench(1);
    bench.run(make_file(bench.files(), "/data/a", "1", true))->reset();
    bench.disk().faults.sync_error = 1'000'000;
    EXPECT_FALSE(bench.run(bench.files().sync_directory("/data")).has_value());
    bench.power_cut(kNothing);
    EXPECT_FALSE(bench.disk().exists("/data/a"));
}

TEST(CrashContract, AfterAFailedSyncTheNextSucceedsButTheDataIsLost) {
    bool lost = false;
    for (uint64_t seed = 0; seed < 10; ++seed) {
        Bench bench(seed);
        FilePtr file = durable_file(bench, "/data/f", std::string(512, 'a'));
        ASSERT_TRUE(bench.run(write_at(*file, 0, std::string(512, 'b'))).has_value());
        bench.disk().plan({.of_file = true, .file_kind = FileOp::Kind::sync, .path = "/data/f"});
        EXPECT_EQ(bench.run(sync_file(*file)).error().code, ErrorCode::io_error);
        EXPECT_TRUE(bench.run(sync_file(*file)).has_value());
        EXPECT_EQ(bench.disk().contents("/data/f"), std::string(512, 'b')) << "still shown";
        file.reset();
        bench.power_cut(kEverything);
        lost = lost || bench.disk().contents("/data/f") == std::string(512, 'a');
    }
    EXPECT_TRUE(lost);
}

TEST(CrashContract, RewritingWhatAFailedSyncLostMakesItDurableAgain) {
    for (uint64_t seed = 0; seed < 10; ++seed) {
        Bench bench(seed);
        FilePtr file = durable_file(bench, "/data/f", std::string(512, 'a'));
        ASSERT_TRUE(bench.run(write_at(*file, 0, std::string(512, 'b'))).has_value());
        bench.disk().plan({.of_file = true, .file_kind = FileOp::Kind::sync, .path = "/data/f"});
        EXPECT_FALSE(bench.run(sync_file(*file)).has_value());
        ASSERT_TRUE(bench.run(write_at(*file, 0, std::string(512, 'c'))).has_value());
        EXPECT_TRUE(bench.run(sync_file(*file)).has_value());
        file.reset();
        bench.power_cut();
        ASSERT_EQ(bench.disk().contents("/data/f"), std::string(512, 'c'));
    }
}

TEST(CrashContract, AFullDiskFailsWritesOutsideAllocatedSpaceOnly) {
    Bench bench(1);
    bench.disk().set_capacity(4 * 4096);
    FilePtr file = durable_file(bench, "/data/f", "x");
    FileOp reserve = file->allocate(0, 4 * 4096);
    start_alone(reserve);
    finish(bench, reserve);
    ASSERT_FALSE(reserve.failed());
    EXPECT_TRUE(bench.run(write_at(*file, 4096, std::string(8192, 'y'))).has_value());
    EXPECT_EQ(bench.run(write_at(*file, uint64_t{4} * 4096, "z")).error().code,
              ErrorCode::no_space);
    EXPECT_EQ(bench.disk().free_space(), 0U);
    file.reset();
    ASSERT_TRUE(bench.run(bench.files().unlink("/data/f")).has_value());
    EXPECT_EQ(bench.disk().free_space(), 4U * 4096U);
}

TEST(CrashContract, MisalignedDirectOperationsAreRefused) {
    Bench bench(1);
    auto file =
        bench.run(bench.files().open("/data/f", {.write = true, .create = true, .direct = true}));
    ASSERT_TRUE(file.has_value());
    EXPECT_TRUE((*file)->is_direct());
    EXPECT_EQ(bench.run(write_at(**file, 0, "short")).error().code, ErrorCode::invalid_argument);
    const auto staged = [&](uint64_t position, size_t bytes) {
        const auto done = bench.run(write_staged(**file, position, bytes));
        return done ? ErrorCode::none : done.error().code;
    };
    EXPECT_EQ(staged(0, 4095), ErrorCode::invalid_argument);
    EXPECT_EQ(staged(512, 4096), ErrorCode::invalid_argument);
    EXPECT_EQ(staged(4096, 4096), ErrorCode::none) << "from anywhere in memory";
}

TEST(CrashContract, WhatIsWrittenDirectIsLostLikeAnythingElseUnlessItIsSynced) {
    for (const bool synced : {false, true}) {
        Bench bench(1);
        durable_file(bench, "/data/f", std::string(8192, 'a')).reset();
        auto file = bench.run(bench.files().open("/data/f", {.write = true, .direct = true}));
        ASSERT_TRUE(file.has_value());
        const auto wrote = bench.run(write_staged(**file, 4096, 8192));
        EXPECT_EQ(wrote.value_or(0), 8192U);
        if (synced) EXPECT_TRUE(bench.run(sync_file(**file)).has_value());
        file->reset();
        bench.machine.power_cut(kNothing);
        const std::string left = *bench.disk().contents("/data/f");
        const std::string lost(8192, 'a');
        EXPECT_EQ(left, synced ? lost.substr(0, 4096) + std::string(8192, 'b') : lost);
    }
}

TEST(CrashContract, LocksEndWithTheirProcess) {
    Bench bench(1);
    Process& other = bench.machine.add_process("other", 1);
    other.start();
    auto held = bench.run(bench.files().lock("/data/.lock"));
    ASSERT_TRUE(held.has_value());
    auto refused = run(bench.world, other.runtime(0), other.ports(0).files.lock("/data/.lock"));
    EXPECT_EQ(refused.error().code, ErrorCode::locked);
    bench.process.kill();
    auto taken = run(bench.world, other.runtime(0), other.ports(0).files.lock("/data/.lock"));
    EXPECT_TRUE(taken.has_value());
}

TEST(CrashContract, AFlippedBitIsReadAsIfNothingHadHappened) {
    Bench bench(1);
    durable_file(bench, "/data/f", "abc").reset();
    ASSERT_TRUE(bench.disk().flip_bit("/data/f", 1, 0));
    EXPECT_EQ(bench.disk().contents("/data/f"), "acc");
}

}  // namespace
}  // namespace ottla::sim
