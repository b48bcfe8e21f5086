// SPDX-License-Identifier: Apache-2.0
#include "broker/partition_calls.h"
#include "broker/topic_config.h"
#include "server/handlers/common.h"
#include "server/handlers/handlers.h"

namespace ottla::server {

namespace {

using protocol::DeleteRecordsRequest;
using protocol::DeleteRecordsResponse;
using PartitionAnswer = DeleteRecordsResponse::DeleteRecordsPartitionResult;
using Answers = std::vector<Result<Offset>>;

struct Place {
    size_t topic;
    size_t partition;
};
struct Group {
    std::vector<broker::DeleteRecordsItem> items;
    std::vector<Place> places;
};

void fill(PartitionAnswer& answer, const Result<Offset>& low_watermark) {
    if (low_watermark) {
        answer.low_watermark = low_watermark->value();
    } else {
        answer.error_code = to_wire(low_watermark.error().code);
    }
}

/// Every partition has its place in the answer; those that somebody has to be asked about are in groups.
std::map<ShardIndex, Group> place_answers(const Context& context,
                                          const DeleteRecordsRequest& request,
                                          DeleteRecordsResponse& response) {
    std::map<ShardIndex, Group> groups;
    for (size_t t = 0; t < request.topics.size(); ++t) {
        const auto& wanted = request.topics[t];
        const metadata::TopicPtr topic = context.image().topic(wanted.name);
        auto& answers = response.topics.emplace_back();
        answers.name = wanted.name;
        for (const auto& partition : wanted.partitions) {
            PartitionAnswer& answer = answers.partitions.emplace_back();
            answer.partition_index = partition.partition_index;
            answer.low_watermark = kNoOffset.value();
            const PartitionIndex index{partition.partition_index};
            if (!topic || topic->partition(index) == nullptr) {
                answer.error_code = to_wire(ErrorCode::unknown_topic_or_partition);
            } else if (broker::is_internal_topic(wanted.name)) {
                answer.error_code = to_wire(ErrorCode::invalid_topic_exception);
            } else {
                const broker::PartitionKey key{topic->id, index};
                Group& group = groups[context.shard.owner_of(key)];
                group.items.push_back({key, Offset{partition.offset}});
                group.places.push_back({t, answers.partitions.size() - 1});
            }
        }
    }
    return groups;
}

}  // namespace

Task<DeleteRecordsResponse> handle_delete_records(Context context, DeleteRecordsRequest request) {
    DeleteRecordsResponse response;
    std::map<ShardIndex, Group> groups = place_answers(context, request, response);
    std::vector<Task<Answers>> calls;
    for (auto& [owner, group] : groups) {
        auto work = [held = std::move(group.items)](broker::Shard& there) mutable {
            return broker::delete_records_group(there, std::move(held));
        };
        calls.push_back(context.shard.on(owner, std::move(work)));
    }
    auto all = when_all(context.shard.runtime(), std::move(calls));
    const std::vector<Answers> answers = co_await std::move(all);
    size_t which = 0;
    for (const auto& [owner, group] : groups) {
        for (size_t i = 0; i < group.places.size(); ++i) {
            const Place place = group.places[i];
            fill(response.topics[place.topic].partitions[place.partition], answers[which][i]);
        }
        ++which;
    }
    co_return response;
}

}  // namespace ottla::server
