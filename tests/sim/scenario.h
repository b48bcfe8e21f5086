// SPDX-License-Identifier: Apache-2.0
// A scenario is one kind of simulated run: built from a seed, driven to its end, judged by
// invariants. `ottla_sim --scenario NAME` runs one kind, without it every kind for each seed.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace ottla::sim {

struct ScenarioOptions {
    uint64_t seed = 1;
    std::string bug;  ///< a planted bug by name, empty for none
    bool verbose = false;
    uint64_t fault_at = 0;  ///< of a scenario that strikes everywhere: only there
};

struct ScenarioOutcome {
    uint64_t trace = 0;
    uint64_t events = 0;
    double seconds = 0;   ///< simulated
    std::string failure;  ///< empty: every invariant held; else which one, and how
};

struct Scenario {
    const char* name;
    const char* about;
    ScenarioOutcome (*run)(const ScenarioOptions& options);
    std::span<const char* const> bugs;  ///< what --bug may name
    bool only_by_name = false;          ///< too long for a run of all scenarios
};

/// All of them, in the order in which they run.
std::span<const Scenario> scenarios();

ScenarioOutcome run_echo_scenario(const ScenarioOptions& options);
ScenarioOutcome run_storage_scenario(const ScenarioOptions& options);
ScenarioOutcome run_damage_scenario(const ScenarioOptions& options);
ScenarioOutcome run_points_scenario(const ScenarioOptions& options);
ScenarioOutcome run_cluster_scenario(const ScenarioOptions& options);

}  // namespace ottla::sim
