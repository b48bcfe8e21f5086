// SPDX-License-Identifier: Apache-2.0
#include "client/client.h"

#include <fmt/format.h>

#include <charconv>

#include "ottla/settings.h"

namespace ottla::client {

Client::Client(Ports ports, std::vector<Endpoint> bootstrap, ConnectionOptions options)
    : ports_(ports), bootstrap_(std::move(bootstrap)), options_(std::move(options)) {
    CHECK(!bootstrap_.empty(), "a client needs somebody to ask");
}

Task<> Client::drop_ended() {
    for (auto at = connections_.begin(); at != connections_.end();) {
        if (!at->second->has_ended()) {
            ++at;
            continue;
        }
        std::unique_ptr<Connection> gone = std::move(at->second);
        at = connections_.erase(at);
        co_await gone->close();
        at = connections_.begin();  // The map may have changed while this waited.
    }
}

Task<Result<Connection*>> Client::connect(Endpoint endpoint, Instant deadline) {
    co_await drop_ended();
    const auto known = connections_.find(endpoint);
    if (known != connections_.end()) co_return known->second.get();
    CO_TRY(auto fresh, co_await Connection::open(ports_, endpoint, options_, deadline));
    auto& slot = connections_[endpoint];
    if (slot == nullptr) {
        slot = std::move(fresh);
        co_return slot.get();
    }
    // Somebody else has opened one meanwhile: theirs stays, since calls may be in flight on it.
    co_await fresh->close();
    const auto theirs = connections_.find(endpoint);
    if (theirs == connections_.end()) {
        co_return fail(ErrorCode::connection_reset, "the connection ended while it was shared");
    }
    co_return theirs->second.get();
}

Task<Result<Connection*>> Client::any(Instant deadline) {
    for (const auto& [endpoint, connection] : connections_) {
        if (!connection->has_ended()) co_return connection.get();
    }
    Error last{ErrorCode::connection_refused, {}};
    for (const Endpoint& endpoint : bootstrap_) {
        auto connection = co_await connect(endpoint, deadline);
        if (connection) co_return *connection;
        last = connection.error();
    }
    last.detail =
        fmt::format("no broker of {} answers: {}", to_string(bootstrap_.front()), last.detail);
    co_return std::unexpected(last);
}

Task<Result<Connection*>> Client::broker(BrokerId id, Instant deadline) {
    const auto found = brokers_.find(id);
    if (found == brokers_.end()) {
        co_return fail(ErrorCode::broker_not_available,
                       fmt::format("broker {} is unknown", id.value()));
    }
    co_return co_await connect(found->second, deadline);
}

void Client::learn(const protocol::MetadataResponse& metadata) {
    for (const auto& broker : metadata.brokers) {
        brokers_[BrokerId{broker.node_id}] = {broker.host, static_cast<uint16_t>(broker.port)};
    }
    for (const auto& entry : metadata.topics) {
        if (entry.error_code != 0 || !entry.name) continue;
        Topic topic{.name = *entry.name, .id = entry.topic_id, .leaders = {}};
        for (const auto& partition : entry.partitions) {
            topic.leaders[partition.partition_index] = BrokerId{partition.leader_id};
        }
        topics_[*entry.name] = std::move(topic);
    }
}

Task<Result<Topic>> Client::topic(std::string name, bool create, Instant deadline) {
    const auto cached = topics_.find(name);
    if (cached != topics_.end()) co_return cached->second;
    CO_TRY(Connection * connection, co_await any(deadline));
    protocol::MetadataRequest request;
    request.allow_auto_topic_creation = create;
    request.topics.emplace().push_back({.name = name});
    CO_TRY(auto metadata, co_await connection->call(std::move(request), deadline));
    learn(metadata);
    const auto found = topics_.find(name);
    if (found != topics_.end()) co_return found->second;
    const auto code = metadata.topics.empty()
                          ? ErrorCode::unknown_topic_or_partition
                          : static_cast<ErrorCode>(metadata.topics[0].error_code);
    co_return fail(code, fmt::format("topic {}: {}", name, name_of(code)));
}

Task<Result<Connection*>> Client::leader(std::string name, int32_t partition, Instant deadline) {
    CO_TRY(const Topic found, co_await topic(name, false, deadline));
    const auto leader = found.leaders.find(partition);
    if (leader == found.leaders.end()) {
        co_return fail(ErrorCode::unknown_topic_or_partition,
                       fmt::format("topic {} has no partition {}", name, partition));
    }
    if (leader->second == kNoBroker) {
        forget(name);
        co_return fail(ErrorCode::leader_not_available,
                       fmt::format("{}-{} has no leader", name, partition));
    }
    co_return co_await broker(leader->second, deadline);
}

Task<> Client::close() {
    while (!connections_.empty()) {
        auto node = connections_.extract(connections_.begin());
        co_await node.mapped()->close();
    }
}

Result<std::vector<Endpoint>> parse_bootstrap(std::string_view text) {
    std::vector<Endpoint> endpoints;
    for (const std::string& item : split_list(text)) {
        Endpoint endpoint{.host = item, .port = 9092};
        const size_t colon = item.rfind(':');
        const bool literal = item.starts_with('[');
        const size_t host_end = literal ? item.find(']') : std::min(colon, item.size());
        if (host_end == std::string::npos || host_end == 0) {
            return fail(ErrorCode::invalid_argument, fmt::format("'{}' is not host:port", item));
        }
        endpoint.host = literal ? item.substr(1, host_end - 1) : item.substr(0, host_end);
        const std::string_view rest = std::string_view(item).substr(host_end + (literal ? 1 : 0));
        if (!rest.empty()) {
            const char* end = rest.data() + rest.size();
            const auto parsed = std::from_chars(rest.data() + 1, end, endpoint.port);
            if (rest.front() != ':' || parsed.ec != std::errc{} || parsed.ptr != end) {
                return fail(ErrorCode::invalid_argument,
                            fmt::format("'{}' is not host:port", item));
            }
        }
        endpoints.push_back(std::move(endpoint));
    }
    if (endpoints.empty()) return fail(ErrorCode::invalid_argument, "no bootstrap server given");
    return endpoints;
}

}  // namespace ottla::client
