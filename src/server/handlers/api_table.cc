// SPDX-License-Identifier: Apache-2.0
#include "server/handlers/api_table.h"

#include "server/handlers/handlers.h"

namespace ottla::server {

namespace {

using protocol::ApiKey;
using enum Flow;

constexpr ApiHandler kRows[] = {
    {ApiKey::produce, 3, 13, 0, pipelined, serve_produce},
    {ApiKey::fetch, 4, 18, 4, one_at_a_time, handle<protocol::FetchRequest, handle_fetch>},
    {ApiKey::list_offsets, 1, 11, 1, pipelined,
     handle<protocol::ListOffsetsRequest, handle_list_offsets>},
    {ApiKey::metadata, 0, 13, 0, pipelined, handle<protocol::MetadataRequest, handle_metadata>},
    {ApiKey::find_coordinator, 0, 0, 0, pipelined,
     handle<protocol::FindCoordinatorRequest, handle_find_coordinator>},
    {ApiKey::api_versions, 0, 5, 0, pipelined, serve_api_versions},
    {ApiKey::create_topics, 2, 7, 2, alone,
     handle<protocol::CreateTopicsRequest, handle_create_topics>},
    {ApiKey::delete_topics, 1, 6, 1, alone,
     handle<protocol::DeleteTopicsRequest, handle_delete_topics>},
    {ApiKey::delete_records, 0, 2, 0, alone,
     handle<protocol::DeleteRecordsRequest, handle_delete_records>},
    {ApiKey::init_producer_id, 0, 5, 0, alone,
     handle<protocol::InitProducerIdRequest, handle_init_producer_id>},
    {ApiKey::describe_configs, 1, 4, 1, pipelined,
     handle<protocol::DescribeConfigsRequest, handle_describe_configs>},
    {ApiKey::alter_replica_log_dirs, 1, 2, 1, alone,
     handle<protocol::AlterReplicaLogDirsRequest, handle_alter_replica_log_dirs>},
    {ApiKey::describe_log_dirs, 1, 5, 1, pipelined,
     handle<protocol::DescribeLogDirsRequest, handle_describe_log_dirs>},
    {ApiKey::describe_cluster, 0, 2, 0, pipelined,
     handle<protocol::DescribeClusterRequest, handle_describe_cluster>},
};

}  // namespace

std::span<const ApiHandler> api_handlers() { return kRows; }

const ApiHandler* find_handler(int16_t key) {
    for (const ApiHandler& row : kRows) {
        if (static_cast<int16_t>(row.key) == key) return &row;
    }
    return nullptr;
}

}  // namespace ottla::server
