// SPDX-License-Identifier: Apache-2.0
// Walk C: the controller decides, the answer comes when it is committed and this node has applied
// it.
#include <fmt/format.h>

#include "server/handlers/common.h"
#include "server/handlers/handlers.h"

namespace ottla::server {

namespace {

template <class Results>
void log_refusals(const Context& context, std::string_view what, const Results& results) {
    for (const auto& result : results) {
        if (result.error_code == 0) continue;
        context.shard.log().write(
            LogLevel::info,
            fmt::format("{} by {} ({}) refused: {} {}", what, to_string(context.session.peer),
                        context.client_id(), name_of(static_cast<ErrorCode>(result.error_code)),
                        result.error_message.value_or("")));
    }
}

}  // namespace

Task<protocol::CreateTopicsResponse> handle_create_topics(Context context,
                                                          protocol::CreateTopicsRequest request) {
    auto creating = context.shard.create_topics(context.version(), std::move(request));
    protocol::CreateTopicsResponse response = co_await std::move(creating);
    log_refusals(context, "create topic", response.topics);
    co_return response;
}

Task<protocol::DeleteTopicsResponse> handle_delete_topics(Context context,
                                                          protocol::DeleteTopicsRequest request) {
    if (!context.shard.facts().settings.flag("delete.topic.enable")) {
        protocol::DeleteTopicsResponse refused;
        const int16_t code = to_wire(context.version() < 3 ? ErrorCode::invalid_request
                                                           : ErrorCode::topic_deletion_disabled);
        for (const auto& topic : request.topics) {
            refused.responses.push_back(
                {topic.name, topic.topic_id, code, "delete.topic.enable is false"});
        }
        for (const std::string& name : request.topic_names) {
            refused.responses.push_back({name, {}, code, "delete.topic.enable is false"});
        }
        co_return refused;
    }
    auto deleting = context.shard.delete_topics(context.version(), std::move(request));
    protocol::DeleteTopicsResponse response = co_await std::move(deleting);
    log_refusals(context, "delete topic", response.responses);
    co_return response;
}

}  // namespace ottla::server
