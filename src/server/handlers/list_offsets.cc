// SPDX-License-Identifier: Apache-2.0
#include <map>

#include "broker/partition_calls.h"
#include "server/handlers/by_owner.h"
#include "server/handlers/common.h"
#include "server/handlers/handlers.h"

namespace ottla::server {

namespace {

using protocol::ListOffsetsRequest;
using protocol::ListOffsetsResponse;
using PartitionAnswer = ListOffsetsResponse::ListOffsetsPartitionResponse;
using Asked = ByOwner<broker::ListOffsetsItem>;

/// The first version that knows a negative timestamp: latest, earliest, max timestamp (KIP-734),
/// earliest local (KIP-405), latest tiered (KIP-1005), earliest pending upload (KIP-1023).
bool knows(int16_t version, int64_t timestamp) {
    if (timestamp >= -2) return true;
    switch (timestamp) {
        case -3: return version >= 7;
        case -4: return version >= 8;
        case -5: return version >= 9;
        case -6: return version >= 11;
        default: return false;
    }
}

void fill(PartitionAnswer& answer, const Result<storage::TimestampedOffset>& found) {
    if (!found) {
        answer.error_code = to_wire(found.error().code);
        return;
    }
    answer.timestamp = found->timestamp.value();
    answer.offset = found->offset.value();
    answer.leader_epoch = found->leader_epoch.value();
}

/// Every partition has its place in the answer; given back are those that somebody has to be asked about.
Asked place_answers(const Context& context,
                    const ListOffsetsRequest& request,
                    ListOffsetsResponse& response) {
    Asked asked;
    std::map<std::pair<std::string, int32_t>, size_t> seen;
    for (const auto& topic : request.topics) {
        for (const auto& partition : topic.partitions)
            ++seen[{topic.name, partition.partition_index}];
    }
    for (size_t t = 0; t < request.topics.size(); ++t) {
        const auto& wanted = request.topics[t];
        const metadata::TopicPtr topic = context.image().topic(wanted.name);
        auto& answers = response.topics.emplace_back();
        answers.name = wanted.name;
        for (const auto& partition : wanted.partitions) {
            PartitionAnswer& answer = answers.partitions.emplace_back();
            answer.partition_index = partition.partition_index;
            const PartitionIndex index{partition.partition_index};
            if (seen[{wanted.name, partition.partition_index}] > 1) {
                answer.error_code = to_wire(ErrorCode::invalid_request);
            } else if (!knows(context.version(), partition.timestamp)) {
                answer.error_code = to_wire(ErrorCode::unsupported_version);
            } else if (!topic || topic->partition(index) == nullptr) {
                answer.error_code = to_wire(ErrorCode::unknown_topic_or_partition);
            } else {
                const broker::PartitionKey key{topic->id, index};
                const replication::ListOffsetsAsk question{
                    .timestamp = partition.timestamp,
                    .current_leader_epoch = LeaderEpoch{partition.current_leader_epoch},
                    .committed = request.isolation_level == 1};
                asked.add(context.shard.owner_of(key), {key, question},
                          {t, answers.partitions.size() - 1});
            }
        }
    }
    return asked;
}

}  // namespace

Task<ListOffsetsResponse> handle_list_offsets(Context context, ListOffsetsRequest request) {
    ListOffsetsResponse response;
    auto asking = ask<Result<storage::TimestampedOffset>>(
        context, place_answers(context, request, response), &broker::list_offsets_group);
    const auto answers = co_await std::move(asking);
    for (const auto& [place, found] : answers) {
        fill(response.topics[place.topic].partitions[place.partition], found);
    }
    co_return response;
}

}  // namespace ottla::server
