// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "metadata/delta.h"
#include "server/handlers/api_table.h"
#include "server/handlers/common.h"
#include "server/handlers/handlers.h"

namespace ottla::server {

namespace {

constexpr int16_t kNewestVersion = protocol::ApiVersionsRequest::kMaxVersion;

/// [a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])? (trap 4)
bool is_valid_software_name(std::string_view name) {
    const auto alphanumeric = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    };
    if (name.empty() || !alphanumeric(name.front()) || !alphanumeric(name.back())) return false;
    return std::ranges::all_of(name,
                               [&](char c) { return alphanumeric(c) || c == '-' || c == '.'; });
}

/// KIP-1242: a client that says whom it expects must be right about cluster and node.
ErrorCode check_identity(const Context& context, const protocol::ApiVersionsRequest& request) {
    const bool names_node = request.node_id != -1;
    if (request.cluster_id.has_value() != names_node) return ErrorCode::invalid_request;
    if (!names_node) return ErrorCode::none;
    const auto& facts = context.shard.facts();
    const bool right =
        *request.cluster_id == facts.cluster_id && request.node_id == facts.id.value();
    return right ? ErrorCode::none : ErrorCode::rebootstrap_required;
}

void list_features(const Context& context, protocol::ApiVersionsResponse& response) {
    const auto& image = context.image();
    for (const auto& [name, range] : metadata::supported_features()) {
        // Clients before v4 cannot read a range that begins at 0 (trap 5).
        if (range.min == 0 && context.version() < 4) continue;
        response.supported_features.push_back({name, range.min, range.max});
    }
    response.finalized_features_epoch = image.end.value() - 1;
    for (const auto& [name, level] : image.features) {
        if (level != 0) response.finalized_features.push_back({name, level, level});
    }
    if (image.kraft_version != 0) {
        response.finalized_features.push_back(
            {"kraft.version", image.kraft_version, image.kraft_version});
    }
}

}  // namespace

Task<protocol::ApiVersionsResponse> handle_api_versions(Context context,
                                                        protocol::ApiVersionsRequest request) {
    protocol::ApiVersionsResponse response;
    ErrorCode refusal = check_identity(context, request);
    if (context.version() >= 3 && !(is_valid_software_name(request.client_software_name) &&
                                    is_valid_software_name(request.client_software_version))) {
        refusal = ErrorCode::invalid_request;
    }
    if (refusal != ErrorCode::none) {
        response.error_code = to_wire(refusal);
        co_return response;
    }
    for (const ApiHandler& api : api_handlers()) {
        response.api_keys.push_back(
            {static_cast<int16_t>(api.key), api.advertised_min, api.max_version});
    }
    list_features(context, response);
    co_return response;
}

Task<Answer> serve_api_versions(Context context, Buffer body) {
    const int16_t version = context.version();
    if (version >= 0 && version <= kNewestVersion) {
        auto normal =
            handle<protocol::ApiVersionsRequest, handle_api_versions>(context, std::move(body));
        co_return co_await std::move(normal);
    }
    protocol::ApiVersionsResponse response;
    response.error_code = to_wire(ErrorCode::unsupported_version);
    response.api_keys.push_back(
        {static_cast<int16_t>(protocol::ApiKey::api_versions), 0, kNewestVersion});
    co_return Answer{.frame = protocol::response_frame(context.header.correlation_id, 0, response)};
}

}  // namespace ottla::server
