// SPDX-License-Identifier: Apache-2.0
// ApiVersions, Metadata, DescribeCluster and what dispatch refuses, as a client sees them.
#include "protocol/describe_cluster.h"
#include "server/handlers/handlers.h"
#include "tests/server/handler_fixture.h"

namespace ottla::server {
namespace {

using protocol::ApiKey;
using protocol::ApiVersionsRequest;
using protocol::ApiVersionsResponse;
using protocol::DescribeClusterRequest;
using protocol::MetadataRequest;

class ApiVersionsTest : public test::HandlerTest {
protected:
    ApiVersionsResponse ask_versions(int16_t version, ApiVersionsRequest request = {}) {
        if (request.client_software_name.empty()) {
            request.client_software_name = "test";
            request.client_software_version = "1.0";
        }
        return ask(version, request);
    }
};

TEST_F(ApiVersionsTest, AdvertisesExactlyTheTableAndProduceFromZero) {
    for (int16_t version = 0; version <= 5; ++version) {
        const auto response = ask_versions(version);
        ASSERT_EQ(response.error_code, 0) << version;
        ASSERT_EQ(response.api_keys.size(), api_handlers().size());
        EXPECT_EQ(response.api_keys[0].api_key, 0);
        EXPECT_EQ(response.api_keys[0].min_version, 0);
        EXPECT_EQ(response.api_keys[0].max_version, 13);
    }
}

TEST_F(ApiVersionsTest, AdvertisedRangesLieWithinTheSchemas) {
    int16_t last = -1;
    for (const ApiHandler& row : api_handlers()) {
        const protocol::ApiRow* api = protocol::find_api(static_cast<int16_t>(row.key));
        ASSERT_NE(api, nullptr);
        EXPECT_GE(row.min_version, api->min_version);
        const bool placeholder = row.key == ApiKey::find_coordinator;  // ADR 0031
        EXPECT_EQ(row.max_version, placeholder ? 0 : api->max_version) << api->name;
        EXPECT_TRUE(api->on_broker);
        EXPECT_LT(last, static_cast<int16_t>(row.key));
        last = static_cast<int16_t>(row.key);
    }
}

TEST_F(ApiVersionsTest, FindCoordinatorSaysThatThereIsNone) {
    const auto response = ask(0, protocol::FindCoordinatorRequest{});
    EXPECT_EQ(response.error_code, 15);
    EXPECT_EQ(response.node_id, -1);
}

TEST_F(ApiVersionsTest, FeaturesThatBeginAtZeroAreHiddenBelowVersionFour) {
    const auto old = ask_versions(3);
    const auto current = ask_versions(4);
    for (const auto& feature : old.supported_features) EXPECT_GT(feature.min_version, 0);
    EXPECT_GT(current.supported_features.size(), old.supported_features.size());
}

TEST_F(ApiVersionsTest, FinalizedFeaturesCarryTheImagesOffset) {
    const auto response = ask_versions(4);
    EXPECT_EQ(response.finalized_features_epoch, 49);
    ASSERT_EQ(response.finalized_features.size(), 1U);
    EXPECT_EQ(response.finalized_features[0].name, "metadata.version");
    EXPECT_EQ(response.finalized_features[0].min_version_level, 25);
    EXPECT_EQ(response.finalized_features[0].max_version_level, 25);
}

TEST_F(ApiVersionsTest, AnUnknownVersionIsAnsweredInVersionZeroWithTheRangeToRetry) {
    const std::string_view bytes("\0\x12\x7f\xff\0\0\0\x4d\0\x01x\0rest", 16);
    const auto answer = serve(Buffer::copy_of(bytes));
    ASSERT_TRUE(answer);
    protocol::Reader reader(answer->frame.flatten());
    (void)reader.int32();
    EXPECT_EQ(reader.int32(), 77);
    ApiVersionsResponse response;
    ASSERT_TRUE(protocol::decode(reader, 0, response));
    EXPECT_EQ(response.error_code, 35);
    ASSERT_EQ(response.api_keys.size(), 1U);
    EXPECT_EQ(response.api_keys[0].api_key, 18);
    EXPECT_EQ(response.api_keys[0].max_version, 5);
}

TEST_F(ApiVersionsTest, ASoftwareNameThatNoClientMayHaveIsRefused) {
    for (const char* name : {"-x", "a b", "x.", ""}) {
        ApiVersionsRequest request;
        request.client_software_name = name;
        request.client_software_version = "1";
        EXPECT_EQ(ask(3, request).error_code, 42) << name;
    }
}

TEST_F(ApiVersionsTest, AClientThatLooksForAnotherNodeIsSentBack) {
    ApiVersionsRequest request;
    request.cluster_id = "test-cluster";
    request.node_id = 1;
    EXPECT_EQ(ask_versions(5, request).error_code, 0);
    request.node_id = 2;
    EXPECT_EQ(ask_versions(5, request).error_code, 129);
    request = {};
    request.node_id = 1;
    EXPECT_EQ(ask_versions(5, request).error_code, 42);
}

class DispatchTest : public test::HandlerTest {};

TEST_F(DispatchTest, UnknownKeysVersionsAndGarbageCloseWithoutAnAnswer) {
    using namespace std::string_view_literals;
    const std::string_view frames[] = {
        "\x7f\x7f\0\0\0\0\0\x01\xff\xff"sv,    // no such API
        "\0\x03\0\x63\0\0\0\x01\xff\xff\0"sv,  // Metadata v99
        "\0\0\0\x02\0\0\0\x01\xff\xff"sv,      // Produce v2 is advertised, not served
        "\0\x09\0\x08\0\0\0\x01\xff\xff\0"sv,  // OffsetFetch: not served yet
        "\0\x03"sv,                            // torn header
        ""sv,
    };
    for (const std::string_view bytes : frames) {
        const auto admitted = dispatch_->admit(session_, Buffer::copy_of(bytes));
        EXPECT_FALSE(admitted);
        EXPECT_FALSE(admitted.error().detail.empty());
    }
}

TEST_F(DispatchTest, ABodyThatDoesNotDecodeCloses) {
    const std::string_view bytes("\0\x03\0\x01\0\0\0\x01\xff\xff\x7f\xff\xff\xff", 14);
    const auto answer = serve(Buffer::copy_of(bytes));
    ASSERT_TRUE(answer);
    EXPECT_TRUE(answer->close);
    EXPECT_TRUE(answer->frame.empty());
}

class MetadataTest : public test::HandlerTest {
protected:
    static MetadataRequest for_topics(std::vector<std::string> names) {
        MetadataRequest request;
        request.topics.emplace();
        for (auto& name : names) request.topics->push_back({{}, std::move(name)});
        return request;
    }
};

TEST_F(MetadataTest, EveryVersionDescribesATopicByName) {
    for (int16_t version = 0; version <= 13; ++version) {
        const auto response = ask(version, for_topics({"events"}));
        ASSERT_EQ(response.brokers.size(), 1U) << version;
        EXPECT_EQ(response.brokers[0].host, "advertised.test");
        EXPECT_EQ(response.brokers[0].port, 19092);
        ASSERT_EQ(response.topics.size(), 1U);
        ASSERT_EQ(response.topics[0].partitions.size(), 2U);
        EXPECT_EQ(response.topics[0].partitions[0].leader_id, 1);
        EXPECT_EQ(response.topics[0].partitions[0].error_code, 0);
        EXPECT_EQ(response.topics[0].partitions[1].error_code, 5);
        if (version >= 1) EXPECT_EQ(response.controller_id, 1);
        if (version >= 7) EXPECT_EQ(response.topics[0].partitions[0].leader_epoch, 4);
        if (version >= 10) EXPECT_EQ(response.topics[0].topic_id, kTopicId);
    }
}

TEST_F(MetadataTest, EmptyMeansAllInVersionZeroAndNoneLater) {
    EXPECT_EQ(ask(0, for_topics({})).topics.size(), 1U);
    EXPECT_EQ(ask(1, for_topics({})).topics.size(), 0U);
    EXPECT_EQ(ask(1, MetadataRequest{}).topics.size(), 1U);
}

TEST_F(MetadataTest, WithoutAdvertisedListenersTheDialledAddressIsTold) {
    facts_.auto_advertise = true;
    const auto response = ask(9, for_topics({}));
    ASSERT_EQ(response.brokers.size(), 1U);
    EXPECT_EQ(response.brokers[0].host, "dialled.test");
    EXPECT_EQ(response.brokers[0].port, 9092);
}

TEST_F(MetadataTest, ALeaderWithoutTheClientsListenerIsReportedPerVersion) {
    session_.listener = "OTHER";
    EXPECT_EQ(ask(5, for_topics({"events"})).topics[0].partitions[0].error_code, 5);
    EXPECT_EQ(ask(6, for_topics({"events"})).topics[0].partitions[0].error_code, 72);
}

TEST_F(MetadataTest, AnUnknownTopicIsCreatedInTheBackgroundAndUnknownForNow) {
    const auto response = ask(9, for_topics({"fresh"}));
    EXPECT_EQ(response.topics[0].error_code, 3);
    runtime_.run();
    EXPECT_EQ(controller_.created, std::vector<std::string>{"fresh"});
}

TEST_F(MetadataTest, NothingIsCreatedWithoutTheClientsConsentOrForANameThatIsNone) {
    MetadataRequest request = for_topics({"fresh"});
    request.allow_auto_topic_creation = false;
    EXPECT_EQ(ask(4, request).topics[0].error_code, 3);
    EXPECT_EQ(ask(4, for_topics({"no/slash"})).topics[0].error_code, 17);
    EXPECT_EQ(ask(4, for_topics({"__consumer_offsets"})).topics[0].error_code, 3);
    (void)facts_.settings.set("auto.create.topics.enable", "false", Settings::Source::file);
    EXPECT_EQ(ask(4, for_topics({"fresh"})).topics[0].error_code, 3);
    runtime_.run();
    EXPECT_TRUE(controller_.created.empty());
}

TEST_F(MetadataTest, IdsAreLookedUpFromVersionTwelveAndRefusedBefore) {
    MetadataRequest by_id;
    by_id.topics.emplace();
    by_id.topics->push_back({kTopicId, std::nullopt});
    EXPECT_EQ(ask(12, by_id).topics[0].name, "events");
    EXPECT_EQ(ask(10, by_id).topics[0].error_code, 42);
    by_id.topics->at(0).topic_id = Uuid{{9}};
    const auto unknown = ask(12, by_id);
    EXPECT_EQ(unknown.topics[0].error_code, 100);
    EXPECT_EQ(unknown.topics[0].name, std::nullopt);
}

TEST_F(MetadataTest, OperationsAreToldOnlyWhenAsked) {
    MetadataRequest request = for_topics({"events"});
    EXPECT_EQ(ask(8, request).cluster_authorized_operations, std::numeric_limits<int32_t>::min());
    request.include_cluster_authorized_operations = true;
    request.include_topic_authorized_operations = true;
    EXPECT_GT(ask(8, request).cluster_authorized_operations, 0);
    EXPECT_GT(ask(11, request).topics[0].topic_authorized_operations, 0);
}

class DescribeClusterTest : public test::HandlerTest {};

TEST_F(DescribeClusterTest, EveryVersionTellsTheClusterAndItsBrokers) {
    for (int16_t version = 0; version <= 2; ++version) {
        const auto response = ask(version, DescribeClusterRequest{});
        EXPECT_EQ(response.cluster_id, "test-cluster");
        EXPECT_EQ(response.controller_id, 1);
        ASSERT_EQ(response.brokers.size(), 1U);
    }
}

TEST_F(DescribeClusterTest, ControllersAreNotDescribedOnABrokersListener) {
    DescribeClusterRequest request;
    request.endpoint_type = 2;
    EXPECT_EQ(ask(1, request).error_code, 114);
    request.endpoint_type = 9;
    EXPECT_EQ(ask(1, request).error_code, 115);
}

}  // namespace
}  // namespace ottla::server
