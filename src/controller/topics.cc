// SPDX-License-Identifier: Apache-2.0
// Controller: topics come and go.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/endian.h"
#include "base/uuid.h"
#include "controller/controller.h"
#include "controller/placement.h"
#include "ottla/check.h"

namespace ottla::controller {
namespace {

using protocol::CreateTopicsRequest;
using protocol::CreateTopicsResponse;
using protocol::DeleteTopicsRequest;
using protocol::DeleteTopicsResponse;

constexpr size_t kLongestName = 249;
constexpr std::string_view kMetadataTopic = "__cluster_metadata";
constexpr int32_t kUseDefault = -1;

/// DescribeConfigs' numbers of where a value comes from.
constexpr int8_t kFromTopic = 1;
constexpr int8_t kFromBroker = 4;
constexpr int8_t kFromDefault = 5;

std::string metric_name(std::string name) {
    std::ranges::replace(name, '.', '_');
    return name;
}

bool is_name_character(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

Status check_characters(const std::string& name) {
    if (name.empty()) {
        return fail(ErrorCode::invalid_topic_exception, "a topic needs a name");
    }
    if (name == "." || name == "..") {
        return fail(ErrorCode::invalid_topic_exception, "a topic cannot be named '.' or '..'");
    }
    if (name.size() > kLongestName) {
        return fail(ErrorCode::invalid_topic_exception,
                    fmt::format("the topic's name has {} characters, at most {} are possible",
                                name.size(), kLongestName));
    }
    if (!std::ranges::all_of(name, is_name_character)) {
        return fail(ErrorCode::invalid_topic_exception,
                    "a topic's name consists of ASCII letters, digits, '.', '_' and '-'");
    }
    return {};
}

template <class Result>
void set_error(Result& result, const Error& error) {
    result.error_code = wire_code(error.code);
    result.error_message = error.detail;
}

protocol::PartitionRecord new_partition(const metadata::MetadataImage& image,
                                        const Uuid& topic,
                                        int32_t index,
                                        const NewPartition& placed) {
    protocol::PartitionRecord record;
    record.partition_id = index;
    record.topic_id = topic;
    for (BrokerId id : placed.replicas) {
        record.replicas.push_back(id.value());
        const metadata::Broker* broker = image.broker(id);
        // A broker with several directories chooses one itself (KIP-858).
        const bool one = broker != nullptr && broker->log_dirs.size() == 1;
        record.directories.push_back(one ? broker->log_dirs.front() : Uuid{});
    }
    for (BrokerId id : placed.isr) record.isr.push_back(id.value());
    record.leader = placed.isr.front().value();
    record.leader_epoch = 0;
    record.partition_epoch = 0;
    return record;
}

/// A number that differs from topic to topic, so that first leaders are spread.
uint64_t spread_of(const Uuid& id) {
    return load_be<uint64_t>(std::as_bytes(std::span(id.bytes)).data());
}

}  // namespace

Status Controller::check_topic_name(const std::string& name, const Collisions& in_request) const {
    if (name == kMetadataTopic) {
        return fail(ErrorCode::topic_authorization_failed, "the metadata log is not a topic");
    }
    if (image_.topics.contains(name)) {
        return fail(ErrorCode::topic_already_exists,
                    fmt::format("Topic '{}' already exists.", name));
    }
    TRY_STATUS(check_characters(name));
    const std::string metric = metric_name(name);
    for (const Collisions* known : {&collisions_, &in_request}) {
        const auto found = known->find(metric);
        if (found != known->end()) {
            return fail(ErrorCode::invalid_topic_exception,
                        fmt::format("Topic '{}' collides with existing topic '{}': names that "
                                    "differ only in '.' and '_' are not distinct",
                                    name, *found->second.begin()));
        }
    }
    return {};
}

Decision<CreateTopicsResponse> Controller::create_topics(const CreateTopicsRequest& request,
                                                         std::span<const Uuid> fresh_ids) const {
    CHECK(fresh_ids.size() >= request.topics.size(), "an id for every topic");
    Decision<CreateTopicsResponse> decision;
    std::map<std::string, size_t> times;
    for (const NewTopic& topic : request.topics) ++times[topic.name];
    Collisions in_request;
    size_t next_id = 0;
    for (const NewTopic& topic : request.topics) {
        const Uuid& id = fresh_ids[next_id++];
        size_t& count = times[topic.name];
        if (count == 1) {
            decision.response.topics.push_back(
                create_topic(topic, id, in_request, decision.records));
        } else if (count > 1) {
            TopicResult result;
            result.name = topic.name;
            set_error(result, {ErrorCode::invalid_request, "Duplicate topic name."});
            decision.response.topics.push_back(std::move(result));
        }
        if (count > 1) count = 0;  // Answered once.
    }
    if (request.validate_only) decision.records.clear();
    return decision;
}

Controller::TopicResult Controller::create_topic(const NewTopic& topic,
                                                 const Uuid& id,
                                                 Collisions& in_request,
                                                 Records& records) const {
    TopicResult failure;
    failure.name = topic.name;
    if (Status named = check_topic_name(topic.name, in_request); !named) {
        set_error(failure, named.error());
        return failure;
    }
    Result<Records> made = new_topic_records(topic, id);
    if (made && records.size() + made->size() > kMaxRecordsPerRequest) {
        made = fail(ErrorCode::policy_violation,
                    fmt::format("one request may make at most {} partitions and settings",
                                kMaxRecordsPerRequest));
    }
    if (!made) {
        set_error(failure, made.error());
        return failure;
    }
    in_request[metric_name(topic.name)].insert(topic.name);
    TopicResult result = describe_new_topic(topic, id, *made);
    std::ranges::move(*made, std::back_inserter(records));
    return result;
}

Result<Controller::Records> Controller::new_topic_records(const NewTopic& topic,
                                                          const Uuid& id) const {
    Records records;
    records.emplace_back(protocol::TopicRecord{topic.name, id});
    TopicOverrides overrides;
    for (const auto& config : topic.configs) {
        if (!config.value) {
            return fail(ErrorCode::invalid_config,
                        fmt::format("Null value not supported for topic configs: {}", config.name));
        }
        if (!overrides.emplace(config.name, *config.value).second) {
            return fail(ErrorCode::invalid_config,
                        fmt::format("Topic config '{}' is given twice", config.name));
        }
        TRY_STATUS(check_topic_setting(config.name, *config.value));
        records.emplace_back(
            protocol::ConfigRecord{static_cast<int8_t>(metadata::ResourceType::topic), topic.name,
                                   config.name, config.value});
    }
    TRY_STATUS(check_topic_overrides(settings_, overrides));
    if (topic.assignments.empty()) {
        TRY_STATUS(add_placed(topic, id, records));
    } else {
        TRY_STATUS(add_assigned(topic, id, records));
    }
    return records;
}

Status Controller::add_placed(const NewTopic& topic, const Uuid& id, Records& records) const {
    if (topic.replication_factor < kUseDefault || topic.replication_factor == 0) {
        return fail(ErrorCode::invalid_replication_factor,
                    "Replication factor must be larger than 0, or -1 for the default");
    }
    if (topic.num_partitions < kUseDefault || topic.num_partitions == 0) {
        return fail(ErrorCode::invalid_partitions,
                    "Number of partitions must be larger than 0, or -1 for the default");
    }
    const int64_t partitions = topic.num_partitions == kUseDefault
                                   ? settings_.number("num.partitions")
                                   : topic.num_partitions;
    const int64_t replicas = topic.replication_factor == kUseDefault
                                 ? settings_.number("default.replication.factor")
                                 : topic.replication_factor;
    if (partitions > static_cast<int64_t>(kMaxRecordsPerRequest)) {
        return fail(
            ErrorCode::policy_violation,
            fmt::format("one request may make at most {} partitions", kMaxRecordsPerRequest));
    }
    TRY(const auto placed, place_replicas(image_, static_cast<int32_t>(partitions),
                                          static_cast<int16_t>(replicas), spread_of(id)));
    int32_t index = 0;
    for (const NewPartition& partition : placed) {
        records.emplace_back(new_partition(image_, id, index++, partition));
    }
    return {};
}

Status Controller::add_assigned(const NewTopic& topic, const Uuid& id, Records& records) const {
    if (topic.replication_factor != kUseDefault) {
        return fail(ErrorCode::invalid_request,
                    "A manual partition assignment goes with a replication factor of -1");
    }
    if (topic.num_partitions != kUseDefault) {
        return fail(ErrorCode::invalid_request,
                    "A manual partition assignment goes with a number of partitions of -1");
    }
    std::map<int32_t, NewPartition> partitions;
    for (const auto& assignment : topic.assignments) {
        NewPartition partition;
        TRY(partition.replicas, check_assigned(topic, assignment.broker_ids));
        for (BrokerId broker : partition.replicas) {
            if (is_active(image_, broker)) partition.isr.push_back(broker);
        }
        if (partition.isr.empty()) {
            return fail(ErrorCode::invalid_replica_assignment,
                        fmt::format("All brokers assigned to partition {} are fenced or shutting "
                                    "down",
                                    assignment.partition_index));
        }
        const bool fresh = partitions.emplace(assignment.partition_index, partition).second;
        if (!fresh) {
            return fail(ErrorCode::invalid_replica_assignment,
                        fmt::format("Partition {} is assigned twice", assignment.partition_index));
        }
    }
    int32_t expected = 0;
    for (const auto& [index, partition] : partitions) {
        if (index != expected++) {
            return fail(ErrorCode::invalid_replica_assignment,
                        "Assigned partitions must be numbered from 0 without a gap");
        }
        records.emplace_back(new_partition(image_, id, index, partition));
    }
    return {};
}

Result<std::vector<BrokerId>> Controller::check_assigned(
    const NewTopic& topic, const std::vector<int32_t>& brokers) const {
    if (brokers.empty()) {
        return fail(ErrorCode::invalid_replica_assignment,
                    "A manual partition assignment has an empty list of replicas");
    }
    if (brokers.size() != topic.assignments.front().broker_ids.size()) {
        return fail(ErrorCode::invalid_replica_assignment,
                    fmt::format("A partition has {} replica(s), but the partitions before it have "
                                "{}",
                                brokers.size(), topic.assignments.front().broker_ids.size()));
    }
    std::vector<BrokerId> replicas;
    for (int32_t number : brokers) {
        const BrokerId broker{number};
        if (image_.broker(broker) == nullptr) {
            return fail(ErrorCode::invalid_replica_assignment,
                        fmt::format("A manual partition assignment names broker {}, which is not "
                                    "registered",
                                    number));
        }
        if (std::ranges::find(replicas, broker) != replicas.end()) {
            return fail(ErrorCode::invalid_replica_assignment,
                        fmt::format("A manual partition assignment names broker {} twice", number));
        }
        replicas.push_back(broker);
    }
    return replicas;
}

Controller::TopicResult Controller::describe_new_topic(const NewTopic& topic,
                                                       const Uuid& id,
                                                       const Records& records) const {
    TopicResult result;
    result.name = topic.name;
    result.topic_id = id;
    result.num_partitions = 0;
    for (const protocol::MetadataRecord& record : records) {
        if (const auto* partition = std::get_if<protocol::PartitionRecord>(&record)) {
            ++result.num_partitions;
            result.replication_factor = static_cast<int16_t>(partition->replicas.size());
        }
    }
    result.configs.emplace();
    for (const Setting& setting : topic_settings()) {
        CreateTopicsResponse::CreatableTopicConfigs config;
        config.name = setting.name;
        config.value = settings_.topic_default(setting.name);
        config.config_source =
            settings_.topic_default_source(setting.name) ? kFromBroker : kFromDefault;
        for (const auto& given : topic.configs) {
            if (given.name != setting.name) continue;
            config.value = given.value;
            config.config_source = kFromTopic;
        }
        result.configs->push_back(std::move(config));
    }
    return result;
}

Decision<DeleteTopicsResponse> Controller::delete_topics(const DeleteTopicsRequest& request) const {
    std::vector<DeleteTopicsRequest::DeleteTopicState> wanted = request.topics;
    for (const std::string& name : request.topic_names) wanted.push_back({name, {}});
    const bool enabled = settings_.flag("delete.topic.enable");

    Decision<DeleteTopicsResponse> decision;
    std::set<Uuid> deleted;
    for (const auto& one : wanted) {
        const metadata::TopicPtr topic =
            one.name ? image_.topic(*one.name) : image_.topic(one.topic_id);
        DeleteTopicsResponse::DeletableTopicResult result;
        result.name = one.name;
        result.topic_id = one.topic_id;
        if (one.name && !one.topic_id.is_zero()) {
            set_error(result,
                      {ErrorCode::invalid_request, "Give a topic's name or its id, not both."});
        } else if (!one.name && one.topic_id.is_zero()) {
            set_error(result, {ErrorCode::invalid_request, "Give a topic's name or its id."});
        } else if (!enabled) {
            set_error(result, {ErrorCode::topic_deletion_disabled, "delete.topic.enable is false"});
        } else if (topic == nullptr) {
            set_error(result, {one.name ? ErrorCode::unknown_topic_or_partition
                                        : ErrorCode::unknown_topic_id,
                               "There is no such topic."});
        } else if (!deleted.insert(topic->id).second) {
            set_error(result, {ErrorCode::invalid_request, "The topic is named twice."});
        } else {
            result.name = topic->name;
            result.topic_id = topic->id;
            decision.records.emplace_back(protocol::RemoveTopicRecord{topic->id});
        }
        decision.response.responses.push_back(std::move(result));
    }
    return decision;
}

void Controller::load(const metadata::MetadataImage& committed) {
    image_ = committed;
    collisions_.clear();
    for (const auto& [name, topic] : image_.topics) collisions_[metric_name(name)].insert(name);
}

Status Controller::replay(std::span<const protocol::MetadataRecord> records,
                          Offset end,
                          LeaderEpoch epoch,
                          WallTime timestamp) {
    metadata::MetadataDelta delta(image_);
    for (const protocol::MetadataRecord& record : records) TRY_STATUS(delta.replay(record));
    for (const metadata::TopicChange& change : delta.changes().topics) {
        const std::string metric = metric_name((change.after ? change.after : change.before)->name);
        std::set<std::string>& names = collisions_[metric];
        if (change.before != nullptr) names.erase(change.before->name);
        if (change.after != nullptr) names.insert(change.after->name);
        if (names.empty()) collisions_.erase(metric);
    }
    image_ = *delta.finish(end, epoch, timestamp);
    return {};
}

}  // namespace ottla::controller
