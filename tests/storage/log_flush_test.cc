// SPDX-License-Identifier: Apache-2.0
// Flushes past the page cache: whole blocks while a log is busy, every byte when it rests or stops.
#include <gtest/gtest.h>

#include "storage/file_names.h"
#include "storage/log_parts.h"
#include "storage/shard_directory.h"
#include "tests/storage/store_bench.h"

namespace ottla::storage::test {
namespace {

using namespace std::chrono_literals;
using sim::DirectIo;

constexpr sim::Survival kNothing{.kind = sim::Survival::Kind::nothing, .per_million = 0};

const std::string kSegment = kDirectory + "/topic-0/" + offset_file_name(Offset{0}, kLogSuffix);

StorageSettings large_flushes() {
    StorageSettings settings = StoreBench::small_settings();
    settings.direct_flush = true;
    settings.flush_delay = 10s;
    settings.flush_piece_bytes = 64UZ * 1024;
    settings.direct_least_bytes = 16UZ * 1024;
    return settings;
}

struct Flushing : StoreBench {
    explicit Flushing(StorageSettings wanted = large_flushes()) : StoreBench(1, wanted) {}

    /// Batches of one letter; what the segment file holds once all are flushed.
    void append_letters(Log& log, char letter, int batches, size_t bytes) {
        for (int i = 0; i < batches; ++i) {
            const Buffer batch = make_batch(codecs, std::string(bytes, letter));
            AppendRequest request;
            request.batch = batch.span();
            request.leader_epoch = epoch;
            auto appended = log.append(request);
            while (!appended && appended.error().code == ErrorCode::would_block) {
                bench.run(store->wait_for_room(kDirectory));
                appended = log.append(request);
            }
            ASSERT_TRUE(appended) << appended.error().detail;
            letters.emplace_back(bytes, letter);
        }
        settle(log);
    }
    /// As a follower of a cleaned log appends it, with a gap in front.
    void append_at(Log& log, Offset base, const std::string& value) {
        BatchOptions options;
        options.base_offset = base;
        const Buffer batch = make_batch(codecs, value, options);
        AppendRequest request;
        request.batch = batch.span();
        request.mode = AppendMode::follower;
        ASSERT_TRUE(log.append(request));
    }
    uint64_t file_size() { return bench.disk().contents(kSegment).value_or("").size(); }
    void expect_all(Log& log) { EXPECT_TRUE(values(log) == letters); }
    /// The bytes of every batch, as memory has them.
    uint64_t log_bytes(Log& log) { return log.size_bytes(); }

    /// Also in the file, and again after a clean stop.
    void expect_all_over_a_stop(Log& log) {
        EXPECT_EQ(file_size(), log_bytes(log));
        clean_stop();
        start();
        expect_all(*find("topic"));
    }

    std::vector<std::string> letters;
};

TEST(LogFlush, WholePiecesAreWrittenAtOnceUpToABlockTheRestWhenItIsTime) {
    Flushing bench;
    bench.start();
    Log& log = bench.create("topic");
    bench.append_letters(log, 'a', 3, 30'000);
    bench.run_for(100ms);
    EXPECT_EQ(bench.file_size(), bench.log_bytes(log) / kDirectAlignment * kDirectAlignment);
    EXPECT_EQ(log.flushed_end(), Offset{2}) << "the third ends within a block";
    bench.expect_all(log);
    bench.append_letters(log, 'b', 1, 100);
    bench.run_for(100ms);
    EXPECT_EQ(log.flushed_end(), Offset{2}) << "too little for another write";
    bench.run_for(10s);
    EXPECT_EQ(log.flushed_end(), log.log_end()) << "flush_delay has passed";
    EXPECT_EQ(bench.file_size(), bench.log_bytes(log));
    bench.append_letters(log, 'c', 3, 30'000);
    bench.run_for(100ms);
    EXPECT_EQ(bench.file_size() % kDirectAlignment, 0U);
    EXPECT_LT(bench.file_size(), bench.log_bytes(log));
    bench.expect_all(log);
}

TEST(LogFlush, ACleanStopLeavesExactlyTheBatches) {
    for (const DirectIo direct : {DirectIo::taken, DirectIo::opened_buffered, DirectIo::refused}) {
        SCOPED_TRACE(static_cast<int>(direct));
        Flushing bench;
        bench.bench.disk().faults.direct = direct;
        bench.start();
        Log& log = bench.create("topic");
        bench.append_letters(log, 'a', 40, 9'000);
        bench.append_letters(log, 'b', 1, 10);
        const uint64_t bytes = bench.log_bytes(log);
        bench.clean_stop();
        EXPECT_EQ(bench.file_size(), bytes);
        bench.start();
        bench.expect_all(*bench.find("topic"));
    }
}

TEST(LogFlush, ABatchOfWhichAPartIsWrittenMayBeTruncatedAway) {
    Flushing bench;
    bench.start();
    Log& log = bench.create("topic");
    bench.append_letters(log, 'a', 3, 30'000);
    bench.run_for(100ms);
    ASSERT_EQ(log.flushed_end(), Offset{2});
    ASSERT_GT(bench.file_size(), 60'000U) << "and a part of the third";
    ASSERT_TRUE(bench.bench.run(log.truncate_to(Offset{2})));
    bench.letters.pop_back();
    bench.append_letters(log, 'z', 4, 20'000);
    bench.run_for(100ms);
    bench.expect_all(log);
    ASSERT_TRUE(bench.bench.run(bench.store->checkpoint()));
    bench.run_for(11s);
    bench.expect_all_over_a_stop(log);
}

TEST(LogFlush, ATruncationBesideADirectWriteUndoesWhatItWritesBehind) {
    for (int events = 1; events < 40; ++events) {
        SCOPED_TRACE(events);
        Flushing bench;
        bench.start();
        Log& log = bench.create("topic");
        bench.append_letters(log, 'a', 3, 30'000);
        // The direct write is somewhere on its way.
        for (int i = 0; i < events; ++i) bench.bench.world.step();
        ASSERT_TRUE(bench.bench.run(log.truncate_to(Offset{1})));
        bench.letters.resize(1);
        bench.append_letters(log, 'z', 4, 31'000);
        bench.run_for(11s);
        EXPECT_EQ(log.flushed_end(), log.log_end());
        bench.expect_all_over_a_stop(log);
    }
}

TEST(LogFlush, WhatIsAcknowledgedSurvivesAPowerCutWhereverTheBlocksWere) {
    for (int milliseconds = 0; milliseconds < 20; ++milliseconds) {
        SCOPED_TRACE(milliseconds);
        Flushing bench;
        bench.start();
        Log& log = bench.create("topic");
        bench.append_letters(log, 'a', 11, 29'000);
        bench.run_for(Duration{milliseconds * 100'000});
        bench.power_cut();
        bench.start();
        Log* again = bench.find("topic");
        ASSERT_NE(again, nullptr);
        bench.expect_all(*again);
        bench.append_letters(*again, 'b', 11, 29'000);
        bench.clean_stop();
        bench.start();
        bench.expect_all(*bench.find("topic"));
    }
}

TEST(LogFlush, WhatWaitsForItsBlockIsKeptByTheJournalOverACheckpoint) {
    Flushing bench;
    bench.start();
    Log& log = bench.create("topic");
    bench.append_letters(log, 'a', 3, 30'000);
    bench.run_for(100ms);
    ASSERT_EQ(log.flushed_end(), Offset{2});
    ASSERT_TRUE(bench.bench.run(log.parts().home.checkpoint(false)));
    ASSERT_EQ(log.synced_end(), Offset{2}) << "of the third there is a part, and it is synced";
    bench.power_cut(kNothing);
    bench.start();
    bench.expect_all(*bench.find("topic"));
}

TEST(LogFlush, NobodyReadsAPartlyWrittenBatchFromItsFile) {
    Flushing bench;
    bench.start();
    bench.append_letters(bench.create("topic"), 'a', 2, 1000);
    bench.clean_stop();
    bench.start();
    // A leader's log was cleaned: offsets up to 1000 are nowhere.
    Log& log = *bench.find("topic");
    ASSERT_TRUE(log.parts().tail.empty()) << "what was there is in files alone";
    bench.append_at(log, Offset{1000}, std::string(90'000, 'z'));
    bench.settle(log);
    bench.run_for(100ms);
    ASSERT_EQ(log.flushed_end(), Offset{2});
    ASSERT_GT(bench.file_size(), 80'000U) << "most of the batch";
    const auto cold = bench.bench.run(log.read_cold(Offset{0}, 1'000'000, log.log_end(), true));
    ASSERT_TRUE(cold) << cold.error().detail;
    EXPECT_EQ(cold->next, Offset{2});
    const Status cut = bench.bench.run(log.truncate_to(Offset{500}));
    EXPECT_TRUE(cut) << "a part of a batch is no damage: " << cut.error().detail;
    EXPECT_EQ(log.log_end(), Offset{500});
    bench.append_letters(log, 'b', 1, 1000);
    EXPECT_EQ(log.parts().home.damage_counts().batches, 0U);
    bench.run_for(11s);
    EXPECT_EQ(bench.file_size(), bench.log_bytes(log));
    bench.expect_all(log);
}

TEST(LogFlush, ATruncationToAnOffsetInFrontOfASegmentWithoutAFileCutsThatSegment) {
    Flushing bench;
    bench.config.segment_bytes = 50'000;
    bench.start();
    bench.append_letters(bench.create("topic"), 'a', 2, 1000);
    bench.clean_stop();
    bench.start();
    Log& log = *bench.find("topic");
    bench.append_at(log, Offset{1000}, std::string(60'000, 'z'));
    bench.settle(log);
    ASSERT_EQ(log.parts().segments.size(), 2U);
    ASSERT_FALSE(log.parts().segments.back()->has_file());
    const Status cut = bench.bench.run(log.truncate_to(Offset{500}));
    EXPECT_TRUE(cut) << cut.error().detail;
    EXPECT_EQ(log.log_end(), Offset{500});
    bench.append_letters(log, 'b', 1, 1000);
    bench.run_for(11s);
    bench.expect_all(log);
}

TEST(LogFlush, AFullDiskInTheMiddleOfADirectWriteLosesNothing) {
    for (uint64_t pages = 1; pages < 40; pages += 3) {
        SCOPED_TRACE(pages);
        Flushing bench;
        bench.start();
        Log& log = bench.create("topic");
        bench.append_letters(log, 'a', 1, 100);
        bench.run_for(11s);  // The files are there.
        sim::SimDisk& disk = bench.bench.disk();
        const uint64_t used = disk.capacity() - disk.free_space();
        const uint64_t before = disk.capacity();
        bench.append_letters(log, 'b', 4, 30'000);
        disk.set_capacity(used + pages * kDirectAlignment);
        bench.run_for(11s);
        EXPECT_TRUE(bench.failures.empty()) << "it is not lost, it is full";
        EXPECT_GT(bench.disk_full, 0);
        bench.expect_all(log);
        disk.set_capacity(before);
        bench.run_for(11s);
        EXPECT_EQ(log.flushed_end(), log.log_end());
        bench.expect_all_over_a_stop(log);
    }
}

TEST(LogFlush, AFailedDirectWriteAndAFailedSyncBehindItTakeTheDirectoryOffline) {
    for (const bool sync : {false, true}) {
        SCOPED_TRACE(sync);
        Flushing bench;
        bench.start();
        Log& log = bench.create("topic");
        bench.append_letters(log, 'a', 1, 100);
        bench.run_for(11s);
        const auto kind = sync ? FileOp::Kind::sync : FileOp::Kind::write;
        bench.bench.disk().plan({.file_kind = kind, .path = ".log"});
        bench.append_letters(log, 'b', 3, 30'000);
        bench.run_for(11s);
        EXPECT_TRUE(log.is_offline());
        EXPECT_EQ(bench.failures.size(), 1U);
        bench.power_cut(kNothing);
        bench.start();
        bench.expect_all(*bench.find("topic"));
    }
}

TEST(LogFlush, ALogWhoseBlockWaitsMayRollLoseItsHeadOrGo) {
    Flushing bench;
    bench.start();
    Log& log = bench.create("topic");
    bench.append_letters(log, 'a', 3, 30'000);
    bench.run_for(100ms);
    ASSERT_EQ(log.flushed_end(), Offset{2}) << "the third waits";
    ASSERT_TRUE(log.roll());
    bench.append_letters(log, 'b', 3, 30'000);
    ASSERT_TRUE(log.delete_before(Offset{3}));
    bench.run_for(100ms);
    EXPECT_GE(log.flushed_end(), Offset{3}) << "a segment that is closed waits for nothing";
    EXPECT_EQ(bench.values(log), std::vector(3, std::string(30'000, 'b')));
    bench.run_for(11s);
    EXPECT_EQ(log.flushed_end(), log.log_end());
    bench.append_letters(log, 'c', 3, 30'000);
    bench.run_for(100ms);
    ASSERT_LT(log.flushed_end(), log.log_end());
    ASSERT_TRUE(bench.bench.run(bench.store->delete_log(log)));
    bench.letters.clear();
    bench.append_letters(bench.create("topic"), 'd', 3, 30'000);
    bench.run_for(100ms);
    bench.power_cut(kNothing);
    bench.start();
    bench.expect_all(*bench.find("topic"));
}

TEST(LogFlush, SecondDescriptorsAreAmongTheOpenFiles) {
    StorageSettings settings = large_flushes();
    settings.open_files = 6;
    settings.chunk_budget_bytes = 4UZ << 20U;
    settings.journal_limit_bytes = 16ULL << 20U;
    settings.checkpoint_interval = 1h;
    Flushing bench(settings);
    bench.start();
    std::vector<Log*> logs;
    for (int i = 0; i < 12; ++i) logs.push_back(&bench.create("topic", i));
    const OpenFiles& open = logs[0]->parts().home.open_files();
    const auto descriptors = [&] {
        size_t sum = 0;
        for (int i = 0; i < 12; ++i) {
            const std::string path = fmt::format("{}/topic-{}/", kDirectory, i);
            sum += bench.bench.disk().opens(path + offset_file_name(Offset{0}, kLogSuffix));
        }
        return sum;
    };
    for (Log* log : logs) {
        bench.append_letters(*log, 'a', 3, 30'000);
        for (int i = 0; i < 400; ++i) {
            bench.bench.world.step();
            // What is in use may pass the bound: a file of every lane, and its second descriptor.
            ASSERT_LE(open.count(), settings.open_files + 2);
            ASSERT_LE(descriptors(), open.count() + settings.flush_lanes);
        }
    }
    for (Log* log : logs) EXPECT_GE(log->flushed_end(), Offset{2});
}

TEST(LogFlush, ManyRollsAndPressureKeepEveryByte) {
    StorageSettings settings = large_flushes();
    settings.chunk_budget_bytes = 256UZ * 1024;
    Flushing bench(settings);
    bench.config.segment_bytes = 100'000;
    bench.start();
    Log& log = bench.create("topic");
    for (int i = 0; i < 30; ++i) {
        const auto bytes = static_cast<size_t>(1000 + 997 * i);
        bench.append_letters(log, static_cast<char>('a' + i % 26), 1 + i % 7, bytes);
    }
    bench.expect_all(log);
    bench.clean_stop();
    bench.start();
    bench.expect_all(*bench.find("topic"));
}

}  // namespace
}  // namespace ottla::storage::test
