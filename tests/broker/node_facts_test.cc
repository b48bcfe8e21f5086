// SPDX-License-Identifier: Apache-2.0
#include "broker/node_facts.h"

#include <gtest/gtest.h>

#include <set>

#include "broker/placement.h"
#include "broker/topic_config.h"

namespace ottla::broker {
namespace {

TEST(Listeners, NamesHostsAndPortsAreRead) {
    const auto listeners = parse_listeners("PLAINTEXT://:9092, INSIDE://[::1]:19092");
    ASSERT_TRUE(listeners);
    EXPECT_EQ(*listeners,
              (std::vector<ListenerConfig>{{"PLAINTEXT", "", 9092}, {"INSIDE", "::1", 19092}}));
}

TEST(Listeners, WhatIsNoListenerIsRefusedByName) {
    for (const char* text : {"9092", "PLAINTEXT://host", "PLAINTEXT://host:port", "://h:1",
                             "A://:70000", "A://:1,A://:2"}) {
        const auto listeners = parse_listeners(text);
        ASSERT_FALSE(listeners) << text;
        EXPECT_EQ(listeners.error().code, ErrorCode::invalid_config);
        EXPECT_NE(listeners.error().detail.find("listener"), std::string::npos);
    }
}

TEST(Listeners, ControllersListenersAreNotForClientsAndTlsIsRefusedForNow) {
    Settings settings;
    ASSERT_TRUE(
        settings.set("listeners", "PLAINTEXT://:9092,CONTROLLER://:9093", Settings::Source::file));
    ASSERT_TRUE(settings.set("controller.listener.names", "CONTROLLER", Settings::Source::file));
    const auto clients = client_listeners(settings);
    ASSERT_TRUE(clients);
    ASSERT_EQ(clients->size(), 1U);
    EXPECT_EQ(clients->at(0).name, "PLAINTEXT");
    ASSERT_TRUE(settings.set("listeners", "SSL://:9092", Settings::Source::file));
    const auto refused = client_listeners(settings);
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().detail.find("SSL"), std::string::npos);
}

TEST(Placement, ATopicSpreadsEvenlyAndOwnersAreStable) {
    const Uuid topic{{1, 2, 3, 4}};
    std::set<ShardIndex> owners;
    for (int32_t index = 0; index < 4; ++index) {
        owners.insert(owner_of({topic, PartitionIndex{index}}, 4));
    }
    EXPECT_EQ(owners.size(), 4U);
    EXPECT_EQ(owner_of({topic, PartitionIndex{3}}, 1), ShardIndex{0});
    // The journal of yesterday is routed by this: a change of the mix is a change of the format.
    EXPECT_EQ(owner_of({topic, PartitionIndex{0}}, 1024),
              owner_of({topic, PartitionIndex{1024}}, 1024));
}

TEST(TopicConfig, OverridesWinOverTheBrokersDefaults) {
    Settings settings;
    ASSERT_TRUE(settings.set("message.max.bytes", "5000", Settings::Source::file));
    EXPECT_EQ(partition_config(settings, {}).rules.max_message_bytes, 5000U);
    const TopicOverrides overrides{{"max.message.bytes", "700"},
                                   {"cleanup.policy", "compact,delete"},
                                   {"message.timestamp.type", "LogAppendTime"},
                                   {"compression.type", "zstd"},
                                   {"min.insync.replicas", "2"}};
    const auto config = partition_config(settings, overrides);
    EXPECT_EQ(config.rules.max_message_bytes, 700U);
    EXPECT_TRUE(config.rules.compacted);
    EXPECT_EQ(config.rules.timestamp_type, TimestampType::log_append_time);
    ASSERT_TRUE(config.rules.compression);
    EXPECT_EQ(config.rules.compression->codec, Codec::zstd);
    EXPECT_EQ(config.min_in_sync, 2);
}

TEST(TopicConfig, OnlyAnExplicitNeverFlushRelaxesDurability) {
    Settings settings;
    EXPECT_EQ(partition_config(settings, {}).log.durability, storage::Durability::strict);
    const TopicOverrides never{{"flush.messages", "9223372036854775807"}};
    EXPECT_EQ(partition_config(settings, never).log.durability, storage::Durability::relaxed);
    const TopicOverrides often{{"flush.messages", "1"}};
    EXPECT_EQ(partition_config(settings, often).log.durability, storage::Durability::strict);
    ASSERT_TRUE(settings.set("ottla.durability", "relaxed", Settings::Source::file));
    EXPECT_EQ(partition_config(settings, {}).log.durability, storage::Durability::relaxed);
}

}  // namespace
}  // namespace ottla::broker
