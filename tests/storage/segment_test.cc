// SPDX-License-Identifier: Apache-2.0
#include "storage/segment.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "storage/atomic_file.h"
#include "tests/storage/store_bench.h"

namespace ottla::storage::test {
namespace {

struct SegmentBench {
    SegmentBench() { bench.disk().prepare_directory("/data"); }
    Segment make(int64_t base = 0) {
        return Segment(bench.files(), "/data", Offset{base}, limits, WallTime{0});
    }
    /// One record of `bytes` at `offset` with `timestamp`.
    Buffer batch(int64_t offset, size_t bytes, int64_t timestamp = 1000) {
        BatchOptions options;
        options.base_offset = Offset{offset};
        return make_batch(codecs, std::string(bytes, 'v'), options, WallTime{timestamp});
    }
    Task<Status> append(Segment& segment, Buffer bytes) {
        const uint64_t position = segment.size();
        segment.note_append(BatchView(bytes.span()));
        Chain chain(bytes);
        co_return co_await segment.write(position, std::move(chain));
    }

    sim::Bench bench{3};
    SegmentLimits limits;
    Codecs codecs;
};

Task<> load_of(Segment& segment) {
    const Status loaded = co_await segment.load_indexes();
    CHECK(loaded.has_value(), "index files are read");
}

TEST(Segment, IndexEntriesStandWhereKafkaPutsThem) {
    SegmentBench bench;
    bench.limits.index_interval_bytes = 1000;
    Segment segment = bench.make(50);
    std::vector<uint64_t> positions;
    for (int i = 0; i < 5; ++i) {
        positions.push_back(segment.size());
        ASSERT_TRUE(bench.bench.run(bench.append(segment, bench.batch(50 + i, 600, 1000 - i))));
    }
    // An entry is written before the batch that finds more than 1000 bytes since the last one.
    ASSERT_EQ(segment.offset_index().size(), 2U);
    EXPECT_EQ(segment.offset_index().entry(0), (OffsetIndex::Entry{Offset{52}, positions[2]}));
    EXPECT_EQ(segment.offset_index().entry(1), (OffsetIndex::Entry{Offset{54}, positions[4]}));
    ASSERT_EQ(segment.time_index().size(), 1U);
    EXPECT_EQ(segment.time_index().entry(0), (TimeIndex::Entry{WallTime{1000}, Offset{50}}));
}

TEST(Segment, AReadGivesWhatWasAskedForAtAnyPlaceAndSize) {
    SegmentBench bench;
    Segment segment = bench.make();
    std::string all;
    for (int i = 0; i < 40; ++i) {
        const Buffer batch = bench.batch(i, 9001);
        all += batch.text();
        ASSERT_TRUE(bench.bench.run(bench.append(segment, batch)));
    }
    // Large ones are made of whole blocks underneath; nobody sees that.
    for (const size_t position : {0UZ, 1UZ, 4095UZ, 4096UZ, 70'001UZ, all.size() - 5, all.size()}) {
        for (const size_t length :
             {1UZ, 4096UZ, 65'535UZ, 65'536UZ, 65'537UZ, 131'072UZ, 400'000UZ}) {
            SCOPED_TRACE(fmt::format("{} at {}", length, position));
            const auto bytes = bench.bench.run(segment.read(position, length));
            ASSERT_TRUE(bytes.has_value());
            EXPECT_EQ(bytes->text(), std::string_view(all).substr(position, length));
        }
    }
    const auto behind = bench.bench.run(segment.read(all.size() + 5000, 100'000));
    ASSERT_TRUE(behind.has_value());
    EXPECT_TRUE(behind->empty());
}

TEST(Segment, IndexFilesAreExactAndTheTimeIndexGetsItsFinalEntry) {
    SegmentBench bench;
    Segment segment = bench.make();
    ASSERT_TRUE(bench.bench.run(bench.append(segment, bench.batch(0, 10, 500))));
    ASSERT_TRUE(bench.bench.run(segment.write_indexes()));
    ASSERT_TRUE(bench.bench.run(segment.sync()));
    EXPECT_EQ(bench.bench.disk().contents("/data/00000000000000000000.index")->size(), 0U);
    const auto times = bench.bench.disk().contents("/data/00000000000000000000.timeindex");
    ASSERT_EQ(times->size(), 12U);
    EXPECT_EQ(times->substr(6, 2), std::string("\x01\xf4", 2));
    EXPECT_TRUE(segment.is_finished());
}

TEST(Segment, RollsBySizeTimeAndOffsetRange) {
    SegmentBench bench;
    bench.limits.segment_bytes = 2000;
    bench.limits.segment_ms = 100;
    Segment segment = bench.make();
    EXPECT_FALSE(segment.must_roll(3000, Offset{1}, WallTime{0}, WallTime{0}));  // Empty.
    ASSERT_TRUE(bench.bench.run(bench.append(segment, bench.batch(0, 1000, 5000))));
    const size_t left = 2000 - segment.size();
    EXPECT_FALSE(segment.must_roll(left, Offset{1}, WallTime{5100}, WallTime{0}));
    EXPECT_TRUE(segment.must_roll(left + 1, Offset{1}, WallTime{5100}, WallTime{0}));
    EXPECT_TRUE(segment.must_roll(1, Offset{1}, WallTime{5101}, WallTime{0}));
    EXPECT_TRUE(segment.must_roll(1, Offset{int64_t{INT32_MAX} + 1}, WallTime{5000}, WallTime{0}));
}

TEST(Segment, RecoverCutsATornBatchAndRebuildsTheIndexes) {
    SegmentBench bench;
    bench.limits.index_interval_bytes = 100;
    Segment segment = bench.make();
    for (int i = 0; i < 4; ++i) {
        ASSERT_TRUE(bench.bench.run(bench.append(segment, bench.batch(i, 200))));
    }
    const uint64_t whole = segment.size();
    const Buffer torn = bench.batch(4, 200);
    Chain half(torn.slice(0, torn.size() / 2));
    ASSERT_TRUE(bench.bench.run(segment.write(whole, std::move(half))));
    Segment again = bench.make();
    const auto end = bench.bench.run(again.recover(nullptr));
    ASSERT_TRUE(end);
    EXPECT_EQ(end->offset, Offset{4});
    EXPECT_TRUE(end->damage);
    EXPECT_EQ(again.size(), whole);
    EXPECT_EQ(again.offset_index().bytes(), segment.offset_index().bytes());
    EXPECT_EQ(bench.bench.disk().contents(again.log_path())->size(), whole);
}

TEST(Segment, RecoverStopsAtAFlippedBit) {
    SegmentBench bench;
    Segment segment = bench.make();
    uint64_t second = 0;
    for (int i = 0; i < 3; ++i) {
        if (i == 1) second = segment.size();
        ASSERT_TRUE(bench.bench.run(bench.append(segment, bench.batch(i, 200))));
    }
    ASSERT_TRUE(bench.bench.disk().flip_bit(segment.log_path(), second + 100, 3));
    Segment again = bench.make();
    const auto end = bench.bench.run(again.recover(nullptr));
    ASSERT_TRUE(end);
    EXPECT_EQ(end->offset, Offset{1});
    EXPECT_NE(end->damage->detail.find(fmt::format("at {}", second)), std::string::npos);
}

TEST(Segment, WalksBatchesLargerThanOneRead) {
    SegmentBench bench;
    Segment segment = bench.make();
    const std::vector<size_t> sizes{100, 3UZ * 1024 * 1024, 100, 900UZ * 1024, 900UZ * 1024, 5};
    for (size_t i = 0; i < sizes.size(); ++i) {
        const Buffer batch = bench.batch(static_cast<int64_t>(i), sizes[i]);
        ASSERT_TRUE(bench.bench.run(bench.append(segment, batch)));
    }
    Segment again = bench.make();
    const auto end = bench.bench.run(again.recover(nullptr));
    ASSERT_TRUE(end);
    EXPECT_FALSE(end->damage);
    EXPECT_EQ(end->offset, Offset{6});
}

TEST(AtomicFile, APowerCutLeavesTheOldOrTheNewContent) {
    for (uint64_t cut = 0; cut < 60; ++cut) {
        sim::Bench bench(cut);
        bench.disk().prepare_directory("/data");
        ASSERT_TRUE(bench.run(replace_file(bench.files(), "/data/f", Buffer::copy_of("old"))));
        Buffer content = Buffer::copy_of("a new content");
        auto done = sim::try_run(bench.world, bench.runtime(),
                                 replace_file(bench.files(), "/data/f", content), cut);
        bench.power_cut();
        const auto found = bench.disk().contents("/data/f");
        ASSERT_TRUE(found);
        if (done) {
            EXPECT_EQ(*found, "a new content");
        } else {
            EXPECT_TRUE(*found == "old" || *found == "a new content") << *found;
        }
    }
}

TEST(Segment, IndexesAreDroppedOnlyWhenTheirFilesAreSynced) {
    SegmentBench bench;
    bench.limits.index_interval_bytes = 1000;
    Segment segment = bench.make();
    for (int i = 0; i < 20; ++i) {
        ASSERT_TRUE(bench.bench.run(bench.append(segment, bench.batch(i, 600, 1000 + i))));
    }
    segment.note_aborted({ProducerId{7}, Offset{1}, Offset{9}, Offset{10}});
    segment.drop_indexes();
    EXPECT_TRUE(segment.has_indexes()) << "it grows";
    ASSERT_TRUE(bench.bench.run(segment.write_indexes()));
    segment.drop_indexes();
    EXPECT_TRUE(segment.has_indexes()) << "written, and not synced";
    ASSERT_TRUE(bench.bench.run(segment.sync()));
    const Buffer offsets = segment.offset_index().bytes();
    const Buffer times = segment.time_index().bytes();
    const uint64_t in_file = segment.offset_index_bytes();
    segment.drop_indexes();
    EXPECT_FALSE(segment.has_indexes());
    EXPECT_EQ(segment.index_bytes(), 0U);
    EXPECT_EQ(segment.offset_index().room(), 0U) << "room for what was there is memory too";
    EXPECT_EQ(segment.time_index().room(), 0U);
    EXPECT_EQ(segment.transaction_index().room(), 0U);
    EXPECT_EQ(segment.offset_index_bytes(), in_file);
    ASSERT_TRUE(bench.bench.run(segment.load_indexes()));
    EXPECT_EQ(segment.offset_index().bytes(), offsets);
    EXPECT_EQ(segment.time_index().bytes(), times);
    EXPECT_EQ(segment.transaction_index().entries().size(), 1U);
}

TEST(Segment, WhoeverSeesItsIndexesSeesAbortedTransactionsToo) {
    SegmentBench bench;
    bench.limits.index_interval_bytes = 1000;
    Segment segment = bench.make();
    for (int i = 0; i < 20; ++i) {
        ASSERT_TRUE(bench.bench.run(bench.append(segment, bench.batch(i, 600))));
    }
    segment.note_aborted({ProducerId{7}, Offset{1}, Offset{9}, Offset{10}});
    ASSERT_TRUE(bench.bench.run(segment.write_indexes()));
    ASSERT_TRUE(bench.bench.run(segment.sync()));
    segment.drop_indexes();
    bench.bench.disk().faults.cache_miss = 1'000'000;
    bench.bench.disk().faults.slow_operation = 1'000'000;
    bench.bench.runtime().spawn(load_of(segment));
    bench.bench.runtime().spawn(load_of(segment));
    while (!segment.has_indexes()) ASSERT_TRUE(bench.bench.world.step());
    EXPECT_EQ(segment.transaction_index().entries().size(), 1U);
    // The second one comes too late, and must not undo what happens to the segment meanwhile.
    segment.note_truncate(Offset{5}, segment.offset_index().lookup(Offset{5}).position);
    const Buffer left = segment.offset_index().bytes();
    bench.bench.world.run_for(std::chrono::seconds(1));
    EXPECT_EQ(segment.offset_index().bytes(), left);
    EXPECT_TRUE(segment.transaction_index().empty());
}

}  // namespace
}  // namespace ottla::storage::test
