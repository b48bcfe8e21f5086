// SPDX-License-Identifier: Apache-2.0
// Decide functions: every rule and every error, without a disk. Covers controller/topics.cc and
// controller/brokers.cc.
#include <gtest/gtest.h>

#include "base/uuid.h"
#include "controller/controller.h"

namespace ottla::controller {
namespace {

using protocol::BrokerHeartbeatRequest;
using protocol::BrokerRegistrationRequest;
using protocol::CreateTopicsRequest;
using protocol::DeleteTopicsRequest;
using protocol::MetadataRecord;

using NewTopic = CreateTopicsRequest::CreatableTopic;

constexpr const char* kCluster = "cluster";

class ControllerTest : public testing::Test {
protected:
    void SetUp() override { apply(controller.activate({})); }

    void apply(const std::vector<MetadataRecord>& records) {
        end = end + static_cast<int64_t>(records.size());
        const Status done = controller.replay(records, end, LeaderEpoch{1}, WallTime{1});
        ASSERT_TRUE(done) << done.error().detail;
    }
    static BrokerRegistrationRequest registration(int32_t id, uint64_t incarnation) {
        BrokerRegistrationRequest request;
        request.broker_id = id;
        request.cluster_id = kCluster;
        request.incarnation_id = make_uuid(static_cast<uint64_t>(id), incarnation);
        request.listeners = {{"PLAINTEXT", "host", static_cast<uint16_t>(9090 + id), 0}};
        for (const auto& [name, range] : metadata::supported_features()) {
            request.features.push_back({name, range.min, range.max});
        }
        request.log_dirs = {make_uuid(static_cast<uint64_t>(id), 77)};
        return request;
    }
    /// Registers and unfences; the broker's epoch.
    int64_t join(int32_t id, uint64_t incarnation = 1) {
        const auto decision = controller.register_broker(registration(id, incarnation),
                                                         OldIncarnation::is_gone, end);
        EXPECT_EQ(decision.response.error_code, 0);
        apply(decision.records);
        const int64_t epoch = decision.response.broker_epoch;
        apply(beat(id, epoch).records);
        return epoch;
    }
    Decision<protocol::BrokerHeartbeatResponse> beat(int32_t id, int64_t epoch, bool fence = false,
                                                     bool shut_down = false) const {
        BrokerHeartbeatRequest request;
        request.broker_id = id;
        request.broker_epoch = epoch;
        request.current_metadata_offset = end.value();
        request.want_fence = fence;
        request.want_shut_down = shut_down;
        return controller.heartbeat(request);
    }
    static NewTopic topic(std::string name, int32_t partitions = 1, int16_t replicas = 1) {
        NewTopic one;
        one.name = std::move(name);
        one.num_partitions = partitions;
        one.replication_factor = replicas;
        return one;
    }
    static NewTopic assigned(std::string name,
                             std::vector<std::pair<int32_t, std::vector<int32_t>>> assignments) {
        NewTopic one = topic(std::move(name), -1, -1);
        for (auto& [index, brokers] : assignments) one.assignments.push_back({index, brokers});
        return one;
    }
    Decision<protocol::CreateTopicsResponse> decide(std::vector<NewTopic> topics,
                                                    bool validate_only = false) const {
        CreateTopicsRequest request;
        request.topics = std::move(topics);
        request.validate_only = validate_only;
        std::vector<Uuid> ids;
        for (size_t i = 0; i < request.topics.size(); ++i) ids.push_back(make_uuid(++drawn, 1));
        return controller.create_topics(request, ids);
    }
    ErrorCode error_of(const NewTopic& one) const {
        const auto decision = decide({one});
        const auto& result = decision.response.topics.at(0);
        EXPECT_EQ(result.error_code == 0, !decision.records.empty());
        EXPECT_EQ(result.error_code == 0, !result.error_message.has_value());
        return ErrorCode{result.error_code};
    }
    void create(const NewTopic& one) {
        const auto decision = decide({one});
        ASSERT_EQ(decision.response.topics.at(0).error_code, 0)
            << decision.response.topics.at(0).error_message.value_or("");
        apply(decision.records);
    }
    const metadata::Partition& partition(const std::string& name, int32_t index) const {
        return *controller.image().partition(name, PartitionIndex{index});
    }

    Controller controller{kCluster, Settings{}};
    Offset end{0};
    mutable uint64_t drawn = 1000;
};

TEST_F(ControllerTest, ANewClusterFinalizesOnlyWhatWorks) {
    EXPECT_EQ(controller.image().features.size(), 1U);
    EXPECT_EQ(controller.image().metadata_version(), metadata::kNewClusterMetadataVersion);
    EXPECT_TRUE(controller.activate({}).empty()) << "once";
}

TEST_F(ControllerTest, ADirectoryThatKafkaFormattedStartsAtItsLevels) {
    const auto level = [](const std::string& name, int16_t number) {
        protocol::FeatureLevelRecord record;
        record.name = name;
        record.feature_level = number;
        return MetadataRecord{record};
    };
    Controller fresh(kCluster, Settings{});
    const auto records = fresh.activate({level("metadata.version", 30), level("group.version", 1),
                                         level("eligible.leader.replicas.version", 1)});
    ASSERT_TRUE(fresh.replay(records, Offset{6}, LeaderEpoch{1}, WallTime{0}));
    EXPECT_EQ(fresh.image().metadata_version(), 30);
    EXPECT_EQ(fresh.image().features.size(), 3U);
    // Eligibility is judged by a number that the whole cluster shares.
    const std::string* needed =
        fresh.image().config_value(metadata::ResourceType::broker, "", "min.insync.replicas");
    ASSERT_NE(needed, nullptr);
    EXPECT_EQ(*needed, "1");
}

TEST_F(ControllerTest, ATopicIsTopicSettingsPartitionsAsKafkaWritesThem) {
    join(1);
    NewTopic one = topic("t", 2);
    one.configs = {{"retention.ms", "100000"}};
    const auto decision = decide({one});
    ASSERT_EQ(decision.records.size(), 4U);
    EXPECT_EQ(std::get<protocol::TopicRecord>(decision.records[0]).name, "t");
    EXPECT_EQ(std::get<protocol::ConfigRecord>(decision.records[1]).value, "100000");
    const auto& partition = std::get<protocol::PartitionRecord>(decision.records[3]);
    EXPECT_EQ(partition.partition_id, 1);
    EXPECT_EQ(partition.replicas, std::vector<int32_t>{1});
    EXPECT_EQ(partition.isr, std::vector<int32_t>{1});
    EXPECT_EQ(partition.leader, 1);
    EXPECT_EQ(partition.leader_epoch, 0);
    EXPECT_EQ(partition.directories, std::vector{make_uuid(1, 77)});
    const auto& result = decision.response.topics[0];
    EXPECT_EQ(result.num_partitions, 2);
    EXPECT_EQ(result.replication_factor, 1);
    EXPECT_FALSE(result.topic_id.is_zero());
    ASSERT_TRUE(result.configs);
    for (const auto& config : *result.configs) {
        EXPECT_EQ(config.config_source, config.name == "retention.ms" ? 1 : 5) << config.name;
    }
}

TEST_F(ControllerTest, DefaultsComeFromTheSettings) {
    join(1);
    create(topic("t", -1, -1));
    EXPECT_EQ(controller.image().topic("t")->partitions.size(), 1U);
}

TEST_F(ControllerTest, ValidateOnlyWritesNothing) {
    join(1);
    const auto decision = decide({topic("t")}, true);
    EXPECT_TRUE(decision.records.empty());
    EXPECT_EQ(decision.response.topics[0].error_code, 0);
    EXPECT_EQ(decision.response.topics[0].num_partitions, 1);
}

TEST_F(ControllerTest, RefusesNames) {
    join(1);
    for (const std::string& name : {std::string(), std::string("."), std::string(".."),
                                    std::string(250, 'x'), std::string("a b"), std::string("a/b"),
                                    std::string("\xc3\xa4")}) {
        EXPECT_EQ(error_of(topic(name)), ErrorCode::invalid_topic_exception) << name;
    }
    EXPECT_EQ(error_of(topic("__cluster_metadata")), ErrorCode::topic_authorization_failed);
    EXPECT_EQ(error_of(topic(std::string(249, 'x'))), ErrorCode::none);
    EXPECT_EQ(error_of(topic("A-z.0_9")), ErrorCode::none);
}

TEST_F(ControllerTest, RefusesNamesThatDifferInDotsOnly) {
    join(1);
    create(topic("a.b"));
    EXPECT_EQ(error_of(topic("a.b")), ErrorCode::topic_already_exists);
    EXPECT_EQ(error_of(topic("a_b")), ErrorCode::invalid_topic_exception);
    EXPECT_EQ(error_of(topic("a-b")), ErrorCode::none);
    const auto both = decide({topic("c.d"), topic("c_d")});
    EXPECT_EQ(both.response.topics[0].error_code, 0);
    EXPECT_EQ(both.response.topics[1].error_code, wire_code(ErrorCode::invalid_topic_exception));
    // The name is free again when the topic is gone.
    DeleteTopicsRequest request;
    request.topic_names = {"a.b"};
    apply(controller.delete_topics(request).records);
    EXPECT_EQ(error_of(topic("a_b")), ErrorCode::none);
}

TEST_F(ControllerTest, ANameTwiceInARequestIsAnsweredOnce) {
    join(1);
    const auto decision = decide({topic("t"), topic("u"), topic("t"), topic("t")});
    ASSERT_EQ(decision.response.topics.size(), 2U);
    EXPECT_EQ(decision.response.topics[0].error_code, wire_code(ErrorCode::invalid_request));
    EXPECT_EQ(decision.response.topics[1].name, "u");
    EXPECT_EQ(decision.response.topics[1].error_code, 0);
}

TEST_F(ControllerTest, RefusesCountsAndSettings) {
    join(1);
    EXPECT_EQ(error_of(topic("t", 0)), ErrorCode::invalid_partitions);
    EXPECT_EQ(error_of(topic("t", -2)), ErrorCode::invalid_partitions);
    EXPECT_EQ(error_of(topic("t", 1, 0)), ErrorCode::invalid_replication_factor);
    EXPECT_EQ(error_of(topic("t", 1, -2)), ErrorCode::invalid_replication_factor);
    EXPECT_EQ(error_of(topic("t", 1, 2)), ErrorCode::invalid_replication_factor);
    EXPECT_EQ(error_of(topic("t", 10'000)), ErrorCode::policy_violation);
    EXPECT_EQ(error_of(topic("t", 2'000'000'000)), ErrorCode::policy_violation);
    NewTopic one = topic("t");
    one.configs = {{"no.such.setting", "1"}};
    EXPECT_EQ(error_of(one), ErrorCode::invalid_config);
    one.configs = {{"retention.ms", "soon"}};
    EXPECT_EQ(error_of(one), ErrorCode::invalid_config);
    one.configs = {{"retention.ms", std::nullopt}};
    EXPECT_EQ(error_of(one), ErrorCode::invalid_config);
    one.configs = {{"retention.ms", "1"}, {"retention.ms", "2"}};
    EXPECT_EQ(error_of(one), ErrorCode::invalid_config);
}

TEST_F(ControllerTest, OneBadTopicDoesNotSpoilTheOthers) {
    join(1);
    const auto decision = decide({topic("ok"), topic("bad", 0), topic("fine")});
    EXPECT_EQ(decision.response.topics[0].error_code, 0);
    EXPECT_EQ(decision.response.topics[1].error_code, wire_code(ErrorCode::invalid_partitions));
    EXPECT_EQ(decision.response.topics[2].error_code, 0);
    EXPECT_EQ(decision.records.size(), 4U);
}

TEST_F(ControllerTest, RefusesWhenNobodyIsLive) {
    EXPECT_EQ(error_of(topic("t")), ErrorCode::invalid_replication_factor);
    const int64_t epoch = join(1);
    apply(beat(1, epoch, true).records);
    EXPECT_EQ(error_of(topic("t")), ErrorCode::invalid_replication_factor);
    EXPECT_EQ(error_of(assigned("t", {{0, {1}}})), ErrorCode::invalid_replica_assignment);
}

TEST_F(ControllerTest, ManualAssignments) {
    join(1);
    join(2);
    EXPECT_EQ(error_of(assigned("t", {{0, {1, 2}}, {1, {2, 1}}})), ErrorCode::none);
    NewTopic one = assigned("t", {{0, {1}}});
    one.num_partitions = 1;
    EXPECT_EQ(error_of(one), ErrorCode::invalid_request);
    one = assigned("t", {{0, {1}}});
    one.replication_factor = 1;
    EXPECT_EQ(error_of(one), ErrorCode::invalid_request);
    const auto bad = ErrorCode::invalid_replica_assignment;
    EXPECT_EQ(error_of(assigned("t", {{0, {}}})), bad);
    EXPECT_EQ(error_of(assigned("t", {{0, {3}}})), bad);
    EXPECT_EQ(error_of(assigned("t", {{0, {1, 1}}})), bad);
    EXPECT_EQ(error_of(assigned("t", {{0, {1, 2}}, {1, {1}}})), bad);
    EXPECT_EQ(error_of(assigned("t", {{0, {1}}, {0, {2}}})), bad);
    EXPECT_EQ(error_of(assigned("t", {{0, {1}}, {2, {2}}})), bad);
    EXPECT_EQ(error_of(assigned("t", {{1, {1}}})), bad);
    EXPECT_EQ(error_of(assigned("t", {{-1, {1}}, {0, {1}}})), bad);
}

TEST_F(ControllerTest, AFencedReplicaIsAssignedButNotInSync) {
    join(1);
    const int64_t two = join(2);
    apply(beat(2, two, true).records);
    create(assigned("t", {{0, {2, 1}}}));
    EXPECT_EQ(partition("t", 0).isr, std::vector{BrokerId{1}});
    EXPECT_EQ(partition("t", 0).leader, BrokerId{1});
}

TEST_F(ControllerTest, DeletesByNameAndById) {
    join(1);
    create(topic("a"));
    create(topic("b"));
    const Uuid b = controller.image().topic("b")->id;
    DeleteTopicsRequest request;
    request.topics = {{"a", {}}, {std::nullopt, b}};
    const auto decision = controller.delete_topics(request);
    ASSERT_EQ(decision.response.responses.size(), 2U);
    EXPECT_EQ(decision.response.responses[1].name, "b");
    EXPECT_EQ(decision.response.responses[1].topic_id, b);
    apply(decision.records);
    EXPECT_TRUE(controller.image().topics.empty());
}

TEST_F(ControllerTest, RefusesDeletions) {
    join(1);
    create(topic("a"));
    const Uuid a = controller.image().topic("a")->id;
    const auto error_of_one = [this](DeleteTopicsRequest::DeleteTopicState one) {
        DeleteTopicsRequest request;
        request.topics = {std::move(one)};
        const auto decision = controller.delete_topics(request);
        EXPECT_TRUE(decision.records.empty());
        return ErrorCode{decision.response.responses.at(0).error_code};
    };
    EXPECT_EQ(error_of_one({"x", {}}), ErrorCode::unknown_topic_or_partition);
    EXPECT_EQ(error_of_one({std::nullopt, make_uuid(5, 5)}), ErrorCode::unknown_topic_id);
    EXPECT_EQ(error_of_one({std::nullopt, {}}), ErrorCode::invalid_request);
    EXPECT_EQ(error_of_one({"a", a}), ErrorCode::invalid_request);
    DeleteTopicsRequest twice;
    twice.topics = {{"a", {}}, {std::nullopt, a}};
    const auto decision = controller.delete_topics(twice);
    EXPECT_EQ(decision.response.responses[1].error_code, wire_code(ErrorCode::invalid_request));
    EXPECT_EQ(decision.records.size(), 1U);
}

TEST_F(ControllerTest, DeletionMayBeSwitchedOff) {
    Settings off;
    ASSERT_TRUE(off.set("delete.topic.enable", "false", Settings::Source::file));
    const Controller strict{kCluster, off};
    DeleteTopicsRequest request;
    request.topic_names = {"a"};
    EXPECT_EQ(strict.delete_topics(request).response.responses.at(0).error_code,
              wire_code(ErrorCode::topic_deletion_disabled));
}

TEST_F(ControllerTest, TheEpochOfABrokerIsTheOffsetOfItsRegistration) {
    const auto first =
        controller.register_broker(registration(1, 1), OldIncarnation::may_live, end);
    EXPECT_EQ(first.response.broker_epoch, end.value());
    apply(first.records);
    EXPECT_FALSE(controller.image().is_alive(BrokerId{1})) << "fenced until it is caught up";
    apply(beat(1, first.response.broker_epoch).records);
    EXPECT_TRUE(controller.image().is_alive(BrokerId{1}));
    create(topic("t", 2));

    // A restart: fence, two partitions, register; the epoch counts them.
    const auto again = controller.register_broker(registration(1, 2), OldIncarnation::is_gone, end);
    ASSERT_EQ(again.records.size(), 4U);
    EXPECT_EQ(again.response.broker_epoch, end.value() + 3);
    apply(again.records);
    EXPECT_EQ(partition("t", 0).leader, kNoBroker);
    EXPECT_EQ(partition("t", 0).isr, std::vector{BrokerId{1}}) << "the last one stays";
    EXPECT_EQ(partition("t", 0).leader_epoch, LeaderEpoch{1});
    apply(beat(1, again.response.broker_epoch).records);
    EXPECT_EQ(partition("t", 0).leader, BrokerId{1});
    EXPECT_EQ(partition("t", 0).leader_epoch, LeaderEpoch{2});
}

TEST_F(ControllerTest, TheSameIncarnationKeepsItsEpochAndItsState) {
    const int64_t epoch = join(1);
    create(topic("t"));
    const auto again = controller.register_broker(registration(1, 1), OldIncarnation::may_live, end);
    EXPECT_EQ(again.response.broker_epoch, epoch);
    apply(again.records);
    EXPECT_TRUE(controller.image().is_alive(BrokerId{1}));
    EXPECT_EQ(partition("t", 0).leader_epoch, LeaderEpoch{0});
}

TEST_F(ControllerTest, RefusesRegistrations) {
    join(1);
    const auto error_of_one = [this](const BrokerRegistrationRequest& request) {
        const auto decision =
            controller.register_broker(request, OldIncarnation::may_live, end);
        EXPECT_TRUE(decision.records.empty());
        return ErrorCode{decision.response.error_code};
    };
    EXPECT_EQ(error_of_one(registration(1, 2)), ErrorCode::duplicate_broker_registration);
    BrokerRegistrationRequest request = registration(2, 1);
    request.cluster_id = "other";
    EXPECT_EQ(error_of_one(request), ErrorCode::inconsistent_cluster_id);
    request = registration(2, 1);
    request.log_dirs.clear();
    EXPECT_EQ(error_of_one(request), ErrorCode::invalid_registration);
    request.log_dirs = {make_uuid(1, 77)};
    EXPECT_EQ(error_of_one(request), ErrorCode::invalid_registration);
    request = registration(2, 1);
    request.features = {{"metadata.version", 7, 20}};
    EXPECT_EQ(error_of_one(request), ErrorCode::unsupported_version);
    request.features.clear();
    EXPECT_EQ(error_of_one(request), ErrorCode::unsupported_version);
}

TEST_F(ControllerTest, HeartbeatsOfStrangersAreStale) {
    EXPECT_EQ(beat(1, 0).response.error_code, wire_code(ErrorCode::stale_broker_epoch));
    const int64_t epoch = join(1);
    EXPECT_EQ(beat(1, epoch - 1).response.error_code, wire_code(ErrorCode::stale_broker_epoch));
}

TEST_F(ControllerTest, ABrokerIsUnfencedOnlyWhenItHasSeenItself) {
    apply(controller.register_broker(registration(1, 1), OldIncarnation::may_live, end).records);
    BrokerHeartbeatRequest request;
    request.broker_id = 1;
    request.broker_epoch = controller.image().broker(BrokerId{1})->epoch.value();
    request.current_metadata_offset = request.broker_epoch - 1;
    auto decision = controller.heartbeat(request);
    EXPECT_TRUE(decision.records.empty());
    EXPECT_TRUE(decision.response.is_fenced);
    EXPECT_FALSE(decision.response.is_caught_up);
    request.current_metadata_offset = request.broker_epoch;
    decision = controller.heartbeat(request);
    EXPECT_EQ(decision.records.size(), 1U);
    EXPECT_FALSE(decision.response.is_fenced);
}

TEST_F(ControllerTest, AControlledShutdownGivesLeadershipAwayFirst) {
    const int64_t epoch = join(1);
    create(topic("t"));
    auto decision = beat(1, epoch, false, true);
    EXPECT_FALSE(decision.response.should_shut_down);
    ASSERT_EQ(decision.records.size(), 2U);
    apply(decision.records);
    EXPECT_TRUE(controller.image().broker(BrokerId{1})->in_controlled_shutdown);
    EXPECT_EQ(partition("t", 0).leader, kNoBroker);
    decision = beat(1, epoch, false, true);
    EXPECT_TRUE(decision.response.should_shut_down);
    apply(decision.records);
    EXPECT_FALSE(controller.image().is_alive(BrokerId{1}));
    decision = beat(1, epoch, false, true);
    EXPECT_TRUE(decision.records.empty());
    EXPECT_TRUE(decision.response.should_shut_down);
}

TEST_F(ControllerTest, LeadershipMovesToAnotherReplicaInSync) {
    join(1);
    const int64_t two = join(2);
    create(assigned("t", {{0, {2, 1}}}));
    EXPECT_EQ(partition("t", 0).leader, BrokerId{2});
    apply(beat(2, two, false, true).records);
    EXPECT_EQ(partition("t", 0).leader, BrokerId{1});
    EXPECT_EQ(partition("t", 0).isr, std::vector{BrokerId{1}});
    EXPECT_EQ(partition("t", 0).leader_epoch, LeaderEpoch{1});
}

TEST_F(ControllerTest, ProducerIdsComeInBlocksThatNeverRepeat) {
    const int64_t epoch = join(1);
    protocol::AllocateProducerIdsRequest request;
    request.broker_id = 1;
    request.broker_epoch = epoch;
    for (int64_t block = 0; block < 3; ++block) {
        const auto decision = controller.allocate_producer_ids(request);
        EXPECT_EQ(decision.response.producer_id_start, block * kProducerIdBlock);
        EXPECT_EQ(decision.response.producer_id_len, kProducerIdBlock);
        apply(decision.records);
    }
    request.broker_epoch = epoch + 1;
    EXPECT_EQ(controller.allocate_producer_ids(request).response.error_code,
              wire_code(ErrorCode::stale_broker_epoch));
}

TEST_F(ControllerTest, AControllerRegistersWithItsEndpoints) {
    protocol::ControllerRegistrationRequest request;
    request.controller_id = 1;
    request.incarnation_id = make_uuid(4, 4);
    request.listeners = {{"CONTROLLER", "host", 9093, 0}};
    apply(controller.register_controller(request).records);
    const auto* node = controller.image().controllers.find(BrokerId{1});
    ASSERT_NE(node, nullptr);
    EXPECT_EQ((*node)->endpoints.at(0).port, 9093);
}

TEST_F(ControllerTest, WhatItDecidedRebuildsTheSameImage) {
    join(1);
    create(topic("a", 3));
    create(topic("b"));
    join(1, 2);
    metadata::MetadataDelta delta(metadata::MetadataImage{});
    for (const MetadataRecord& record : metadata::records_of(controller.image())) {
        ASSERT_TRUE(delta.replay(record));
    }
    const metadata::MetadataImage& image = controller.image();
    EXPECT_EQ(*delta.finish(image.end, image.epoch, image.timestamp), image);
}

TEST_F(ControllerTest, AReplicaIsAssignedToADirectoryOfItsBrokerAndWhatIsSaidAlreadyIsNotWritten) {
    const int64_t one = join(1);
    join(2);
    create(assigned("t", {{0, {2, 1}}}));
    const Uuid id = controller.image().topic("t")->id;
    const Uuid known = make_uuid(1, 77);
    EXPECT_EQ(partition("t", 0).directory_of(BrokerId{1}), known);
    // Its second directory, as a registration with two tells of it.
    const Uuid fresh = make_uuid(1, 78);
    BrokerRegistrationRequest again = registration(1, 1);
    again.log_dirs.push_back(fresh);
    apply(controller.register_broker(again, OldIncarnation::is_gone, end).records);
    const int32_t epoch_before = partition("t", 0).partition_epoch;
    protocol::AssignReplicasToDirsRequest request;
    request.broker_id = 1;
    request.broker_epoch = one;
    request.directories = {{fresh, {{id, {{0}, {5}}}, {make_uuid(9, 9), {{0}}}}},
                           {make_uuid(4, 4), {{id, {{0}}}}}};
    const auto decision = controller.assign_replicas_to_dirs(request);
    EXPECT_EQ(decision.response.error_code, 0);
    ASSERT_EQ(decision.response.directories.size(), 2U);
    const auto& told = decision.response.directories[0].topics;
    EXPECT_EQ(told.at(0).partitions.at(0).error_code, 0);
    EXPECT_EQ(ErrorCode{told.at(0).partitions.at(1).error_code},
              ErrorCode::unknown_topic_or_partition);
    EXPECT_EQ(ErrorCode{told.at(1).partitions.at(0).error_code}, ErrorCode::unknown_topic_id);
    EXPECT_EQ(ErrorCode{decision.response.directories[1].topics.at(0).partitions.at(0).error_code},
              ErrorCode::kafka_storage_error)
        << "a directory that the broker does not have";
    ASSERT_EQ(decision.records.size(), 1U);
    apply(decision.records);
    EXPECT_EQ(partition("t", 0).directory_of(BrokerId{1}), fresh);
    EXPECT_EQ(partition("t", 0).directory_of(BrokerId{2}), make_uuid(2, 77));
    EXPECT_EQ(partition("t", 0).leader, BrokerId{2});
    EXPECT_EQ(partition("t", 0).partition_epoch, epoch_before + 1);
    EXPECT_TRUE(controller.assign_replicas_to_dirs(request).records.empty());
    request.broker_epoch = one + 1;
    EXPECT_EQ(ErrorCode{controller.assign_replicas_to_dirs(request).response.error_code},
              ErrorCode::stale_broker_epoch);
}

}  // namespace
}  // namespace ottla::controller
