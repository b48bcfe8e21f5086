// SPDX-License-Identifier: Apache-2.0
// What lies in which directory of this broker, and moves between them (KIP-112, 113, 827, 1066).
#include <fmt/format.h>

#include <map>
#include <set>
#include <tuple>

#include "broker/partition_calls.h"
#include "server/handlers/by_owner.h"
#include "server/handlers/common.h"
#include "server/handlers/handlers.h"

namespace ottla::server {

namespace {

using protocol::AlterReplicaLogDirsRequest;
using protocol::AlterReplicaLogDirsResponse;
using protocol::DescribeLogDirsRequest;
using protocol::DescribeLogDirsResponse;

using Moves = ByOwner<broker::AlterItem>;

/// Answers what needs no shard; the rest is sorted by owner.
Moves plan_moves(const Context& context,
                 const AlterReplicaLogDirsRequest& request,
                 AlterReplicaLogDirsResponse& response) {
    Moves moves;
    std::map<std::string, size_t> answers;
    for (const auto& dir : request.dirs) {
        const bool served = context.shard.store().serves(dir.path);
        for (const auto& topic : dir.topics) {
            const auto [at, fresh] = answers.emplace(topic.name, response.results.size());
            if (fresh) response.results.emplace_back().topic_name = topic.name;
            const size_t place = at->second;
            auto& answer = response.results[place];
            const metadata::TopicPtr known = context.image().topic(topic.name);
            for (const int32_t index : topic.partitions) {
                auto& own = answer.partitions.emplace_back();
                own.partition_index = index;
                const bool there =
                    known != nullptr && known->partition(PartitionIndex{index}) != nullptr;
                // The directory first, as Kafka does.
                if (!served)
                    own.error_code = to_wire(ErrorCode::log_dir_not_found);
                else if (!there)
                    own.error_code = to_wire(ErrorCode::unknown_topic_or_partition);
                if (!served || !there) continue;
                const broker::PartitionKey key{known->id, PartitionIndex{index}};
                moves.add(context.shard.owner_of(key), {key, dir.path},
                          {place, answer.partitions.size() - 1});
            }
        }
    }
    return moves;
}

/// What all shards have in one directory.
struct DirectoryPicture {
    Uuid directory_id;
    bool is_offline = false;
    std::vector<storage::LogUse> logs;
};

Task<std::map<std::string, DirectoryPicture>> picture_of_all(Context context) {
    std::map<std::string, DirectoryPicture> all;
    for (uint32_t index = 0; index < context.shard.count(); ++index) {
        auto work = [](broker::Shard& there) { return broker::uses_of(there); };
        auto asking = context.shard.on(ShardIndex{index}, std::move(work));
        const auto uses = co_await std::move(asking);
        for (const storage::DirectoryUse& use : uses) {
            DirectoryPicture& picture = all[use.log_dir];
            picture.directory_id = use.directory_id;
            picture.is_offline = picture.is_offline || use.is_offline;
            picture.logs.insert(picture.logs.end(), use.logs.begin(), use.logs.end());
        }
    }
    co_return all;
}

/// Nothing: everything is wanted.
using Wanted = std::optional<std::set<TopicPartition>>;

Wanted wanted_by(const DescribeLogDirsRequest& request) {
    if (!request.topics) return std::nullopt;
    std::set<TopicPartition> wanted;
    for (const auto& topic : *request.topics) {
        for (const int32_t index : topic.partitions) {
            wanted.insert({topic.topic, PartitionIndex{index}});
        }
    }
    return wanted;
}

void describe_logs(DirectoryPicture& picture,
                   const Wanted& wanted,
                   DescribeLogDirsResponse::DescribeLogDirsResult& result) {
    std::ranges::sort(picture.logs, {},
                      [](const storage::LogUse& log) { return std::tie(log.name, log.is_copy); });
    for (const storage::LogUse& log : picture.logs) {
        if (wanted && !wanted->contains(log.name)) continue;
        if (result.topics.empty() || result.topics.back().name != log.name.topic) {
            result.topics.emplace_back().name = log.name.topic;
        }
        result.topics.back().partitions.push_back(
            {log.name.partition.value(), static_cast<int64_t>(log.bytes), log.lag, log.is_copy});
    }
}

}  // namespace

Task<AlterReplicaLogDirsResponse> handle_alter_replica_log_dirs(
    Context context, AlterReplicaLogDirsRequest request) {
    AlterReplicaLogDirsResponse response;
    auto asking =
        ask<ErrorCode>(context, plan_moves(context, request, response), &broker::alter_group);
    const auto answers = co_await std::move(asking);
    for (const auto& [place, code] : answers) {
        response.results[place.topic].partitions[place.partition].error_code = to_wire(code);
    }
    co_return response;
}

Task<DescribeLogDirsResponse> handle_describe_log_dirs(Context context,
                                                       DescribeLogDirsRequest request) {
    constexpr int16_t kWithSpace = 4;
    DescribeLogDirsResponse response;
    const Wanted wanted = wanted_by(request);
    std::map<std::string, DirectoryPicture> all = co_await picture_of_all(context);
    const metadata::Broker* self = context.image().broker(context.shard.facts().id);
    for (auto& [path, picture] : all) {
        DescribeLogDirsResponse::DescribeLogDirsResult result;
        result.log_dir = path;
        result.is_cordoned = self != nullptr && self->is_cordoned(picture.directory_id);
        if (picture.is_offline) {
            result.error_code = to_wire(ErrorCode::kafka_storage_error);
            response.results.push_back(std::move(result));
            continue;
        }
        describe_logs(picture, wanted, result);
        if (context.version() >= kWithSpace) {
            const auto space = co_await context.shard.files().space(path);
            if (space) result.total_bytes = static_cast<int64_t>(space->size);
            if (space) result.usable_bytes = static_cast<int64_t>(space->free);
        }
        response.results.push_back(std::move(result));
        self = context.image().broker(context.shard.facts().id);
    }
    co_return response;
}

}  // namespace ottla::server
