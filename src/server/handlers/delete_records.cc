// SPDX-License-Identifier: Apache-2.0
#include "broker/partition_calls.h"
#include "broker/topic_config.h"
#include "server/handlers/by_owner.h"
#include "server/handlers/common.h"
#include "server/handlers/handlers.h"

namespace ottla::server {

namespace {

using protocol::DeleteRecordsRequest;
using protocol::DeleteRecordsResponse;
using PartitionAnswer = DeleteRecordsResponse::DeleteRecordsPartitionResult;
using Asked = ByOwner<broker::DeleteRecordsItem>;

void fill(PartitionAnswer& answer, const Result<Offset>& low_watermark) {
    if (low_watermark) {
        answer.low_watermark = low_watermark->value();
    } else {
        answer.error_code = to_wire(low_watermark.error().code);
    }
}

/// Every partition has its place in the answer; given back are those that somebody has to be asked about.
Asked place_answers(const Context& context,
                    const DeleteRecordsRequest& request,
                    DeleteRecordsResponse& response) {
    Asked asked;
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
                asked.add(context.shard.owner_of(key), {key, Offset{partition.offset}},
                          {t, answers.partitions.size() - 1});
            }
        }
    }
    return asked;
}

}  // namespace

Task<DeleteRecordsResponse> handle_delete_records(Context context, DeleteRecordsRequest request) {
    DeleteRecordsResponse response;
    auto asking = ask<Result<Offset>>(context, place_answers(context, request, response),
                                      &broker::delete_records_group);
    const auto answers = co_await std::move(asking);
    for (const auto& [place, low_watermark] : answers) {
        fill(response.topics[place.topic].partitions[place.partition], low_watermark);
    }
    co_return response;
}

}  // namespace ottla::server
