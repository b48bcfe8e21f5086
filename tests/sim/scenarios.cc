// SPDX-License-Identifier: Apache-2.0
// The list of scenarios, and the one of the simulator itself: an echo server under every fault.
#include <fmt/format.h>

#include <array>

#include "tests/sim/bugs.h"
#include "tests/sim/echo_world.h"
#include "tests/sim/scenario.h"

namespace ottla::sim {

ScenarioOutcome run_echo_scenario(const ScenarioOptions& options) {
    EchoWorld echo({.seed = options.seed, .calls = 60, .verbose = options.verbose});
    World& world = echo.world;
    Random random = world.random_for("scenario");
    world.network().faults.reset = 2'000;
    const uint64_t strikes = random.between(1, 6);
    for (uint64_t i = 0; i < strikes && echo.clients_running != 0; ++i) {
        world.run_events(random.between(20, 1500));
        const uint64_t what = random.below(4);
        if (what == 0) echo.server.kill();
        if (what == 1) echo.machine.power_cut();
        if (what == 2) world.network().block("server", "client-1");
        if (what == 3) echo.server.pause();
        world.run_for(std::chrono::milliseconds(static_cast<int64_t>(random.between(1, 900))));
        if (!echo.server.is_running()) echo.start_server();
        echo.server.resume();
        world.network().heal_all();
    }
    const bool finished = echo.run_to_end(world.now() + std::chrono::seconds(120));
    echo.machine.power_cut();
    ScenarioOutcome outcome{.trace = world.trace_hash(), .events = world.events()};
    outcome.seconds = std::chrono::duration<double>(world.now()).count();
    if (!finished) outcome.failure = "liveness: a client still waits after all faults ended";
    const auto missing = echo.missing();
    if (!missing.empty()) {
        outcome.failure = fmt::format("durability: {} answered entries are gone, first: {:.30}",
                                      missing.size(), missing.front());
    }
    return outcome;
}

std::span<const Scenario> scenarios() {
    static constexpr std::array kScenarios = {
        Scenario{.name = "echo",
                 .about = "the simulator's own echo server under every fault",
                 .run = run_echo_scenario,
                 .bugs = {}},
        Scenario{.name = "storage",
                 .about = "random work on the logs of two directories, on disks that fail",
                 .run = run_storage_scenario,
                 .bugs = kBugNames},
        Scenario{.name = "points",
                 .about = "a short story of logs, with a fault at every write and sync in turn",
                 .run = run_points_scenario,
                 .bugs = kBugNames,
                 .only_by_name = true},
        Scenario{.name = "damage",
                 .about = "logs of two directories, in whose files bits flip",
                 .run = run_damage_scenario,
                 .bugs = {}},
        Scenario{.name = "cluster",
                 .about = "a broker and its clients, under every fault",
                 .run = run_cluster_scenario,
                 .bugs = kBrokerBugs},
    };
    return kScenarios;
}

}  // namespace ottla::sim
