// SPDX-License-Identifier: Apache-2.0
// Flipped bits in segments and indexes: what is damaged is never served, what is not always is, and
// nobody dies of it.
#include <gtest/gtest.h>

#include "storage/offset_checkpoint.h"
#include "tests/storage/damage_bench.h"

namespace ottla::storage::test {
namespace {

/// A log of several closed segments, all of it in files only.
Log& cold_log(DamageBench& bench, int batches = 20) {
    bench.start();
    bench.create("other");
    bench.fill(*bench.find("other"), 5);
    bench.create("t");
    bench.fill(*bench.find("t"), batches);
    bench.clean_stop();
    bench.start();
    CHECK(bench.find("t")->parts().segments.size() > 3, "several segments");
    // As a log that has been here since it was made.
    bench.find("t")->parts().epochs_certain = true;
    return *bench.find("t");
}

/// The batch of `wanted` that lies at `position` of the file that begins with `first`.
StoredBatches::const_iterator batch_at(const StoredBatches& wanted,
                                       Offset first,
                                       uint64_t position) {
    auto at = wanted.find(first);
    while (position >= at->second.bytes.size()) position -= (at++)->second.bytes.size();
    return at;
}

TEST(Damage, AnyFlippedBitOfASegmentHurtsOnlyItsBatch) {
    DamageBench bench;
    Log& log = cold_log(bench);
    const StoredBatches wanted = bench.stored(log);
    for (const size_t which : {0UZ, 1UZ, log.parts().segments.size() - 1}) {
        const auto segment = log.parts().segments[which];
        const std::string path = segment->log_path();
        const uint64_t bits = bench.contents(path).size() * 8;
        for (uint64_t bit = 0; bit < bits; bit += (bit / 8) % 160 < 61 ? 1 : 37) {
            ASSERT_TRUE(bench.flip(path, bit));
            const auto hurt = batch_at(wanted, segment->base(), bit / 8);
            for (const auto& [base, batch] : wanted) {
                const size_t most = bit % 3 == 0 ? 100 : 64UZ * 1024;
                const std::string wrong = bench.read_wrongly(log, wanted, base, most);
                if (base == hurt->first) {
                    EXPECT_TRUE(wrong.starts_with("CORRUPT")) << bit << ": " << wrong;
                } else {
                    EXPECT_EQ(wrong, "")
                        << "bit " << bit << " of " << path << ", read from " << base.value();
                }
            }
            if (testing::Test::HasFailure()) return;
            ASSERT_TRUE(bench.flip(path, bit));
            DamageBench::forget(log);
        }
    }
    EXPECT_TRUE(bench.failures.empty());
    EXPECT_EQ(bench.found(Damage::Kind::index), 0U) << "a false alarm";
    EXPECT_EQ(bench.values(*bench.find("other")).size(), 9U);
}

TEST(Damage, ASegmentThatCannotBeReadIsToldOnceAndItsReadersGetAnError) {
    DamageBench bench;
    Log& log = cold_log(bench);
    const StoredBatches wanted = bench.stored(log);
    const auto& segments = log.parts().segments;
    const Offset behind = segments[1]->base();
    const std::string path = segments[0]->log_path();
    ASSERT_TRUE(bench.bench.run(bench.ports().files.unlink(path)));
    for (int again = 0; again < 3; ++again) {
        EXPECT_NE(bench.read_wrongly(log, wanted, Offset{0}, 1000), "");
        EXPECT_EQ(bench.read_wrongly(log, wanted, behind, 1000), "");
    }
    ASSERT_EQ(bench.found(Damage::Kind::file), 1U);
    EXPECT_NE(bench.damages.back().what.find(path), std::string::npos) << bench.damages.back().what;
    EXPECT_TRUE(bench.failures.empty());
}

TEST(Damage, AnyFlippedBitOfAnOffsetIndexChangesNoAnswer) {
    DamageBench bench;
    Log& log = cold_log(bench);
    const StoredBatches wanted = bench.stored(log);
    const auto segment = log.parts().segments[1];
    const std::string path = DamageBench::path_of(offset_file_name(segment->base(), ".index"));
    const std::string before = bench.contents(path);
    ASSERT_GE(before.size(), 16U);
    size_t noticed = 0;
    for (uint64_t bit = 0; bit < before.size() * 8; ++bit) {
        ASSERT_TRUE(bench.flip(path, bit));
        DamageBench::forget(log);
        const size_t known = bench.damages.size();
        for (const auto& [base, batch] : wanted) {
            EXPECT_EQ(bench.read_wrongly(log, wanted, base, 100), "")
                << bit << ": " << base.value();
        }
        bench.run_for(std::chrono::milliseconds(50));
        EXPECT_EQ(bench.found(Damage::Kind::batch), 0U) << "a false alarm: bit " << bit;
        if (bench.damages.size() > known) {
            ++noticed;
            EXPECT_EQ(bench.contents(path), before) << "built anew: bit " << bit;
        } else {
            ASSERT_TRUE(bench.flip(path, bit));
        }
        if (testing::Test::HasFailure()) return;
    }
    EXPECT_GT(noticed, 0U) << "the others do no harm";
}

TEST(Damage, MissingIndexesAreBuiltAnew) {
    DamageBench bench;
    Log& log = cold_log(bench);
    const StoredBatches wanted = bench.stored(log);
    const auto segment = log.parts().segments[1];
    const std::string index = DamageBench::path_of(offset_file_name(segment->base(), ".index"));
    const std::string times = DamageBench::path_of(offset_file_name(segment->base(), ".timeindex"));
    const std::string index_before = bench.contents(index);
    const std::string times_before = bench.contents(times);
    ASSERT_TRUE(bench.bench.run(bench.ports().files.unlink(index)));
    ASSERT_TRUE(bench.bench.run(bench.ports().files.unlink(times)));
    DamageBench::forget(log);
    for (const auto& [base, batch] : wanted) {
        EXPECT_EQ(bench.read_wrongly(log, wanted, base, 100), "") << base.value();
    }
    EXPECT_EQ(bench.contents(index), index_before);
    EXPECT_EQ(bench.contents(times), times_before);
}

/// One who needs the indexes of a segment: when he had them, or why not.
struct Waiter {
    std::optional<Duration> done;
    std::optional<Error> error;
};
Task<> need_indexes(DamageBench& bench, Log& log, size_t which, Waiter& waiter) {
    const std::shared_ptr<Segment> segment = log.parts().segments[which];
    const auto pin = co_await log.parts().ensure_indexes(segment);
    if (!pin) waiter.error = pin.error();
    waiter.done = bench.bench.world.now();
}

TEST(Damage, WhoWaitsForAnothersRebuildGoesOnInTheSameInstant) {
    DamageBench bench;
    Log& log = cold_log(bench);
    const std::string name = offset_file_name(log.parts().segments[1]->base(), ".index");
    ASSERT_TRUE(bench.bench.run(bench.ports().files.unlink(DamageBench::path_of(name))));
    DamageBench::forget(log);
    std::array<Waiter, 5> waiters;
    for (Waiter& one : waiters) bench.ports().runtime.spawn(need_indexes(bench, log, 1, one));
    bench.run_for(std::chrono::seconds(1));
    for (const Waiter& one : waiters) {
        ASSERT_TRUE(one.done);
        EXPECT_FALSE(one.error);
        EXPECT_EQ(*one.done, *waiters[0].done) << "nobody asks again and again";
    }
    EXPECT_EQ(bench.found(Damage::Kind::index), 1U) << "and one of them builds";
}

TEST(Damage, WhoWaitsForARebuildThatFailsIsTold) {
    DamageBench bench;
    Log& log = cold_log(bench);
    const std::string name = offset_file_name(log.parts().segments[1]->base(), ".index");
    ASSERT_TRUE(bench.bench.run(bench.ports().files.unlink(DamageBench::path_of(name))));
    DamageBench::forget(log);
    bench.bench.disk().faults.read_error = 1'000'000;
    std::array<Waiter, 3> waiters;
    for (Waiter& one : waiters) bench.ports().runtime.spawn(need_indexes(bench, log, 1, one));
    bench.run_for(std::chrono::seconds(1));
    for (const Waiter& one : waiters) EXPECT_TRUE(one.done && one.error);
    EXPECT_TRUE(log.parts().rebuilding.empty());
    bench.bench.disk().faults.read_error = 0;
    Waiter later;
    bench.ports().runtime.spawn(need_indexes(bench, log, 1, later));
    bench.run_for(std::chrono::seconds(1));
    EXPECT_TRUE(later.done && !later.error);
}

TEST(Damage, ARebuildThatMayNotBeginKeepsNobodyWaiting) {
    DamageBench bench;
    Log& log = cold_log(bench);
    bench.bench.run(log.parts().users.close());
    log.parts().distrust_index(log.parts().segments[1], "of a test");
    bench.run_for(std::chrono::milliseconds(50));
    EXPECT_TRUE(log.parts().rebuilding.empty()) << "the log is on its way out";
}

TEST(Damage, IsToldOnceWithFileAndOffsetAndEverythingElseGoesOn) {
    DamageBench bench;
    Log& log = cold_log(bench);
    const auto segment = log.parts().segments[1];
    const std::string path = segment->log_path();
    ASSERT_TRUE(bench.flip(path, 100 * 8));
    const StoredBatches wanted = bench.stored(log);
    for (int i = 0; i < 3; ++i) {
        const auto read = bench.bench.run(bench.read_one(log, segment->base(), 100));
        ASSERT_FALSE(read);
        EXPECT_EQ(read.error().code, ErrorCode::corrupt);
        EXPECT_TRUE(read.error().detail.starts_with(path + " at 0: ")) << read.error().detail;
    }
    ASSERT_EQ(bench.damages.size(), 1U);
    EXPECT_EQ(bench.damages[0].kind, Damage::Kind::batch);
    EXPECT_EQ(bench.damages[0].position, 0U);
    EXPECT_EQ(log.parts().home.damage_counts().batches, 1U);
    bench.fill(log, 5);
    bench.fill(*bench.find("other"), 5);
    bench.clean_stop();
    EXPECT_TRUE(bench.failures.empty());
}

TEST(Damage, OfAHeadThatHidesWhereTheNextBatchIsLeavesWhatIsBehindReadable) {
    DamageBench bench;
    Log& log = cold_log(bench);
    const StoredBatches wanted = bench.stored(log);
    const auto segment = log.parts().segments[1];
    const std::string path = segment->log_path();
    // Two batches in a row, both with a wrong length.
    const auto second = std::next(wanted.find(segment->base()));
    const uint64_t position = wanted.at(segment->base()).bytes.size();
    ASSERT_TRUE(bench.flip(path, (batch_layout::kLength + 3) * 8));
    ASSERT_TRUE(bench.flip(path, (position + batch_layout::kLength + 3) * 8));
    for (const auto& [base, batch] : wanted) {
        const std::string wrong = bench.read_wrongly(log, wanted, base, 100);
        const bool hurt = base == segment->base() || base == second->first;
        EXPECT_EQ(wrong.empty(), !hurt) << base.value() << ": " << wrong;
    }
}

TEST(Damage, OfATopicIdIsNotTakenForAnotherTopic) {
    Uuid wanted;
    for (size_t i = 0; i < wanted.bytes.size(); ++i)
        wanted.bytes[i] = static_cast<uint8_t>(37 * i + 11);
    const std::string text = partition_metadata_text(wanted);
    const size_t id = text.find("topic_id: ") + 10;
    for (size_t bit = id * 8; bit < (id + 22) * 8; ++bit) {
        std::string hurt = text;
        hurt[bit / 8] = static_cast<char>(hurt[bit / 8] ^ (1 << (bit % 8)));
        const Uuid found = parse_partition_metadata(hurt).value_or(Uuid{});
        EXPECT_TRUE(may_be_damaged_id(found, wanted)) << hurt;
    }
    Uuid other = wanted;
    for (size_t i = 0; i < 8; ++i) other.bytes[i] = static_cast<uint8_t>(~other.bytes[i]);
    EXPECT_FALSE(may_be_damaged_id(other, wanted));
}

TEST(Damage, OfAShortenedSegmentIsNotTakenForItsEnd) {
    DamageBench bench;
    Log& log = cold_log(bench);
    const StoredBatches wanted = bench.stored(log);
    const auto segment = log.parts().segments[1];
    const std::string whole = bench.contents(segment->log_path());
    bench.bench.disk().put(segment->log_path(), whole.substr(0, whole.size() - 10));
    const Offset next = log.parts().segments[2]->base();
    for (const auto& [base, batch] : wanted) {
        const std::string wrong = bench.read_wrongly(log, wanted, base, 100);
        EXPECT_EQ(wrong.empty(), batch.last + 1 != next) << base.value() << ": " << wrong;
    }
}

}  // namespace
}  // namespace ottla::storage::test
