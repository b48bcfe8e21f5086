// SPDX-License-Identifier: Apache-2.0
#include "server/handlers/common.h"

namespace ottla::server {

bool is_valid_topic_name(std::string_view name) {
    if (name.empty() || name.size() > 249 || name == "." || name == "..") return false;
    return std::ranges::all_of(name, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '.' || c == '_' || c == '-';
    });
}

std::optional<Endpoint> endpoint_for(const Context& context, const metadata::Broker& broker) {
    const auto& facts = context.shard.facts();
    if (broker.id == facts.id && facts.auto_advertise) return context.session.local;
    const metadata::ListenerEndpoint* registered = broker.endpoint(context.session.listener);
    if (registered == nullptr) return std::nullopt;
    return Endpoint{registered->host, registered->port};
}

int32_t some_live_broker(const Context& context) {
    const auto brokers = context.image().live_brokers();
    if (brokers.empty()) return kNoBroker.value();
    const uint64_t draw = context.shard.runtime().random();
    return brokers[draw % brokers.size()]->id.value();
}

}  // namespace ottla::server
