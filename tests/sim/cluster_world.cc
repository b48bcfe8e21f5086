// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/cluster_world.h"

#include <fmt/format.h>

#include "tests/sim/bugs.h"
#include "tests/sim/scenario.h"
#include "tests/sim/workload.h"

namespace ottla::sim {

/// The process of the broker: starts it, ends with it.
class BrokerProgram final : public Program {
public:
    BrokerProgram(ClusterWorld& world, Process& process) : world_(world), process_(process) {
        BrokerParts parts{.settings = settings(),
                          .shards = process.all_ports(),
                          .log = world,
                          .faults = world.options.bugs};
        Result<std::unique_ptr<Broker>> made = make_broker(std::move(parts));
        CHECK(made.has_value(), "the settings are right");
        broker_ = *std::move(made);
        process.runtime(0).spawn(run());
    }

    [[nodiscard]] bool is_serving() const { return serving_; }
    [[nodiscard]] bool has_ended() const { return ended_; }
    void begin_stop() { process_.runtime(0).spawn(stop()); }

private:
    static Settings settings() {
        Settings settings;
        const auto set = [&settings](std::string_view name, const std::string& value) {
            const Status done = settings.set(name, value, Settings::Source::file);
            CHECK(done.has_value(), "the setting exists");
        };
        set("process.roles", "broker,controller");
        set("node.id", "1");
        set("controller.quorum.voters", "1@broker:9093");
        set("controller.listener.names", "CONTROLLER");
        set("listeners", "PLAINTEXT://broker:9092,CONTROLLER://broker:9093");
        set("log.dirs", "/data/kafka");
        return settings;
    }
    Task<> run() {
        const Status started = co_await broker_->start();
        if (!started) {
            if (!world_.broker_may_fail) {
                world_.history.fail("the broker does not start: " + started.error().detail);
            }
            ended_ = true;
            co_return;
        }
        serving_ = true;
        const Error why = co_await broker_->failed();
        if (why.code == ErrorCode::cancelled) co_return;
        if (!world_.broker_may_fail) world_.history.fail("the broker fails: " + why.detail);
        ended_ = true;
    }
    Task<> stop() {
        co_await broker_->stop();
        ended_ = true;
    }

    ClusterWorld& world_;
    Process& process_;
    std::unique_ptr<Broker> broker_;
    bool serving_ = false;
    bool ended_ = false;
};

ClusterWorld::ClusterWorld(const ClusterOptions& given)
    : world(WorldOptions{.seed = given.seed, .shuffle = true, .verbose = given.verbose}),
      machine(world.add_machine(kBrokerHost)),
      broker(machine.add_process("broker", 1)),
      random(world.random_for("scenario")),
      options(given) {}

void ClusterWorld::write(LogLevel level, std::string_view line) {
    world.trace(hash_of(line));
    world.note(fmt::format("broker log {}: {}", static_cast<int>(level), line));
}

void ClusterWorld::start_broker() {
    const auto shards = static_cast<uint32_t>(random.between(1, 4));
    broker.start([this](Process& now) { return std::make_unique<BrokerProgram>(*this, now); },
                 shards);
}

void ClusterWorld::stop_broker() {
    auto* program = static_cast<BrokerProgram*>(broker.program());
    const Duration limit = world.now() + std::chrono::seconds(30);
    // Whoever stops a broker that still starts has to wait for it, as the program itself does.
    bool begun = false;
    while (!program->has_ended() && world.now() < limit) {
        if (program->is_serving() && !std::exchange(begun, true)) program->begin_stop();
        if (!world.step()) break;
    }
    if (!program->has_ended()) history.fail("liveness: a clean stop does not come to its end");
    broker.kill();
}

void ClusterWorld::run_events(uint64_t count) {
    for (uint64_t i = 0; i < count && clients_running != 0 && failure().empty(); ++i) {
        if (!world.step()) break;
    }
}

void ClusterWorld::start_clients() {
    for (uint32_t i = 0; i < options.producers; ++i) start_producer(*this, i);
    start_reader(*this);
    start_admin(*this);
}

bool ClusterWorld::run_to_end(Duration limit) {
    const Duration end = world.now() + limit;
    while (clients_running != 0 && failure().empty() && world.now() < end && world.step()) continue;
    return clients_running == 0;
}

void ClusterWorld::check_at_end() {
    if (!failure().empty()) return;
    machine.power_cut();
    start_broker();
    start_checker(*this);
    if (!run_to_end(std::chrono::seconds(120))) {
        history.fail("liveness: not everything can be read at the end");
    }
}

namespace {

void strike(ClusterWorld& cluster) {
    Random& random = cluster.random;
    Network& network = cluster.world.network();
    const auto pause = static_cast<int64_t>(random.between(1, 800));
    const uint64_t what = random.below(12);
    if (what < 3) cluster.broker.kill();
    if (what >= 3 && what < 7) cluster.machine.power_cut();
    if (what == 7) cluster.stop_broker();
    if (what == 8) cluster.broker.pause();
    if (what == 9) network.reset_connections(kBrokerHost);
    if (what == 10) network.block(kBrokerHost, "client-0");
    if (what == 11) network.block_both(kBrokerHost, "client-1");
    if (random.below(3) != 0) cluster.world.run_for(std::chrono::milliseconds(pause));
    if (!cluster.broker.is_running()) cluster.start_broker();
    cluster.broker.resume();
    network.heal_all();
}

}  // namespace

ScenarioOutcome run_cluster_scenario(const ScenarioOptions& options) {
    ClusterOptions cluster_options{.seed = options.seed, .verbose = options.verbose};
    set_bug(cluster_options.bugs, options.bug);
    ClusterWorld cluster(cluster_options);
    const uint64_t network_mood = cluster.random.below(4);
    if (network_mood == 0) cluster.world.network().faults.reset = 3'000;
    if (network_mood == 1) cluster.world.network().faults.stall = 10'000;
    cluster.start_broker();
    cluster.start_clients();
    const uint64_t strikes = cluster.random.between(2, 8);
    for (uint64_t i = 0; i < strikes && cluster.failure().empty(); ++i) {
        cluster.run_events(cluster.random.between(50, 8000));
        if (cluster.clients_running == 0) break;
        if (cluster.failure().empty()) strike(cluster);
    }
    cluster.world.network().faults.reset = 0;
    if (!cluster.run_to_end(std::chrono::seconds(300)) && cluster.failure().empty()) {
        cluster.history.fail("liveness: clients still wait long after all faults ended");
    }
    cluster.check_at_end();
    ScenarioOutcome outcome;
    outcome.trace = cluster.world.trace_hash();
    outcome.events = cluster.world.events();
    outcome.seconds = std::chrono::duration<double>(cluster.world.now()).count();
    outcome.failure = cluster.failure();
    return outcome;
}

}  // namespace ottla::sim
