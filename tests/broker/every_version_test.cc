// SPDX-License-Identifier: Apache-2.0
// Every API that the broker advertises, in every version it serves, asked over the wire of a whole
// broker. What a version does not have must not come back; what it has must be right. The table at
// the end is held against server/handlers/api_table: a new row or version fails until it is here.
#include <functional>
#include <map>

#include "protocol/alter_replica_log_dirs.h"
#include "protocol/api_versions.h"
#include "protocol/delete_records.h"
#include "protocol/delete_topics.h"
#include "protocol/describe_cluster.h"
#include "protocol/describe_configs.h"
#include "protocol/describe_log_dirs.h"
#include "protocol/find_coordinator.h"
#include "protocol/init_producer_id.h"
#include "protocol/list_offsets.h"
#include "protocol/metadata.h"
#include "server/handlers/api_table.h"
#include "tests/broker/broker_world.h"

namespace ottla {
namespace {

using protocol::ApiKey;

class EveryVersionTest : public test::BrokerWorld {
public:
    void SetUp() override { begin("/data"); }
    void TearDown() override { stop(); }
    /// A node of its own in that directory.
    void begin(const std::string& directory) {
        ASSERT_TRUE(settings_.set("log.dirs", directory, Settings::Source::file));
        ASSERT_TRUE(start());
        raw_ = client();
        id_ = create_topic(*raw_, "t", 3);
        protocol::MetadataRequest request;
        epoch_ = ask(*raw_, 12, request).topics.at(0).partitions.at(0).leader_epoch;
    }

    void produce(int16_t version);
    void fetch(int16_t version);
    void list_offsets(int16_t version);
    void delete_records(int16_t version);
    void metadata(int16_t version);
    void find_coordinator(int16_t version);
    void api_versions(int16_t version);
    void create_topics(int16_t version);
    void delete_topics(int16_t version);
    void init_producer_id(int16_t version);
    void describe_configs(int16_t version);
    void describe_cluster(int16_t version);
    void alter_replica_log_dirs(int16_t version);
    void describe_log_dirs(int16_t version);

protected:
    std::unique_ptr<test::RawClient> raw_;
    Uuid id_;
    int32_t epoch_ = 0;
    int64_t written_ = 0;
    int64_t last_producer_ = -1;
};

/// Partition 0 is written, 9 is not there.
void EveryVersionTest::produce(int16_t version) {
    auto request = produce_request(version, "t", id_, 0, batch_of({"v" + std::to_string(version)}));
    request.topic_data[0].partition_data.push_back({9, batch_of({"lost"})});
    const auto response = ask(*raw_, version, request);
    EXPECT_EQ(response.throttle_time_ms, 0);
    const auto& topic = response.responses.at(0);
    EXPECT_EQ(topic.name, version < 13 ? "t" : "");
    EXPECT_EQ(topic.topic_id, version < 13 ? Uuid() : id_);
    const auto& good = topic.partition_responses.at(0);
    EXPECT_EQ(good.error_code, 0);
    EXPECT_EQ(good.base_offset, written_++);
    EXPECT_EQ(good.log_append_time_ms, -1);
    EXPECT_EQ(good.log_start_offset, version < 5 ? -1 : 0);
    EXPECT_EQ(good.error_message, std::nullopt);
    EXPECT_TRUE(good.record_errors.empty());
    const auto& bad = topic.partition_responses.at(1);
    EXPECT_EQ(bad.index, 9);
    EXPECT_EQ(bad.error_code, 3);
    EXPECT_EQ(bad.base_offset, -1);
    auto zstd = produce_request(version, "t", id_, 1, {});
    Codecs codecs;
    BatchBuilder builder(codecs, {.compression = {Codec::zstd, {}}});
    builder.append(WallTime{1000}, std::nullopt, as_bytes(std::string(100, 'z')));
    zstd.topic_data[0].partition_data[0].records = *builder.finish();
    const auto compressed = ask(*raw_, version, zstd).responses.at(0).partition_responses.at(0);
    EXPECT_EQ(compressed.error_code, version < 7 ? 76 : 0);
}

/// Partition 0 has records, 1 is asked beyond its end, 9 is not there.
void EveryVersionTest::fetch(int16_t version) {
    (void)ask(*raw_, 13, produce_request(13, "t", id_, 0, batch_of({"x"})));
    auto request = fetch_request(version, "t", id_, {{0, 0}, {1, 7}, {9, 0}, {2, 0}});
    request.isolation_level = 1;
    request.topics[0].partitions[3].current_leader_epoch = epoch_ + 1;
    const auto response = ask(*raw_, version, request);
    EXPECT_EQ(response.throttle_time_ms, 0);
    EXPECT_EQ(response.error_code, 0);
    EXPECT_EQ(response.session_id, 0);
    const auto& topic = response.responses.at(0);
    EXPECT_EQ(topic.topic, version < 13 ? "t" : "");
    EXPECT_EQ(topic.topic_id, version < 13 ? Uuid() : id_);
    const auto& good = topic.partitions.at(0);
    EXPECT_EQ(good.error_code, 0);
    EXPECT_EQ(values_of(good.records).front(), "x");
    EXPECT_GT(good.high_watermark, 0);
    EXPECT_EQ(good.last_stable_offset, good.high_watermark);
    EXPECT_EQ(good.log_start_offset, version < 5 ? -1 : 0);
    ASSERT_TRUE(good.aborted_transactions.has_value());
    EXPECT_TRUE(good.aborted_transactions->empty());
    EXPECT_EQ(good.preferred_read_replica, -1);
    const int16_t errors[] = {1, 3, static_cast<int16_t>(version < 9 ? 0 : 75)};
    for (size_t i = 0; i < std::size(errors); ++i) {
        const auto& answer = topic.partitions.at(i + 1);
        EXPECT_EQ(answer.error_code, errors[i]) << i;
        ASSERT_TRUE(answer.records.has_value());  // Empty, and there (trap 46).
        EXPECT_TRUE(answer.records->empty());
        if (errors[i] != 0) EXPECT_EQ(answer.high_watermark, -1);
    }
}

void EveryVersionTest::list_offsets(int16_t version) {
    if (version == 1) (void)ask(*raw_, 13, produce_request(13, "t", id_, 0, batch_of({"a", "b"})));
    struct Case {
        int64_t timestamp;
        int64_t first_version;
        int64_t offset;
        int64_t found_timestamp;
    };
    // Without tiering the earliest local offset is the earliest, and nothing is tiered or pending.
    const Case cases[] = {{-1, 1, 2, -1},  {-2, 1, 0, -1},    {-3, 7, 0, 1000},
                          {-4, 8, 0, -1},  {-5, 9, -1, -1},   {-6, 11, -1, -1},
                          {1, 1, 0, 1000}, {1001, 1, -1, -1}, {-7, 99, -1, -1}};
    for (const int8_t isolation : {int8_t{0}, int8_t{1}}) {
        for (const Case& one : cases) {
            protocol::ListOffsetsRequest request;
            request.replica_id = -1;
            request.isolation_level = isolation;
            request.topics.push_back({"t", {{0, version < 4 ? -1 : epoch_, one.timestamp}}});
            const auto response = ask(*raw_, version, request);
            EXPECT_EQ(response.throttle_time_ms, 0);
            const auto& answer = response.topics.at(0).partitions.at(0);
            const bool known = version >= one.first_version;
            EXPECT_EQ(answer.error_code, known ? 0 : 35) << one.timestamp;
            EXPECT_EQ(answer.offset, known ? one.offset : -1) << one.timestamp;
            EXPECT_EQ(answer.timestamp, known ? one.found_timestamp : -1) << one.timestamp;
            const bool has_epoch = version >= 4 && known && one.offset >= 0;
            EXPECT_EQ(answer.leader_epoch, has_epoch ? epoch_ : -1) << one.timestamp;
        }
    }
    protocol::ListOffsetsRequest bad;
    bad.topics.push_back({"t", {{0, epoch_ + 1, -1}, {1, epoch_ - 1, -1}, {9, -1, -1}}});
    bad.topics.push_back({"nobody", {{0, -1, -1}}});
    const auto response = ask(*raw_, version, bad);
    const auto& answers = response.topics.at(0).partitions;
    EXPECT_EQ(answers.at(0).error_code, version < 4 ? 0 : 75);
    EXPECT_EQ(answers.at(1).error_code, version < 4 || epoch_ == 0 ? 0 : 74);
    EXPECT_EQ(answers.at(2).error_code, 3);
    EXPECT_EQ(response.topics.at(1).partitions.at(0).error_code, 3);
}

void EveryVersionTest::delete_records(int16_t version) {
    (void)ask(*raw_, 13, produce_request(13, "t", id_, 0, batch_of({"a", "b"})));
    protocol::DeleteRecordsRequest request;
    request.topics.push_back({"t", {{0, version * 2 + 1}, {0, version * 2 + 3}, {0, -2}, {9, 0}}});
    request.topics.push_back({"nobody", {{0, -1}}});
    const auto response = ask(*raw_, version, request);
    EXPECT_EQ(response.throttle_time_ms, 0);
    const auto& answers = response.topics.at(0).partitions;
    EXPECT_EQ(answers.at(0).error_code, 0);
    EXPECT_EQ(answers.at(0).low_watermark, version * 2 + 1);
    const int16_t errors[] = {1, 1, 3};
    for (size_t i = 0; i < std::size(errors); ++i) {
        EXPECT_EQ(answers.at(i + 1).error_code, errors[i]) << i;
        EXPECT_EQ(answers.at(i + 1).low_watermark, -1) << i;
    }
    EXPECT_EQ(response.topics.at(1).partitions.at(0).error_code, 3);
    protocol::DeleteRecordsRequest everything;
    everything.topics.push_back({"t", {{0, -1}}});
    EXPECT_EQ(ask(*raw_, version, everything).topics.at(0).partitions.at(0).low_watermark,
              version * 2 + 2);
}

void EveryVersionTest::metadata(int16_t version) {
    protocol::MetadataRequest request;
    request.topics.emplace();
    request.topics->push_back({{}, "t"});
    request.topics->push_back({{}, "nobody"});
    request.allow_auto_topic_creation = false;
    request.include_cluster_authorized_operations = version >= 8 && version <= 10;
    if (version < 4) request.topics->at(1).name = "no/name";  // Or it would be created.
    const auto response = ask(*raw_, version, request);
    EXPECT_EQ(response.throttle_time_ms, 0);
    ASSERT_EQ(response.brokers.size(), 1U);
    EXPECT_EQ(response.brokers[0].host, "server");
    EXPECT_EQ(response.cluster_id.has_value(), version >= 2);
    EXPECT_EQ(response.controller_id, version < 1 ? -1 : 1);
    EXPECT_EQ(response.cluster_authorized_operations > 0, version >= 8 && version <= 10);
    const auto& topic = response.topics.at(0);
    EXPECT_EQ(topic.name, "t");
    EXPECT_EQ(topic.topic_id, version < 10 ? Uuid() : id_);
    ASSERT_EQ(topic.partitions.size(), 3U);
    for (const auto& partition : topic.partitions) {
        EXPECT_EQ(partition.error_code, 0);
        EXPECT_EQ(partition.leader_id, 1);
        EXPECT_EQ(partition.leader_epoch, version < 7 ? -1 : epoch_);
        EXPECT_EQ(partition.replica_nodes, std::vector<int32_t>{1});
        EXPECT_EQ(partition.isr_nodes, std::vector<int32_t>{1});
        EXPECT_TRUE(partition.offline_replicas.empty());
    }
    EXPECT_EQ(response.topics.at(1).error_code, version < 4 ? 17 : 3);
    EXPECT_TRUE(response.topics.at(1).partitions.empty());
    EXPECT_EQ(response.error_code, 0);
}

void EveryVersionTest::find_coordinator(int16_t version) {
    protocol::FindCoordinatorRequest request;
    request.key = "group";
    const auto response = ask(*raw_, version, request);
    EXPECT_EQ(response.error_code, 15);
    EXPECT_EQ(response.node_id, -1);
}

void EveryVersionTest::api_versions(int16_t version) {
    protocol::ApiVersionsRequest request;
    request.client_software_name = "test";
    request.client_software_version = "1";
    const auto response = ask(*raw_, version, request);
    EXPECT_EQ(response.error_code, 0);
    EXPECT_EQ(response.throttle_time_ms, 0);
    EXPECT_EQ(response.api_keys.size(), server::api_handlers().size());
    EXPECT_EQ(response.finalized_features.empty(), version < 3);
    EXPECT_EQ(response.finalized_features_epoch >= 0, version >= 3);
}

void EveryVersionTest::create_topics(int16_t version) {
    const std::string name = "made-" + std::to_string(version);
    protocol::CreateTopicsRequest request;
    request.topics.push_back({name, 2, 1, {}, {{"retention.ms", "7"}}});
    request.topics.push_back({"assigned-" + std::to_string(version), -1, -1, {{0, {1}}}, {}});
    request.topics.push_back({"t", 1, 1, {}, {}});
    request.validate_only = true;
    for (const bool only : {true, false}) {
        request.validate_only = only;
        const auto response = ask(*raw_, version, request);
        EXPECT_EQ(response.throttle_time_ms, 0);
        const auto& made = response.topics.at(0);
        EXPECT_EQ(made.error_code, 0) << made.error_message.value_or("");
        EXPECT_EQ(made.name, name);
        EXPECT_EQ(made.num_partitions, version < 5 ? -1 : 2);
        EXPECT_EQ(made.replication_factor, version < 5 ? -1 : 1);
        EXPECT_EQ(made.topic_config_error_code, 0);
        ASSERT_EQ(made.configs.has_value() && !made.configs->empty(), version >= 5);
        if (version >= 5) {
            const auto own = std::ranges::find_if(
                *made.configs, [](const auto& config) { return config.name == "retention.ms"; });
            ASSERT_NE(own, made.configs->end());
            EXPECT_EQ(own->value, "7");
            EXPECT_EQ(own->config_source, 1);
        }
        EXPECT_EQ(response.topics.at(1).error_code, 0);
        EXPECT_EQ(response.topics.at(2).error_code, 36);
        EXPECT_TRUE(response.topics.at(2).error_message.has_value());
        protocol::MetadataRequest look;
        look.topics.emplace();
        look.topics->push_back({{}, name});
        look.allow_auto_topic_creation = false;
        const auto seen = ask(*raw_, 12, look).topics.at(0);
        EXPECT_EQ(seen.error_code, only ? 3 : 0);
        if (!only && version >= 7) EXPECT_EQ(made.topic_id, seen.topic_id);
        if (version < 7) EXPECT_EQ(made.topic_id, Uuid());
    }
}

void EveryVersionTest::delete_topics(int16_t version) {
    const Uuid first = create_topic(*raw_, "first", 1);
    const Uuid second = create_topic(*raw_, "second", 1);
    protocol::DeleteTopicsRequest request;
    if (version < 6) {
        request.topic_names = {"first", "second", "nobody"};
    } else {
        request.topics = {{"first", {}}, {std::nullopt, second}, {std::nullopt, Uuid{{9}}}};
    }
    const auto response = ask(*raw_, version, request);
    EXPECT_EQ(response.throttle_time_ms, 0);
    ASSERT_EQ(response.responses.size(), 3U);
    EXPECT_EQ(response.responses[0].error_code, 0);
    EXPECT_EQ(response.responses[0].name, "first");
    EXPECT_EQ(response.responses[0].topic_id, version < 6 ? Uuid() : first);
    EXPECT_EQ(response.responses[1].error_code, 0);
    EXPECT_EQ(response.responses[1].name, "second");
    EXPECT_EQ(response.responses[2].error_code, version < 6 ? 3 : 100);
    EXPECT_EQ(response.responses[2].error_message.has_value(), version >= 5);
    protocol::MetadataRequest everything;
    EXPECT_EQ(ask(*raw_, 12, everything).topics.size(), 1U);
}

void EveryVersionTest::init_producer_id(int16_t version) {
    const auto response = ask(*raw_, version, protocol::InitProducerIdRequest{});
    EXPECT_EQ(response.throttle_time_ms, 0);
    EXPECT_EQ(response.error_code, 0);
    EXPECT_EQ(response.producer_epoch, 0);
    EXPECT_GT(response.producer_id, last_producer_);
    last_producer_ = response.producer_id;
    protocol::InitProducerIdRequest transactional;
    transactional.transactional_id = "tx";
    const auto refused = ask(*raw_, version, transactional);
    EXPECT_NE(refused.error_code, 0);
    EXPECT_EQ(refused.producer_id, -1);
}

void EveryVersionTest::describe_configs(int16_t version) {
    protocol::DescribeConfigsRequest request;
    request.resources.push_back({2, "t", std::vector<std::string>{"retention.ms"}});
    request.resources.push_back({4, "1", std::vector<std::string>{"log.dirs", "ottla.shards"}});
    request.resources.push_back({2, "nobody", std::nullopt});
    request.include_documentation = version >= 3;
    const auto response = ask(*raw_, version, request);
    EXPECT_EQ(response.throttle_time_ms, 0);
    ASSERT_EQ(response.results.size(), 3U);
    const auto& topic = response.results[0];
    EXPECT_EQ(topic.error_code, 0);
    ASSERT_EQ(topic.configs.size(), 1U);
    EXPECT_EQ(topic.configs[0].name, "retention.ms");
    EXPECT_EQ(topic.configs[0].value, "604800000");
    EXPECT_EQ(topic.configs[0].config_source, 5);
    EXPECT_TRUE(topic.configs[0].synonyms.empty());
    EXPECT_EQ(topic.configs[0].config_type, version < 3 ? 0 : 5);
    const auto& broker = response.results[1];
    ASSERT_EQ(broker.configs.size(), 2U);
    EXPECT_EQ(broker.configs[1].documentation.value_or("").empty(), version < 3);
    EXPECT_EQ(broker.configs[0].value, settings_.text("log.dirs"));
    EXPECT_EQ(broker.configs[0].config_source, 4);
    EXPECT_TRUE(broker.configs[0].read_only);
    EXPECT_EQ(response.results[2].error_code, 3);
}

void EveryVersionTest::describe_cluster(int16_t version) {
    const auto response = ask(*raw_, version, protocol::DescribeClusterRequest{});
    EXPECT_EQ(response.throttle_time_ms, 0);
    EXPECT_EQ(response.error_code, 0);
    EXPECT_EQ(response.endpoint_type, 1);
    EXPECT_FALSE(response.cluster_id.empty());
    EXPECT_EQ(response.controller_id, 1);
    ASSERT_EQ(response.brokers.size(), 1U);
    EXPECT_EQ(response.brokers[0].host, "server");
    EXPECT_FALSE(response.brokers[0].is_fenced);
    protocol::DescribeClusterRequest with;
    with.include_cluster_authorized_operations = true;
    EXPECT_GT(ask(*raw_, version, with).cluster_authorized_operations, 0);
}

void EveryVersionTest::alter_replica_log_dirs(int16_t version) {
    const std::string own = settings_.text("log.dirs");
    protocol::AlterReplicaLogDirsRequest request;
    request.dirs.push_back({own, {{"t", {0, 9}}, {"nobody", {0}}}});
    request.dirs.push_back({"/elsewhere", {{"t", {1}}}});
    const auto response = ask(*raw_, version, request);
    EXPECT_EQ(response.throttle_time_ms, 0);
    ASSERT_EQ(response.results.size(), 2U);
    EXPECT_EQ(response.results[0].topic_name, "t");
    ASSERT_EQ(response.results[0].partitions.size(), 3U);
    EXPECT_EQ(response.results[0].partitions[0].error_code, 0) << "it is there";
    EXPECT_EQ(response.results[0].partitions[1].partition_index, 9);
    EXPECT_EQ(response.results[0].partitions[1].error_code, 3);
    EXPECT_EQ(response.results[0].partitions[2].error_code, 57) << "LOG_DIR_NOT_FOUND";
    EXPECT_EQ(response.results[1].topic_name, "nobody");
    EXPECT_EQ(response.results[1].partitions.at(0).error_code, 3);
}

void EveryVersionTest::describe_log_dirs(int16_t version) {
    protocol::DescribeLogDirsRequest request;
    const auto response = ask(*raw_, version, request);
    EXPECT_EQ(response.throttle_time_ms, 0);
    EXPECT_EQ(response.error_code, 0);
    ASSERT_EQ(response.results.size(), 1U);
    const auto& own = response.results[0];
    EXPECT_EQ(own.error_code, 0);
    EXPECT_EQ(own.log_dir, settings_.text("log.dirs"));
    EXPECT_EQ(own.total_bytes > 0, version >= 4);
    EXPECT_EQ(own.usable_bytes > 0, version >= 4);
    EXPECT_FALSE(own.is_cordoned);
    ASSERT_EQ(own.topics.size(), 1U);
    EXPECT_EQ(own.topics[0].name, "t");
    ASSERT_EQ(own.topics[0].partitions.size(), 3U);
    for (const auto& partition : own.topics[0].partitions) {
        EXPECT_EQ(partition.partition_size, 0);
        EXPECT_EQ(partition.offset_lag, 0);
        EXPECT_FALSE(partition.is_future_key);
    }
    request.topics.emplace();
    request.topics->push_back({"t", {1, 7}});
    request.topics->push_back({"nobody", {0}});
    const auto some = ask(*raw_, version, request);
    ASSERT_EQ(some.results.at(0).topics.size(), 1U);
    ASSERT_EQ(some.results[0].topics[0].partitions.size(), 1U);
    EXPECT_EQ(some.results[0].topics[0].partitions[0].partition_index, 1);
}

TEST_F(EveryVersionTest, IsAnsweredWithWhatThatVersionHas) {
    using Check = void (EveryVersionTest::*)(int16_t);
    const std::map<ApiKey, Check> checks = {
        {ApiKey::produce, &EveryVersionTest::produce},
        {ApiKey::fetch, &EveryVersionTest::fetch},
        {ApiKey::list_offsets, &EveryVersionTest::list_offsets},
        {ApiKey::metadata, &EveryVersionTest::metadata},
        {ApiKey::find_coordinator, &EveryVersionTest::find_coordinator},
        {ApiKey::api_versions, &EveryVersionTest::api_versions},
        {ApiKey::create_topics, &EveryVersionTest::create_topics},
        {ApiKey::delete_topics, &EveryVersionTest::delete_topics},
        {ApiKey::delete_records, &EveryVersionTest::delete_records},
        {ApiKey::init_producer_id, &EveryVersionTest::init_producer_id},
        {ApiKey::describe_configs, &EveryVersionTest::describe_configs},
        {ApiKey::describe_cluster, &EveryVersionTest::describe_cluster},
        {ApiKey::alter_replica_log_dirs, &EveryVersionTest::alter_replica_log_dirs},
        {ApiKey::describe_log_dirs, &EveryVersionTest::describe_log_dirs},
    };
    EXPECT_EQ(checks.size(), server::api_handlers().size());
    for (const server::ApiHandler& row : server::api_handlers()) {
        ASSERT_TRUE(checks.contains(row.key)) << static_cast<int>(row.key) << " has no check here";
        stop();
        begin(fmt::format("/data-{}", static_cast<int>(row.key)));
        if (HasFatalFailure()) return;
        for (int16_t version = row.min_version; version <= row.max_version; ++version) {
            SCOPED_TRACE(fmt::format("api {} version {}", static_cast<int>(row.key), version));
            (this->*checks.at(row.key))(version);
            if (HasFailure()) return;
        }
    }
}

TEST_F(EveryVersionTest, BesidesThoseServedClosesTheConnectionWithOneLineAndNoAnswer) {
    for (const server::ApiHandler& row : server::api_handlers()) {
        if (row.key == ApiKey::api_versions) continue;
        for (const int version : {row.min_version - 1, row.max_version + 1, -1, 32767}) {
            if (version < -1) continue;
            auto stranger = client();
            const size_t lines = log_.lines.size();
            protocol::Writer out;
            out.int32(10);
            out.int16(static_cast<int16_t>(row.key));
            out.int16(static_cast<int16_t>(version));
            out.int32(1);
            out.int16(-1);
            ASSERT_TRUE(run(stranger->send(out.finish())));
            EXPECT_FALSE(run(stranger->receive())) << static_cast<int>(row.key) << " v" << version;
            EXPECT_EQ(log_.lines.size(), lines + 1);
        }
    }
}

}  // namespace
}  // namespace ottla
