// SPDX-License-Identifier: Apache-2.0
// Network: which hosts there are, what listens where, how the links between them behave.
//
// A host is a machine's name; "localhost" and "127.0.0.1" are the caller's own. Links are directed,
// so partitions may be one-sided. What is in flight when a link is blocked waits, as TCP would have
// it, until the link heals or the connection times out.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/sim/connection.h"
#include "tests/sim/random.h"
#include "tests/sim/world.h"

namespace ottla::sim {

class Machine;
class SimListener;
class SimTransport;

struct NetworkFaults {
    Duration latency_low = std::chrono::microseconds(40);
    Duration latency_high = std::chrono::microseconds(300);
    Duration per_mebibyte = std::chrono::microseconds(800);
    Duration give_up_after = std::chrono::seconds(20);  ///< TCP's patience with a silent peer
    uint32_t cut = 300'000;                             ///< a read delivers less than there is
    uint32_t stall = 200;                               ///< a piece takes `stall_by` longer
    Duration stall_by = std::chrono::milliseconds(60);
    uint32_t reset = 0;  ///< a piece that arrives kills its connection instead
    size_t window = size_t{256} << 10U;
};

class Network {
public:
    explicit Network(World& world);

    NetworkFaults faults;

    void add_host(const std::string& name, Machine& machine) { hosts_[name] = &machine; }
    void block(const std::string& from, const std::string& to) {
        links_[{from, to}].blocked = true;
    }
    void unblock(const std::string& from, const std::string& to);
    void block_both(const std::string& a, const std::string& b);
    void slow(const std::string& from, const std::string& to, Duration by) {
        links_[{from, to}].slower_by = by;
    }
    void heal_all();
    [[nodiscard]] bool is_blocked(const std::string& from, const std::string& to) const;
    /// Resets every connection, or those of one host.
    void reset_connections(const std::string& host = {});

    // For transports.
    struct Port {
        const Incarnation* owner = nullptr;
        std::vector<SimListener*> listeners;
        size_t next = 0;
    };
    Port* port(const std::string& host, uint16_t number);
    /// Binds a listener of one shard; the number it got, or 0 when another process has it.
    uint16_t bind(const std::string& host, uint16_t number, SimListener& listener);
    void unbind(const std::string& host, uint16_t number, SimListener& listener);
    [[nodiscard]] bool knows(const std::string& host) const { return hosts_.contains(host); }
    [[nodiscard]] bool has_power(const std::string& host) const;
    std::shared_ptr<Connection> make_connection();
    void process_died(const Incarnation& incarnation, bool without_power);
    Duration latency(const std::string& from, const std::string& to, size_t bytes);
    uint16_t ephemeral_port() { return static_cast<uint16_t>(32768 + next_ephemeral_++ % 28000); }
    Random& random() { return random_; }
    World& world() { return world_; }

private:
    struct Link {
        bool blocked = false;
        Duration slower_by{};
    };
    std::vector<std::shared_ptr<Connection>> open_connections();

    World& world_;
    Random random_;
    std::map<std::string, Machine*> hosts_;
    std::map<std::pair<std::string, std::string>, Link> links_;
    std::map<std::pair<std::string, uint16_t>, Port> ports_;
    std::map<uint64_t, std::weak_ptr<Connection>> connections_;
    uint64_t next_connection_ = 1;
    uint32_t next_ephemeral_ = 0;
};

}  // namespace ottla::sim
