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
