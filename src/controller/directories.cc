// SPDX-License-Identifier: Apache-2.0
// Controller: in which directory of its broker a replica lies (KIP-858).
#include <algorithm>

#include "controller/controller.h"

namespace ottla::controller {
namespace {

using protocol::AssignReplicasToDirsRequest;
using protocol::AssignReplicasToDirsResponse;

/// The partition with that directory for the broker's replica; nothing if it says so already.
std::optional<protocol::PartitionChangeRecord> assigned(const Uuid& topic,
                                                        int32_t index,
                                                        const metadata::Partition& partition,
                                                        BrokerId broker,
                                                        const Uuid& directory) {
    if (partition.directory_of(broker) == directory) return std::nullopt;
    protocol::PartitionChangeRecord record;
    record.partition_id = index;
    record.topic_id = topic;
    std::vector<Uuid> directories = partition.directories;
    directories.resize(partition.replicas.size());
    const auto at = std::ranges::find(partition.replicas, broker);
    directories[static_cast<size_t>(at - partition.replicas.begin())] = directory;
    record.directories = std::move(directories);
    return record;
}

}  // namespace

ErrorCode Controller::assign_directory(BrokerId broker,
                                       const Uuid& directory,
                                       const Uuid& topic_id,
                                       int32_t index,
                                       Records& records) const {
    const metadata::TopicPtr topic = image_.topic(topic_id);
    if (topic == nullptr) return ErrorCode::unknown_topic_id;
    const metadata::Partition* partition = topic->partition(PartitionIndex{index});
    if (partition == nullptr) return ErrorCode::unknown_topic_or_partition;
    if (!partition->has_replica(broker)) return ErrorCode::not_leader_or_follower;
    if (auto change = assigned(topic_id, index, *partition, broker, directory)) {
        records.emplace_back(*std::move(change));
    }
    return ErrorCode::none;
}

Decision<AssignReplicasToDirsResponse> Controller::assign_replicas_to_dirs(
    const AssignReplicasToDirsRequest& request) const {
    Decision<AssignReplicasToDirsResponse> decision;
    decision.atomic = false;
    const auto known = registered(request.broker_id, request.broker_epoch);
    if (!known) {
        decision.response.error_code = wire_code(known.error().code);
        return decision;
    }
    const metadata::Broker& broker = **known;
    for (const auto& directory : request.directories) {
        auto& told = decision.response.directories.emplace_back();
        told.id = directory.id;
        // One that is not online would move leadership: that comes with several nodes.
        const bool online =
            std::ranges::find(broker.log_dirs, directory.id) != broker.log_dirs.end();
        for (const auto& topic : directory.topics) {
            auto& of_topic = told.topics.emplace_back();
            of_topic.topic_id = topic.topic_id;
            for (const auto& partition : topic.partitions) {
                const ErrorCode code =
                    online ? assign_directory(broker.id, directory.id, topic.topic_id,
                                              partition.partition_index, decision.records)
                           : ErrorCode::kafka_storage_error;
                of_topic.partitions.push_back({partition.partition_index, wire_code(code)});
            }
        }
    }
    return decision;
}

}  // namespace ottla::controller
