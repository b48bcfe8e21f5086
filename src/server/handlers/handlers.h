// SPDX-License-Identifier: Apache-2.0
// Every handler, by API family. Each has the same shape, Task<Response>(Context, Request), is
// started in request order and must have placed what is ordered before its first suspension
// (server/request.h). Codes in responses are wire codes; a refusal that a person should know of is
// logged by the handler.
#pragma once

#include "protocol/alter_replica_log_dirs.h"
#include "protocol/api_versions.h"
#include "protocol/create_topics.h"
#include "protocol/delete_records.h"
#include "protocol/delete_topics.h"
#include "protocol/describe_cluster.h"
#include "protocol/describe_configs.h"
#include "protocol/describe_log_dirs.h"
#include "protocol/fetch.h"
#include "protocol/find_coordinator.h"
#include "protocol/init_producer_id.h"
#include "protocol/list_offsets.h"
#include "protocol/metadata.h"
#include "protocol/produce.h"
#include "server/context.h"

namespace ottla::server {

// api_versions.cc
/// A row of its own: an unknown version is answered in version 0 without a look at the body (trap
/// 2).
Task<Answer> serve_api_versions(Context context, Buffer body);
Task<protocol::ApiVersionsResponse> handle_api_versions(Context context,
                                                        protocol::ApiVersionsRequest request);
// metadata.cc
Task<protocol::MetadataResponse> handle_metadata(Context context,
                                                 protocol::MetadataRequest request);
// cluster.cc
Task<protocol::DescribeClusterResponse> handle_describe_cluster(
    Context context, protocol::DescribeClusterRequest request);
// produce.cc
/// A row of its own: acks=0 is not answered, its error closes the connection (trap 11).
Task<Answer> serve_produce(Context context, Buffer body);
Task<protocol::ProduceResponse> handle_produce(Context context, protocol::ProduceRequest request);
// fetch.cc
Task<protocol::FetchResponse> handle_fetch(Context context, protocol::FetchRequest request);
// delete_records.cc
Task<protocol::DeleteRecordsResponse> handle_delete_records(
    Context context, protocol::DeleteRecordsRequest request);
// list_offsets.cc
Task<protocol::ListOffsetsResponse> handle_list_offsets(Context context,
                                                        protocol::ListOffsetsRequest request);
// topics.cc
Task<protocol::CreateTopicsResponse> handle_create_topics(Context context,
                                                          protocol::CreateTopicsRequest request);
Task<protocol::DeleteTopicsResponse> handle_delete_topics(Context context,
                                                          protocol::DeleteTopicsRequest request);
// producer_ids.cc
Task<protocol::InitProducerIdResponse> handle_init_producer_id(
    Context context, protocol::InitProducerIdRequest request);
// coordinators.cc
Task<protocol::FindCoordinatorResponse> handle_find_coordinator(
    Context context, protocol::FindCoordinatorRequest request);
// log_dirs.cc
Task<protocol::AlterReplicaLogDirsResponse> handle_alter_replica_log_dirs(
    Context context, protocol::AlterReplicaLogDirsRequest request);
Task<protocol::DescribeLogDirsResponse> handle_describe_log_dirs(
    Context context, protocol::DescribeLogDirsRequest request);
// configs.cc
Task<protocol::DescribeConfigsResponse> handle_describe_configs(
    Context context, protocol::DescribeConfigsRequest request);

}  // namespace ottla::server
