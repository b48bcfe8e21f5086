// SPDX-License-Identifier: Apache-2.0
// What is particular to one run of the cluster scenario, drawn from its seed before anything
// starts: how the broker and the topics are configured, what clients send, which faults may happen.
// A mood never asks for something that the invariants do not cover: with relaxed durability power
// stays on.
// pure
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "records/codec.h"
#include "tests/sim/random.h"

namespace ottla::sim {

struct ClusterMood {
    using Settings = std::vector<std::pair<std::string, std::string>>;

    Settings broker;              ///< beyond what every broker of the scenario has
    Settings topics;              ///< configs of the producers' topics
    uint64_t record_bytes = 200;  ///< the longest record
    uint64_t fetch_bytes = 1500;  ///< most of one partition in one fetch
    Codec codec = Codec::none;    ///< of the producers
    bool power_may_fail = true;
    bool disk_may_fail = false;  ///< errors or no space: a broker may end by itself
    bool has_vandal = false;
    uint32_t reset = 0;  ///< network faults, per million
    uint32_t stall = 200;
};

ClusterMood draw_mood(Random random);

}  // namespace ottla::sim
