// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "server/handlers/common.h"
#include "server/handlers/handlers.h"

namespace ottla::server {

namespace {

ErrorCode refusal(const Context& context, const protocol::InitProducerIdRequest& request) {
    if (request.transactional_id && request.transactional_id->empty()) {
        return ErrorCode::invalid_request;
    }
    // Java and librdkafka take UNSUPPORTED_VERSION here as final and tell the application.
    if (request.transactional_id) return ErrorCode::unsupported_version;
    const bool has_id = request.producer_id != kNoProducer.value();
    const bool has_epoch = request.producer_epoch != kNoProducerEpoch.value();
    if (context.version() >= 3 && has_id != has_epoch) return ErrorCode::invalid_request;
    return ErrorCode::none;
}

}  // namespace

Task<protocol::InitProducerIdResponse> handle_init_producer_id(
    Context context, protocol::InitProducerIdRequest request) {
    protocol::InitProducerIdResponse response;
    response.producer_epoch = kNoProducerEpoch.value();
    const ErrorCode refused = refusal(context, request);
    if (refused != ErrorCode::none) {
        context.shard.log().write(
            LogLevel::info,
            fmt::format("producer id for {} ({}) refused: {}{}", to_string(context.session.peer),
                        context.client_id(), name_of(refused),
                        request.transactional_id ? ", transactions are not supported yet" : ""));
        response.error_code = to_wire(refused);
        co_return response;
    }
    const Result<int64_t> id = co_await context.shard.next_producer_id();
    if (!id) {
        response.error_code = to_wire(id.error().code);
        co_return response;
    }
    response.producer_id = *id;
    response.producer_epoch = 0;
    co_return response;
}

}  // namespace ottla::server
