// SPDX-License-Identifier: Apache-2.0
// Retention and delete-records on a real log: what goes, what a reader still sees, what a crash
// leaves.
#include <gtest/gtest.h>

#include "storage/file_names.h"
#include "storage/log_parts.h"
#include "storage/shard_directory.h"
#include "tests/storage/store_bench.h"

namespace ottla::storage::test {
namespace {

using Values = std::vector<std::string>;

/// Segments of about four records; everything appended is durable and below the high watermark.
class RetentionBench : public StoreBench {
public:
    explicit RetentionBench(uint64_t seed = 1) : StoreBench(seed) {
        config.segment_bytes = 1200;
        config.index_interval_bytes = 300;
        config.retention_ms = -1;
        settings.retention_check_interval = std::chrono::milliseconds(200);
    }
    WallTime now() { return ports().runtime.wall_time(); }
    void add(Log& log, int count, WallTime timestamp) {
        for (int i = 0; i < count; ++i) {
            const std::string value = fmt::format("value {} {}", added++, std::string(200, '.'));
            const Buffer batch = make_batch(codecs, value, {}, timestamp);
            AppendRequest request;
            request.batch = batch.span();
            request.leader_epoch = epoch;
            CHECK(log.append(request).has_value(), "a batch is appended");
        }
        settle(log);
        log.note_high_watermark(log.log_end());
    }
    /// Enough for flushes and two looks.
    void wait() { run_for(std::chrono::milliseconds(500)); }
    size_t files_of(std::string_view suffix) {
        size_t found = 0;
        for (const std::string& path : bench.disk().files()) {
            found += path.find("/t-0/") != std::string::npos && path.ends_with(suffix) ? 1U : 0U;
        }
        return found;
    }
    int added = 0;
};

TEST(RetentionWorker, ALogAboveItsSizeLosesItsOldestSegments) {
    RetentionBench bench;
    bench.config.retention_bytes = 3000;
    bench.start();
    Log& log = bench.create("t");
    bench.add(log, 40, bench.now());
    bench.wait();
    EXPECT_GT(log.log_start(), Offset{20});
    EXPECT_EQ(log.log_start(), log.local_log_start());
    EXPECT_GE(log.size_bytes(), 3000U);
    EXPECT_LT(log.size_bytes(), 3000U + 1200U);
    const Values left = bench.values(log, log.log_start());
    EXPECT_EQ(left.size(), static_cast<size_t>(log.log_end() - log.log_start()));
    EXPECT_EQ(bench.files_of(".log"), log.parts().segments.size());
    EXPECT_EQ(bench.files_of(".index"), log.parts().segments.size() - 1);
    EXPECT_EQ(log.read(Offset{0}, 1000, log.log_end(), true).error().code,
              ErrorCode::offset_out_of_range);
}

TEST(RetentionWorker, RecordsGoWhenTheyAreOldAndNotBefore) {
    RetentionBench bench;
    bench.config.retention_ms = 60'000;
    bench.start();
    Log& log = bench.create("t");
    bench.add(log, 10, bench.now());
    bench.wait();
    EXPECT_EQ(log.log_start(), Offset{0});
    bench.run_for(std::chrono::seconds(61));
    EXPECT_EQ(log.log_start(), Offset{10}) << "the active segment was rolled";
    EXPECT_EQ(log.size_bytes(), 0U);
    bench.add(log, 1, bench.now());
    EXPECT_EQ(bench.values(log, Offset{10}).size(), 1U);
}

TEST(RetentionWorker, ATimestampInTheFutureKeepsItsSegmentAndAllBehindIt) {
    RetentionBench bench;
    bench.config.retention_ms = 1000;
    bench.start();
    Log& log = bench.create("t");
    bench.add(log, 1, WallTime{bench.now().value() + 3'600'000});
    bench.add(log, 10, bench.now());
    bench.run_for(std::chrono::seconds(10));
    EXPECT_EQ(log.log_start(), Offset{0});
}

TEST(RetentionWorker, RecordsWithoutTimestampsAgeByTheirFile) {
    RetentionBench bench;
    bench.config.retention_ms = 60'000;
    bench.start();
    Log& log = bench.create("t");
    bench.add(log, 10, kNoTimestamp);
    bench.run_for(std::chrono::seconds(30));
    EXPECT_EQ(log.log_start(), Offset{0});
    bench.run_for(std::chrono::seconds(40));
    EXPECT_EQ(log.log_start(), Offset{10});
}

TEST(RetentionWorker, NothingAboveTheHighWatermarkGoes) {
    RetentionBench bench;
    bench.config.retention_bytes = 0;
    bench.start();
    Log& log = bench.create("t");
    bench.add(log, 10, bench.now());
    log.note_high_watermark(Offset{5});
    bench.wait();
    EXPECT_LE(log.log_start(), Offset{5});
    EXPECT_GT(log.log_start(), Offset{0});
}

TEST(RetentionWorker, ACompactedLogKeepsItsRecords) {
    RetentionBench bench;
    bench.config.retention_bytes = 0;
    bench.config.deletes = false;
    bench.config.compacts = true;
    bench.config.min_cleanable_dirty_millionths = 1'000'000;
    bench.start();
    Log& log = bench.create("t");
    bench.add(log, 10, bench.now());
    bench.wait();
    EXPECT_EQ(log.log_start(), Offset{0});
}

Task<size_t> read_all(std::shared_ptr<File> file, uint64_t bytes, BlockRef into) {
    const auto got = co_await file->read(0, bytes, into);
    co_return got.value_or(0);
}

TEST(RetentionWorker, AReaderOnItsWayKeepsItsFileOrLearnsThatTheRecordsWent) {
    RetentionBench bench;
    bench.config.retention_bytes = 1000;
    bench.start();
    Log& log = bench.create("t");
    bench.add(log, 40, bench.now());
    const std::shared_ptr<Segment> first = log.parts().segments.front();
    bench.run_for(std::chrono::milliseconds(100));
    const auto held = bench.bench.run(first->file(false));
    ASSERT_TRUE(held);
    bench.wait();
    ASSERT_GT(log.log_start(), Offset{4});
    const uint64_t bytes = first->size();
    BlockRef block = make_block(bytes);
    EXPECT_EQ(bench.bench.run(read_all(*held, bytes, block)), bytes);
    EXPECT_FALSE(bench.bench.run(first->file(false)));
    const auto late = bench.bench.run(log.read_cold(Offset{0}, 1000, log.log_end(), true));
    EXPECT_EQ(late.error().code, ErrorCode::offset_out_of_range);
}

TEST(DeleteRecords, MovesTheLogStartAtOnceAndRemovesWholeSegmentsBelow) {
    RetentionBench bench;
    bench.start();
    Log& log = bench.create("t");
    bench.add(log, 20, bench.now());
    const size_t segments = log.parts().segments.size();
    EXPECT_EQ(log.delete_records(Offset{9}), Offset{9});
    EXPECT_EQ(log.log_start(), Offset{9});
    EXPECT_EQ(log.read(Offset{8}, 100, log.log_end(), true).error().code,
              ErrorCode::offset_out_of_range);
    bench.wait();
    EXPECT_LT(log.parts().segments.size(), segments);
    EXPECT_LE(log.parts().segments.front()->base(), Offset{9});
    EXPECT_EQ(bench.values(log, Offset{9}).size(), 11U);
    EXPECT_EQ(log.delete_records(Offset{3}), Offset{9}) << "never goes back";
}

TEST(DeleteRecords, MinusOneMeansTheHighWatermarkAndNothingAboveItGoes) {
    RetentionBench bench;
    bench.start();
    Log& log = bench.create("t");
    bench.add(log, 20, bench.now());
    log.note_high_watermark(Offset{15});
    EXPECT_EQ(log.delete_records(Offset{16}).error().code, ErrorCode::offset_out_of_range);
    EXPECT_EQ(log.delete_records(Offset{-2}).error().code, ErrorCode::offset_out_of_range);
    EXPECT_EQ(log.delete_records(kNoOffset), Offset{15});
}

TEST(DeleteRecords, SegmentsThatWereUnflushedGoAtTheNextLook) {
    RetentionBench bench;
    bench.settings.flush_delay = std::chrono::seconds(5);
    bench.start();
    Log& log = bench.create("t");
    bench.add(log, 20, bench.now());
    ASSERT_TRUE(log.delete_records(Offset{20}));
    bench.run_for(std::chrono::seconds(12));
    EXPECT_EQ(log.parts().segments.size(), 1U);
    EXPECT_EQ(bench.files_of(".log"), 1U);
}

TEST(Segments, AConfigurationChangeKeepsTheJitterOfASegment) {
    RetentionBench bench;
    bench.config.segment_bytes = 1LL << 30U;
    bench.config.segment_ms = 100'000;
    bench.config.segment_jitter_ms = 99'000;
    bench.start();
    Log& log = bench.create("t");
    const auto rolls_at = [&log] {
        for (int64_t at = 1000;; at += 1000) {
            Segment& active = log.parts().active();
            if (active.must_roll(100, log.log_end(), WallTime{at}, WallTime{0})) return at;
        }
    };
    bench.add(log, 1, WallTime{0});
    const int64_t before = rolls_at();
    EXPECT_LT(before, 100'000);
    log.configure(bench.config);
    EXPECT_EQ(rolls_at(), before);
}

TEST(Segments, ACompactedTopicRollsInTimeForItsCompactionLag) {
    RetentionBench bench;
    bench.config.compacts = true;
    bench.config.max_compaction_lag_ms = 5000;
    bench.start();
    Log& log = bench.create("t");
    bench.add(log, 1, WallTime{1000});
    EXPECT_FALSE(log.parts().active().must_roll(1, Offset{1}, WallTime{6000}, WallTime{0}));
    EXPECT_TRUE(log.parts().active().must_roll(1, Offset{1}, WallTime{6001}, WallTime{0}));
}

/// A follower takes batches from `offsets`, each of one record.
void follow(RetentionBench& bench, Log& log, const std::vector<int64_t>& offsets) {
    for (const int64_t offset : offsets) {
        BatchOptions options;
        options.base_offset = Offset{offset};
        options.leader_epoch = LeaderEpoch{0};
        const Buffer batch = make_batch(bench.codecs, fmt::format("value {}", offset), options);
        AppendRequest request;
        request.batch = batch.span();
        request.mode = AppendMode::follower;
        ASSERT_TRUE(log.append(request));
    }
    bench.settle(log);
    bench.run_for(std::chrono::seconds(3));
}

TEST(Segments, ALeapOfOffsetsThatNoIndexCanCountBeginsASegmentAtTheBatch) {
    constexpr int64_t kFar = 3LL << 31U;
    const std::vector<std::string> wanted{
        "value 7", fmt::format("value {}", kFar), fmt::format("value {}", 3 * kFar)};
    for (const bool clean : {true, false}) {
        RetentionBench bench;
        bench.start();
        Log& log = bench.create("t");
        follow(bench, log, {7, kFar, 3 * kFar});
        EXPECT_EQ(log.parts().active().base(), Offset{3 * kFar});
        EXPECT_EQ(bench.values(log), wanted);
        if (clean) {
            bench.clean_stop();
        } else {
            bench.power_cut();
        }
        bench.start();
        EXPECT_EQ(bench.values(*bench.find("t")), wanted);
        EXPECT_EQ(bench.find("t")->log_end(), Offset{3 * kFar + 1});
    }
}

TEST(Segments, AnEmptyLogMayLeapAtOnce) {
    RetentionBench bench;
    bench.start();
    Log& log = bench.create("t");
    follow(bench, log, {3LL << 31U});
    EXPECT_EQ(log.parts().segments.size(), 2U);
    bench.clean_stop();
    bench.start();
    EXPECT_EQ(bench.values(*bench.find("t")).size(), 1U);
    EXPECT_EQ(bench.find("t")->log_end(), Offset{(3LL << 31U) + 1});
}

/// Appends, and lets retention take the front away, round after round.
Task<> shrinking_story(RetentionBench& bench, Log& log, size_t& acknowledged, bool& done) {
    for (int round = 0; round < 5; ++round) {
        for (int i = 0; i < 5; ++i) {
            const std::string value =
                fmt::format("value {} {}", bench.added++, std::string(200, '.'));
            const auto appended = bench.append(log, value);
            CHECK(appended.has_value(), "a batch is appended");
            co_await bench.ports().runtime.yield();
        }
        while (log.durable_end() < log.log_end()) {
            static_cast<void>(
                co_await bench.ports().runtime.sleep_for(std::chrono::microseconds(50)));
        }
        acknowledged = static_cast<size_t>(bench.added);
        log.note_high_watermark(log.log_end());
        static_cast<void>(co_await bench.ports().runtime.sleep_for(std::chrono::milliseconds(25)));
    }
    done = true;
}

TEST(PowerCut, AtAnyEventOfRetentionLosesNothingThatItMustKeep) {
    uint64_t struck = 0;
    for (uint64_t events = 1; events < 5000; ++events) {
        RetentionBench bench(events);
        bench.config.retention_bytes = 1500;
        bench.settings.retention_check_interval = std::chrono::milliseconds(10);
        bench.settings.checkpoint_interval = std::chrono::milliseconds(30);
        bench.start();
        size_t acknowledged = 0;
        bool done = false;
        Log& log = bench.create("t");
        bench.ports().runtime.spawn(shrinking_story(bench, log, acknowledged, done));
        for (uint64_t i = 0; i < events && !done; ++i) bench.bench.world.step();
        const Offset start = log.log_start();
        bench.power_cut();
        const Status booted = bench.bench.run(bench.boot());
        ASSERT_TRUE(booted) << events << ": " << booted.error().detail;
        Log* back = bench.find("t");
        if (back == nullptr) {
            EXPECT_EQ(acknowledged, 0U) << events;
            continue;
        }
        EXPECT_LE(back->log_start(), start) << events << ": no more went than was decided";
        EXPECT_GE(back->log_end().value(), static_cast<int64_t>(acknowledged)) << events;
        int64_t number = back->log_start().value();
        for (const std::string& value : bench.values(*back, back->log_start())) {
            ASSERT_TRUE(value.starts_with(fmt::format("value {} ", number++))) << events << value;
        }
        EXPECT_EQ(number, back->log_end().value()) << events;
        ++struck;
        if (done || testing::Test::HasFailure()) break;
    }
    EXPECT_GT(struck, 100U);
}

}  // namespace
}  // namespace ottla::storage::test
