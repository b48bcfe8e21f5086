// SPDX-License-Identifier: Apache-2.0
// The table of everything this broker answers: one row per API. Adding an API touches three files:
// its schema (src/protocol/schema), its handler (handlers/*.cc) and a row in api_table.cc.
// ApiVersions is made from these rows, so that only what works is advertised; the one exception is
// Kafka's own: Produce is advertised from version 0 and served from 3 (trap 6).
#pragma once

#include <span>

#include "protocol/codec.h"
#include "protocol/frame.h"
#include "server/context.h"

namespace ottla::server {

struct ApiHandler {
    protocol::ApiKey key;
    int16_t min_version;
    int16_t max_version;
    int16_t advertised_min;
    Flow flow;
    Task<Answer> (*serve)(Context context, Buffer body);
};

/// In the order of the keys.
std::span<const ApiHandler> api_handlers();
/// Null when this broker does not answer that API.
const ApiHandler* find_handler(int16_t key);

/// Bytes behind the body are ignored, as Kafka does.
template <class Request>
Result<Request> decode_body(Buffer body, int16_t version) {
    Request request;
    protocol::Reader reader(std::move(body));
    TRY_STATUS(protocol::decode(reader, version, request));
    return request;
}

/// Decodes, calls the handler, encodes.
template <class Request, Task<typename Request::Response> (*Handler)(Context, Request)>
Task<Answer> handle(Context context, Buffer body) {
    auto request = decode_body<Request>(std::move(body), context.version());
    if (!request) co_return Answer::closing(request.error().detail);
    auto answering = Handler(context, *std::move(request));
    const typename Request::Response response = co_await std::move(answering);
    co_return Answer{.frame = protocol::response_frame(context.header.correlation_id,
                                                       context.version(), response)};
}

}  // namespace ottla::server
