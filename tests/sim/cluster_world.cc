// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/cluster_world.h"

#include <fmt/format.h>

#include <array>

#include "tests/sim/workload.h"

namespace ottla::sim {

namespace {
// A disk that is too small: for the journals of all shards, or for what the clients write.
constexpr uint64_t kLeastSpace = uint64_t{3} << 20U;
constexpr uint64_t kMostSpace = uint64_t{24} << 20U;
constexpr uint64_t kEnoughSpace = uint64_t{1} << 40U;
}  // namespace

/// The process of the broker: starts it, ends with it.
class BrokerProgram final : public Program {
public:
    BrokerProgram(ClusterWorld& world, Process& process) : world_(world), process_(process) {
        BrokerParts parts{.settings = settings(world.mood),
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
    static Settings settings(const ClusterMood& mood) {
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
        set("ottla.disk.reserve.bytes", "2097152");  // Of disks that may have a few more.
        for (const auto& [name, value] : mood.broker) set(name, value);
        return settings;
    }
    /// As the program itself does: what cannot go on is stopped and ends.
    Task<> run() {
        const Status started = co_await broker_->start();
        if (started) {
            serving_ = true;
            const Error why = co_await broker_->failed();
            if (why.code == ErrorCode::cancelled) co_return;
            expected(world_.mood.disk_may_fail, "the broker fails: " + why.detail);
        } else {
            expected(world_.mood.disk_may_fail, "no start: " + started.error().detail);
        }
        co_await stop();
    }
    void expected(bool may_be, const std::string& what) {
        if (!may_be) world_.history.fail(what);
    }
    Task<> stop() {
        if (std::exchange(stopping_, true)) co_return;
        (void)co_await broker_->stop();  // A disk that fails may keep it from a clean one.
        ended_ = true;
    }

    ClusterWorld& world_;
    Process& process_;
    std::unique_ptr<Broker> broker_;
    bool serving_ = false;
    bool stopping_ = false;
    bool ended_ = false;
};

ClusterWorld::ClusterWorld(const ClusterOptions& given)
    : world(WorldOptions{.seed = given.seed, .shuffle = true, .verbose = given.verbose}),
      machine(world.add_machine(kBrokerHost)),
      broker(machine.add_process("broker", 1)),
      random(world.random_for("scenario")),
      options(given),
      mood(draw_mood(world.random_for("mood"))) {
    machine.clock().drift_per_million = static_cast<int64_t>(random.below(400)) - 200;
}

void ClusterWorld::begin_faults() {
    world.network().faults.reset = mood.reset;
    world.network().faults.stall = mood.stall;
    for (const auto& [name, value] : mood.broker)
        world.note("broker setting " + name + "=" + value);
    for (const auto& [name, value] : mood.topics) world.note("topic config " + name + "=" + value);
    DiskFaults& disk = machine.disk().faults;
    if (random.below(6) == 0) disk.slow_operation = 1'000;
    if (!mood.disk_may_fail) return;
    static constexpr std::array kNames = {"syncs fail", "writes fail", "reads fail", "it is small"};
    const uint64_t which = random.below(kNames.size());
    world.note(fmt::format("disk: {}", kNames.at(which)));
    if (which == 0) disk.sync_error = 1'000;
    if (which == 1) disk.write_error = 1'000;
    if (which == 2) disk.read_error = 1'000;
    if (which == 3) machine.disk().set_capacity(random.between(kLeastSpace, kMostSpace));
}

void ClusterWorld::end_faults() {
    world.network().faults.reset = 0;
    machine.disk().faults = {};
    machine.disk().set_capacity(kEnoughSpace);
    if (!mood.disk_may_fail) return;
    // What a disk fault took offline comes back with the next start.
    broker.kill();
    start_broker();
}

void ClusterWorld::write(LogLevel level, std::string_view line) {
    world.trace(hash_of(line));
    world.note(fmt::format("broker log {}: {}", static_cast<int>(level), line));
}

void ClusterWorld::start_broker() {
    const auto shards = static_cast<uint32_t>(random.between(1, 4));
    broker.start([this](Process& now) { return std::make_unique<BrokerProgram>(*this, now); },
                 shards);
}

bool ClusterWorld::begin_stop() {
    auto* program = static_cast<BrokerProgram*>(broker.program());
    if (program == nullptr || !program->is_serving()) return false;
    program->begin_stop();
    return true;
}

void ClusterWorld::stop_broker() {
    if (!broker.is_running()) return;
    auto* program = static_cast<BrokerProgram*>(broker.program());
    const Duration limit = world.now() + std::chrono::seconds(30);
    // Whoever stops a broker that still starts has to wait for it, as the program itself does.
    bool begun = false;
    while (!program->has_ended() && world.now() < limit) {
        if (!begun) begun = begin_stop();
        if (!world.step()) break;
    }
    if (!program->has_ended()) history.fail("liveness: a clean stop does not come to its end");
    broker.kill();
}

bool ClusterWorld::step() {
    const auto* program = static_cast<BrokerProgram*>(broker.program());
    if (program != nullptr && program->has_ended()) {
        broker.kill();
        const auto pause = std::chrono::milliseconds(static_cast<int64_t>(random.between(1, 300)));
        world.schedule_in(pause, EventKind::control, [this] {
            if (!broker.is_running()) start_broker();
        });
    }
    return world.step();
}

void ClusterWorld::run_events(uint64_t count) {
    for (uint64_t i = 0; i < count && clients_running != 0 && failure().empty(); ++i) {
        if (!step()) break;
    }
}

void ClusterWorld::start_clients() {
    for (uint32_t i = 0; i < options.producers; ++i) start_producer(*this, i);
    start_reader(*this);
    start_admin(*this);
    if (mood.has_vandal) start_vandal(*this);
}

void ClusterWorld::start_checker() { sim::start_checker(*this); }

bool ClusterWorld::run_to_end(Duration limit) {
    const Duration end = world.now() + limit;
    while (clients_running != 0 && failure().empty() && world.now() < end && step()) continue;
    return clients_running == 0 && failure().empty();
}

}  // namespace ottla::sim
