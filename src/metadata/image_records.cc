// SPDX-License-Identifier: Apache-2.0
// The way back: an image as the records that make it.
#include "metadata/delta.h"

namespace ottla::metadata {
namespace {

using protocol::MetadataRecord;

std::vector<int32_t> numbers(const std::vector<BrokerId>& ids) {
    std::vector<int32_t> values;
    values.reserve(ids.size());
    for (BrokerId id : ids) values.push_back(id.value());
    return values;
}

template <class Record>
void set_endpoints(Record& record, const std::vector<ListenerEndpoint>& endpoints) {
    for (const ListenerEndpoint& endpoint : endpoints) {
        record.end_points.push_back({endpoint.listener, endpoint.host, endpoint.port,
                                     static_cast<int16_t>(endpoint.protocol)});
    }
}

template <class Record>
void set_features(Record& record, const FeatureRanges& ranges) {
    for (const auto& [name, range] : ranges)
        record.features.push_back({name, range.min, range.max});
}

MetadataRecord record_of(const Broker& broker) {
    protocol::RegisterBrokerRecord record;
    record.broker_id = broker.id.value();
    record.broker_epoch = broker.epoch.value();
    record.incarnation_id = broker.incarnation;
    set_endpoints(record, broker.endpoints);
    set_features(record, broker.features);
    record.rack = broker.rack;
    record.fenced = broker.fenced;
    record.in_controlled_shutdown = broker.in_controlled_shutdown;
    record.is_migrating_zk_broker = broker.is_migrating_zk_broker;
    record.log_dirs = broker.log_dirs;
    record.cordoned_log_dirs = broker.cordoned_log_dirs;
    return record;
}

MetadataRecord record_of(const ControllerNode& node) {
    protocol::RegisterControllerRecord record;
    record.controller_id = node.id.value();
    record.incarnation_id = node.incarnation;
    record.zk_migration_ready = node.zk_migration_ready;
    set_endpoints(record, node.endpoints);
    set_features(record, node.features);
    return record;
}

MetadataRecord record_of(const Topic& topic, PartitionIndex index, const Partition& partition) {
    protocol::PartitionRecord record;
    record.partition_id = index.value();
    record.topic_id = topic.id;
    record.replicas = numbers(partition.replicas);
    record.isr = numbers(partition.isr);
    record.removing_replicas = numbers(partition.removing_replicas);
    record.adding_replicas = numbers(partition.adding_replicas);
    record.directories = partition.directories;
    record.leader = partition.leader.value();
    record.leader_epoch = partition.leader_epoch.value();
    record.partition_epoch = partition.partition_epoch;
    record.leader_recovery_state = partition.leader_recovery_state;
    // Absent and empty are the same to readers; Kafka writes no empty ones.
    if (!partition.eligible.empty()) record.eligible_leader_replicas = numbers(partition.eligible);
    if (!partition.last_known_eligible.empty()) {
        record.last_known_elr = numbers(partition.last_known_eligible);
    }
    return record;
}

MetadataRecord feature_record(const std::string& name, int16_t level) {
    protocol::FeatureLevelRecord record;
    record.name = name;
    record.feature_level = level;
    return record;
}

void add_features(const MetadataImage& image, std::vector<MetadataRecord>& records) {
    // metadata.version first: readers choose how to read the rest by it.
    if (image.metadata_version() != 0) {
        records.push_back(feature_record("metadata.version", image.metadata_version()));
    }
    if (image.zk_migration_state) {
        records.push_back(protocol::ZkMigrationStateRecord{*image.zk_migration_state});
    }
    for (const auto& [name, level] : image.features) {
        if (name != "metadata.version") records.push_back(feature_record(name, level));
    }
}

void add_topics(const MetadataImage& image, std::vector<MetadataRecord>& records) {
    for (const auto& [id, topic] : image.topics_by_id) {
        records.push_back(protocol::TopicRecord{topic->name, topic->id});
        for (const auto& [index, partition] : topic->partitions) {
            records.push_back(record_of(*topic, index, *partition));
        }
    }
}

void add_settings(const MetadataImage& image, std::vector<MetadataRecord>& records) {
    for (const auto& [resource, values] : image.configs) {
        for (const auto& [name, value] : *values) {
            records.push_back(protocol::ConfigRecord{static_cast<int8_t>(resource.type),
                                                     resource.name, name, value});
        }
    }
    for (const auto& [entity, quotas] : image.client_quotas) {
        protocol::ClientQuotaRecord record;
        for (const auto& [type, name] : entity) record.entity.push_back({type, name});
        for (const auto& [key, value] : *quotas) {
            record.key = key;
            record.value = value;
            records.push_back(record);
        }
    }
}

}  // namespace

std::vector<MetadataRecord> records_of(const MetadataImage& image) {
    std::vector<MetadataRecord> records;
    add_features(image, records);
    for (const auto& [id, broker] : image.brokers) records.push_back(record_of(*broker));
    for (const auto& [id, node] : image.controllers) records.push_back(record_of(*node));
    add_topics(image, records);
    add_settings(image, records);
    if (image.next_producer_id > 0) {
        protocol::ProducerIdsRecord ids;
        ids.broker_id = -1;
        ids.next_producer_id = image.next_producer_id;
        records.push_back(ids);
    }
    for (const auto& [id, rule] : image.acls) records.push_back(*rule);
    for (const auto& [user, credential] : image.scram_credentials) records.push_back(*credential);
    for (const auto& [id, token] : image.delegation_tokens) records.push_back(*token);
    return records;
}

}  // namespace ottla::metadata
