// SPDX-License-Identifier: Apache-2.0
// CreateTopics, DeleteTopics, InitProducerId and DescribeConfigs, as a client sees them.
#include "server/handlers/handlers.h"
#include "tests/server/handler_fixture.h"

namespace ottla::server {
namespace {

using protocol::CreateTopicsRequest;
using protocol::DeleteTopicsRequest;
using protocol::DescribeConfigsRequest;
using protocol::DescribeConfigsResponse;
using protocol::InitProducerIdRequest;

class TopicsTest : public test::HandlerTest {};

TEST_F(TopicsTest, EveryVersionOfCreateReachesTheController) {
    for (int16_t version = 2; version <= 7; ++version) {
        CreateTopicsRequest request;
        request.topics.push_back({"t" + std::to_string(version), 1, 1, {}, {}});
        const auto response = ask(version, request);
        ASSERT_EQ(response.topics.size(), 1U);
        EXPECT_EQ(response.topics[0].error_code, 0);
    }
    EXPECT_EQ(controller_.created.size(), 6U);
}

TEST_F(TopicsTest, EveryVersionOfDeleteReachesTheController) {
    for (int16_t version = 1; version <= 6; ++version) {
        DeleteTopicsRequest request;
        if (version >= 6) {
            request.topics.push_back({"events", {}});
        } else {
            request.topic_names = {"events"};
        }
        const auto response = ask(version, request);
        ASSERT_EQ(response.responses.size(), 1U);
        EXPECT_EQ(response.responses[0].name, "events");
    }
}

TEST_F(TopicsTest, DeletionCanBeSwitchedOff) {
    (void)facts_.settings.set("delete.topic.enable", "false", Settings::Source::file);
    DeleteTopicsRequest request;
    request.topic_names = {"events"};
    EXPECT_EQ(ask(3, request).responses[0].error_code, 73);
    EXPECT_EQ(ask(2, request).responses[0].error_code, 42);
}

class InitProducerIdTest : public test::HandlerTest {};

TEST_F(InitProducerIdTest, EveryVersionGetsAnIdOfItsOwnAcrossBlocks) {
    int64_t last = 0;
    for (int16_t version = 0; version <= 5; ++version) {
        const auto response = ask(version, InitProducerIdRequest{});
        EXPECT_EQ(response.error_code, 0);
        EXPECT_EQ(response.producer_epoch, 0);
        EXPECT_GT(response.producer_id, last);
        last = response.producer_id;
    }
    EXPECT_EQ(controller_.blocks, 3);
}

TEST_F(InitProducerIdTest, TransactionsAreRefusedClearly) {
    InitProducerIdRequest request;
    request.transactional_id = "tx";
    EXPECT_EQ(ask(4, request).error_code, 35);
    request.transactional_id = "";
    EXPECT_EQ(ask(4, request).error_code, 42);
    ASSERT_FALSE(log_.lines.empty());
    EXPECT_NE(log_.lines[0].find("transactions"), std::string::npos);
}

class DescribeConfigsTest : public test::HandlerTest {
protected:
    static DescribeConfigsRequest about(int8_t type, std::string name) {
        DescribeConfigsRequest request;
        request.resources.push_back({type, std::move(name), std::nullopt});
        request.include_synonyms = true;
        request.include_documentation = true;
        return request;
    }
    static const DescribeConfigsResponse::DescribeConfigsResourceResult& find(
        const DescribeConfigsResponse& response, std::string_view name) {
        for (const auto& config : response.results.at(0).configs) {
            if (config.name == name) return config;
        }
        ADD_FAILURE() << "no " << name;
        return response.results.at(0).configs.at(0);
    }
};

TEST_F(DescribeConfigsTest, EveryVersionListsAllSettingsOfATopic) {
    for (int16_t version = 1; version <= 4; ++version) {
        const auto response = ask(version, about(2, "events"));
        EXPECT_EQ(response.results.at(0).configs.size(), topic_settings().size());
        const auto& policy = find(response, "cleanup.policy");
        EXPECT_EQ(policy.value, "delete");
        EXPECT_EQ(policy.config_source, 5);
        EXPECT_FALSE(policy.read_only);
    }
}

TEST_F(DescribeConfigsTest, SynonymsGoFromTheStrongestToTheDefault) {
    (void)facts_.settings.set("message.max.bytes", "2000", Settings::Source::file);
    const auto response = ask(4, about(2, "events"));
    const auto& most = find(response, "max.message.bytes");
    EXPECT_EQ(most.value, "2000");
    EXPECT_EQ(most.config_source, 4);
    ASSERT_EQ(most.synonyms.size(), 2U);
    EXPECT_EQ(most.synonyms[0].name, "message.max.bytes");
    EXPECT_EQ(most.synonyms[0].source, 4);
    EXPECT_EQ(most.synonyms[1].source, 5);
    EXPECT_EQ(most.synonyms[1].value, "1048588");
}

/// As Apache Kafka 4.3 answers: a synonym is told in its own unit, weaker names follow, and nothing
/// is a synonym when the strongest name is neither set nor has a default.
TEST_F(DescribeConfigsTest, SynonymsInHoursAreKafkas) {
    using Told = std::vector<std::string>;
    (void)facts_.settings.set("log.roll.ms", "100000", Settings::Source::file);
    (void)facts_.settings.set("log.roll.hours", "5", Settings::Source::file);
    (void)facts_.settings.set("log.retention.minutes", "600", Settings::Source::file);
    const auto told = [](const auto& config) {
        Told words;
        for (const auto& each : config.synonyms) {
            words.push_back(fmt::format("{} {}={}", each.source, each.name, *each.value));
        }
        return words;
    };
    const Told rolling = {"4 log.roll.ms=100000", "4 log.roll.hours=5", "5 log.roll.hours=168"};
    const auto topic = ask(4, about(2, "events"));
    EXPECT_EQ(told(find(topic, "segment.ms")), rolling);
    EXPECT_EQ(find(topic, "segment.ms").value, "100000");
    EXPECT_EQ(told(find(topic, "retention.ms")), Told{});
    EXPECT_EQ(find(topic, "retention.ms").value, "36000000");
    EXPECT_EQ(find(topic, "retention.ms").config_source, 5);
    EXPECT_EQ(told(find(topic, "remote.storage.enable")), Told{});

    const auto broker = ask(4, about(4, "1"));
    EXPECT_EQ(told(find(broker, "log.roll.ms")), rolling);
    EXPECT_EQ(told(find(broker, "log.retention.minutes")),
              (Told{"4 log.retention.minutes=600", "5 log.retention.hours=168"}));
    EXPECT_EQ(told(find(broker, "log.retention.hours")), Told{"5 log.retention.hours=168"});
    EXPECT_EQ(find(broker, "log.retention.ms").value, std::nullopt);
}

TEST_F(DescribeConfigsTest, ABrokerDescribesItselfOnly) {
    const auto own = ask(4, about(4, "1"));
    EXPECT_EQ(own.results.at(0).error_code, 0);
    EXPECT_EQ(own.results.at(0).configs.size(), broker_settings().size());
    EXPECT_TRUE(find(own, "node.id").read_only);
    EXPECT_EQ(ask(4, about(4, "2")).results.at(0).error_code, 42);
}

TEST_F(DescribeConfigsTest, OnlyTheKeysThatWereAskedFor) {
    auto request = about(2, "events");
    request.resources[0].configuration_keys = {{"retention.ms", "no.such.key"}};
    const auto response = ask(4, request);
    ASSERT_EQ(response.results.at(0).configs.size(), 1U);
    EXPECT_EQ(response.results.at(0).configs[0].name, "retention.ms");
}

TEST_F(DescribeConfigsTest, WhatIsNotThereIsAnErrorOfItsOwn) {
    EXPECT_EQ(ask(4, about(2, "nobody")).results.at(0).error_code, 3);
    EXPECT_EQ(ask(4, about(2, "a/b")).results.at(0).error_code, 17);
    EXPECT_EQ(ask(4, about(99, "x")).results.at(0).error_code, 42);
}

}  // namespace
}  // namespace ottla::server
