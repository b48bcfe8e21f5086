// SPDX-License-Identifier: Apache-2.0
// What Kafka's checksums do not cover: sums of segments, the reign they are believed in, and the
// scrubber that makes and compares them.
#include <gtest/gtest.h>

#include "storage/atomic_file.h"
#include "tests/storage/damage_bench.h"

namespace ottla::storage::test {
namespace {

SegmentSums some_sums() {
    SegmentSums sums;
    sums.reign.bytes[3] = 7;
    sums.base = Offset{500};
    sums.log_bytes = 300;
    sums.has_gaps = true;
    sums.offsets = {16, 5};
    sums.times = {24, 6};
    sums.first_crc = 9;
    sums.chunks = {{100, 1}, {300, 2}};
    return sums;
}

TEST(SegmentSums, RoundTrip) {
    const Buffer bytes = sums_bytes(some_sums());
    const auto parsed = parse_sums(bytes.span());
    ASSERT_TRUE(parsed) << parsed.error().detail;
    EXPECT_EQ(*parsed, some_sums());
    EXPECT_EQ(parsed->chunk_begin(0), 0U);
    EXPECT_EQ(parsed->chunk_begin(99), 0U);
    EXPECT_EQ(parsed->chunk_begin(100), 100U);
    EXPECT_EQ(parsed->chunk_begin(299), 100U);
}

TEST(SegmentSums, AnyFlippedBitOrCutIsNoticed) {
    const Buffer whole = sums_bytes(some_sums());
    for (size_t bit = 0; bit < whole.size() * 8; ++bit) {
        std::string bytes(whole.text());
        bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
        EXPECT_FALSE(parse_sums(as_bytes(bytes))) << bit;
    }
    for (size_t size = 0; size < whole.size(); ++size) {
        EXPECT_FALSE(parse_sums(whole.span().first(size))) << size;
    }
}

TEST(DirectorySums, RoundTripAndAnyFlippedBitIsNoticed) {
    DirectorySums sums;
    sums.reign.bytes[0] = 200;
    sums.stopped = WallTime{1'700'000'000'123};
    sums.metadata = {Offset{12}, 345};
    sums.files["meta.properties"] = sum_of(as_bytes("hello"));
    const std::string text = to_text(sums);
    const auto parsed = parse_directory_sums(text);
    ASSERT_TRUE(parsed) << parsed.error().detail;
    EXPECT_EQ(*parsed, sums);
    EXPECT_TRUE(parsed->agrees("meta.properties", "hello"));
    EXPECT_FALSE(parsed->agrees("meta.properties", "hallo"));
    EXPECT_TRUE(parsed->agrees("other", "anything"));
    for (size_t bit = 0; bit < text.size() * 8; ++bit) {
        std::string bytes = text;
        bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
        EXPECT_FALSE(parse_directory_sums(bytes)) << bit;
    }
}

/// A compacted log has gaps: there a base offset is not known by its neighbours.
class SumsBench : public DamageBench {
public:
    SumsBench() {
        config.index_interval_bytes = 300;
        settings.scrub_bytes_per_second = 1ULL << 40U;
    }
    /// Closed segments whose batches end and begin with gaps between them.
    Log& sparse_log() {
        start();
        create("t");
        Log& log = *find("t");
        for (int i = 0; i < 24; ++i) {
            const Buffer plain =
                make_batch(codecs, fmt::format("value {} ", i) + std::string(60, '.'));
            const Buffer batch = Buffer::copy_of(plain.text());
            std::string bytes(batch.text());
            store_be<int64_t>(reinterpret_cast<std::byte*>(bytes.data()), i * 64);
            store_be<int32_t>(
                reinterpret_cast<std::byte*>(bytes.data()) + batch_layout::kLeaderEpoch, 0);
            AppendRequest request;
            request.batch = as_bytes(bytes);
            request.mode = AppendMode::follower;
            CHECK(log.append(request).has_value(), "a follower leaps");
        }
        settle(log);
        log.note_high_watermark(log.log_end());
        return log;
    }
    void scrub(Log& log) { bench.run(log.parts().home.scrubber().look_at_all()); }
    std::string sums_of(Log& log, size_t segment) {
        return path_of(offset_file_name(log.parts().segments[segment]->base(), kSumsSuffix));
    }
    Log& again() {
        clean_stop();
        start();
        return *find("t");
    }
    /// The bit that adds 1 to the base offset of the second batch of a segment.
    uint64_t base_bit(Log& log, size_t segment) {
        const std::string bytes = contents(log.parts().segments[segment]->log_path());
        const auto first = parse_batch(as_bytes(bytes));
        return (first->size() + 7) * 8;
    }
};

TEST(Sums, AreMadeForClosedSegmentsSoonAfterwards) {
    SumsBench bench;
    Log& log = bench.sparse_log();
    bench.clean_stop();
    bench.start();
    bench.fill(*bench.find("t"), 20);
    bench.run_for(std::chrono::seconds(30));
    Log& now = *bench.find("t");
    EXPECT_GT(now.parts().home.scrubber().sums_written(), 0U);
    (void)log;
}

TEST(Sums, AWrongBaseOffsetInAGapIsNeverServed) {
    SumsBench bench;
    bench.sparse_log();
    Log& log = bench.again();
    bench.scrub(log);
    const auto before = bench.stored(log);
    Log& now = bench.again();
    const auto segment = now.parts().segments[1];
    ASSERT_TRUE(bench.bench.disk().exists(bench.sums_of(now, 1)));
    ASSERT_TRUE(bench.flip(segment->log_path(), bench.base_bit(now, 1)));
    size_t refused = 0;
    for (const auto& [base, batch] : before) {
        const std::string wrong = bench.read_wrongly(now, before, base, 64UZ * 1024);
        EXPECT_TRUE(wrong.empty() || wrong.starts_with("CORRUPT")) << base.value() << ": " << wrong;
        refused += wrong.empty() ? 0 : 1;
    }
    EXPECT_GT(refused, 0U);
    EXPECT_LE(refused, 8U) << "the segment and no other";
}

TEST(Sums, ATimeIndexThatIsNotTheirsIsBuiltAnewBeforeItAnswers) {
    SumsBench bench;
    bench.start();
    bench.create("t");
    bench.fill(*bench.find("t"), 60);
    bench.scrub(bench.again());
    Log& log = bench.again();
    const auto segment = log.parts().segments[1];
    const std::string path = DamageBench::path_of(offset_file_name(segment->base(), ".timeindex"));
    const std::string before = bench.contents(path);
    // Of each batch: its time, and its first offset.
    std::vector<std::pair<WallTime, Offset>> wanted;
    for (const auto& [base, batch] : bench.stored(log)) {
        const auto view = parse_batch(as_bytes(batch.bytes));
        if (log.parts().segment_index(base) == 1) wanted.emplace_back(view->max_timestamp(), base);
    }
    ASSERT_GT(wanted.size(), 2U);
    for (uint64_t bit = 0; bit < before.size() * 8; ++bit) {
        ASSERT_TRUE(bench.flip(path, bit));
        DamageBench::forget(log);
        for (const auto& [time, base] : wanted) {
            const auto found = bench.bench.run(log.offset_for_timestamp(time));
            ASSERT_TRUE(found && *found) << bit;
            EXPECT_EQ((*found)->offset, base) << "bit " << bit;
        }
        // Another segment may have been looked at first.
        ASSERT_TRUE(bench.bench.run(log.parts().ensure_indexes(segment)));
        EXPECT_EQ(bench.contents(path), before) << "bit " << bit;
        if (testing::Test::HasFailure()) return;
        // Before it is synced it is not dropped again.
        ASSERT_TRUE(bench.bench.run(bench.store->checkpoint()));
    }
}

TEST(Sums, AreNotBelievedWhenKafkaMayHaveBeenThere) {
    SumsBench bench;
    bench.sparse_log();
    bench.scrub(bench.again());
    bench.clean_stop();
    // Kafka deletes the file when it starts and writes it when it stops.
    const std::string stop = kDirectory + "/.kafka_cleanshutdown";
    bench.run_for(std::chrono::seconds(1));
    ASSERT_TRUE(bench.bench.run(
        write_file(bench.ports().files, stop, Buffer::copy_of(bench.contents(stop)))));
    // And it cleaned a segment: another base offset in the gap.
    const std::string path = DamageBench::path_of("00000000000000000000.log");
    const auto first = parse_batch(as_bytes(bench.contents(path)));
    ASSERT_TRUE(bench.flip(path, (first->size() + 7) * 8));
    bench.start();
    Log& log = *bench.find("t");
    for (const auto& [base, batch] : bench.stored(log)) {
        EXPECT_EQ(bench.read_wrongly(log, bench.stored(log), base, 64UZ * 1024), "")
            << base.value();
    }
    bench.scrub(log);
    EXPECT_TRUE(bench.damages.empty()) << "no false alarm: " << bench.damages[0].what;
}

TEST(Sums, OfASegmentThatWasTruncatedAndGrewAgainCauseNoAlarm) {
    SumsBench bench;
    bench.sparse_log();
    bench.scrub(bench.again());
    Log& log = *bench.find("t");
    const Offset middle = log.parts().segments[1]->base();
    ASSERT_TRUE(bench.bench.run(log.truncate_to(middle)));
    bench.fill(log, 30);
    bench.run_for(std::chrono::seconds(30));
    bench.scrub(log);
    Log& now = bench.again();
    bench.scrub(now);
    EXPECT_TRUE(bench.damages.empty()) << bench.damages[0].what;
}

TEST(Scrubber, FindsADamagedBatchThatNobodyReads) {
    SumsBench bench;
    bench.sparse_log();
    Log& log = bench.again();
    ASSERT_TRUE(bench.flip(log.parts().segments[2]->log_path(), 80 * 8));
    bench.scrub(log);
    ASSERT_EQ(bench.found(Damage::Kind::batch), 1U);
    EXPECT_TRUE(bench.damages[0].what.starts_with(log.parts().segments[2]->log_path() + " at 0: "))
        << bench.damages[0].what;
    bench.scrub(log);
    EXPECT_EQ(bench.found(Damage::Kind::batch), 1U) << "told once";
    EXPECT_FALSE(bench.bench.disk().exists(bench.sums_of(log, 2))) << "damage is never summed";
    EXPECT_TRUE(bench.failures.empty());
}

TEST(Scrubber, FindsAWrongLeaderEpochByTheSums) {
    SumsBench bench;
    bench.sparse_log();
    bench.scrub(bench.again());
    Log& log = bench.again();
    log.parts().epochs = LeaderEpochs();  // Nothing else would tell.
    ASSERT_TRUE(
        bench.flip(log.parts().segments[1]->log_path(), (batch_layout::kLeaderEpoch + 3) * 8));
    bench.scrub(log);
    EXPECT_EQ(bench.found(Damage::Kind::batch), 1U);
}

TEST(Scrubber, FindsAnyWrongBitOfAnIndexAndBuildsItAnew) {
    SumsBench bench;
    bench.sparse_log();
    bench.scrub(bench.again());
    Log& log = bench.again();
    const Offset base = log.parts().segments[1]->base();
    for (const std::string_view suffix : {kOffsetIndexSuffix, kTimeIndexSuffix}) {
        const std::string path = DamageBench::path_of(offset_file_name(base, suffix));
        const std::string before = bench.contents(path);
        ASSERT_FALSE(before.empty());
        for (uint64_t bit = 0; bit < before.size() * 8; ++bit) {
            ASSERT_TRUE(bench.flip(path, bit));
            DamageBench::forget(log);
            bench.scrub(log);
            bench.run_for(std::chrono::milliseconds(100));
            EXPECT_EQ(bench.contents(path), before) << path << ", bit " << bit;
            bench.scrub(log);
            if (testing::Test::HasFailure()) return;
        }
    }
    EXPECT_EQ(bench.found(Damage::Kind::batch), 0U);
}

TEST(Scrubber, ReadsNoFasterThanItMay) {
    SumsBench bench;
    bench.settings.scrub_bytes_per_second = 1000;
    bench.settings.scrub_interval = std::chrono::seconds(1);
    bench.sparse_log();
    Log& log = bench.again();
    bench.run_for(std::chrono::seconds(4));
    const uint64_t read = log.parts().home.scrubber().bytes_read();
    EXPECT_GT(read, 0U);
    EXPECT_LT(read, 6000U);
}

TEST(Start, WithAnyFlippedBitInMetaPropertiesIsRefusedByName) {
    DamageBench bench;
    bench.start();
    bench.clean_stop();
    const std::string path = kDirectory + "/meta.properties";
    const uint64_t bits = bench.contents(path).size() * 8;
    for (uint64_t bit = 0; bit < bits; bit += 3) {
        ASSERT_TRUE(bench.flip(path, bit));
        const auto opened =
            bench.bench.run(LogDirectory::open(bench.ports(), kDirectory, bench.settings));
        ASSERT_FALSE(opened) << bit;
        EXPECT_EQ(opened.error().code, ErrorCode::corrupt);
        EXPECT_NE(opened.error().detail.find("meta.properties"), std::string::npos);
        ASSERT_TRUE(bench.flip(path, bit));
    }
    bench.start();
}

TEST(Start, WithAnyFlippedBitInASmallFileServesEverything) {
    const std::vector<std::string> files = {kDirectory + "/recovery-point-offset-checkpoint",
                                            kDirectory + "/log-start-offset-checkpoint",
                                            kDirectory + "/replication-offset-checkpoint",
                                            kDirectory + "/.kafka_cleanshutdown",
                                            kDirectory + "/.ottla-sums",
                                            DamageBench::path_of("partition.metadata"),
                                            DamageBench::path_of("leader-epoch-checkpoint")};
    for (const std::string& path : files) {
        DamageBench bench;
        bench.start();
        bench.create("other");
        bench.create("t");
        bench.fill(*bench.find("other"), 5);
        bench.fill(*bench.find("t"), 20);
        const auto wanted = bench.values(*bench.find("t"));
        bench.clean_stop();
        const uint64_t bits = bench.contents(path).size() * 8;
        ASSERT_GT(bits, 0U) << path;
        for (uint64_t bit = 0; bit < bits; bit += 5) {
            if (bit >= bench.contents(path).size() * 8) break;
            ASSERT_TRUE(bench.flip(path, bit));
            const Status booted = bench.bench.run(bench.boot());
            ASSERT_TRUE(booted) << path << ", bit " << bit << ": " << booted.error().detail;
            ASSERT_NE(bench.find("t"), nullptr);
            EXPECT_EQ(bench.values(*bench.find("t")), wanted) << path << ", bit " << bit;
            EXPECT_EQ(bench.values(*bench.find("other")).size(), 9U);
            bench.clean_stop();
            if (testing::Test::HasFailure()) return;
        }
    }
}

}  // namespace
}  // namespace ottla::storage::test
