// SPDX-License-Identifier: Apache-2.0
// Walk A, steps 4 and 10: partitions of a request are looked up in this shard's image, grouped by
// owning shard, sent there in one message each before anything waits, and gathered again in request
// order.
#include <fmt/format.h>

#include "broker/partition_calls.h"
#include "broker/topic_config.h"
#include "server/handlers/api_table.h"
#include "server/handlers/common.h"
#include "server/handlers/handlers.h"

namespace ottla::server {

namespace {

using protocol::ProduceRequest;
using protocol::ProduceResponse;
using PartitionAnswer = ProduceResponse::PartitionProduceResponse;

constexpr int16_t kFirstWithIds = 13;
constexpr int16_t kFirstWithHints = 10;
constexpr int16_t kFirstWithZstd = 7;
constexpr std::string_view kAdminClient = "__admin_client";

/// Where an item's answer belongs in the response.
struct Place {
    size_t topic;
    size_t partition;
};
struct Group {
    std::vector<broker::AppendItem> items;
    std::vector<Place> places;
};
using Outcomes = std::vector<broker::AppendOutcome>;

void set_error(PartitionAnswer& answer, ErrorCode code, std::string_view why) {
    answer.error_code = to_wire(code);
    answer.base_offset = kNoOffset.value();
    if (!why.empty()) answer.error_message = why;
}

/// What is wrong with the request as a whole, if anything.
Error whole_refusal(const ProduceRequest& request) {
    if (request.acks < -1 || request.acks > 1) {
        return {ErrorCode::invalid_required_acks,
                fmt::format("acks is -1, 0 or 1, not {}", request.acks)};
    }
    if (request.transactional_id) {
        // Java and librdkafka take UNSUPPORTED_VERSION as final and tell the application.
        return {ErrorCode::unsupported_version,
                "transactions are not supported by this broker yet"};
    }
    return {ErrorCode::none, {}};
}

metadata::TopicPtr find_topic(const Context& context,
                              const ProduceRequest::TopicProduceData& topic) {
    return context.version() >= kFirstWithIds ? context.image().topic(topic.topic_id)
                                              : context.image().topic(topic.name);
}

Error topic_refusal(const Context& context, const metadata::Topic* topic) {
    if (topic == nullptr) {
        const bool by_id = context.version() >= kFirstWithIds;
        return {by_id ? ErrorCode::unknown_topic_id : ErrorCode::unknown_topic_or_partition, {}};
    }
    if (broker::is_internal_topic(topic->name) && context.client_id() != kAdminClient) {
        return {ErrorCode::invalid_topic_exception, "clients do not write to internal topics"};
    }
    return {ErrorCode::none, {}};
}

void fill(PartitionAnswer& answer, const broker::AppendOutcome& outcome) {
    if (outcome) {
        answer.base_offset = outcome->base_offset.value();
        answer.log_append_time_ms = outcome->log_append_time.value();
        answer.log_start_offset = outcome->log_start.value();
        return;
    }
    const replication::AppendRefusal& refusal = outcome.error();
    set_error(answer, refusal.error.code, refusal.error.detail);
    answer.log_start_offset = refusal.log_start.value();
    for (const RecordError& record : refusal.records) {
        answer.record_errors.push_back({record.index, record.message});
    }
}

/// KIP-951: who leads instead, so that the client need not ask.
void add_leader_hints(const Context& context,
                      const ProduceRequest& request,
                      ProduceResponse& response) {
    if (context.version() < kFirstWithHints) return;
    std::set<BrokerId> named;
    for (size_t t = 0; t < response.responses.size(); ++t) {
        const metadata::TopicPtr topic = find_topic(context, request.topic_data[t]);
        for (PartitionAnswer& answer : response.responses[t].partition_responses) {
            if (answer.error_code != to_wire(ErrorCode::not_leader_or_follower) || !topic) continue;
            const metadata::Partition* partition = topic->partition(PartitionIndex{answer.index});
            if (partition == nullptr) continue;
            answer.current_leader = {partition->leader.value(), partition->leader_epoch.value()};
            named.insert(partition->leader);
        }
    }
    for (const BrokerId id : named) {
        const metadata::Broker* leader = context.image().broker(id);
        const auto endpoint = leader == nullptr ? std::nullopt : endpoint_for(context, *leader);
        if (!endpoint) continue;
        response.node_endpoints.push_back(
            {id.value(), endpoint->host, endpoint->port, leader->rack});
    }
}

void log_refusals(const Context& context, const ProduceResponse& response) {
    size_t refused = 0;
    const PartitionAnswer* first = nullptr;
    std::string_view topic;
    for (const auto& answers : response.responses) {
        for (const PartitionAnswer& answer : answers.partition_responses) {
            if (answer.error_code == 0) continue;
            ++refused;
            if (first == nullptr) {
                first = &answer;
                topic = answers.name;
            }
        }
    }
    if (first == nullptr) return;
    context.shard.log().write(
        LogLevel::info,
        fmt::format("produce of {} ({}) refused for {} partition(s), first {}-{}: {} {}",
                    to_string(context.session.peer), context.client_id(), refused, topic,
                    first->index, name_of(static_cast<ErrorCode>(first->error_code)),
                    first->error_message.value_or("")));
}

/// Groups by owner what can be appended; the rest has its answer already.
std::map<ShardIndex, Group> place_answers(const Context& context,
                                          ProduceRequest& request,
                                          ProduceResponse& response) {
    std::map<ShardIndex, Group> groups;
    const Error whole = whole_refusal(request);
    for (size_t t = 0; t < request.topic_data.size(); ++t) {
        auto& data = request.topic_data[t];
        auto& answers = response.responses.emplace_back();
        answers.name = data.name;
        answers.topic_id = data.topic_id;
        const metadata::TopicPtr topic = find_topic(context, data);
        const Error refusal =
            whole.code != ErrorCode::none ? whole : topic_refusal(context, topic.get());
        for (auto& partition : data.partition_data) {
            PartitionAnswer& answer = answers.partition_responses.emplace_back();
            answer.index = partition.index;
            const PartitionIndex index{partition.index};
            if (refusal.code != ErrorCode::none) {
                set_error(answer, refusal.code, refusal.detail);
            } else if (topic->partition(index) == nullptr) {
                set_error(answer, ErrorCode::unknown_topic_or_partition, {});
            } else {
                const broker::PartitionKey key{topic->id, index};
                Group& group = groups[context.shard.owner_of(key)];
                group.items.push_back({key, std::move(partition.records)});
                group.places.push_back({t, answers.partition_responses.size() - 1});
            }
            partition.records.reset();
        }
    }
    return groups;
}

}  // namespace

Task<ProduceResponse> handle_produce(Context context, ProduceRequest request) {
    ProduceResponse response;
    std::map<ShardIndex, Group> groups = place_answers(context, request, response);
    const broker::AppendTerms terms{request.acks, context.version() >= kFirstWithZstd,
                                    std::chrono::milliseconds(std::max(request.timeout_ms, 0))};
    std::vector<Task<Outcomes>> calls;
    for (auto& [owner, group] : groups) {
        auto work = [held = std::move(group.items), terms](broker::Shard& there) mutable {
            return broker::append_group(there, std::move(held), terms);
        };
        calls.push_back(context.shard.on(owner, std::move(work)));
    }
    auto all = when_all(context.shard.runtime(), std::move(calls));
    const std::vector<Outcomes> outcomes = co_await std::move(all);
    size_t which = 0;
    for (const auto& [owner, group] : groups) {
        for (size_t i = 0; i < group.places.size(); ++i) {
            const Place place = group.places[i];
            fill(response.responses[place.topic].partition_responses[place.partition],
                 outcomes[which][i]);
        }
        ++which;
    }
    add_leader_hints(context, request, response);
    log_refusals(context, response);
    co_return response;
}

Task<Answer> serve_produce(Context context, Buffer body) {
    auto request = decode_body<ProduceRequest>(std::move(body), context.version());
    if (!request) co_return Answer::closing(request.error().detail);
    const bool answered = request->acks != 0;
    auto producing = handle_produce(context, *std::move(request));
    const ProduceResponse response = co_await std::move(producing);
    if (answered) {
        co_return Answer{.frame = protocol::response_frame(context.header.correlation_id,
                                                           context.version(), response)};
    }
    for (const auto& topic : response.responses) {
        for (const PartitionAnswer& partition : topic.partition_responses) {
            if (partition.error_code == 0) continue;
            co_return Answer::closing("a produce request with acks=0 failed");
        }
    }
    co_return Answer{};
}

}  // namespace ottla::server
