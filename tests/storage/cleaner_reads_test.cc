// SPDX-License-Identifier: Apache-2.0
// What the cleaner makes of segments is as well checked as they were, and who reads meanwhile is told
// of one moment.
#include <gtest/gtest.h>

#include "records/control.h"
#include "tests/storage/cleaner_bench.h"

namespace ottla::storage::test {
namespace {

Task<> read_committed(Log& log, std::optional<Result<CommittedSlice>>& answer) {
    answer = co_await log.read_committed(Offset{0}, 4096, log.log_end(), true);
}

/// An aborted transaction, its marker in another segment, and enough behind it for a cleaning.
void fill_with_aborted(CleanerBench& bench, Log& log) {
    BatchOptions options;
    options.producer_id = ProducerId{5};
    options.producer_epoch = ProducerEpoch{0};
    options.base_sequence = 0;
    options.transactional = true;
    bench.put(log, "key 0", "aborted", options);
    bench.fill(log, 12, 4);
    MarkerOptions marker;
    marker.producer_id = options.producer_id;
    marker.producer_epoch = options.producer_epoch;
    marker.timestamp = bench.ports().runtime.wall_time();
    const Buffer end = build_end_transaction_batch(marker, {false, 0});
    AppendRequest request;
    request.batch = end.span();
    request.leader_epoch = bench.epoch;
    ASSERT_TRUE(log.append(request));
    bench.fill(log, 40, 4);
}

TEST(LogCleaner, ACommittedReaderIsToldOfEveryAbortedTransactionWhoseRecordsItGets) {
    size_t with_aborted = 0;
    size_t swapped_under_way = 0;
    for (uint64_t events = 0; events < 60; ++events) {
        CleanerBench bench(events + 1);
        bench.settings.cleaner_enabled = false;
        bench.settings.scrub_bytes_per_second = 0;
        bench.start();
        Log& log = bench.create("t");
        fill_with_aborted(bench, log);
        ASSERT_TRUE(bench.bench.run(bench.store->checkpoint()));
        log.parts().home.journal().trim();
        for (const auto& segment : log.parts().segments) segment->drop_indexes();
        bench.bench.disk().faults.cache_miss = 1'000'000;
        std::optional<Result<CommittedSlice>> answer;
        bench.ports().runtime.spawn(read_committed(log, answer));
        for (uint64_t i = 0; i < events && !answer; ++i) bench.bench.world.step();
        if (!answer) ++swapped_under_way;
        ASSERT_TRUE(bench.bench.run(log.parts().home.cleaner().clean_dirtiest()));
        ASSERT_GT(bench.swaps(log), 0U);
        bench.run_for(std::chrono::seconds(1));
        ASSERT_TRUE(answer && *answer);
        const Buffer bytes = (*answer)->records.bytes.flatten();
        BatchCursor cursor(bytes.span(), BatchCursor::Crc::check);
        ASSERT_EQ(cursor.next(), BatchStep::batch);
        if (cursor.batch().producer_id() != ProducerId{5}) continue;  // Cleaned before it was read.
        ++with_aborted;
        ASSERT_EQ((*answer)->aborted.size(), 1U) << "after " << events << " events";
        EXPECT_EQ((*answer)->aborted.front().producer, ProducerId{5});
    }
    EXPECT_GT(with_aborted, 5U);
    EXPECT_GT(swapped_under_way, 5U);
}

TEST(LogCleaner, AHeadThatNoChecksumCoversIsNotMadePartOfAnotherSegment) {
    CleanerBench bench;
    bench.settings.scrub_bytes_per_second = 0;
    bench.start();
    Log& log = bench.create("t");
    bench.fill(log, 40, 4);
    bench.run_for(std::chrono::milliseconds(40));
    ASSERT_EQ(bench.swaps(log), 0U);
    const std::string path = log.parts().segments.front()->log_path();
    const auto bytes = bench.bench.disk().contents(path);
    const auto first = parse_batch(as_bytes(*bytes));
    // The base offset of the second batch: its CRC begins behind it.
    ASSERT_TRUE(bench.bench.disk().flip_bit(path, first->size() + 7, 1));
    bench.wait();
    ASSERT_TRUE(log.parts().uncleanable) << "copied, nobody could tell it any more";
    EXPECT_NE(log.parts().uncleanable->detail.find(path), std::string::npos);
    EXPECT_EQ(bench.swaps(log), 0U);
}

/// Reads from `from`, whatever it is.
Task<Result<LogSlice>> read_from_files(Log& log, Offset from) {
    co_return co_await log.read_cold(from, 1, log.log_end(), true);
}

TEST(LogCleaner, ABaseOffsetNextToAGapIsKnownFromTheMomentOfTheSwap) {
    CleanerBench bench;
    bench.settings.scrub_bytes_per_second = 0;
    bench.start();
    Log& log = bench.create("t");
    // Between those that stay are many that do not.
    for (int i = 0; i < 20; ++i) {
        bench.put(log, fmt::format("only {}", i), "value");
        bench.fill(log, 5, 2);
    }
    bench.wait();
    ASSERT_GT(bench.swaps(log), 0U);
    bench.clean_stop();
    bench.start();
    Log& again = *bench.find("t");
    const auto segment = again.parts().segments.front();
    const std::string path = segment->log_path();
    const auto bytes = bench.bench.disk().contents(path);
    HeadSummer heads(segment->base());
    std::vector<std::pair<Offset, uint64_t>> batches;
    BatchCursor cursor(as_bytes(*bytes));
    while (cursor.next() == BatchStep::batch) {
        heads.note(cursor.batch());
        batches.emplace_back(cursor.batch().base_offset(), cursor.position());
    }
    ASSERT_TRUE(heads.has_gaps());
    for (const auto& [base, position] : batches) {
        // One more or less, and still between its neighbours.
        ASSERT_TRUE(bench.bench.disk().flip_bit(path, position + 7, 0));
        const auto slice = bench.bench.run(read_from_files(again, base));
        EXPECT_FALSE(slice) << base.value();
        ASSERT_TRUE(bench.bench.disk().flip_bit(path, position + 7, 0));
        again.parts().damaged.clear();
        EXPECT_TRUE(bench.bench.run(read_from_files(again, base))) << base.value();
    }
}

}  // namespace
}  // namespace ottla::storage::test
