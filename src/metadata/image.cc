// SPDX-License-Identifier: Apache-2.0
#include "metadata/image.h"

#include <algorithm>

#include "protocol/metadata_records.h"

namespace ottla::metadata {
namespace {

/// Maps of shared values are equal when what they point to is.
template <class Map>
bool same_values(const Map& a, const Map& b) {
    if (a.is_same(b)) return true;
    if (a.size() != b.size()) return false;
    return std::equal(a.begin(), a.end(), b.begin(), [](const auto& left, const auto& right) {
        return left.first == right.first &&
               (left.second == right.second || *left.second == *right.second);
    });
}

}  // namespace

bool Partition::has_replica(BrokerId broker) const {
    return std::ranges::find(replicas, broker) != replicas.end();
}

bool Partition::in_isr(BrokerId broker) const {
    return std::ranges::find(isr, broker) != isr.end();
}

Uuid Partition::directory_of(BrokerId broker) const {
    for (size_t i = 0; i < replicas.size() && i < directories.size(); ++i) {
        if (replicas[i] == broker) return directories[i];
    }
    return {};
}

const Partition* Topic::partition(PartitionIndex index) const {
    const auto* found = partitions.find(index);
    return found == nullptr ? nullptr : found->get();
}

bool Topic::operator==(const Topic& other) const {
    return name == other.name && id == other.id && same_values(partitions, other.partitions);
}

const ListenerEndpoint* Broker::endpoint(std::string_view listener) const {
    const auto found = std::ranges::find(endpoints, listener, &ListenerEndpoint::listener);
    return found == endpoints.end() ? nullptr : &*found;
}

bool Broker::is_cordoned(const Uuid& directory) const {
    return cordoned_log_dirs &&
           std::ranges::find(*cordoned_log_dirs, directory) != cordoned_log_dirs->end();
}

TopicPtr MetadataImage::topic(std::string_view name) const {
    const TopicPtr* found = topics.find(name);
    return found == nullptr ? nullptr : *found;
}

TopicPtr MetadataImage::topic(const Uuid& id) const {
    const TopicPtr* found = topics_by_id.find(id);
    return found == nullptr ? nullptr : *found;
}

const Partition* MetadataImage::partition(std::string_view name, PartitionIndex index) const {
    const TopicPtr* found = topics.find(name);
    return found == nullptr ? nullptr : (*found)->partition(index);
}

const Broker* MetadataImage::broker(BrokerId id) const {
    const auto* found = brokers.find(id);
    return found == nullptr ? nullptr : found->get();
}

bool MetadataImage::is_alive(BrokerId id) const {
    const Broker* found = broker(id);
    return found != nullptr && !found->fenced;
}

std::vector<const Broker*> MetadataImage::live_brokers() const {
    std::vector<const Broker*> live;
    for (const auto& [id, broker] : brokers) {
        if (!broker->fenced) live.push_back(broker.get());
    }
    return live;
}

const ListenerEndpoint* MetadataImage::leader_endpoint(const Partition& partition,
                                                       std::string_view listener) const {
    if (!is_alive(partition.leader)) return nullptr;
    return broker(partition.leader)->endpoint(listener);
}

const ConfigValues& MetadataImage::config(ResourceType type, std::string_view name) const {
    static const ConfigValues kNone;
    const auto* found = configs.find(ConfigResource{type, std::string(name)});
    return found == nullptr ? kNone : **found;
}

const std::string* MetadataImage::config_value(ResourceType type,
                                               std::string_view name,
                                               std::string_view key) const {
    const ConfigValues& values = config(type, name);
    const auto found = values.find(key);
    return found == values.end() ? nullptr : &found->second;
}

int16_t MetadataImage::feature(std::string_view name) const {
    const auto found = features.find(name);
    return found == features.end() ? int16_t{0} : found->second;
}

size_t MetadataImage::partition_count() const {
    size_t count = 0;
    for (const auto& [name, topic] : topics) count += topic->partitions.size();
    return count;
}

bool MetadataImage::operator==(const MetadataImage& other) const {
    return end == other.end && epoch == other.epoch && timestamp == other.timestamp &&
           same_values(topics, other.topics) && same_values(topics_by_id, other.topics_by_id) &&
           same_values(brokers, other.brokers) && same_values(controllers, other.controllers) &&
           same_values(configs, other.configs) && same_values(client_quotas, other.client_quotas) &&
           same_values(acls, other.acls) &&
           same_values(scram_credentials, other.scram_credentials) &&
           same_values(delegation_tokens, other.delegation_tokens) &&
           zk_migration_state == other.zk_migration_state && features == other.features &&
           next_producer_id == other.next_producer_id && kraft_version == other.kraft_version;
}

}  // namespace ottla::metadata
