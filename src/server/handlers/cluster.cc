// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "server/handlers/common.h"
#include "server/handlers/handlers.h"

namespace ottla::server {

namespace {
constexpr int8_t kBrokers = 1;
constexpr int8_t kControllers = 2;
}  // namespace

Task<protocol::DescribeClusterResponse> handle_describe_cluster(
    Context context, protocol::DescribeClusterRequest request) {
    protocol::DescribeClusterResponse response;
    response.endpoint_type = request.endpoint_type;
    if (request.endpoint_type != kBrokers) {
        const bool known = request.endpoint_type == kControllers;
        response.error_code = to_wire(known ? ErrorCode::mismatched_endpoint_type
                                            : ErrorCode::unsupported_endpoint_type);
        response.error_message = fmt::format(
            "this listener describes brokers (type 1), not type {}", request.endpoint_type);
        co_return response;
    }
    response.cluster_id = context.shard.facts().cluster_id;
    response.controller_id = some_live_broker(context);
    for (const auto& [id, broker] : context.image().brokers) {
        if (broker->fenced && !request.include_fenced_brokers) continue;
        const auto endpoint = endpoint_for(context, *broker);
        if (!endpoint) continue;
        response.brokers.push_back(
            {id.value(), endpoint->host, endpoint->port, broker->rack, broker->fenced});
    }
    if (request.include_cluster_authorized_operations) {
        response.cluster_authorized_operations = kClusterOperations;
    }
    co_return response;
}

}  // namespace ottla::server
