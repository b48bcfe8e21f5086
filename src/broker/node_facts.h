// SPDX-License-Identifier: Apache-2.0
// What every shard knows of its own node: fixed once the log directories were opened, before
// anything is served. Read from all shards, written by none of them afterwards. pure
#pragma once

#include <string>
#include <vector>

#include "broker/memory_plan.h"
#include "ottla/settings.h"
#include "ottla/test_faults.h"
#include "ottla/types.h"

namespace ottla::broker {

/// One entry of `listeners`.
struct ListenerConfig {
    std::string name;
    std::string host;  ///< empty: all addresses
    uint16_t port = 0;
    bool operator==(const ListenerConfig&) const = default;
};

struct NodeFacts {
    Settings settings;
    BrokerId id = kNoBroker;
    std::string cluster_id;
    /// Without those of controllers.
    std::vector<ListenerConfig> listeners;
    /// advertised.listeners is unset: clients are told the address that they dialled.
    bool auto_advertise = true;
    uint32_t shard_count = 1;
    TestFaults faults;
    /// Of each shard.
    MemoryPlan memory = plan_memory(0, 0, 1);
};

/// "NAME://host:port, ..." with brackets around IPv6 literals. invalid_config names what is wrong.
Result<std::vector<ListenerConfig>> parse_listeners(std::string_view text);
/// The listeners of `settings` that clients use. Only PLAINTEXT is served for now; others are
/// refused.
Result<std::vector<ListenerConfig>> client_listeners(const Settings& settings);

}  // namespace ottla::broker
