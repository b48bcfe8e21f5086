// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/network.h"

#include <algorithm>

#include "tests/sim/machine.h"
#include "tests/sim/sim_transport.h"

namespace ottla::sim {

Network::Network(World& world) : world_(world), random_(world.random_for("network")) {}

bool Network::is_blocked(const std::string& from, const std::string& to) const {
    const auto link = links_.find({from, to});
    return link != links_.end() && link->second.blocked;
}

void Network::block_both(const std::string& a, const std::string& b) {
    block(a, b);
    block(b, a);
}

void Network::unblock(const std::string& from, const std::string& to) {
    links_[{from, to}].blocked = false;
    for (const auto& connection : open_connections()) connection->healed();
}

void Network::heal_all() {
    links_.clear();
    for (const auto& connection : open_connections()) connection->healed();
}

void Network::reset_connections(const std::string& host) {
    for (const auto& connection : open_connections()) {
        const bool concerned =
            host.empty() || connection->side(0).host == host || connection->side(1).host == host;
        if (concerned) connection->reset_both();
    }
}

std::vector<std::shared_ptr<Connection>> Network::open_connections() {
    std::vector<std::shared_ptr<Connection>> open;
    for (auto at = connections_.begin(); at != connections_.end();) {
        if (auto connection = at->second.lock()) {
            open.push_back(std::move(connection));
            ++at;
        } else {
            at = connections_.erase(at);
        }
    }
    return open;
}

Network::Port* Network::port(const std::string& host, uint16_t number) {
    const auto at = ports_.find({host, number});
    return at == ports_.end() ? nullptr : &at->second;
}

uint16_t Network::bind(const std::string& host, uint16_t number, SimListener& listener) {
    const Incarnation* owner = &listener.transport().runtime().incarnation();
    if (number == 0) {
        // Every shard of a process asks for port 0 with the same endpoint and means the same port.
        number = 20000;
        while (port(host, number) != nullptr && port(host, number)->owner != owner) ++number;
    }
    Port& bound = ports_[{host, number}];
    if (bound.owner != nullptr && bound.owner != owner) return 0;
    bound.owner = owner;
    bound.listeners.push_back(&listener);
    return number;
}

void Network::unbind(const std::string& host, uint16_t number, SimListener& listener) {
    Port* bound = port(host, number);
    if (bound == nullptr) return;
    std::erase(bound->listeners, &listener);
    if (bound->listeners.empty()) ports_.erase({host, number});
}

bool Network::has_power(const std::string& host) const {
    const auto at = hosts_.find(host);
    return at != hosts_.end() && at->second->has_power();
}

std::shared_ptr<Connection> Network::make_connection() {
    const uint64_t id = next_connection_++;
    auto connection = std::make_shared<Connection>(*this, id);
    connections_.emplace(id, connection);
    return connection;
}

void Network::process_died(const Incarnation& incarnation, bool without_power) {
    for (auto at = ports_.begin(); at != ports_.end();) {
        if (at->second.owner == &incarnation) {
            for (SimListener* listener : at->second.listeners) listener->forget_port();
            at = ports_.erase(at);
        } else {
            ++at;
        }
    }
    for (const auto& connection : open_connections()) {
        for (size_t i = 0; i < 2; ++i) {
            const SimTransport* owner = connection->side(i).owner;
            if (&owner->runtime().incarnation() == &incarnation) {
                connection->process_died(i, without_power);
            }
        }
    }
}

Duration Network::latency(const std::string& from, const std::string& to, size_t bytes) {
    const auto low = static_cast<uint64_t>(faults.latency_low.count());
    const auto high = static_cast<uint64_t>(faults.latency_high.count());
    uint64_t span = random_.between(low, high);
    span += static_cast<uint64_t>(faults.per_mebibyte.count()) * bytes / (uint64_t{1} << 20U);
    if (random_.chance(faults.stall)) span += static_cast<uint64_t>(faults.stall_by.count());
    const auto link = links_.find({from, to});
    const Duration extra = link == links_.end() ? Duration{} : link->second.slower_by;
    return Duration{static_cast<int64_t>(span)} + extra;
}

}  // namespace ottla::sim
