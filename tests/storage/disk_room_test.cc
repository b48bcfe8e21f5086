// SPDX-License-Identifier: Apache-2.0
// The rule of admission against free space, without a disk.
#include "storage/disk_room.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/sim/random.h"

namespace ottla::storage {
namespace {

using Answer = DiskRoom::Answer;
constexpr uint64_t kMiB = 1024ULL * 1024;
constexpr uint64_t kDisk = 4096 * kMiB;

void sample(DiskRoom& room, uint64_t free_bytes) {
    room.begin_sample();
    room.end_sample(free_bytes, kDisk);
}

/// Asks and takes.
Answer append(DiskRoom& room, uint64_t cost) {
    const Answer answer = room.ask(cost);
    if (answer == Answer::admitted) room.took(cost);
    return answer;
}

TEST(DiskRoom, ABatchCostsWholeBlocksAndItsIndexEntries) {
    EXPECT_EQ(disk_cost(1), 4096U);
    EXPECT_EQ(disk_cost(4096), 4096U + 32);
    EXPECT_GE(disk_cost(100'000), 100'000U + 100'000 / 4096 * 20);
}

TEST(DiskRoom, NothingIsPromisedBeforeTheFirstSample) {
    DiskRoom room(kMiB, 1);
    EXPECT_NE(room.ask(4096), Answer::admitted);
}

TEST(DiskRoom, TheReserveIsNotGivenAway) {
    DiskRoom room(10 * kMiB, 1);
    sample(room, 12 * kMiB);
    EXPECT_EQ(append(room, kMiB), Answer::admitted);
    EXPECT_EQ(append(room, kMiB), Answer::admitted);
    EXPECT_EQ(append(room, 4096), Answer::full);
    EXPECT_TRUE(room.is_full());
}

TEST(DiskRoom, UnlessNamedTheReserveIsAnEighthOfASmallDisk) {
    DiskRoom small(std::nullopt, 1);
    small.begin_sample();
    small.end_sample(60 * kMiB, 64 * kMiB);
    EXPECT_EQ(small.reserve_bytes(), 8 * kMiB);
    DiskRoom large(std::nullopt, 1);
    sample(large, 1024 * kMiB);
    EXPECT_EQ(large.reserve_bytes(), kMostReserve);
}

TEST(DiskRoom, WhatIsUnflushedStaysOwedUntilASampleCanHaveSeenItInItsFile) {
    DiskRoom room(kMiB, 1);
    sample(room, 3 * kMiB);
    EXPECT_EQ(append(room, kMiB), Answer::admitted);
    room.begin_sample();  // The disk is asked, then the flush comes, then the answer.
    room.settled(kMiB);
    room.end_sample(3 * kMiB, kDisk);
    EXPECT_EQ(append(room, kMiB), Answer::admitted);
    EXPECT_NE(room.ask(4096), Answer::admitted) << "one is in the file, one is owed";
    sample(room, 2 * kMiB);
    EXPECT_NE(room.ask(4096), Answer::admitted) << "the second is owed still";
}

TEST(DiskRoom, WaitsWhereAFlushAndAFreshSampleWouldHelp) {
    DiskRoom room(10 * kMiB, 2);
    sample(room, 18 * kMiB);  // The share is 4 MiB.
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(append(room, kMiB), Answer::admitted);
        sample(room, 18 * kMiB);
    }
    EXPECT_EQ(room.ask(2 * kMiB), Answer::wait);
    EXPECT_TRUE(room.is_sample_urgent());
    room.settled(3 * kMiB);
    sample(room, 15 * kMiB);
    EXPECT_EQ(append(room, 2 * kMiB), Answer::admitted);
}

TEST(DiskRoom, BetweenTwoSamplesOnlyAPaceIsPromised) {
    DiskRoom room(16 * kMiB, 1);
    sample(room, 64 * kMiB);
    uint64_t promised = 0;
    while (append(room, kMiB / 2) == Answer::admitted) promised += kMiB / 2;
    EXPECT_LE(promised, 4 * kMiB) << "a quarter of the reserve";
    EXPECT_FALSE(room.is_full());
    sample(room, 64 * kMiB);
    EXPECT_EQ(append(room, kMiB / 2), Answer::admitted);
}

TEST(DiskRoom, ABatchLargerThanThePaceIsAdmittedRightAfterASample) {
    DiskRoom room(4 * kMiB, 1);
    sample(room, 60 * kMiB);
    EXPECT_EQ(append(room, 20 * kMiB), Answer::admitted);
}

TEST(DiskRoom, FullEndsWithASampleThatShowsClearlyMore) {
    DiskRoom room(8 * kMiB, 1);
    sample(room, 8 * kMiB);
    EXPECT_EQ(room.ask(4096), Answer::full);
    EXPECT_TRUE(room.wants_sample());
    sample(room, 8 * kMiB + 8192);
    EXPECT_EQ(room.ask(4096), Answer::full) << "a block more is no reason to begin again";
    sample(room, 10 * kMiB);
    EXPECT_EQ(room.ask(4096), Answer::admitted);
}

TEST(DiskRoom, AfterTheDiskRefusedNothingIsPromisedWhileALogIsStalled) {
    DiskRoom room(kMiB, 1);
    sample(room, 100 * kMiB);
    EXPECT_EQ(append(room, 4096), Answer::admitted);
    room.refused_by_disk();
    room.stalled();
    sample(room, 100 * kMiB);
    EXPECT_EQ(room.ask(4096), Answer::full) << "out of inodes, or of quota";
    room.went_on();
    sample(room, 100 * kMiB);
    EXPECT_EQ(room.ask(4096), Answer::admitted);
}

TEST(DiskRoom, AnIdleShardWantsNoSample) {
    DiskRoom room(kMiB, 1);
    sample(room, 100 * kMiB);
    EXPECT_FALSE(room.wants_sample());
    EXPECT_EQ(append(room, 4096), Answer::admitted);
    EXPECT_TRUE(room.wants_sample());
    EXPECT_FALSE(room.is_sample_urgent());
}

/// Shards that append, flush and look at one disk when chance has it, and others who write too: no
/// flush ever finds the disk full, and what is kept back is hardly touched.
TEST(DiskRoom, ShardsThatLookAtDifferentTimesNeverMeetAFullDisk) {
    for (uint64_t seed = 1; seed <= 200; ++seed) {
        sim::Random random(seed);
        const uint64_t shards = random.between(1, 8);
        const uint64_t reserve = random.between(8, 32) * kMiB * 2;
        uint64_t free_bytes = reserve + random.between(1, 200) * kMiB;
        std::vector<DiskRoom> rooms(shards, DiskRoom(reserve, shards));
        std::vector<uint64_t> looking(shards, 0);  // what a look that is under way will tell
        std::vector<bool> is_looking(shards, false);
        uint64_t refused = 0;
        for (int step = 0; step < 6000; ++step) {
            const uint64_t index = random.below(shards);
            DiskRoom& room = rooms[index];
            const uint64_t what = random.below(10);
            if (what < 6) {
                const uint64_t cost = disk_cost(random.between(100, 600'000));
                if (append(room, cost) == Answer::full) ++refused;
            } else if (what < 8) {
                const uint64_t flushed = random.between(0, room.unsettled());
                ASSERT_LE(flushed, free_bytes) << "seed " << seed << " met a full disk";
                free_bytes -= flushed;
                room.settled(flushed);
            } else if (!is_looking[index] && room.wants_sample()) {
                room.begin_sample();
                looking[index] = free_bytes;
                is_looking[index] = true;
            } else if (is_looking[index]) {
                room.end_sample(looking[index], kDisk);
                is_looking[index] = false;
            }
        }
        uint64_t owed = 0;
        for (const DiskRoom& room : rooms) owed += room.unsettled();
        EXPECT_GE(free_bytes, owed) << "seed " << seed;
        EXPECT_GE(free_bytes - owed, reserve / 2) << "seed " << seed;
        EXPECT_GT(refused, 0U) << "seed " << seed << " never came to the end of its disk";
    }
}

}  // namespace
}  // namespace ottla::storage
