// SPDX-License-Identifier: Apache-2.0
// The cluster scenario: clients work, the broker is struck a few times, faults end, clients finish,
// everything is read again after a last crash.
#include "tests/sim/bugs.h"
#include "tests/sim/cluster_world.h"
#include "tests/sim/scenario.h"

namespace ottla::sim {

namespace {

/// A crash of the kind that the mood allows.
void crash(ClusterWorld& cluster) {
    const bool power = cluster.random.below(2) == 0;
    if (power && cluster.mood.power_may_fail) {
        cluster.machine.power_cut();
    } else {
        cluster.broker.kill();
    }
}

/// Killed somewhere on the way of a clean stop.
void crash_in_stop(ClusterWorld& cluster) {
    if (!cluster.begin_stop()) return;
    const uint64_t events = cluster.random.between(1, 600);
    cluster.run_events(events);
    crash(cluster);
}

void step_clock(ClusterWorld& cluster) {
    const auto step = static_cast<int64_t>(cluster.random.below(120'000));
    cluster.machine.clock().stepped_milliseconds += step - 60'000;
}

/// One fault begins; the caller heals.
void strike(ClusterWorld& cluster) {
    Network& network = cluster.world.network();
    const std::string client = cluster.random.below(2) == 0 ? "client-0" : "reader";
    switch (cluster.random.below(16)) {
        case 0:
        case 1:
        case 2:
        case 3:
        case 4:
        case 5: return crash(cluster);
        case 6:
        case 7: return cluster.stop_broker();
        case 8: return crash_in_stop(cluster);
        case 9: return cluster.broker.pause();
        case 10: return network.reset_connections(kBrokerHost);
        case 11: return network.block(kBrokerHost, client);
        case 12: return network.block(client, kBrokerHost);
        case 13: return network.block_both(kBrokerHost, client);
        case 14: return network.slow(client, kBrokerHost, std::chrono::milliseconds(150));
        default: return step_clock(cluster);
    }
}

/// A fault, a while without help, and its end. Sometimes the broker is started and hit again at
/// once: a crash in recovery.
void strike_and_heal(ClusterWorld& cluster) {
    strike(cluster);
    const auto pause = static_cast<int64_t>(cluster.random.between(1, 1500));
    if (cluster.random.below(3) != 0) cluster.world.run_for(std::chrono::milliseconds(pause));
    if (!cluster.broker.is_running()) cluster.start_broker();
    cluster.broker.resume();
    if (cluster.random.below(5) == 0) {
        cluster.run_events(cluster.random.between(1, 600));
        crash(cluster);
        cluster.start_broker();
    }
    cluster.world.network().heal_all();
}

/// A last crash or stop; then every partition is read whole.
void check_at_end(ClusterWorld& cluster) {
    const uint64_t how = cluster.random.below(3);
    if (how == 0) cluster.stop_broker();
    if (how != 0) crash(cluster);
    if (!cluster.failure().empty()) return;
    cluster.start_broker();
    cluster.start_checker();
    if (!cluster.run_to_end(std::chrono::seconds(120))) {
        cluster.history.fail("liveness: not everything can be read at the end");
    }
}

}  // namespace

ScenarioOutcome run_cluster_scenario(const ScenarioOptions& options) {
    ClusterOptions cluster_options{.seed = options.seed, .verbose = options.verbose};
    set_bug(cluster_options.bugs, options.bug);
    ClusterWorld cluster(cluster_options);
    cluster.begin_faults();
    cluster.start_broker();
    cluster.start_clients();
    const uint64_t strikes = cluster.random.between(2, 8);
    for (uint64_t i = 0; i < strikes && cluster.failure().empty(); ++i) {
        cluster.run_events(cluster.random.between(50, 8000));
        if (cluster.clients_running == 0) break;
        if (cluster.failure().empty()) strike_and_heal(cluster);
    }
    cluster.end_faults();
    if (!cluster.run_to_end(std::chrono::seconds(300))) {
        cluster.history.fail("liveness: clients still wait long after all faults ended");
    }
    if (cluster.failure().empty()) check_at_end(cluster);
    ScenarioOutcome outcome;
    outcome.trace = cluster.world.trace_hash();
    outcome.events = cluster.world.events();
    outcome.seconds = std::chrono::duration<double>(cluster.world.now()).count();
    outcome.failure = cluster.failure();
    return outcome;
}

}  // namespace ottla::sim
