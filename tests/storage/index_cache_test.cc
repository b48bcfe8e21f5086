// SPDX-License-Identifier: Apache-2.0
// Indexes of closed segments: the bound of what stays in memory, what is never dropped, and readers of
// logs that have far more segments than that.
#include "storage/index_cache.h"

#include <gtest/gtest.h>

#include "storage/log_parts.h"
#include "storage/shard_directory.h"
#include "tests/sim/random.h"
#include "tests/storage/store_bench.h"

namespace ottla::storage::test {
namespace {

constexpr int kRecords = 600;

std::string value_of(int64_t offset) { return fmt::format("value {:060}", offset); }
WallTime time_of(int64_t offset) { return WallTime{1000 + 10 * offset}; }

/// A log of some hundred small segments, none of it in memory, and room for the indexes of a few.
class IndexBench : public StoreBench {
public:
    explicit IndexBench(uint64_t seed = 5) : StoreBench(seed) {
        config.segment_bytes = 900;
        config.index_interval_bytes = 150;
        config.retention_ms = -1;
        settings.cleaner_enabled = false;
        settings.scrub_bytes_per_second = 0;
        settings.index_cache_bytes = 600;
    }
    void indexes_take(size_t bytes) override {
        told = bytes;
        most_told = std::max(most_told, bytes);
    }
    Log& fill() {
        Log& log = create("t");
        for (int64_t i = 0; i < kRecords; ++i) {
            const Buffer batch = make_batch(codecs, value_of(i), {}, time_of(i));
            AppendRequest request;
            request.batch = batch.span();
            request.leader_epoch = epoch;
            CHECK(log.append(request).has_value(), "a record is taken");
            if (i % 100 == 99) settle(log);
        }
        settle(log);
        log.note_high_watermark(log.log_end());
        forget_tail(log);
        return log;
    }
    void forget_tail(Log& log) {
        ASSERT_TRUE(bench.run(store->checkpoint()));
        log.parts().home.journal().trim();
        ASSERT_TRUE(log.parts().tail.empty());
    }
    Task<std::string> value_at(Log& log, Offset at) {
        const auto slice = co_await log.read_cold(at, 1, log.log_end(), true);
        if (!slice) co_return slice.error().detail;
        const Buffer bytes = slice->bytes.flatten();
        BatchCursor cursor(bytes.span(), BatchCursor::Crc::check);
        if (cursor.next() != BatchStep::batch) co_return "nothing";
        auto plain = codecs.records_of(cursor.batch(), 1UZ << 20U);
        RecordIterator records(cursor.batch(), *plain);
        Record record;
        if (!records.next(record) || cursor.batch().base_offset() != at) co_return "another one";
        co_return std::string(as_text(*record.value));
    }
    Task<> look_up(Log& log, int64_t at, int& right) {
        const std::string value = co_await value_at(log, Offset{at});
        const auto found = co_await log.offset_for_timestamp(time_of(at));
        if (value == value_of(at) && found && *found && (*found)->offset == Offset{at}) ++right;
    }
    static IndexCache& cache(Log& log) { return log.parts().home.index_cache(); }
    /// Of closed segments, as they say themselves.
    static size_t held(Log& log, bool pinned_only) {
        size_t bytes = 0;
        for (const auto& segment : log.parts().segments) {
            const bool closed = segment != log.parts().segments.back();
            const bool counts = !pinned_only || segment->kept_indexes().is_pinned();
            if (closed && counts) bytes += segment->index_bytes();
        }
        return bytes;
    }
    size_t told = 0;
    size_t most_told = 0;
};

TEST(IndexCache, SegmentsReadAtRandomStayWithinTheBound) {
    IndexBench bench;
    bench.start();
    Log& log = bench.fill();
    ASSERT_GT(log.parts().segments.size(), 50U);
    sim::Random random(11);
    for (int i = 0; i < 500; ++i) {
        const auto at = static_cast<int64_t>(random.below(kRecords));
        int right = 0;
        bench.bench.run(bench.look_up(log, at, right));
        ASSERT_EQ(right, 1) << at;
        ASSERT_LE(IndexBench::cache(log).bytes(), 600U);
        ASSERT_EQ(IndexBench::held(log, false), IndexBench::cache(log).bytes());
        ASSERT_EQ(bench.told, IndexBench::cache(log).bytes());
    }
    EXPECT_GT(IndexBench::cache(log).bytes(), 0U);
}

TEST(IndexCache, WhatIsCountedIsWhatIsHeld) {
    IndexBench bench;
    bench.settings.index_cache_bytes = 1UZ << 20U;
    bench.start();
    Log& log = bench.fill();
    size_t bytes = 0;
    for (const auto& segment : log.parts().segments) {
        if (segment == log.parts().segments.back()) continue;
        ASSERT_TRUE(segment->has_indexes()) << "they have grown in memory";
        const OffsetIndex& offsets = segment->offset_index();
        ASSERT_EQ(offsets.room(), offsets.size()) << "room to grow is memory too";
        ASSERT_EQ(segment->time_index().room(), segment->time_index().size());
        ASSERT_EQ(segment->transaction_index().room(), 0U);
        bytes += segment->index_bytes();
    }
    EXPECT_EQ(IndexBench::cache(log).bytes(), bytes);
    EXPECT_GT(bytes, 0U);
}

TEST(IndexCache, ManyReadersAtOnceHoldOnlyWhatTheyPin) {
    IndexBench bench;
    bench.start();
    Log& log = bench.fill();
    // Every read is a trip to the disk, and meanwhile others want their indexes.
    bench.bench.disk().faults.cache_miss = 1'000'000;
    bench.bench.disk().faults.slow_operation = 300'000;
    int right = 0;
    sim::Random random(12);
    for (int i = 0; i < 60; ++i) {
        const auto at = static_cast<int64_t>(random.below(kRecords));
        bench.ports().runtime.spawn(bench.look_up(log, at, right));
    }
    bool was_over = false;
    while (right < 60 && bench.bench.world.step()) {
        const size_t bytes = IndexBench::cache(log).bytes();
        was_over = was_over || bytes > 600;
        // ... and one that is larger than all the room there is: none here.
        ASSERT_LE(bytes, 600 + IndexBench::held(log, true));
    }
    EXPECT_EQ(right, 60);
    EXPECT_TRUE(was_over) << "pins go beyond the bound";
    EXPECT_LE(IndexBench::cache(log).bytes(), 600U);
}

TEST(IndexCache, WhatIsPinnedStaysWhileOthersComeAndGo) {
    IndexBench bench;
    bench.start();
    Log& log = bench.fill();
    const std::shared_ptr<Segment> first = log.parts().segments.front();
    {
        const auto pin = bench.bench.run(log.parts().ensure_indexes(first));
        ASSERT_TRUE(pin);
        ASSERT_GT(pin->offsets().size(), 0U);
        EXPECT_EQ(bench.values(log, Offset{50}).size(), kRecords - 50U);
        for (int64_t at = 50; at < kRecords; at += 5) {
            int right = 0;
            bench.bench.run(bench.look_up(log, at, right));
            ASSERT_EQ(right, 1);
        }
        EXPECT_TRUE(first->has_indexes());
        EXPECT_GT(pin->offsets().size(), 0U);
        EXPECT_GT(pin->times().size(), 0U);
    }
    for (int64_t at = 50; at < kRecords; at += 5) {
        int right = 0;
        bench.bench.run(bench.look_up(log, at, right));
    }
    EXPECT_FALSE(first->has_indexes());
    EXPECT_EQ(bench.values(log).size(), static_cast<size_t>(kRecords));
}

TEST(IndexCache, OneThatIsLargerThanAllRoomStaysUntilTheNextIsUsed) {
    IndexBench bench;
    bench.settings.index_cache_bytes = 1;
    bench.start();
    Log& log = bench.fill();
    const auto& segments = log.parts().segments;
    int right = 0;
    bench.bench.run(bench.look_up(log, 0, right));
    EXPECT_TRUE(segments[0]->has_indexes());
    EXPECT_EQ(IndexBench::cache(log).bytes(), segments[0]->index_bytes());
    bench.bench.run(bench.look_up(log, segments[3]->base().value(), right));
    EXPECT_FALSE(segments[0]->has_indexes());
    EXPECT_TRUE(segments[3]->has_indexes());
    EXPECT_EQ(right, 2);
}

TEST(IndexCache, ASegmentThatATruncationOpensAgainIsNotDropped) {
    IndexBench bench;
    bench.start();
    Log& log = bench.fill();
    const Offset cut = log.parts().segments[20]->base() + 3;
    const std::shared_ptr<Segment> opened = log.parts().segments[20];
    int right = 0;
    bench.bench.run(bench.look_up(log, 0, right));
    ASSERT_FALSE(opened->has_indexes());
    ASSERT_TRUE(bench.bench.run(log.truncate_to(cut)));
    ASSERT_EQ(log.parts().segments.back(), opened);
    for (int64_t at = 0; at < cut.value(); ++at) bench.bench.run(bench.look_up(log, at, right));
    EXPECT_EQ(right, cut.value() + 1);
    EXPECT_TRUE(opened->has_indexes());
    EXPECT_TRUE(bench.append(log, value_of(cut.value())));
    bench.settle(log);
    bench.forget_tail(log);
    EXPECT_EQ(bench.values(log).size(), static_cast<size_t>(cut.value() + 1));
    EXPECT_EQ(bench.values(log).back(), value_of(cut.value()));
}

TEST(IndexCache, AStartThatReadsAllFilesKeepsTheBound) {
    IndexBench bench;
    bench.start();
    bench.fill();
    bench.clean_stop();
    bench.disown();
    bench.most_told = 0;
    bench.start();
    Log& log = *bench.find("t");
    EXPECT_GT(bench.most_told, 0U);
    EXPECT_LE(bench.most_told, 600U + 100U) << "the one that was read last comes on top";
    EXPECT_LE(IndexBench::cache(log).bytes(), 600U);
    EXPECT_EQ(bench.values(log).size(), static_cast<size_t>(kRecords));
    ASSERT_TRUE(bench.append(log, "one more")) << "the last segment's are there";
}

TEST(IndexCache, APictureSaysTheSameOfASegmentWhoseIndexesAreDropped) {
    IndexBench bench;
    bench.settings.index_cache_bytes = 1UZ << 20U;
    bench.start();
    Log& log = bench.fill();
    const CatalogueEntry before = log.parts().entry();
    for (size_t i = 0; i + 1 < log.parts().segments.size(); ++i) {
        log.parts().segments[i]->drop_indexes();
        ASSERT_FALSE(log.parts().segments[i]->has_indexes());
    }
    EXPECT_EQ(IndexBench::cache(log).bytes(), 0U);
    const CatalogueEntry after = log.parts().entry();
    EXPECT_EQ(after.segments, before.segments);
    EXPECT_TRUE(after.whole);
    bench.append(log, "one more");
    bench.settle(log);
    bench.kill();
    bench.start();
    EXPECT_EQ(bench.values(*bench.find("t")).size(), kRecords + 1U);
}

TEST(IndexCache, RetentionTakesSegmentsThatAreDroppedAndThatAreNot) {
    IndexBench bench;
    bench.start();
    Log& log = bench.fill();
    int right = 0;
    bench.bench.run(bench.look_up(log, 0, right));
    const std::shared_ptr<Segment> loaded = log.parts().segments[0];
    const std::shared_ptr<Segment> dropped = log.parts().segments[1];
    ASSERT_TRUE(loaded->has_indexes());
    ASSERT_FALSE(dropped->has_indexes());
    ASSERT_TRUE(log.delete_before(log.parts().segments[4]->base()));
    bench.run_for(std::chrono::seconds(1));
    ASSERT_FALSE(log.parts().holds(*loaded));
    EXPECT_EQ(IndexBench::cache(log).bytes(), IndexBench::held(log, false));
    EXPECT_TRUE(bench.bench.run(log.parts().ensure_indexes(loaded))) << "a reader was there first";
    const auto gone = bench.bench.run(log.parts().ensure_indexes(dropped));
    ASSERT_FALSE(gone);
    EXPECT_EQ(gone.error().code, ErrorCode::offset_out_of_range);
    EXPECT_EQ(log.parts().home.damage_counts().indexes, 0U);
}

}  // namespace
}  // namespace ottla::storage::test
