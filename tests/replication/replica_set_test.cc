// SPDX-License-Identifier: Apache-2.0
#include "replication/replica_set.h"

#include <gtest/gtest.h>

namespace ottla::replication {
namespace {

constexpr BrokerId kSelf{1};
constexpr BrokerId kTwo{2};
constexpr BrokerId kThree{3};

Leadership led(std::vector<BrokerId> replicas, std::vector<BrokerId> isr, int32_t epoch = 1) {
    return {kSelf, LeaderEpoch{epoch}, 0, std::move(replicas), std::move(isr)};
}

TEST(ReplicaSet, ASingleReplicaCommitsWhatIsDurable) {
    ReplicaSet set(kSelf);
    const auto first = set.lead(led({kSelf}, {kSelf}), Offset{5}, Offset{3});
    EXPECT_EQ(first.high_watermark, Offset{5});
    EXPECT_FALSE(set.durable(Offset{5}).high_watermark);
    EXPECT_EQ(set.durable(Offset{9}).high_watermark, Offset{9});
}

TEST(ReplicaSet, TheSlowestInSyncReplicaSetsTheHighWatermark) {
    ReplicaSet set(kSelf);
    (void)set.lead(led({kSelf, kTwo, kThree}, {kSelf, kTwo}), Offset{10}, Offset{4});
    EXPECT_EQ(set.high_watermark(), Offset{4});
    EXPECT_EQ(set.follower_fetched(kTwo, Offset{7}).high_watermark, Offset{7});
    EXPECT_FALSE(set.follower_fetched(kThree, Offset{2}).high_watermark);
    EXPECT_EQ(set.follower_fetched(kTwo, Offset{20}).high_watermark, Offset{10});
}

TEST(ReplicaSet, TheLeadersOwnDurableEndCounts) {
    ReplicaSet set(kSelf);
    (void)set.lead(led({kSelf, kTwo}, {kSelf, kTwo}), Offset{3}, Offset{0});
    EXPECT_EQ(set.follower_fetched(kTwo, Offset{8}).high_watermark, Offset{3});
    EXPECT_EQ(set.durable(Offset{6}).high_watermark, Offset{6});
}

TEST(ReplicaSet, TheHighWatermarkFreezesWhileTheIsrIsBelowTheMinimum) {
    ReplicaSet set(kSelf);
    (void)set.set_min_in_sync(2);
    (void)set.lead(led({kSelf, kTwo, kThree}, {kSelf}), Offset{10}, Offset{4});
    EXPECT_FALSE(set.has_enough_in_sync());
    EXPECT_FALSE(set.durable(Offset{12}).high_watermark);
    EXPECT_EQ(set.high_watermark(), Offset{4});
    EXPECT_EQ(set.set_min_in_sync(1).high_watermark, Offset{12});
}

TEST(ReplicaSet, TheEffectiveMinimumIsAtMostTheNumberOfReplicas) {
    ReplicaSet set(kSelf);
    (void)set.set_min_in_sync(3);
    const auto effects = set.lead(led({kSelf}, {kSelf}), Offset{2}, Offset{0});
    EXPECT_EQ(set.effective_min_in_sync(), 1U);
    EXPECT_EQ(effects.high_watermark, Offset{2});
}

TEST(ReplicaSet, ANewEpochForgetsWhatFollowersReported) {
    ReplicaSet set(kSelf);
    (void)set.lead(led({kSelf, kTwo}, {kSelf, kTwo}), Offset{9}, Offset{0});
    (void)set.follower_fetched(kTwo, Offset{9});
    (void)set.lead(led({kSelf, kTwo}, {kSelf, kTwo}, 2), Offset{12}, Offset{9});
    EXPECT_EQ(set.high_watermark(), Offset{9});
    EXPECT_FALSE(set.durable(Offset{13}).high_watermark);
    EXPECT_EQ(set.follower_fetched(kTwo, Offset{11}).high_watermark, Offset{11});
}

TEST(ReplicaSet, AFollowerThatGoesBackDoesNotTakeTheHighWatermarkWithIt) {
    ReplicaSet set(kSelf);
    (void)set.lead(led({kSelf, kTwo}, {kSelf, kTwo}), Offset{9}, Offset{0});
    (void)set.follower_fetched(kTwo, Offset{9});
    EXPECT_FALSE(set.follower_fetched(kTwo, Offset{1}).high_watermark);
    EXPECT_EQ(set.high_watermark(), Offset{9});
}

}  // namespace
}  // namespace ottla::replication
