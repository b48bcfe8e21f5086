// SPDX-License-Identifier: Apache-2.0
#include "broker/node_facts.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace ottla::broker {

namespace {

Status bad(std::string_view text, std::string_view why) {
    return fail(ErrorCode::invalid_config, fmt::format("listener \"{}\": {}", text, why));
}

Result<ListenerConfig> parse_one(std::string_view text) {
    const size_t scheme = text.find("://");
    if (scheme == std::string_view::npos || scheme == 0) {
        TRY_STATUS(bad(text, "it should look like PLAINTEXT://host:9092"));
    }
    ListenerConfig listener{.name = std::string(text.substr(0, scheme)), .host = {}};
    const std::string_view address = text.substr(scheme + 3);
    const size_t colon = address.rfind(':');
    if (colon == std::string_view::npos) TRY_STATUS(bad(text, "the port is missing"));
    std::string_view host = address.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    listener.host = host;
    const std::string_view port = address.substr(colon + 1);
    const auto [end, error] =
        std::from_chars(port.data(), port.data() + port.size(), listener.port);
    if (error != std::errc() || end != port.data() + port.size()) {
        TRY_STATUS(bad(text, "the port is a number from 0 to 65535"));
    }
    return listener;
}

/// The protocol of a listener's name, by listener.security.protocol.map.
std::string protocol_of(const Settings& settings, const std::string& name) {
    for (const std::string& entry : settings.list("listener.security.protocol.map")) {
        const size_t colon = entry.find(':');
        if (colon != std::string::npos && entry.substr(0, colon) == name)
            return entry.substr(colon + 1);
    }
    return name;
}

}  // namespace

Result<std::vector<ListenerConfig>> parse_listeners(std::string_view text) {
    std::vector<ListenerConfig> listeners;
    for (const std::string& item : split_list(text)) {
        TRY(ListenerConfig one, parse_one(item));
        for (const ListenerConfig& other : listeners) {
            if (other.name == one.name) TRY_STATUS(bad(item, "the name is used twice"));
        }
        listeners.push_back(std::move(one));
    }
    return listeners;
}

Result<std::vector<ListenerConfig>> client_listeners(const Settings& settings) {
    TRY(auto listeners, parse_listeners(settings.text("listeners")));
    const auto controllers = settings.list("controller.listener.names");
    std::erase_if(listeners, [&controllers](const ListenerConfig& listener) {
        return std::ranges::find(controllers, listener.name) != controllers.end();
    });
    if (listeners.empty()) {
        return fail(ErrorCode::invalid_config, "listeners: none is left for clients");
    }
    for (const ListenerConfig& listener : listeners) {
        const std::string protocol = protocol_of(settings, listener.name);
        if (protocol != "PLAINTEXT") {
            TRY_STATUS(bad(listener.name,
                           fmt::format("{} is not supported yet, only PLAINTEXT is", protocol)));
        }
    }
    return listeners;
}

}  // namespace ottla::broker
