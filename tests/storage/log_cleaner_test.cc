// SPDX-License-Identifier: Apache-2.0
// The cleaner on a real log: what is left, what readers and restarts see, what a power cut at any
// event of it leaves.
#include <gtest/gtest.h>

#include "records/control.h"
#include "storage/atomic_file.h"
#include "storage/file_names.h"
#include "storage/log_parts.h"
#include "storage/segment_swap.h"
#include "storage/shard_directory.h"
#include "tests/storage/cleaner_bench.h"

namespace ottla::storage::test {
namespace {

Task<std::string> read_file_of(CleanerBench& bench, std::string path) {
    const auto bytes = co_await read_file(bench.ports().files, path, 1UZ << 20U);
    co_return bytes ? std::string(bytes->text()) : bytes.error().detail;
}

Task<Status> copy_file(CleanerBench& bench, std::string from, std::string to) {
    CO_TRY(const Buffer bytes, co_await read_file(bench.ports().files, from, 1UZ << 20U));
    co_return co_await write_file(bench.ports().files, to, bytes);
}

/// Flips a bit in the middle of a file.
Task<> hurt(CleanerBench& bench, std::string path) {
    OpenOptions options;
    options.write = true;
    const auto file = co_await bench.ports().files.open(path, options);
    CHECK(file.has_value(), "the file is there");
    BlockRef block = make_block(1);
    const auto got = co_await (*file)->read(700, 1, block);
    CHECK(got.has_value(), "it can be read");
    block->data()[0] ^= std::byte{4};
    Chain bytes(Buffer{std::move(block), 0, 1});
    const auto written = co_await (*file)->write(700, std::move(bytes));
    CHECK(written.has_value(), "it can be written");
}

TEST(LogCleaner, TheLastValueOfEachKeyIsLeftAndOffsetsStay) {
    CleanerBench bench;
    bench.start();
    Log& log = bench.create("t");
    bench.fill(log, 200, 10);
    const Offset end = log.log_end();
    const uint64_t before = log.size_bytes();
    bench.wait();
    EXPECT_GT(bench.swaps(log), 0U);
    EXPECT_EQ(log.log_end(), end);
    EXPECT_EQ(log.log_start(), Offset{0});
    EXPECT_LT(log.size_bytes() * 4, before);
    const auto seen = bench.read(log);
    EXPECT_EQ(seen.table, bench.wanted);
    EXPECT_TRUE(seen.in_order);
    EXPECT_EQ(seen.last, end - 1);
    EXPECT_LT(seen.records, 40U);
    EXPECT_EQ(bench.names(".log").size(), log.parts().segments.size());
    EXPECT_TRUE(bench.names(".cleaned").empty());
    EXPECT_TRUE(bench.names(".swap").empty());
}

TEST(LogCleaner, SizesAreThoseOfTheFiles) {
    CleanerBench bench;
    bench.start();
    Log& log = bench.create("t");
    bench.fill(log, 200, 10);
    bench.wait();
    uint64_t bytes = 0;
    for (const auto& segment : log.parts().segments) bytes += segment->size();
    EXPECT_EQ(log.size_bytes(), bytes);
}

TEST(LogCleaner, ACleanedLogComesBackAfterAnyStop) {
    for (const int how : {0, 1, 2}) {
        CleanerBench bench;
        bench.start();
        bench.fill(bench.create("t"), 200, 10);
        bench.wait();
        const Offset cleaned = bench.find("t")->parts().cleaned;
        EXPECT_GT(cleaned, Offset{150});
        bench.wait();
        if (how == 0) bench.clean_stop();
        if (how == 1) bench.kill();
        if (how == 2) bench.power_cut();
        bench.start();
        Log& log = *bench.find("t");
        EXPECT_EQ(log.parts().cleaned, cleaned) << how;
        EXPECT_EQ(bench.read(log).table, bench.wanted) << how;
        bench.fill(log, 200, 10);
        bench.wait();
        EXPECT_GT(bench.swaps(log), 0U);
        EXPECT_EQ(bench.read(log).table, bench.wanted) << how;
    }
}

TEST(LogCleaner, ACleanStopWritesKafkasCheckpointAndReadsIt) {
    CleanerBench bench;
    bench.start();
    bench.fill(bench.create("t"), 200, 10);
    bench.wait();
    const Offset cleaned = bench.find("t")->parts().cleaned;
    bench.clean_stop();
    const std::string path = join_path(kDirectory, kCleanerOffsetFile);
    const auto text = bench.bench.run(read_file_of(bench, path));
    EXPECT_EQ(text, fmt::format("0\n1\nt 0 {}\n", cleaned.value()));
}

TEST(LogCleaner, TombstonesAreSeenForTheirTimeAndThenGone) {
    CleanerBench bench;
    bench.config.delete_retention_ms = 10'000;
    bench.config.min_cleanable_dirty_millionths = 0;
    bench.start();
    Log& log = bench.create("t");
    bench.fill(log, 40, 5);
    bench.put(log, "key 3", std::nullopt);
    bench.wanted.erase("key 3");
    bench.fill(log, 40, 3);
    bench.wait();
    const auto first = bench.read(log);
    EXPECT_EQ(first.table, bench.wanted);
    bench.run_for(std::chrono::seconds(11));
    bench.fill(log, 40, 3);
    bench.wait();
    const auto second = bench.read(log);
    EXPECT_EQ(second.table, bench.wanted);
    EXPECT_LT(second.records, first.records + 40);
}

TEST(LogCleaner, OpenTransactionsAndTheirFollowersAreLeftAlone) {
    CleanerBench bench;
    bench.start();
    Log& log = bench.create("t");
    BatchOptions options;
    options.producer_id = ProducerId{5};
    options.producer_epoch = ProducerEpoch{0};
    options.base_sequence = 0;
    options.transactional = true;
    bench.put(log, "key 0", "open", options);
    bench.fill(log, 100, 2);
    bench.wait();
    EXPECT_EQ(bench.swaps(log), 0U);
}

TEST(LogCleaner, SegmentsThatAreNotCheckpointedAreLeftAlone) {
    CleanerBench bench;
    bench.settings.checkpoint_interval = std::chrono::seconds(3600);
    bench.start();
    Log& log = bench.create("t");
    bench.fill(log, 100, 2);
    bench.wait();
    EXPECT_EQ(bench.swaps(log), 0U);
    ASSERT_TRUE(bench.bench.run(bench.store->checkpoint()));
    bench.wait();
    EXPECT_GT(bench.swaps(log), 0U);
}

TEST(LogCleaner, AnActiveProducerKeepsItsSequence) {
    CleanerBench bench;
    bench.start();
    Log& log = bench.create("t");
    BatchOptions options;
    options.producer_id = ProducerId{5};
    options.producer_epoch = ProducerEpoch{0};
    options.base_sequence = 0;
    bench.put(log, "key 0", "first", options);
    bench.fill(log, 200, 5);
    bench.wait();
    ASSERT_GT(bench.swaps(log), 0U);
    bench.kill();
    for (const std::string& path : bench.bench.disk().files()) {
        if (path.ends_with(".snapshot")) EXPECT_TRUE(bench.bench.disk().unlink(path));
    }
    bench.start();
    Log& again = *bench.find("t");
    const Offset retry = bench.put(again, "key 0", "first", options);
    EXPECT_EQ(retry, Offset{0}) << "a duplicate";
    EXPECT_EQ(bench.read(again).table, bench.wanted);
}

TEST(LogCleaner, AProducerWhoseLastBatchIsInTheTailKeepsTheOneThatATruncationWouldLeave) {
    CleanerBench bench;
    bench.start();
    Log& log = bench.create("t");
    BatchOptions options;
    options.producer_id = ProducerId{5};
    options.producer_epoch = ProducerEpoch{0};
    options.base_sequence = 0;
    bench.put(log, "key 0", "first", options);
    bench.fill(log, 200, 5);
    BatchOptions second = options;
    second.base_sequence = 1;
    const Offset tail = bench.put(log, "key 0", "not replicated", second);
    bench.wait();
    ASSERT_GT(bench.swaps(log), 0U);
    ASSERT_TRUE(bench.bench.run(log.truncate_to(tail)));
    bench.settle(log);
    bench.kill();
    for (const std::string& path : bench.bench.disk().files()) {
        if (path.ends_with(".snapshot")) EXPECT_TRUE(bench.bench.disk().unlink(path));
    }
    bench.start();
    Log& again = *bench.find("t");
    EXPECT_EQ(bench.put(again, "key 0", "first", options), Offset{0}) << "a duplicate";
}

TEST(LogCleaner, AMapThatIsTooSmallCleansInSeveralRounds) {
    CleanerBench bench;
    bench.settings.cleaner_map_bytes = 24UZ * 16 * 40;
    bench.config.min_cleanable_dirty_millionths = 0;
    bench.start();
    Log& log = bench.create("t");
    bench.fill(log, 400, 300);
    bench.run_for(std::chrono::seconds(3));
    EXPECT_GT(log.parts().cleaned, Offset{0});
    EXPECT_EQ(bench.read(log).table, bench.wanted);
    EXPECT_LT(log.parts().cleaned, log.log_end() + 1);
    EXPECT_FALSE(log.parts().uncleanable);
}

TEST(LogCleaner, ADamagedBatchStopsTheCleaningOfItsLogAndKeepsItAsItIs) {
    CleanerBench bench;
    bench.start();
    Log& log = bench.create("t");
    bench.fill(log, 40, 4);
    bench.run_for(std::chrono::milliseconds(40));
    const std::string path = log.parts().segments.front()->log_path();
    bench.bench.run(hurt(bench, path));
    bench.wait();
    ASSERT_TRUE(log.parts().uncleanable);
    EXPECT_NE(log.parts().uncleanable->detail.find(path), std::string::npos);
    EXPECT_EQ(bench.swaps(log), 0U);
    EXPECT_TRUE(bench.names(".cleaned").empty());
}

TEST(LogCleaner, AReaderInTheMiddleOfAnOldSegmentReadsOn) {
    CleanerBench bench;
    bench.start();
    Log& log = bench.create("t");
    bench.fill(log, 100, 10);
    const std::shared_ptr<Segment> old = log.parts().segments.front();
    const uint64_t size = old->size();
    bench.wait();
    ASSERT_FALSE(log.parts().holds(*old));
    const auto bytes = bench.bench.run(old->read(0, size));
    ASSERT_TRUE(bytes) << bytes.error().detail;
    EXPECT_EQ(bytes->size(), size) << "of the old file, which it holds open";
    EXPECT_EQ(bench.read(log).table, bench.wanted);
}

TEST(LogCleaner, ATruncationIntoACleanedSegmentIsReplayedAfterACrash) {
    for (int64_t cut = 5; cut < 195; cut += 19) {
        CleanerBench bench(static_cast<uint64_t>(cut));
        bench.start();
        Log& log = bench.create("t");
        bench.fill(log, 200, 10);
        bench.wait();
        ASSERT_GT(bench.swaps(log), 0U);
        ASSERT_TRUE(bench.bench.run(log.truncate_to(Offset{cut})));
        const Offset end = log.log_end();
        EXPECT_LE(end, Offset{cut});
        EXPECT_LE(log.parts().cleaned, end);
        bench.put(log, "key 3", "after ");
        bench.settle(log);
        const Table before = bench.read(log).table;
        bench.power_cut();
        bench.start();
        Log& again = *bench.find("t");
        EXPECT_EQ(again.log_end(), end + 1) << cut;
        EXPECT_EQ(bench.read(again).table, before) << cut;
        EXPECT_EQ(before.at("key 3"), "after ");
    }
}

TEST(LogCleaner, RetentionAndCompactionTogether) {
    CleanerBench bench;
    bench.config.deletes = true;
    bench.config.retention_ms = 60'000;
    bench.settings.retention_check_interval = std::chrono::milliseconds(500);
    bench.start();
    Log& log = bench.create("t");
    bench.fill(log, 200, 10);
    bench.wait();
    EXPECT_EQ(bench.read(log).table, bench.wanted);
    bench.run_for(std::chrono::seconds(62));
    EXPECT_EQ(log.log_start(), log.log_end());
    EXPECT_EQ(log.size_bytes(), 0U);
}

TEST(SegmentSwap, LeftoversOfKafkaAreFinishedOrDropped) {
    CleanerBench bench;
    bench.start();
    Log& log = bench.create("t");
    bench.fill(log, 60, 4);
    bench.run_for(std::chrono::milliseconds(10));
    bench.clean_stop();
    const std::string folder = kDirectory + "/t-0/";
    const std::string first = folder + "00000000000000000000.log";
    ASSERT_TRUE(bench.bench.run(copy_file(bench, first, first + ".swap")));
    ASSERT_TRUE(bench.bench.run(copy_file(bench, first, first + ".cleaned")));
    const std::string index = folder + "00000000000000000007.timeindex.swap";
    ASSERT_TRUE(bench.bench.run(copy_file(bench, first, index)));
    bench.disown();
    bench.start();
    EXPECT_TRUE(bench.names(".swap").empty());
    EXPECT_TRUE(bench.names(".cleaned").empty());
    EXPECT_EQ(bench.read(*bench.find("t")).table, bench.wanted);
    bench.clean_stop();
    ASSERT_TRUE(bench.bench.run(copy_file(bench, first, first + ".swap")));
    bench.disown();
    bench.start();
    EXPECT_TRUE(bench.names(".swap").empty());
    EXPECT_EQ(bench.read(*bench.find("t")).table, bench.wanted);
}

/// Tables grow and shrink while the cleaner runs beside them.
struct Story {
    Table acknowledged;
    Table appended;
    std::vector<Table> history;  ///< after each record since the last acknowledgement
    uint64_t swaps = 0;
    bool done = false;
};

Task<> table_story(CleanerBench& bench, Log& log, Story& story) {
    int number = 0;
    for (int round = 0; round < 8; ++round) {
        for (int i = 0; i < 14; ++i) {
            const std::string key = fmt::format("key {}", (round + i * i) % 5);
            std::optional<std::string> value = fmt::format("value {} ", number);
            if (number % 11 == 10) value.reset();
            bench.put(log, key, value);
            if (value) {
                story.appended[key] = *value;
            } else {
                story.appended.erase(key);
            }
            story.history.push_back(story.appended);
            ++number;
        }
        while (log.durable_end() < log.log_end()) {
            static_cast<void>(
                co_await bench.ports().runtime.sleep_for(std::chrono::microseconds(50)));
        }
        story.acknowledged = story.appended;
        story.history.assign(1, story.appended);
        log.note_high_watermark(log.log_end());
        static_cast<void>(co_await bench.ports().runtime.sleep_for(std::chrono::milliseconds(25)));
        story.swaps = bench.swaps(log);
    }
    story.done = true;
}

void strike_everywhere(bool power) {
    uint64_t struck = 0;
    uint64_t swaps = 0;
    for (uint64_t events = 1; events < 10'000; ++events) {
        CleanerBench bench(events);
        bench.settings.cleaner_backoff = std::chrono::milliseconds(15);
        bench.settings.checkpoint_interval = std::chrono::milliseconds(10);
        bench.config.delete_retention_ms = 30;
        bench.config.min_cleanable_dirty_millionths = 100'000;
        bench.start();
        Log& log = bench.create("t");
        Story story;
        story.history.push_back({});
        bench.ports().runtime.spawn(table_story(bench, log, story));
        for (uint64_t i = 0; i < events && !story.done; ++i) bench.bench.world.step();
        swaps = story.swaps;
        const Offset end = log.durable_end();
        if (power) {
            bench.power_cut();
        } else {
            bench.kill();
        }
        const Status booted = bench.bench.run(bench.boot());
        ASSERT_TRUE(booted) << events << ": " << booted.error().detail;
        Log* back = bench.find("t");
        if (back == nullptr) {
            EXPECT_TRUE(story.acknowledged.empty()) << events;
            continue;
        }
        EXPECT_GE(back->log_end(), end) << events;
        const auto seen = bench.read(*back);
        EXPECT_TRUE(seen.in_order) << events;
        const bool known = std::find(story.history.begin(), story.history.end(), seen.table) !=
                           story.history.end();
        EXPECT_TRUE(known) << events << ": a table that never was";
        EXPECT_TRUE(bench.names(".cleaned").empty() && bench.names(".swap").empty()) << events;
        // And it goes on from there, cleaned again, through another end.
        Table wanted = seen.table;
        for (int i = 0; i < 30; ++i) {
            const std::string key = fmt::format("key {}", i % 3);
            const std::string value = fmt::format("after {} ", i);
            bench.put(*back, key, value);
            wanted[key] = value;
        }
        bench.replicate(*back);
        bench.run_for(std::chrono::milliseconds(60));
        bench.power_cut();
        bench.start();
        EXPECT_EQ(bench.read(*bench.find("t")).table, wanted) << events;
        ++struck;
        if (story.done || testing::Test::HasFailure()) break;
    }
    EXPECT_GT(struck, 100U);
    EXPECT_GT(swaps, 2U);
}

TEST(PowerCut, AtAnyEventOfCompactionLeavesATableThatWas) { strike_everywhere(true); }
TEST(Kill, AtAnyEventOfCompactionLeavesATableThatWas) { strike_everywhere(false); }

}  // namespace
}  // namespace ottla::storage::test
