// SPDX-License-Identifier: Apache-2.0
// FindCoordinator, version 0 only, and always with "no coordinator": there are no groups yet. It is
// advertised all the same because librdkafka takes its presence for lz4 support and else silently
// sends lz4 data uncompressed, as it does for the other codecs without Produce 0 (trap 6).
// docs/adr/0031 says when this ends.
#include <fmt/format.h>

#include "server/handlers/common.h"
#include "server/handlers/handlers.h"

namespace ottla::server {

Task<protocol::FindCoordinatorResponse> handle_find_coordinator(
    Context context, protocol::FindCoordinatorRequest request) {
    context.shard.log().write(
        LogLevel::info,
        fmt::format(
            "coordinator of group '{}' for {} ({}) refused: consumer groups are not supported yet",
            request.key, to_string(context.session.peer), context.client_id()));
    protocol::FindCoordinatorResponse response;
    response.error_code = to_wire(ErrorCode::coordinator_not_available);
    response.node_id = kNoBroker.value();
    response.port = -1;
    co_return response;
}

}  // namespace ottla::server
