// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "base/uuid.h"
#include "metadata/delta.h"
#include "protocol/metadata_frame.h"

namespace ottla::metadata {
namespace {

using protocol::AbortTransactionRecord;
using protocol::AccessControlEntryRecord;
using protocol::BeginTransactionRecord;
using protocol::BrokerRegistrationChangeRecord;
using protocol::ConfigRecord;
using protocol::EndTransactionRecord;
using protocol::FeatureLevelRecord;
using protocol::FenceBrokerRecord;
using protocol::MetadataRecord;
using protocol::PartitionChangeRecord;
using protocol::PartitionRecord;
using protocol::ProducerIdsRecord;
using protocol::RegisterBrokerRecord;
using protocol::RemoveTopicRecord;
using protocol::TopicRecord;
using protocol::UnregisterBrokerRecord;

const Uuid kTopic = make_uuid(1, 1);
const Uuid kOther = make_uuid(2, 2);
const Uuid kDirectory = make_uuid(3, 3);

RegisterBrokerRecord broker_record(int32_t id, int64_t epoch) {
    RegisterBrokerRecord record;
    record.broker_id = id;
    record.broker_epoch = epoch;
    record.incarnation_id = make_uuid(static_cast<uint64_t>(id), static_cast<uint64_t>(epoch));
    record.end_points = {{"PLAINTEXT", "host", 9092, 0}};
    record.features = {{"metadata.version", 21, 25}};
    record.log_dirs = {kDirectory};
    return record;
}

PartitionRecord partition_record(const Uuid& topic, int32_t index) {
    PartitionRecord record;
    record.partition_id = index;
    record.topic_id = topic;
    record.replicas = {1};
    record.isr = {1};
    record.leader = 1;
    record.leader_epoch = 0;
    record.partition_epoch = 0;
    record.directories = {kDirectory};
    return record;
}

PartitionChangeRecord leader_change(int32_t index, int32_t leader) {
    PartitionChangeRecord record;
    record.topic_id = kTopic;
    record.partition_id = index;
    record.leader = leader;
    return record;
}

BrokerRegistrationChangeRecord registration_change(int8_t fenced, int8_t shutdown) {
    BrokerRegistrationChangeRecord record;
    record.broker_id = 1;
    record.broker_epoch = 5;
    record.fenced = fenced;
    record.in_controlled_shutdown = shutdown;
    return record;
}

std::vector<MetadataRecord> history() {
    FeatureLevelRecord version;
    version.name = "metadata.version";
    version.feature_level = 25;
    ProducerIdsRecord ids;
    ids.broker_id = 1;
    ids.next_producer_id = 1000;
    return {
        version,
        broker_record(1, 5),
        registration_change(-1, 0),
        TopicRecord{"t", kTopic},
        ConfigRecord{2, "t", "retention.ms", "7"},
        partition_record(kTopic, 0),
        partition_record(kTopic, 1),
        TopicRecord{"other", kOther},
        partition_record(kOther, 0),
        leader_change(0, -1),
        leader_change(0, 1),
        ids,
    };
}

ImagePtr replay(const MetadataImage& from, const std::vector<MetadataRecord>& records) {
    MetadataDelta delta(from);
    for (const MetadataRecord& record : records) {
        const Status status = delta.replay(record);
        EXPECT_TRUE(status) << status.error().detail;
    }
    return delta.finish(from.end + static_cast<int64_t>(records.size()), LeaderEpoch{1},
                        WallTime{9});
}

TEST(MetadataDelta, ReplaysWhatTheRecordsSay) {
    const ImagePtr image = replay({}, history());
    EXPECT_EQ(image->end, Offset{12});
    EXPECT_EQ(image->metadata_version(), 25);
    EXPECT_EQ(image->partition_count(), 3U);
    EXPECT_TRUE(image->is_alive(BrokerId{1}));
    EXPECT_EQ(*image->config_value(ResourceType::topic, "t", "retention.ms"), "7");
    EXPECT_EQ(image->config_value(ResourceType::topic, "t", "retention.bytes"), nullptr);
    EXPECT_EQ(image->next_producer_id, 1000);
    const Partition& partition = *image->partition("t", PartitionIndex{0});
    EXPECT_EQ(partition.leader_epoch, LeaderEpoch{2});
    EXPECT_EQ(partition.partition_epoch, 2);
    EXPECT_EQ(partition.directory_of(BrokerId{1}), kDirectory);
    ASSERT_NE(image->leader_endpoint(partition, "PLAINTEXT"), nullptr);
    EXPECT_EQ(image->leader_endpoint(partition, "PLAINTEXT")->port, 9092);
    EXPECT_EQ(image->leader_endpoint(partition, "OTHER"), nullptr);
    EXPECT_EQ(image->topic(kOther)->name, "other");
}

TEST(MetadataDelta, SameRecordsGiveTheSameImageHoweverTheyAreBatched) {
    const auto records = history();
    const ImagePtr whole = replay({}, records);
    MetadataImage stepwise;
    for (const MetadataRecord& record : records) stepwise = *replay(stepwise, {record});
    EXPECT_EQ(*whole, stepwise);
}

TEST(MetadataDelta, RecordsOfAnImageRebuildIt) {
    const ImagePtr image = replay({}, history());
    MetadataDelta delta(MetadataImage{});
    for (const MetadataRecord& record : records_of(*image)) {
        // A snapshot is written at one level, so every record must survive its version there.
        const int16_t version = record_version(record, image->metadata_version());
        auto read =
            protocol::decode_metadata_record(protocol::encode_metadata_record(record, version));
        ASSERT_TRUE(read) << read.error().detail;
        EXPECT_EQ(read->record, record);
        ASSERT_TRUE(delta.replay(read->record));
    }
    EXPECT_EQ(*delta.finish(image->end, image->epoch, image->timestamp), *image);
}

TEST(MetadataDelta, DescribesOnlyWhatChanged) {
    const ImagePtr before = replay({}, history());
    MetadataDelta delta(*before);
    ASSERT_TRUE(delta.replay(leader_change(1, -1)));
    const MetadataChanges changes = delta.changes();
    ASSERT_EQ(changes.topics.size(), 1U);
    EXPECT_EQ(changes.topics[0].partitions, std::vector{PartitionIndex{1}});
    EXPECT_EQ(changes.topics[0].before, before->topic("t"));
    EXPECT_EQ(changes.topics[0].after->partition(PartitionIndex{1})->leader, kNoBroker);
    EXPECT_TRUE(changes.brokers.empty());
    EXPECT_FALSE(changes.features);
    // What did not change is shared, not copied.
    EXPECT_EQ(delta.after().topic("other"), before->topic("other"));
    EXPECT_EQ(delta.after().partition("t", PartitionIndex{0}),
              before->partition("t", PartitionIndex{0}));
}

TEST(MetadataDelta, ADeletedTopicTakesItsSettingsAlong) {
    const ImagePtr before = replay({}, history());
    MetadataDelta delta(*before);
    ASSERT_TRUE(delta.replay(RemoveTopicRecord{kTopic}));
    const ImagePtr after = delta.finish(before->end + 1, LeaderEpoch{1}, WallTime{9});
    EXPECT_EQ(after->topic("t"), nullptr);
    EXPECT_EQ(after->topic(kTopic), nullptr);
    EXPECT_TRUE(after->config(ResourceType::topic, "t").empty());
    const MetadataChanges changes = delta.changes();
    ASSERT_EQ(changes.topics.size(), 1U);
    EXPECT_EQ(changes.topics[0].after, nullptr);
    EXPECT_EQ(changes.topics[0].partitions.size(), 2U);
    EXPECT_EQ(changes.configs.size(), 1U);
}

TEST(MetadataDelta, ATopicThatCameAndWentIsNoChange) {
    MetadataDelta delta(MetadataImage{});
    ASSERT_TRUE(delta.replay(TopicRecord{"t", kTopic}));
    ASSERT_TRUE(delta.replay(partition_record(kTopic, 0)));
    ASSERT_TRUE(delta.replay(RemoveTopicRecord{kTopic}));
    EXPECT_TRUE(delta.changes().topics.empty());
}

TEST(MetadataDelta, ATopicMadeAgainIsAnotherOne) {
    const ImagePtr before = replay({}, history());
    MetadataDelta delta(*before);
    const Uuid again = make_uuid(9, 9);
    ASSERT_TRUE(delta.replay(RemoveTopicRecord{kTopic}));
    ASSERT_TRUE(delta.replay(TopicRecord{"t", again}));
    EXPECT_EQ(delta.changes().topics.size(), 2U);
    EXPECT_EQ(delta.after().topic("t")->id, again);
}

TEST(MetadataDelta, ATransactionIsSeenAtItsEnd) {
    MetadataDelta first(MetadataImage{});
    ASSERT_TRUE(first.replay(BeginTransactionRecord{"x"}));
    ASSERT_TRUE(first.replay(TopicRecord{"t", kTopic}));
    const ImagePtr open = first.finish(Offset{2}, LeaderEpoch{1}, WallTime{1});
    EXPECT_EQ(open->topic("t"), nullptr);
    MetadataDelta second = first.next_delta(*open);
    ASSERT_TRUE(second.replay(EndTransactionRecord{}));
    EXPECT_NE(second.after().topic("t"), nullptr);
    EXPECT_FALSE(second.replay(EndTransactionRecord{}));
}

TEST(MetadataDelta, AnAbortedTransactionLeavesNothing) {
    MetadataDelta delta(MetadataImage{});
    ASSERT_TRUE(delta.replay(BeginTransactionRecord{"x"}));
    ASSERT_TRUE(delta.replay(TopicRecord{"t", kTopic}));
    ASSERT_TRUE(delta.replay(AbortTransactionRecord{"why"}));
    EXPECT_TRUE(delta.after().topics.empty());
}

FeatureLevelRecord feature(const std::string& name, int16_t level) {
    FeatureLevelRecord record;
    record.name = name;
    record.feature_level = level;
    return record;
}

TEST(MetadataDelta, RefusesByNameWhatItCannotHonour) {
    MetadataDelta delta(MetadataImage{});
    const Status unknown = delta.replay(feature("tomorrow.version", 1));
    ASSERT_FALSE(unknown);
    EXPECT_EQ(unknown.error().code, ErrorCode::unsupported_version);
    EXPECT_NE(unknown.error().detail.find("tomorrow.version"), std::string::npos);
    EXPECT_TRUE(delta.replay(feature("tomorrow.version", 0)));
    const Status newer = delta.replay(feature("metadata.version", kNewestMetadataVersion + 1));
    ASSERT_FALSE(newer);
    EXPECT_EQ(newer.error().code, ErrorCode::unsupported_version);
    EXPECT_NE(newer.error().detail.find("supports 21 to 33"), std::string::npos);
    EXPECT_FALSE(delta.replay(feature("transaction.version", 3)));
}

TEST(MetadataDelta, KeepsEveryLevelAsItIs) {
    for (int16_t level = kMinMetadataVersion; level <= kNewestMetadataVersion; ++level) {
        const ImagePtr image = replay(
            {}, {feature("metadata.version", level), feature("eligible.leader.replicas.version", 1),
                 feature("group.version", 1), feature("share.version", 1),
                 feature("streams.version", 1), feature("transaction.version", 2)});
        EXPECT_TRUE(check_levels(image->features, true));
        const ImagePtr again = replay({}, records_of(*image));
        EXPECT_EQ(again->features, image->features);
        EXPECT_EQ(again->metadata_version(), level);
    }
}

TEST(MetadataDelta, AnOldLevelIsHistoryOnlyIfTheClusterWasRaisedSince) {
    MetadataDelta delta(MetadataImage{});
    ASSERT_TRUE(delta.replay(feature("metadata.version", 14)));
    EXPECT_EQ(check_levels(delta.after().features, true).error().code,
              ErrorCode::unsupported_version);
    ASSERT_TRUE(delta.replay(feature("metadata.version", 21)));
    EXPECT_TRUE(check_levels(delta.after().features, true));
    EXPECT_FALSE(check_levels({}, true)) << "from before there were levels";
    EXPECT_TRUE(check_levels({}, false)) << "formatted and never run";
}

/// One record of everything that only others act on, as Kafka's tools write them.
std::vector<MetadataRecord> kept_records() {
    AccessControlEntryRecord rule;
    rule.id = make_uuid(7, 7);
    rule.resource_type = 2;
    rule.resource_name = "t";
    rule.pattern_type = 3;
    rule.principal = "User:alice";
    rule.host = "10.0.0.0/8";
    rule.operation = 3;
    rule.permission_type = 3;
    protocol::UserScramCredentialRecord credential;
    credential.name = "alice";
    credential.mechanism = 1;
    credential.salt = Buffer::copy_of("salt");
    credential.stored_key = Buffer::copy_of("stored");
    credential.server_key = Buffer::copy_of("server");
    credential.iterations = 8192;
    protocol::UserScramCredentialRecord stronger = credential;
    stronger.mechanism = 2;
    protocol::ClientQuotaRecord user;
    user.entity = {{"client-id", std::nullopt}, {"user", "alice"}};
    user.key = "consumer_byte_rate";
    user.value = 12.5;
    protocol::ClientQuotaRecord address;
    address.entity = {{"ip", "10.1.2.3"}};
    address.key = "connection_creation_rate";
    address.value = 100;
    protocol::DelegationTokenRecord token;
    token.owner = "User:alice";
    token.requester = "User:bob";
    token.renewers = {"User:carol"};
    token.issue_timestamp = 1;
    token.max_timestamp = 9;
    token.expiration_timestamp = 5;
    token.token_id = "token";
    return {
        feature("metadata.version", 30),
        protocol::ZkMigrationStateRecord{0},
        ConfigRecord{16, "metrics", "interval.ms", "5000"},
        ConfigRecord{32, "group", "consumer.heartbeat.interval.ms", "5000"},
        user,
        address,
        rule,
        credential,
        stronger,
        token,
    };
}

TEST(MetadataDelta, KeepsRecordsThatOthersActOnByteForByte) {
    const ImagePtr image = replay({}, kept_records());
    std::vector<MetadataRecord> read;
    for (const MetadataRecord& record : records_of(*image)) {
        const int16_t version = record_version(record, 30);
        const auto framed =
            protocol::decode_metadata_record(protocol::encode_metadata_record(record, version));
        ASSERT_TRUE(framed) << framed.error().detail;
        read.push_back(framed->record);
    }
    EXPECT_EQ(read, kept_records());
    EXPECT_EQ(*replay({}, read), *replay({}, records_of(*image)));
}

TEST(MetadataDelta, ForgetsThemWhenTheyAreRemoved) {
    protocol::ClientQuotaRecord user;
    user.entity = {{"user", "alice"}, {"client-id", std::nullopt}};
    user.key = "consumer_byte_rate";
    user.remove = true;
    protocol::ClientQuotaRecord address;
    address.entity = {{"ip", "10.1.2.3"}};
    address.key = "connection_creation_rate";
    address.remove = true;
    const ImagePtr image =
        replay(*replay({}, kept_records()),
               {user, address, ConfigRecord{16, "metrics", "interval.ms", std::nullopt},
                protocol::RemoveAccessControlEntryRecord{make_uuid(7, 7)},
                protocol::RemoveUserScramCredentialRecord{"alice", 1},
                protocol::RemoveDelegationTokenRecord{"token"}});
    EXPECT_TRUE(image->client_quotas.empty());
    EXPECT_TRUE(image->acls.empty());
    EXPECT_TRUE(image->delegation_tokens.empty());
    EXPECT_EQ(image->scram_credentials.size(), 1U);
    EXPECT_EQ(image->configs.size(), 1U);
}

TEST(MetadataDelta, EligibleReplicasAndCordonedDirectoriesSurviveASnapshot) {
    std::vector<MetadataRecord> records = history();
    records.front() = feature("metadata.version", 30);
    PartitionChangeRecord away = leader_change(0, -1);
    away.isr.emplace();
    away.eligible_leader_replicas = {{1}};
    away.last_known_elr = {{1}};
    records.emplace_back(away);
    BrokerRegistrationChangeRecord cordon = registration_change(0, 0);
    cordon.cordoned_log_dirs = {{kDirectory}};
    records.emplace_back(cordon);
    const ImagePtr image = replay({}, records);
    const Partition& partition = *image->partition("t", PartitionIndex{0});
    EXPECT_TRUE(partition.isr.empty());
    EXPECT_EQ(partition.eligible, std::vector{BrokerId{1}});
    EXPECT_TRUE(image->broker(BrokerId{1})->is_cordoned(kDirectory));

    MetadataDelta delta(MetadataImage{});
    for (const MetadataRecord& record : records_of(*image)) {
        const auto read = protocol::decode_metadata_record(
            protocol::encode_metadata_record(record, record_version(record, 30)));
        ASSERT_TRUE(read && delta.replay(read->record));
    }
    EXPECT_EQ(*delta.finish(image->end, image->epoch, image->timestamp), *image);

    ASSERT_TRUE(delta.replay(protocol::ClearElrRecord{""}));
    EXPECT_TRUE(delta.after().partition("t", PartitionIndex{0})->eligible.empty());
    EXPECT_EQ(delta.after().partition("t", PartitionIndex{0})->partition_epoch,
              partition.partition_epoch + 1);
    EXPECT_FALSE(delta.replay(protocol::ClearElrRecord{"nobody"}));
}

TEST(MetadataDelta, RefusesRecordsThatContradictTheImage) {
    const auto refuses = [](const MetadataRecord& record) {
        const ImagePtr image = replay({}, history());
        MetadataDelta delta(*image);
        const Status status = delta.replay(record);
        return !status && status.error().code == ErrorCode::corrupt;
    };
    EXPECT_TRUE(refuses(TopicRecord{"t", make_uuid(8, 8)}));
    EXPECT_TRUE(refuses(TopicRecord{"new", kTopic}));
    EXPECT_TRUE(refuses(partition_record(make_uuid(8, 8), 0)));
    EXPECT_TRUE(refuses(leader_change(7, 1)));
    EXPECT_TRUE(refuses(RemoveTopicRecord{make_uuid(8, 8)}));
    EXPECT_TRUE(refuses(UnregisterBrokerRecord{1, 6}));
    EXPECT_TRUE(refuses(FenceBrokerRecord{2, 5}));
    ProducerIdsRecord ids;
    ids.next_producer_id = 1000;
    EXPECT_TRUE(refuses(ids));
    BrokerRegistrationChangeRecord stale = registration_change(1, 0);
    stale.broker_epoch = 4;
    EXPECT_TRUE(refuses(stale));
}

TEST(MetadataDelta, RecordsAreWrittenAtTheVersionOfTheLevel) {
    EXPECT_EQ(record_version(partition_record(kTopic, 0), 22), 1);
    EXPECT_EQ(record_version(partition_record(kTopic, 0), 23), 2);
    EXPECT_EQ(record_version(leader_change(0, 1), 25), 2);
    EXPECT_EQ(record_version(broker_record(1, 1), 29), 3);
    EXPECT_EQ(record_version(broker_record(1, 1), 30), 4);
    EXPECT_EQ(record_version(registration_change(1, 0), 25), 0);
    EXPECT_EQ(record_version(registration_change(0, 1), 25), 1);
    BrokerRegistrationChangeRecord cordon = registration_change(0, 0);
    cordon.cordoned_log_dirs.emplace();
    EXPECT_EQ(record_version(cordon, 30), 3) << "an empty list says that nothing is cordoned";
    EXPECT_EQ(record_version(TopicRecord{"t", kTopic}, 25), 0);
}

}  // namespace
}  // namespace ottla::metadata
