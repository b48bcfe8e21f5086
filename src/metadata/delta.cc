// SPDX-License-Identifier: Apache-2.0
#include "metadata/delta.h"

#include <algorithm>
#include <variant>

#include <fmt/format.h>

#include "base/uuid.h"
#include "protocol/metadata_frame.h"

namespace ottla::metadata {
namespace {

constexpr int32_t kLeaderUnchanged = -2;

std::vector<BrokerId> broker_ids(const std::vector<int32_t>& numbers) {
    std::vector<BrokerId> ids;
    ids.reserve(numbers.size());
    for (int32_t number : numbers) ids.emplace_back(number);
    return ids;
}

template <class Record>
std::vector<ListenerEndpoint> endpoints_of(const Record& record) {
    std::vector<ListenerEndpoint> endpoints;
    for (const auto& endpoint : record.end_points) {
        endpoints.push_back({endpoint.name, endpoint.host, endpoint.port,
                             static_cast<SecurityProtocol>(endpoint.security_protocol)});
    }
    return endpoints;
}

template <class Record>
FeatureRanges features_of(const Record& record) {
    FeatureRanges ranges;
    for (const auto& feature : record.features) {
        ranges[feature.name] = {feature.min_supported_version, feature.max_supported_version};
    }
    return ranges;
}

std::unexpected<Error> contradiction(std::string what) {
    return fail(ErrorCode::corrupt, "the metadata log contradicts itself: " + std::move(what));
}

}  // namespace

int16_t record_version(const protocol::MetadataRecord& record, int16_t metadata_version) {
    const bool elr = metadata_version >= kElrRecordsVersion;
    if (std::holds_alternative<protocol::RegisterBrokerRecord>(record)) {
        return metadata_version >= kCordonedRecordsVersion ? 4 : 3;
    }
    if (std::holds_alternative<protocol::PartitionRecord>(record)) return elr ? 2 : 1;
    if (std::holds_alternative<protocol::PartitionChangeRecord>(record)) return elr ? 2 : 1;
    if (const auto* change = std::get_if<protocol::BrokerRegistrationChangeRecord>(&record)) {
        // The lowest version that can say it, as Kafka writes it.
        if (change->cordoned_log_dirs) return 3;
        if (!change->log_dirs.empty()) return 2;
        return change->in_controlled_shutdown != 0 ? 1 : 0;
    }
    return 0;
}

Status MetadataDelta::apply(const protocol::MetadataRecord& record) {
    return std::visit([this](const auto& one) { return replay_one(one); }, record);
}

Status MetadataDelta::replay(const protocol::MetadataRecord& record) {
    if (std::holds_alternative<protocol::BeginTransactionRecord>(record)) {
        if (in_transaction_) return contradiction("a transaction begins inside another one");
        in_transaction_ = true;
        return {};
    }
    const bool ends = std::holds_alternative<protocol::EndTransactionRecord>(record);
    const bool aborts = std::holds_alternative<protocol::AbortTransactionRecord>(record);
    if (!ends && !aborts) {
        if (!in_transaction_) return apply(record);
        held_.push_back(record);
        return {};
    }
    if (!in_transaction_) return contradiction("a transaction ends that never began");
    in_transaction_ = false;
    const std::vector<protocol::MetadataRecord> records = std::exchange(held_, {});
    if (aborts) return {};
    for (const protocol::MetadataRecord& one : records) TRY_STATUS(apply(one));
    return {};
}

// Brokers and controllers.

void MetadataDelta::put_broker(Broker broker) {
    touched_brokers_.insert(broker.id);
    const BrokerId id = broker.id;
    after_.brokers = after_.brokers.with(id, std::make_shared<const Broker>(std::move(broker)));
}

Status MetadataDelta::replay_one(const protocol::RegisterBrokerRecord& record) {
    Broker broker;
    broker.id = BrokerId{record.broker_id};
    broker.epoch = BrokerEpoch{record.broker_epoch};
    broker.incarnation = record.incarnation_id;
    broker.endpoints = endpoints_of(record);
    broker.features = features_of(record);
    broker.rack = record.rack;
    broker.log_dirs = record.log_dirs;
    broker.cordoned_log_dirs = record.cordoned_log_dirs;
    broker.fenced = record.fenced;
    broker.in_controlled_shutdown = record.in_controlled_shutdown;
    broker.is_migrating_zk_broker = record.is_migrating_zk_broker;
    put_broker(std::move(broker));
    return {};
}

Status MetadataDelta::replay_one(const protocol::UnregisterBrokerRecord& record) {
    const Broker* broker = after_.broker(BrokerId{record.broker_id});
    if (broker == nullptr || broker->epoch.value() != record.broker_epoch) {
        return contradiction(fmt::format("unregisters broker {} of epoch {}, which is not there",
                                         record.broker_id, record.broker_epoch));
    }
    touched_brokers_.insert(broker->id);
    after_.brokers = after_.brokers.without(BrokerId{record.broker_id});
    return {};
}

Status MetadataDelta::replay_one(const protocol::BrokerRegistrationChangeRecord& record) {
    const Broker* known = after_.broker(BrokerId{record.broker_id});
    if (known == nullptr || known->epoch.value() != record.broker_epoch) {
        return contradiction(fmt::format("changes broker {} of epoch {}, which is not there",
                                         record.broker_id, record.broker_epoch));
    }
    Broker broker = *known;
    if (record.fenced != 0) broker.fenced = record.fenced > 0;
    if (record.in_controlled_shutdown != 0) {
        broker.in_controlled_shutdown = record.in_controlled_shutdown > 0;
    }
    if (!record.log_dirs.empty()) broker.log_dirs = record.log_dirs;
    if (record.cordoned_log_dirs) broker.cordoned_log_dirs = record.cordoned_log_dirs;
    put_broker(std::move(broker));
    return {};
}

Status MetadataDelta::set_fenced(BrokerId id, BrokerEpoch epoch, bool fenced) {
    const Broker* known = after_.broker(id);
    if (known == nullptr || known->epoch != epoch) {
        return contradiction(
            fmt::format("fences or unfences broker {} of epoch {}, which is not "
                        "there",
                        id.value(), epoch.value()));
    }
    Broker broker = *known;
    broker.fenced = fenced;
    put_broker(std::move(broker));
    return {};
}

Status MetadataDelta::replay_one(const protocol::FenceBrokerRecord& record) {
    return set_fenced(BrokerId{record.id}, BrokerEpoch{record.epoch}, true);
}

Status MetadataDelta::replay_one(const protocol::UnfenceBrokerRecord& record) {
    return set_fenced(BrokerId{record.id}, BrokerEpoch{record.epoch}, false);
}

Status MetadataDelta::replay_one(const protocol::RegisterControllerRecord& record) {
    auto node = std::make_shared<ControllerNode>();
    node->id = BrokerId{record.controller_id};
    node->incarnation = record.incarnation_id;
    node->zk_migration_ready = record.zk_migration_ready;
    node->endpoints = endpoints_of(record);
    node->features = features_of(record);
    after_.controllers = after_.controllers.with(node->id, node);
    return {};
}

Status MetadataDelta::replay_one(const protocol::UnregisterControllerRecord& record) {
    after_.controllers = after_.controllers.without(BrokerId{record.controller_id});
    return {};
}

// Topics and partitions.

void MetadataDelta::put_topic(Topic topic) {
    auto shared = std::make_shared<const Topic>(std::move(topic));
    touched_topics_.insert(shared->id);
    after_.topics = after_.topics.with(shared->name, shared);
    after_.topics_by_id = after_.topics_by_id.with(shared->id, shared);
}

Status MetadataDelta::replay_one(const protocol::TopicRecord& record) {
    if (after_.topics.contains(record.name) || after_.topics_by_id.contains(record.topic_id)) {
        return contradiction(fmt::format("topic '{}' is created twice", record.name));
    }
    put_topic({record.name, record.topic_id, {}});
    return {};
}

void MetadataDelta::put_partition(const TopicPtr& topic,
                                  PartitionIndex index,
                                  Partition partition) {
    touched_partitions_[topic->id].insert(index);
    Topic changed = *topic;
    changed.partitions =
        changed.partitions.with(index, std::make_shared<const Partition>(std::move(partition)));
    put_topic(std::move(changed));
}

Status MetadataDelta::replay_one(const protocol::PartitionRecord& record) {
    const TopicPtr topic = after_.topic(record.topic_id);
    if (topic == nullptr) {
        return contradiction(fmt::format("partition {} belongs to no topic", record.partition_id));
    }
    Partition partition;
    partition.replicas = broker_ids(record.replicas);
    partition.isr = broker_ids(record.isr);
    partition.removing_replicas = broker_ids(record.removing_replicas);
    partition.adding_replicas = broker_ids(record.adding_replicas);
    if (record.eligible_leader_replicas) {
        partition.eligible = broker_ids(*record.eligible_leader_replicas);
    }
    if (record.last_known_elr) partition.last_known_eligible = broker_ids(*record.last_known_elr);
    partition.directories = record.directories;
    partition.leader = BrokerId{record.leader};
    partition.leader_epoch = LeaderEpoch{record.leader_epoch};
    partition.partition_epoch = record.partition_epoch;
    partition.leader_recovery_state = record.leader_recovery_state;
    put_partition(topic, PartitionIndex{record.partition_id}, std::move(partition));
    return {};
}

Status MetadataDelta::replay_one(const protocol::PartitionChangeRecord& record) {
    const TopicPtr topic = after_.topic(record.topic_id);
    const PartitionIndex index{record.partition_id};
    const Partition* known = topic == nullptr ? nullptr : topic->partition(index);
    if (known == nullptr) {
        return contradiction(fmt::format("changes partition {} of {}, which is not there",
                                         record.partition_id, to_string(record.topic_id)));
    }
    Partition partition = *known;
    if (record.isr) partition.isr = broker_ids(*record.isr);
    if (record.replicas) partition.replicas = broker_ids(*record.replicas);
    if (record.removing_replicas)
        partition.removing_replicas = broker_ids(*record.removing_replicas);
    if (record.adding_replicas) partition.adding_replicas = broker_ids(*record.adding_replicas);
    if (record.directories) partition.directories = *record.directories;
    if (record.eligible_leader_replicas) {
        partition.eligible = broker_ids(*record.eligible_leader_replicas);
    }
    if (record.last_known_elr) partition.last_known_eligible = broker_ids(*record.last_known_elr);
    if (record.leader_recovery_state >= 0) {
        partition.leader_recovery_state = record.leader_recovery_state;
    }
    if (record.leader != kLeaderUnchanged) {
        partition.leader = BrokerId{record.leader};
        partition.leader_epoch = LeaderEpoch{partition.leader_epoch.value() + 1};
    }
    ++partition.partition_epoch;
    put_partition(topic, index, std::move(partition));
    return {};
}

Status MetadataDelta::replay_one(const protocol::RemoveTopicRecord& record) {
    const TopicPtr topic = after_.topic(record.topic_id);
    if (topic == nullptr) {
        return contradiction(
            fmt::format("removes topic {}, which is not there", to_string(record.topic_id)));
    }
    touched_topics_.insert(topic->id);
    after_.topics = after_.topics.without(topic->name);
    after_.topics_by_id = after_.topics_by_id.without(topic->id);
    // Its settings go with it; Kafka writes no records for them.
    const ConfigResource resource{ResourceType::topic, topic->name};
    if (after_.configs.contains(resource)) {
        touched_configs_.insert(resource);
        after_.configs = after_.configs.without(resource);
    }
    return {};
}

Status MetadataDelta::replay_one(const protocol::ClearElrRecord& record) {
    if (!record.topic_name.empty() && after_.topic(record.topic_name) == nullptr) {
        return contradiction(
            fmt::format("clears the eligible replicas of topic '{}', which is not "
                        "there",
                        record.topic_name));
    }
    const auto topics = after_.topics;
    for (const auto& [name, topic] : topics) {
        if (!record.topic_name.empty() && name != record.topic_name) continue;
        for (const auto& [index, partition] : topic->partitions) {
            if (partition->eligible.empty() && partition->last_known_eligible.empty()) continue;
            protocol::PartitionChangeRecord change;
            change.topic_id = topic->id;
            change.partition_id = index.value();
            change.eligible_leader_replicas.emplace();
            change.last_known_elr.emplace();
            TRY_STATUS(replay_one(change));
        }
    }
    return {};
}

// Results.

ImagePtr MetadataDelta::finish(Offset end, LeaderEpoch epoch, WallTime timestamp) const {
    auto image = std::make_shared<MetadataImage>(after_);
    image->end = end;
    image->epoch = epoch;
    image->timestamp = timestamp;
    return image;
}

MetadataChanges MetadataDelta::changes() const {
    MetadataChanges changes;
    for (const Uuid& id : touched_topics_) {
        TopicChange change{before_.topic(id), after_.topic(id), {}};
        if (change.before == nullptr && change.after == nullptr) continue;
        if (change.after == nullptr) {
            for (const auto& [index, partition] : change.before->partitions) {
                change.partitions.push_back(index);
            }
        } else if (const auto touched = touched_partitions_.find(id);
                   touched != touched_partitions_.end()) {
            change.partitions.assign(touched->second.begin(), touched->second.end());
        }
        changes.topics.push_back(std::move(change));
    }
    changes.brokers = touched_brokers_;
    changes.configs = touched_configs_;
    changes.features = before_.features != after_.features;
    changes.producer_ids = before_.next_producer_id != after_.next_producer_id;
    return changes;
}

MetadataDelta MetadataDelta::next_delta(const MetadataImage& published) const {
    MetadataDelta next(published);
    next.in_transaction_ = in_transaction_;
    next.held_ = held_;
    return next;
}

}  // namespace ottla::metadata
