// SPDX-License-Identifier: Apache-2.0
// Transactions in a log: the aborted index, what is open, the last stable offset; after rolls,
// restarts, truncations and crashes they are what a walk over all the records says.
#include <gtest/gtest.h>

#include "records/control.h"
#include "storage/file_names.h"
#include "storage/log_parts.h"
#include "tests/storage/store_bench.h"

namespace ottla::storage::test {
namespace {

class TransactionBench : public StoreBench {
public:
    explicit TransactionBench(uint64_t seed = 1) : StoreBench(seed) {
        config.segment_bytes = 1500;
        config.index_interval_bytes = 300;
    }
    Offset write(Log& log, int64_t producer, bool transactional = true) {
        BatchOptions options;
        options.producer_id = ProducerId{producer};
        options.producer_epoch = ProducerEpoch{0};
        options.base_sequence = sequences[producer];
        options.transactional = transactional;
        const auto done = append(log, std::string(150, 'v'), options);
        CHECK(done.has_value(), "a batch of a producer is appended");
        ++sequences[producer];
        return done->base_offset;
    }
    Offset end(Log& log, int64_t producer, bool commit) {
        MarkerOptions options;
        options.producer_id = ProducerId{producer};
        options.producer_epoch = ProducerEpoch{0};
        options.timestamp = WallTime{1000};
        const Buffer marker = build_end_transaction_batch(options, {commit, 0});
        AppendRequest request;
        request.batch = marker.span();
        request.leader_epoch = epoch;
        const auto done = log.append(request);
        CHECK(done.has_value(), "a marker is appended");
        return done->base_offset;
    }
    Offset commit(Log& log, int64_t producer) { return end(log, producer, true); }
    Offset abort(Log& log, int64_t producer) { return end(log, producer, false); }
    void replicate(Log& log) {
        settle(log);
        log.note_high_watermark(log.log_end());
    }
    std::vector<AbortedTransaction> aborted(Log& log, Offset from, Offset to) {
        const auto found = bench.run(log.aborted_transactions(from, to));
        CHECK(found.has_value(), "indexes can be read");
        return *found;
    }
    std::map<int64_t, int32_t> sequences;
};

/// What the records themselves say.
struct Rescan final : BatchVisitor {
    ProducerState producers;
    std::vector<AbortedTransaction> aborted;
    void visit(const BatchView& batch, uint64_t) override {
        const auto done = feed_producers(producers, batch);
        if (!done || !done->aborted) return;
        const Offset stable = producers.first_open_transaction().value_or(done->last + 1);
        aborted.push_back({done->producer, done->first, done->last, stable});
    }
};

Task<Status> rescan(Log& log, Rescan& into) {
    co_return co_await log.parts().visit_batches(Offset{0}, into);
}

void expect_as_rescanned(TransactionBench& bench, Log& log, const std::string& where) {
    Rescan wanted;
    ASSERT_TRUE(bench.bench.run(rescan(log, wanted))) << where;
    std::vector<AbortedTransaction> found = bench.aborted(log, Offset{0}, log.log_end());
    std::sort(found.begin(), found.end(),
              [](const auto& a, const auto& b) { return a.last < b.last; });
    EXPECT_EQ(found, wanted.aborted) << where;
    EXPECT_EQ(log.first_open_transaction(), wanted.producers.first_open_transaction()) << where;
    log.note_high_watermark(log.log_end());
    wanted.producers.note_high_watermark(log.log_end());
    EXPECT_EQ(log.last_stable_offset(),
              wanted.producers.first_unstable().value_or(log.log_end()))
        << where;
}

TEST(Transactions, LastStableOffsetWaitsForTheOldestOpenTransaction) {
    TransactionBench bench;
    bench.start();
    Log& log = bench.create("t");
    bench.write(log, 1, false);
    bench.replicate(log);
    EXPECT_EQ(log.last_stable_offset(), Offset{1});
    bench.write(log, 2);
    bench.write(log, 3);
    bench.replicate(log);
    EXPECT_EQ(log.last_stable_offset(), Offset{1});
    bench.commit(log, 2);
    bench.replicate(log);
    EXPECT_EQ(log.last_stable_offset(), Offset{2});
    bench.abort(log, 3);
    bench.replicate(log);
    EXPECT_EQ(log.last_stable_offset(), Offset{5});
}

TEST(Transactions, LastStableOffsetWaitsForAMarkerToBeReplicated) {
    TransactionBench bench;
    bench.start();
    Log& log = bench.create("t");
    bench.write(log, 1);
    bench.write(log, 1);
    bench.commit(log, 1);
    bench.settle(log);
    log.note_high_watermark(Offset{2});
    EXPECT_EQ(log.last_stable_offset(), Offset{0}) << "the marker at 2 may still be lost";
    log.note_high_watermark(Offset{3});
    EXPECT_EQ(log.last_stable_offset(), Offset{3});
}

TEST(Transactions, AMarkerThatIsNotReplicatedIsRememberedOverARestart) {
    for (const bool clean : {true, false}) {
        TransactionBench bench;
        bench.start();
        Log& log = bench.create("t");
        bench.replicate(log);
        bench.write(log, 1);
        bench.write(log, 1);
        bench.replicate(log);
        ASSERT_TRUE(log.roll());
        bench.commit(log, 1);
        bench.settle(log);
        ASSERT_TRUE(bench.bench.run(bench.store->checkpoint()));
        if (clean) {
            bench.clean_stop();
        } else {
            bench.power_cut();
        }
        bench.start();
        Log& back = *bench.find("t");
        if (clean) EXPECT_EQ(back.noted_high_watermark(), Offset{2});
        EXPECT_EQ(back.last_stable_offset(), Offset{0}) << clean;
        back.note_high_watermark(Offset{3});
        EXPECT_EQ(back.last_stable_offset(), Offset{3});
    }
}

TEST(Transactions, AnAbortedTransactionIsFoundByAnyRangeThatMeetsIt) {
    TransactionBench bench;
    bench.start();
    Log& log = bench.create("t");
    bench.write(log, 1);
    bench.write(log, 2);
    bench.abort(log, 2);
    bench.abort(log, 1);
    bench.abort(log, 5);  // Had no data here (trap 79).
    bench.replicate(log);
    const std::vector<AbortedTransaction> both{
        {ProducerId{1}, Offset{0}, Offset{3}, Offset{4}},
        {ProducerId{2}, Offset{1}, Offset{2}, Offset{0}}};
    EXPECT_EQ(bench.aborted(log, Offset{0}, Offset{5}), both) << "by first offset";
    EXPECT_EQ(bench.aborted(log, Offset{3}, Offset{5}).size(), 1U);
    EXPECT_TRUE(bench.aborted(log, Offset{4}, Offset{5}).empty());
    EXPECT_EQ(bench.aborted(log, Offset{0}, Offset{1}).size(), 1U);
}

TEST(Transactions, OneThatSpansSegmentsIsInTheIndexOfItsMarker) {
    TransactionBench bench;
    bench.start();
    Log& log = bench.create("t");
    for (int i = 0; i < 20; ++i) bench.write(log, 1);
    const Offset marker = bench.abort(log, 1);
    bench.replicate(log);
    ASSERT_GT(log.parts().segments.size(), 2U);
    EXPECT_EQ(bench.aborted(log, Offset{0}, Offset{1}).size(), 1U);
    EXPECT_TRUE(log.parts().segments.front()->transaction_index().empty());
    ASSERT_TRUE(log.roll());
    bench.clean_stop();
    const Offset base = [&] {
        Offset found{0};
        for (const std::string& path : bench.bench.disk().files()) {
            const auto at = parse_offset_file(path.substr(path.rfind('/') + 1), ".txnindex");
            if (at) found = *at;
        }
        return found;
    }();
    EXPECT_GT(base, Offset{0});
    EXPECT_LE(base, marker);
    bench.start();
    EXPECT_EQ(bench.aborted(*bench.find("t"), Offset{3}, Offset{4}).size(), 1U);
}

/// Several producers, ended and open ones, over several segments.
void write_transactions(TransactionBench& bench, Log& log, int rounds) {
    for (int round = 0; round < rounds; ++round) {
        bench.write(log, 1);
        bench.write(log, 2);
        bench.write(log, 7, false);
        bench.write(log, 1);
        if (round % 2 == 0) bench.abort(log, 1);
        if (round % 3 == 0) bench.abort(log, 2);
        if (round % 3 == 1) bench.commit(log, 2);
        bench.write(log, 3);
        if (round % 4 == 3) bench.end(log, 3, round % 8 == 3);
    }
}

TEST(Transactions, ARestartKnowsThemWhateverTheStop) {
    for (const bool clean : {true, false}) {
        TransactionBench bench;
        bench.start();
        Log& log = bench.create("t");
        write_transactions(bench, log, 12);
        bench.replicate(log);
        expect_as_rescanned(bench, log, "before");
        bench.run_for(std::chrono::milliseconds(100));
        if (clean) {
            bench.clean_stop();
        } else {
            bench.power_cut();
        }
        bench.start();
        expect_as_rescanned(bench, *bench.find("t"), clean ? "clean stop" : "power cut");
    }
}

TEST(Transactions, AMissingIndexIsBuiltAgainAfterACrash) {
    TransactionBench bench;
    bench.start();
    Log& log = bench.create("t");
    write_transactions(bench, log, 12);
    bench.replicate(log);
    ASSERT_TRUE(bench.bench.run(bench.store->checkpoint()));
    bench.kill();
    // The catalogue vouches for them: without it every segment is walked.
    ASSERT_TRUE(bench.bench.disk().flip_bit(kDirectory + "/.ottla-catalogue-0", 50, 1));
    for (const std::string& path : bench.bench.disk().files()) {
        if (path.ends_with("index")) EXPECT_TRUE(bench.bench.disk().unlink(path));
    }
    bench.start();
    expect_as_rescanned(bench, *bench.find("t"), "without index files");
}

TEST(Transactions, TruncationAtAnyOffsetAndACrashBehindItLeaveWhatARescanSays) {
    for (const bool flushed : {false, true}) {
        for (int64_t cut = 0;; ++cut) {
            TransactionBench bench(static_cast<uint64_t>(cut) + 1);
            bench.settings.flush_delay =
                flushed ? std::chrono::milliseconds(1) : std::chrono::milliseconds(60'000);
            bench.start();
            Log& log = bench.create("t");
            write_transactions(bench, log, 8);
            bench.replicate(log);
            bench.run_for(std::chrono::milliseconds(50));
            if (Offset{cut} >= log.log_end()) break;
            EXPECT_EQ(log.flushed_end() == log.log_end(), flushed);
            ASSERT_TRUE(bench.bench.run(log.truncate_to(Offset{cut})));
            const std::string where = fmt::format("cut at {}{}", cut, flushed ? ", flushed" : "");
            expect_as_rescanned(bench, log, where);
            bench.sequences.clear();
            bench.write(log, 9);
            bench.settle(log);
            bench.power_cut();
            bench.start();
            expect_as_rescanned(bench, *bench.find("t"), where + ", after the crash");
            EXPECT_EQ(bench.find("t")->log_end(), Offset{cut + 1}) << where;
            if (testing::Test::HasFailure()) return;
        }
    }
}

TEST(Transactions, OneThatEndedBelowTheLogStartDoesNotOpenAgainByATruncation) {
    TransactionBench bench;
    bench.start();
    Log& log = bench.create("t");
    bench.write(log, 1);
    ASSERT_TRUE(log.roll());  // A snapshot in which it is open.
    bench.commit(log, 1);
    for (int i = 0; i < 3; ++i) bench.write(log, 2, false);
    bench.replicate(log);
    bench.run_for(std::chrono::milliseconds(100));
    ASSERT_TRUE(log.delete_records(Offset{2}));
    ASSERT_TRUE(bench.bench.run(log.truncate_to(Offset{4})));
    log.note_high_watermark(log.log_end());
    EXPECT_EQ(log.first_open_transaction(), std::nullopt);
    EXPECT_EQ(log.last_stable_offset(), Offset{4});
}

Task<> transaction_story(TransactionBench& bench, Log& log, bool& done) {
    for (int round = 0; round < 4; ++round) {
        write_transactions(bench, log, 2);
        while (log.durable_end() < log.log_end()) {
            static_cast<void>(
                co_await bench.ports().runtime.sleep_for(std::chrono::microseconds(50)));
        }
        static_cast<void>(co_await bench.ports().runtime.sleep_for(std::chrono::milliseconds(25)));
        if (round == 2) {
            const Status cut = co_await log.truncate_to(log.log_end() - 7);
            CHECK(cut.has_value(), "a truncation inside the log");
            for (auto& [producer, sequence] : bench.sequences) sequence += 100'000;
            // Other producers go on, the old ones' sequences were cut.
            bench.sequences.clear();
            bench.epoch = LeaderEpoch{1};
            break;
        }
    }
    done = true;
}

TEST(PowerCut, AtAnyEventOfTransactionsTheirStateIsThatOfTheRecords) {
    uint64_t struck = 0;
    for (uint64_t events = 1; events < 5000; ++events) {
        TransactionBench bench(events);
        bench.settings.checkpoint_interval = std::chrono::milliseconds(30);
        bench.start();
        bool done = false;
        Log& log = bench.create("t");
        bench.ports().runtime.spawn(transaction_story(bench, log, done));
        for (uint64_t i = 0; i < events && !done; ++i) bench.bench.world.step();
        bench.power_cut();
        const Status booted = bench.bench.run(bench.boot());
        ASSERT_TRUE(booted) << events << ": " << booted.error().detail;
        if (bench.find("t") == nullptr) continue;
        expect_as_rescanned(bench, *bench.find("t"), fmt::format("after {} events", events));
        ++struck;
        if (done || testing::Test::HasFailure()) break;
    }
    EXPECT_GT(struck, 50U);
}

}  // namespace
}  // namespace ottla::storage::test
