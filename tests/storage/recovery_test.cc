// SPDX-License-Identifier: Apache-2.0
// Stories that the simulator's storage scenario told first: what a start makes of what an unlucky
// end left. Each was a bug once.
#include <gtest/gtest.h>

#include "storage/file_names.h"
#include "tests/storage/store_bench.h"

namespace ottla::storage::test {
namespace {

using Values = std::vector<std::string>;
using namespace std::chrono_literals;

const sim::Survival kNothing{sim::Survival::Kind::nothing, 0};

/// One batch of `records` equal records, of a producer if `sequence` is not negative.
Result<AppendResult> append_batch(StoreBench& bench, Log& log, int records, int32_t sequence) {
    BatchOptions options;
    if (sequence >= 0) {
        options.producer_id = ProducerId{7};
        options.producer_epoch = ProducerEpoch{0};
        options.base_sequence = sequence;
    }
    const Buffer batch = make_batch(bench.codecs, "value", options, WallTime{1000}, records);
    AppendRequest request;
    request.batch = batch.span();
    request.leader_epoch = bench.epoch;
    return log.append(request);
}

void append_and_settle(StoreBench& bench, Log& log, const Values& values) {
    for (const std::string& value : values) ASSERT_TRUE(bench.append(log, value));
    bench.settle(log);
}

void flush(StoreBench& bench, Log& log) {
    for (int i = 0; i < 1000 && log.flushed_end() < log.log_end(); ++i) bench.run_for(1ms);
    ASSERT_EQ(log.flushed_end(), log.log_end());
}

void checkpoint(StoreBench& bench) { ASSERT_TRUE(bench.bench.run(bench.store->checkpoint())); }

void fail_sync_of(StoreBench& bench, std::string path) {
    bench.bench.disk().plan({.of_file = true,
                             .file_kind = FileOp::Kind::sync,
                             .name_kind = FileSystemOp::Kind::open,
                             .path = std::move(path),
                             .error = ErrorCode::io_error});
}

/// Every group in a file of its own, flushed and checkpointed at once: the journal forgets quickly.
StorageSettings hasty_settings() {
    StorageSettings settings = StoreBench::small_settings();
    settings.checkpoint_interval = 1ms;
    settings.flush_delay = 0ms;
    settings.journal_first_file_bytes = 8UZ * 1024;
    settings.journal_file_bytes = 8UZ * 1024;
    settings.flush_piece_bytes = 512;
    return settings;
}

/// What the journal holds is in files, and a group says so.
void forget_older_groups(StoreBench& bench) {
    Log& other = bench.create("other");
    for (int i = 0; i < 4; ++i) {
        checkpoint(bench);
        append_and_settle(bench, other, {"something"});
    }
}

TEST(Recovery, WhatAFailedSyncLeftInThePageCacheIsWrittenAgain) {
    const Values wanted = {std::string(2000, '1'), std::string(2000, '2')};
    for (uint64_t seed = 1; seed <= 20; ++seed) {
        StoreBench bench(seed);
        bench.start();
        Log& log = bench.create("t");
        checkpoint(bench);
        append_and_settle(bench, log, wanted);
        flush(bench, log);
        fail_sync_of(bench, ".log");
        EXPECT_FALSE(bench.bench.run(bench.store->checkpoint()));
        EXPECT_TRUE(log.is_offline());
        // The page cache still shows the bytes, and the next sync says yes without carrying them.
        bench.kill();
        bench.start();
        bench.power_cut(kNothing);
        bench.start();
        ASSERT_EQ(bench.values(*bench.find("t")), wanted) << seed;
    }
}

TEST(Recovery, WhatItAppliedOnceIsInTheJournalWhenThePowerGoesMeanwhile) {
    for (uint64_t events = 1; events < 1000; ++events) {
        StoreBench bench(events);
        bench.start();
        Log& log = bench.create("t");
        append_and_settle(bench, log, {"one", "two"});
        flush(bench, log);
        fail_sync_of(bench, ".ottla-journal-0");
        ASSERT_TRUE(bench.bench.run(log.truncate_to(Offset{1})));
        ASSERT_TRUE(bench.append(log, "another two, and longer"));
        bench.settle(log);
        ASSERT_TRUE(log.is_offline());
        // The group is in the page cache: the first recovery applies it, the second must find it.
        bench.kill();
        const auto done =
            sim::try_run(bench.bench.world, bench.ports().runtime, bench.boot(), events);
        bench.power_cut(kNothing);
        const Status booted = bench.bench.run(bench.boot());
        ASSERT_TRUE(booted) << events << ": " << booted.error().detail;
        const Values found = bench.values(*bench.find("t"));
        EXPECT_TRUE(found == (Values{"one", "two"}) || found == (Values{"one"}) ||
                    found == (Values{"one", "another two, and longer"}))
            << events << ": " << found.size();
        if (done || testing::Test::HasFailure()) break;
    }
}

/// A journal that has been through its files, some of which hold nothing that is needed.
void go_round(StoreBench& bench, Values& wanted) {
    bench.start();
    Log& log = bench.create("t");
    for (int i = 0; i < 24; ++i) {
        wanted.push_back(fmt::format("value {} {}", i, std::string(3000, 'v')));
        append_and_settle(bench, log, {wanted.back()});
        if (i % 9 == 8) flush(bench, log);
        if (i % 9 == 8) checkpoint(bench);
    }
    bench.kill();
}

std::vector<std::string> journal_files(StoreBench& bench) {
    std::vector<std::string> found = bench.bench.disk().files();
    std::erase_if(found, [](const std::string& path) {
        return path.find("/.ottla-journal-") == std::string::npos;
    });
    return found;
}

TEST(Recovery, ABitFlippedAtTheFrontOfAnyJournalFileHidesNothing) {
    StorageSettings settings = hasty_settings();
    settings.checkpoint_interval = 1h;
    int came_back = 0;
    int refused = 0;
    for (size_t which = 0;; ++which) {
        StoreBench bench(1, settings);
        Values wanted;
        go_round(bench, wanted);
        const auto files = journal_files(bench);
        if (which == files.size()) break;
        // In the number of its use.
        ASSERT_TRUE(bench.bench.disk().flip_bit(files[which], 31, 1));
        const Status booted = bench.bench.run(bench.boot());
        booted ? ++came_back : ++refused;
        if (!booted) EXPECT_EQ(booted.error().code, ErrorCode::corrupt) << booted.error().detail;
        if (!booted) continue;
        // The newest group is taken for torn, as ever.
        const Values found = bench.values(*bench.find("t"));
        ASSERT_GE(found.size() + 1, wanted.size()) << files[which];
        wanted.resize(found.size());
        EXPECT_TRUE(found == wanted) << files[which];
    }
    EXPECT_GT(came_back, 0);
    EXPECT_GT(refused, 0);
}

size_t dropped_files(StoreBench& bench) {
    const auto files = bench.bench.disk().files();
    return static_cast<size_t>(std::ranges::count_if(files, [](const std::string& path) {
        return path.find(kDroppedPrefix) != std::string::npos;
    }));
}

TEST(Recovery, JournalFilesThatAStartDroppedAreRemovedByTheNextOne) {
    StoreBench bench(1, hasty_settings());
    Values wanted;
    go_round(bench, wanted);
    static_cast<void>(sim::try_run(bench.bench.world, bench.ports().runtime, bench.boot(), 0));
    for (int i = 0; i < 100'000 && dropped_files(bench) == 0; ++i) bench.bench.world.step();
    ASSERT_GT(dropped_files(bench), 0U);
    bench.kill();
    bench.start();
    EXPECT_EQ(bench.values(*bench.find("t")), wanted);
    bench.run_for(1s);
    EXPECT_EQ(dropped_files(bench), 0U);
}

TEST(Recovery, WhereSpaceIsShortDroppedJournalFilesAreGoneBeforeAnybodyIsServed) {
    StoreBench bench(1, hasty_settings());
    Values wanted;
    go_round(bench, wanted);
    bench.bench.disk().set_capacity(uint64_t{16} << 20U);
    bench.start();
    EXPECT_EQ(dropped_files(bench), 0U);
    EXPECT_EQ(bench.values(*bench.find("t")), wanted);
}

TEST(Recovery, ASegmentBelowTheLogStartNeedNotBeWhole) {
    StoreBench bench;
    bench.start();
    Log& log = bench.create("t");
    append_and_settle(bench, log, {"one", "two"});
    ASSERT_TRUE(log.roll());
    append_and_settle(bench, log, {"three", "four"});
    flush(bench, log);
    ASSERT_TRUE(log.delete_before(Offset{2}));
    checkpoint(bench);
    const std::string gone = log.path() + "/" + offset_file_name(Offset{0}, kLogSuffix);
    ASSERT_FALSE(bench.bench.disk().contents(gone));
    bench.drop();
    // Its name outlived the crash, not all of its bytes.
    bench.bench.disk().put(gone, std::string(100, '\0'));
    bench.bench.process.start();
    bench.start();
    EXPECT_EQ(bench.find("t")->log_start(), Offset{2});
    EXPECT_EQ(bench.values(*bench.find("t")), (Values{"three", "four"}));
}

TEST(Recovery, ASegmentNameThatATruncationRemovedIsRemovedAgain) {
    StoreBench bench;
    bench.start();
    Log& log = bench.create("t");
    append_and_settle(bench, log, {"one", "two"});
    flush(bench, log);
    ASSERT_TRUE(bench.bench.run(log.truncate_to(Offset{1})));
    append_and_settle(bench, log, {"2", "3", "4"});
    ASSERT_TRUE(log.roll());
    append_and_settle(bench, log, {"5"});
    const std::string old = log.path() + "/" + offset_file_name(Offset{2}, kLogSuffix);
    bench.drop();
    // A segment that began at 2 before the truncation: in the middle of the log of today.
    bench.bench.disk().put(old, "");
    bench.bench.process.start();
    bench.start();
    EXPECT_FALSE(bench.bench.disk().contents(old));
    EXPECT_EQ(bench.values(*bench.find("t"), Offset{2}), (Values{"3", "4", "5"}));
}

Task<> delete_log(StoreBench& bench, Log& log) {
    static_cast<void>(co_await bench.store->delete_log(log));
}

TEST(Recovery, TheLogStartOutlivesADeletionThatNeverBecameDurable) {
    uint64_t undone = 0;
    for (uint64_t events = 1; events < 800; ++events) {
        StoreBench bench(events, hasty_settings());
        bench.start();
        Log& log = bench.create("t");
        append_and_settle(bench, log, {"one", "two", "three"});
        ASSERT_TRUE(log.delete_before(Offset{2}));
        forget_older_groups(bench);
        // Anywhere in a checkpoint that has something to do; the journal's sync may be slow.
        for (uint64_t i = 0; i < events % 40; ++i) bench.bench.world.step();
        bench.bench.disk().faults.slow_operation = 200'000;
        bench.bench.disk().faults.slow_by = 5ms;
        bench.ports().runtime.spawn(delete_log(bench, log));
        for (uint64_t i = 0; i < events / 20; ++i) bench.bench.world.step();
        bench.power_cut();
        bench.start();
        if (bench.find("t") == nullptr) continue;
        ++undone;
        ASSERT_EQ(bench.find("t")->log_start(), Offset{2}) << events;
    }
    EXPECT_GT(undone, 0U);
}

TEST(Recovery, ACheckpointBesideARunningLaneForgetsNothing) {
    for (uint64_t events = 1; events < 300; ++events) {
        StoreBench bench(events, hasty_settings());
        bench.config.segment_bytes = 1000;
        bench.start();
        Log& log = bench.create("t");
        Values wanted;
        for (int i = 0; i < 12; ++i) {
            wanted.push_back(fmt::format("value {} {}", i, std::string(300, '.')));
            ASSERT_TRUE(bench.append(log, wanted.back()));
        }
        bench.settle(log);
        for (uint64_t i = 0; i < events; ++i) bench.bench.world.step();
        // The journal's next groups say what the checkpoint let go.
        for (int i = 0; i < 4; ++i) {
            wanted.push_back(fmt::format("later {}", i));
            append_and_settle(bench, log, {wanted.back()});
        }
        bench.power_cut(kNothing);
        bench.start();
        ASSERT_EQ(bench.values(*bench.find("t")), wanted) << events;
    }
}

TEST(Log, ASegmentMadeAgainAtTheSameBaseHasAFileOfItsOwn) {
    StoreBench bench(1, hasty_settings());
    bench.start();
    Log& log = bench.create("t");
    ASSERT_TRUE(bench.append(log, "one"));
    ASSERT_TRUE(log.roll());
    ASSERT_TRUE(bench.bench.run(log.truncate_to(Offset{0})));
    ASSERT_TRUE(bench.append(log, "another one"));
    ASSERT_TRUE(log.roll());
    append_and_settle(bench, log, {"two"});
    for (int i = 0; i < 3; ++i) {
        checkpoint(bench);
        append_and_settle(bench, log, {"more"});
    }
    bench.power_cut();
    bench.start();
    EXPECT_EQ(bench.values(*bench.find("t")),
              (Values{"another one", "two", "more", "more", "more"}));
}

TEST(Log, AProducerWhoseBatchLiesAcrossTheLogStartIsKnownAfterATruncation) {
    StoreBench bench;
    bench.start();
    Log& log = bench.create("t");
    ASSERT_TRUE(append_batch(bench, log, 4, 0));
    ASSERT_TRUE(append_batch(bench, log, 1, -1));
    bench.settle(log);
    ASSERT_TRUE(log.delete_before(Offset{2}));
    ASSERT_TRUE(bench.bench.run(log.truncate_to(Offset{4})));
    const auto wrong = append_batch(bench, log, 1, 9);
    ASSERT_FALSE(wrong);
    EXPECT_EQ(wrong.error().code, ErrorCode::out_of_order_sequence_number);
    EXPECT_TRUE(append_batch(bench, log, 1, 4));
}

TEST(Log, TruncatingABatchThatBeginsBelowTheLogStartLeavesAnEmptyLogThere) {
    StoreBench bench;
    bench.start();
    Log& log = bench.create("t");
    ASSERT_TRUE(append_batch(bench, log, 4, -1));
    bench.settle(log);
    ASSERT_TRUE(log.delete_before(Offset{2}));
    ASSERT_TRUE(bench.bench.run(log.truncate_to(Offset{2})));
    EXPECT_EQ(log.log_end(), Offset{2});
    const auto next = append_batch(bench, log, 1, -1);
    ASSERT_TRUE(next);
    EXPECT_EQ(next->base_offset, Offset{2});
    bench.settle(log);
    EXPECT_EQ(log.durable_end(), Offset{3});
    bench.power_cut();
    bench.start();
    EXPECT_EQ(bench.find("t")->log_start(), Offset{2});
    EXPECT_EQ(bench.find("t")->log_end(), Offset{3});
    EXPECT_EQ(bench.values(*bench.find("t")), (Values{"value"}));
}

TEST(Log, SegmentsGoOnlyAsFarAsTheDurableLogStart) {
    StoreBench bench(1, hasty_settings());
    bench.config.segment_bytes = 200;
    bench.start();
    Log& log = bench.create("t");
    append_and_settle(bench, log, {"0", "1", "2", "3", "4", "5", "6", "7"});
    flush(bench, log);
    const auto exists = [&](int64_t base) {
        const std::string name = offset_file_name(Offset{base}, kLogSuffix);
        return bench.bench.disk().contents(log.path() + "/" + name).has_value();
    };
    ASSERT_TRUE(exists(0) && exists(2) && exists(4));
    ASSERT_TRUE(log.delete_before(Offset{2}));
    const std::string index = log.path() + "/" + offset_file_name(Offset{0}, kOffsetIndexSuffix);
    while (bench.bench.disk().contents(index)) bench.bench.world.step();
    // The lane is at work, and the next log start never becomes durable.
    fail_sync_of(bench, ".ottla-journal-0");
    ASSERT_TRUE(log.delete_before(Offset{7}));
    bench.run_for(100ms);
    ASSERT_TRUE(log.is_offline());
    EXPECT_FALSE(exists(0));
    EXPECT_TRUE(exists(2) && exists(4));
}

}  // namespace
}  // namespace ottla::storage::test
