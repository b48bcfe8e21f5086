// SPDX-License-Identifier: Apache-2.0
#include "server/dispatch.h"

#include <fmt/format.h>

#include "server/handlers/api_table.h"

namespace ottla::server {

Result<Request> Dispatch::admit(const Session&, Buffer frame) {
    protocol::Reader reader(frame);
    Request request;
    TRY(request.header, protocol::decode_request_header(reader));
    request.api = find_handler(request.header.request_api_key);
    const int16_t version = request.header.request_api_version;
    if (request.api == nullptr) {
        return fail(ErrorCode::unsupported_version,
                    fmt::format("{} is not served by this broker",
                                protocol::find_api(request.header.request_api_key)->name));
    }
    const bool known = request.api->min_version <= version && version <= request.api->max_version;
    if (!known && request.api->key != protocol::ApiKey::api_versions) {
        return fail(ErrorCode::unsupported_version,
                    fmt::format("{} v{} is not served, only v{} to v{}",
                                protocol::find_api(request.header.request_api_key)->name, version,
                                request.api->min_version, request.api->max_version));
    }
    request.flow = request.api->flow;
    request.body = frame.slice(reader.position(), reader.remaining());
    return request;
}

Task<Answer> Dispatch::serve(Session& session, Request request) {
    const Context context{shard_, session, request.header};
    auto answering = request.api->serve(context, std::move(request.body));
    co_return co_await std::move(answering);
}

}  // namespace ottla::server
