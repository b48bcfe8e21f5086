// SPDX-License-Identifier: Apache-2.0
// Machine: a host with one disk, one wall clock and some processes. Process: a program on 1-16
// shards with its own view of disk and network, that can be killed, paused and started again.
//
// Kill (-9) at any event: freeze its disk view (operations in flight settle by chance), let the
// network tell its peers, destroy the roots of every shard, then the program itself. Power cut: all
// processes die without a word to the network, then the disk keeps only what the crash contract
// says. A start makes new shards (an Incarnation); the old ones stay allocated, dead, for events
// that name them.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ottla/ports.h"
#include "tests/sim/sim_disk.h"
#include "tests/sim/sim_file_system.h"
#include "tests/sim/sim_runtime.h"
#include "tests/sim/sim_transport.h"
#include "tests/sim/world.h"

namespace ottla::sim {

/// What runs in a process; made by a factory that also spawns its first roots.
class Program {
public:
    virtual ~Program() = default;
};

class Process {
public:
    using Factory = std::function<std::unique_ptr<Program>(Process&)>;

    Process(Machine& machine, std::string name, uint32_t shard_count, uint64_t id);
    ~Process();
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;

    /// Boots shards and makes the program. Without a factory: bare shards for a test to use.
    void start(Factory factory = {}, uint32_t shard_count = 0);
    /// kill -9, now.
    void kill();
    void pause();
    void resume();

    [[nodiscard]] bool is_running() const { return now_ != nullptr; }
    [[nodiscard]] bool is_paused() const { return now_ != nullptr && now_->paused; }
    [[nodiscard]] uint32_t shard_count() const { return shard_count_; }
    [[nodiscard]] uint32_t starts() const { return starts_; }
    [[nodiscard]] uint64_t id() const { return id_; }
    [[nodiscard]] const std::string& name() const { return name_; }
    [[nodiscard]] Machine& machine() const { return machine_; }
    Ports ports(uint32_t shard);
    std::vector<Ports> all_ports();
    SimRuntime& runtime(uint32_t shard);
    [[nodiscard]] Program* program() const { return program_.get(); }

private:
    friend class Machine;
    void die(bool without_power);

    struct Shards {
        std::vector<std::unique_ptr<SimFileSystem>> files;
        std::vector<std::unique_ptr<SimTransport>> transports;
    };

    Machine& machine_;
    const std::string name_;
    uint32_t shard_count_;
    const uint64_t id_;
    uint32_t starts_ = 0;
    Incarnation* now_ = nullptr;
    Shards* shards_ = nullptr;
    std::vector<std::unique_ptr<Incarnation>> incarnations_;
    std::vector<std::unique_ptr<Shards>> all_shards_;
    std::unique_ptr<Program> program_;
};

class Machine {
public:
    Machine(World& world, std::string name);

    Process& add_process(std::string name, uint32_t shard_count);
    /// Kills everything, then takes from the disk what a power cut may take.
    void power_cut(std::optional<Survival> survival = {});
    /// Every process ends; for the World's own end.
    void stop_all();

    [[nodiscard]] const std::string& name() const { return name_; }
    [[nodiscard]] SimDisk& disk() { return disk_; }
    [[nodiscard]] WallClock& clock() { return clock_; }
    [[nodiscard]] World& world() const { return world_; }
    [[nodiscard]] bool has_power() const { return has_power_; }
    void switch_on() { has_power_ = true; }

private:
    World& world_;
    const std::string name_;
    SimDisk disk_;
    WallClock clock_;
    bool has_power_ = true;
    std::vector<std::unique_ptr<Process>> processes_;
};

namespace detail {
template <class T>
Task<> keep_result(Task<T> task, std::shared_ptr<std::optional<T>> slot) {
    slot->emplace(co_await std::move(task));
}
}  // namespace detail

/// Runs `task` as a root of `runtime` and the World until it is done; nothing if events ran out, or
/// `limit` events passed, before.
template <class T>
std::optional<T> try_run(World& world,
                         Runtime& runtime,
                         Task<T> task,
                         uint64_t limit = UINT64_MAX) {
    auto slot = std::make_shared<std::optional<T>>();
    runtime.spawn(detail::keep_result(std::move(task), slot));
    while (!slot->has_value() && limit-- > 0 && world.step()) continue;
    return std::move(*slot);
}

/// The same, and it has to finish.
template <class T>
T run(World& world, Runtime& runtime, Task<T> task) {
    std::optional<T> result = try_run(world, runtime, std::move(task));
    CHECK(result.has_value(), "the task waits for something that never comes");
    return *std::move(result);
}

inline Task<bool> to_its_end(Task<> task) {
    co_await std::move(task);
    co_return true;
}
inline void run(World& world, Runtime& runtime, Task<> task) {
    run(world, runtime, to_its_end(std::move(task)));
}

/// A World with one machine and one bare process: all that a unit test of storage code needs.
///     sim::Bench bench(seed);  auto r = bench.run(Log::open(bench.files(), ...));
///     bench.power_cut();
class Bench {
public:
    explicit Bench(uint64_t seed, uint32_t shard_count = 1)
        : world(seed),
          machine(world.add_machine("machine")),
          process(machine.add_process("process", shard_count)) {
        process.start();
    }

    FileSystem& files(uint32_t shard = 0) { return process.ports(shard).files; }
    Runtime& runtime(uint32_t shard = 0) { return process.ports(shard).runtime; }
    SimDisk& disk() { return machine.disk(); }
    template <class T>
    T run(Task<T> task) {
        return sim::run(world, process.runtime(0), std::move(task));
    }
    void run(Task<> task) { sim::run(world, process.runtime(0), std::move(task)); }
    /// Ends what still runs (its owners must be gone or harmless) and boots again.
    void kill() {
        process.kill();
        process.start();
    }
    void power_cut(std::optional<Survival> survival = {}) {
        machine.power_cut(survival);
        process.start();
    }

    World world;
    Machine& machine;
    Process& process;
};

}  // namespace ottla::sim
