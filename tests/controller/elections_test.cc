// SPDX-License-Identifier: Apache-2.0
#include "controller/elections.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "controller/placement.h"

namespace ottla::controller {
namespace {

metadata::MetadataImage brokers(const std::vector<int32_t>& live, const std::vector<int32_t>& fenced) {
    metadata::MetadataImage image;
    const auto add = [&image](int32_t id, bool is_fenced) {
        auto broker = std::make_shared<metadata::Broker>();
        broker->id = BrokerId{id};
        broker->fenced = is_fenced;
        image.brokers = image.brokers.with(broker->id, broker);
    };
    for (int32_t id : live) add(id, false);
    for (int32_t id : fenced) add(id, true);
    return image;
}

struct Case {
    std::vector<int32_t> isr;
    int32_t leader;
    int32_t leaving;
    int32_t coming;
    int32_t expected_leader;  // -2: no change of leader
    std::vector<int32_t> expected_isr;  // empty: no change
};

TEST(Elections, FollowTheTable) {
    // Brokers 1-3 are live, 4 is fenced; replicas in order 1 2 3 4.
    const metadata::MetadataImage image = brokers({1, 2, 3}, {4});
    const Case cases[] = {
        {{1, 2, 3}, 1, 1, -1, 2, {2, 3}},   // the leader leaves: the next in order
        {{1, 2, 3}, 1, 2, -1, -2, {1, 3}},  // a follower leaves
        {{1}, 1, 1, -1, -1, {}},            // the last one stays in sync, nobody leads
        {{2, 3}, -1, -1, 2, 2, {}},         // somebody comes back
        {{4}, -1, -1, 4, 4, {}},            // a fenced one that is being unfenced
        {{4}, -1, -1, 3, -2, {}},           // not in sync: no help
        {{1, 4}, 1, 1, -1, -1, {4}},        // the other one is fenced
    };
    for (const Case& one : cases) {
        metadata::Partition partition;
        partition.replicas = {BrokerId{1}, BrokerId{2}, BrokerId{3}, BrokerId{4}};
        for (int32_t id : one.isr) partition.isr.emplace_back(id);
        partition.leader = BrokerId{one.leader};
        const auto change = elect({image, BrokerId{one.leaving}, BrokerId{one.coming}}, {},
                                  PartitionIndex{0}, partition);
        SCOPED_TRACE(&one - cases);
        const bool changes = one.expected_leader != -2 || !one.expected_isr.empty();
        ASSERT_EQ(change.has_value(), changes);
        if (!change) continue;
        EXPECT_EQ(change->leader, one.expected_leader);
        EXPECT_EQ(change->isr.value_or(std::vector<int32_t>{}), one.expected_isr);
    }
}

struct ElrCase {
    std::vector<int32_t> isr, eligible, last_known;
    int32_t leader;
    int32_t leaving;
    int32_t coming;
    int32_t expected_leader;
    std::vector<int32_t> expected_isr, expected_eligible, expected_last_known;
    int8_t expected_recovery = 0;
};

TEST(Elections, WithEligibleReplicasFollowTheTable) {
    // Brokers 1-3 are live, 4 is fenced; two of four replicas must be in sync.
    metadata::MetadataImage image = brokers({1, 2, 3}, {4});
    image.features["eligible.leader.replicas.version"] = 1;
    const ElrCase cases[] = {
        // Enough stay in sync.
        {{1, 2, 3}, {}, {}, 1, 1, -1, 2, {2, 3}, {}, {}},
        // Who leaves too small an ISR stays eligible.
        {{1, 2}, {}, {}, 1, 1, -1, 2, {2}, {1}, {}},
        // The last one too: Kafka and we both leave such partitions behind at a stop.
        {{1}, {4}, {}, 1, 1, -1, -1, {}, {4, 1}, {1}},
        // An eligible one that is there takes over.
        {{1}, {2}, {}, 1, 1, -1, 2, {2}, {1}, {}},
        {{}, {1}, {1}, -1, -1, 1, 1, {1}, {}, {}},
        {{}, {4, 2}, {4}, -1, -1, 2, 2, {2}, {4}, {}},
        {{}, {4}, {4}, -1, -1, 2, -1, {}, {4}, {4}},
        // Nobody is eligible: who led last, and it must recover.
        {{}, {}, {1}, -1, -1, 1, 1, {1}, {}, {}, 1},
        {{}, {}, {4}, -1, -1, 2, -1, {}, {}, {4}},
    };
    const auto ids = [](const std::vector<int32_t>& numbers) {
        std::vector<BrokerId> made;
        for (int32_t number : numbers) made.emplace_back(number);
        return made;
    };
    for (const ElrCase& one : cases) {
        SCOPED_TRACE(&one - cases);
        metadata::Partition partition;
        partition.replicas = ids({1, 2, 3, 4});
        partition.isr = ids(one.isr);
        partition.eligible = ids(one.eligible);
        partition.last_known_eligible = ids(one.last_known);
        partition.leader = BrokerId{one.leader};
        const auto change = elect({image, BrokerId{one.leaving}, BrokerId{one.coming}, 2}, {},
                                  PartitionIndex{0}, partition);
        const auto after = change.value_or(protocol::PartitionChangeRecord{});
        EXPECT_EQ(after.leader == -2 ? one.leader : after.leader, one.expected_leader);
        EXPECT_EQ(after.isr.value_or(one.isr), one.expected_isr);
        EXPECT_EQ(after.eligible_leader_replicas.value_or(one.eligible), one.expected_eligible);
        EXPECT_EQ(after.last_known_elr.value_or(one.last_known), one.expected_last_known);
        EXPECT_EQ(std::max(after.leader_recovery_state, int8_t{0}), one.expected_recovery);
    }
}

TEST(Elections, TheTopicsOwnNumberOfInSyncReplicasCounts) {
    metadata::MetadataImage image = brokers({1, 2}, {});
    image.features["eligible.leader.replicas.version"] = 1;
    const auto set = [&image](metadata::ResourceType type, std::string name, std::string value) {
        const metadata::ConfigValues values{{"min.insync.replicas", std::move(value)}};
        image.configs = image.configs.with({type, std::move(name)},
                                           std::make_shared<const metadata::ConfigValues>(values));
    };
    metadata::Partition partition;
    partition.replicas = partition.isr = {BrokerId{1}, BrokerId{2}};
    partition.leader = BrokerId{1};
    metadata::Topic topic;
    topic.name = "t";
    const auto eligible = [&] {
        const auto change = elect({image, BrokerId{2}}, topic, PartitionIndex{0}, partition);
        return change->eligible_leader_replicas.value_or(std::vector<int32_t>{});
    };
    EXPECT_TRUE(eligible().empty());
    set(metadata::ResourceType::broker, "", "2");
    EXPECT_EQ(eligible(), std::vector{2});
    set(metadata::ResourceType::topic, "t", "1");
    EXPECT_TRUE(eligible().empty());
}

TEST(Placement, SpreadsLeadersAndFollowers) {
    const auto placed = place_replicas(brokers({1, 2, 3}, {}), 6, 2, 0);
    ASSERT_TRUE(placed);
    std::map<BrokerId, int> leads;
    std::map<std::pair<BrokerId, BrokerId>, int> pairs;
    for (const NewPartition& one : *placed) {
        ASSERT_EQ(one.replicas.size(), 2U);
        EXPECT_NE(one.replicas[0], one.replicas[1]);
        ++leads[one.replicas[0]];
        ++pairs[{one.replicas[0], one.replicas[1]}];
    }
    for (const auto& [broker, count] : leads) EXPECT_EQ(count, 2) << broker.value();
    EXPECT_EQ(pairs.size(), 6U) << "the second round follows at another distance";
}

TEST(Placement, FencedBrokersOnlyFillUp) {
    const auto placed = place_replicas(brokers({1, 2}, {3, 4}), 4, 4, 1);
    ASSERT_TRUE(placed);
    for (const NewPartition& one : *placed) {
        EXPECT_EQ(one.isr.size(), 2U);
        std::set<BrokerId> distinct(one.replicas.begin(), one.replicas.end());
        EXPECT_EQ(distinct.size(), 4U);
    }
    EXPECT_FALSE(place_replicas(brokers({1, 2}, {3}), 1, 4, 0));
    EXPECT_FALSE(place_replicas(brokers({}, {3}), 1, 1, 0));
}

}  // namespace
}  // namespace ottla::controller
