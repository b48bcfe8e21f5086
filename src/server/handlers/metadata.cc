// SPDX-License-Identifier: Apache-2.0
#include "broker/topic_config.h"
#include "server/handlers/common.h"
#include "server/handlers/handlers.h"

namespace ottla::server {

namespace {

using protocol::MetadataRequest;
using protocol::MetadataResponse;
using TopicAnswer = MetadataResponse::MetadataResponseTopic;
using PartitionAnswer = MetadataResponse::MetadataResponsePartition;

std::vector<int32_t> numbers(const std::vector<BrokerId>& brokers) {
    std::vector<int32_t> ids;
    ids.reserve(brokers.size());
    for (const BrokerId id : brokers) ids.push_back(id.value());
    return ids;
}

bool wants_all_topics(int16_t version, const MetadataRequest& request) {
    return version == 0 ? !request.topics || request.topics->empty() : !request.topics;
}

PartitionAnswer describe(const Context& context,
                         PartitionIndex index,
                         const metadata::Partition& partition) {
    PartitionAnswer answer;
    answer.partition_index = index.value();
    answer.leader_id = partition.leader.value();
    answer.leader_epoch = partition.leader_epoch.value();
    answer.replica_nodes = numbers(partition.replicas);
    answer.isr_nodes = numbers(partition.isr);
    for (const BrokerId replica : partition.replicas) {
        if (!context.image().is_alive(replica)) answer.offline_replicas.push_back(replica.value());
    }
    const metadata::Broker* leader = context.image().broker(partition.leader);
    const bool alive = leader != nullptr && context.image().is_alive(partition.leader);
    if (!alive) {
        answer.error_code = to_wire(ErrorCode::leader_not_available);
        answer.leader_id = kNoBroker.value();
    } else if (!endpoint_for(context, *leader)) {
        // Trap 21: the leader does not have this client's listener.
        answer.error_code = to_wire(context.version() >= 6 ? ErrorCode::listener_not_found
                                                           : ErrorCode::leader_not_available);
        answer.leader_id = kNoBroker.value();
    }
    return answer;
}

TopicAnswer describe(const Context& context, const metadata::Topic& topic, bool with_operations) {
    TopicAnswer answer;
    answer.name = topic.name;
    answer.topic_id = topic.id;
    answer.is_internal = broker::is_internal_topic(topic.name);
    for (const auto& [index, partition] : topic.partitions) {
        answer.partitions.push_back(describe(context, index, *partition));
    }
    if (with_operations) answer.topic_authorized_operations = kTopicOperations;
    return answer;
}

/// Creation goes its way; this answer says that the topic is not there yet (trap 18).
TopicAnswer missing_by_name(const Context& context,
                            const MetadataRequest& request,
                            const std::string& name) {
    TopicAnswer answer;
    answer.name = name;
    if (!is_valid_topic_name(name)) {
        answer.error_code = to_wire(ErrorCode::invalid_topic_exception);
        return answer;
    }
    answer.error_code = to_wire(ErrorCode::unknown_topic_or_partition);
    answer.is_internal = broker::is_internal_topic(name);
    const bool allowed = (context.version() < 4 || request.allow_auto_topic_creation) &&
                         context.shard.facts().settings.flag("auto.create.topics.enable");
    // Internal topics are made by their coordinators, with their own settings.
    if (allowed && !answer.is_internal) context.shard.auto_create(name);
    return answer;
}

TopicAnswer find_topic(const Context& context,
                       const MetadataRequest& request,
                       const MetadataRequest::MetadataRequestTopic& wanted) {
    const bool with_operations = request.include_topic_authorized_operations;
    if (!wanted.topic_id.is_zero()) {
        const metadata::TopicPtr topic = context.image().topic(wanted.topic_id);
        if (topic) return describe(context, *topic, with_operations);
        TopicAnswer answer;
        answer.topic_id = wanted.topic_id;
        answer.error_code = to_wire(ErrorCode::unknown_topic_id);
        return answer;
    }
    const std::string name = wanted.name.value_or("");
    const metadata::TopicPtr topic = context.image().topic(name);
    if (topic) return describe(context, *topic, with_operations);
    return missing_by_name(context, request, name);
}

/// v10 and v11 can write ids and nulls, but lookup by id begins with v12 (trap 16).
bool asks_too_much(int16_t version, const MetadataRequest& request) {
    if (version >= 12 || !request.topics) return false;
    return std::ranges::any_of(*request.topics, [](const auto& topic) {
        return !topic.name.has_value() || !topic.topic_id.is_zero();
    });
}

MetadataResponse refuse_all(const MetadataRequest& request) {
    MetadataResponse response;
    for (const auto& wanted : *request.topics) {
        TopicAnswer answer;
        answer.name = wanted.name.value_or("");
        answer.topic_id = wanted.topic_id;
        answer.error_code = to_wire(ErrorCode::invalid_request);
        response.topics.push_back(std::move(answer));
    }
    return response;
}

}  // namespace

Task<MetadataResponse> handle_metadata(Context context, MetadataRequest request) {
    const int16_t version = context.version();
    if (asks_too_much(version, request)) co_return refuse_all(request);
    MetadataResponse response;
    for (const metadata::Broker* broker : context.image().live_brokers()) {
        const auto endpoint = endpoint_for(context, *broker);
        if (!endpoint) continue;
        response.brokers.push_back(
            {broker->id.value(), endpoint->host, endpoint->port, broker->rack});
    }
    response.cluster_id = context.shard.facts().cluster_id;
    response.controller_id = some_live_broker(context);
    if (wants_all_topics(version, request)) {
        for (const auto& [name, topic] : context.image().topics) {
            response.topics.push_back(
                describe(context, *topic, request.include_topic_authorized_operations));
        }
    } else {
        for (const auto& wanted : *request.topics) {
            response.topics.push_back(find_topic(context, request, wanted));
        }
    }
    if (request.include_cluster_authorized_operations && version >= 8 && version <= 10) {
        response.cluster_authorized_operations = kClusterOperations;
    }
    co_return response;
}

}  // namespace ottla::server
