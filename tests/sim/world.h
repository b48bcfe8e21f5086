// SPDX-License-Identifier: Apache-2.0
// World: everything that happens in a simulation, in one order on one thread.
//
// A heap of events ordered by (time, key, sequence). The key is 0 (first scheduled, first run) or,
// with `shuffle`, a draw from the seed: what is ready at one instant then runs in any order, except
// where an order is promised (messages between two shards, bytes of a stream), which their queues
// keep. Time jumps to the next event. The trace hash covers every event that ran and what its
// effect was, so two runs are the same run exactly when the hashes are equal: in every build and
// with every allocator.
//
// An event either finishes an Op of a shard or calls an action. An Op that died meanwhile (its
// process was killed) has left its event, which then counts for nothing. What an action captures
// must outlive the World or be owned by the action.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ottla/op.h"
#include "ottla/types.h"
#include "tests/sim/random.h"

namespace ottla::sim {

class Machine;
class Network;
class Process;
class SimRuntime;

struct WorldOptions {
    uint64_t seed = 1;
    bool shuffle = true;   ///< what is ready at one instant runs in an order drawn from the seed
    bool verbose = false;  ///< prints every event and note to stderr
};

/// What an event is, for the trace.
enum class EventKind : uint8_t { ready, timer, message, disk, network, fault, client, control };
std::string_view name_of(EventKind kind);

class World {
public:
    using Action = std::move_only_function<void()>;

    explicit World(WorldOptions options);
    explicit World(uint64_t seed)
        : World(WorldOptions{.seed = seed, .shuffle = true, .verbose = false}) {}
    ~World();
    World(const World&) = delete;
    World& operator=(const World&) = delete;

    [[nodiscard]] uint64_t seed() const { return options_.seed; }
    [[nodiscard]] bool verbose() const { return options_.verbose; }
    [[nodiscard]] Duration now() const { return now_; }
    /// Events that ran so far: the index at which a test strikes.
    [[nodiscard]] uint64_t events() const { return events_run_; }
    [[nodiscard]] uint64_t trace_hash() const { return trace_; }
    /// A stream of chance of its own for `label`; the same label gives the same stream.
    [[nodiscard]] Random random_for(std::string_view label) const;

    void schedule(Duration at, EventKind kind, Action action);
    void schedule_in(Duration delay, EventKind kind, Action action) {
        schedule(now_ + delay, kind, std::move(action));
    }
    /// Finishes `op` on its shard at `at`, unless the op is gone by then.
    void schedule_op(Duration at, EventKind kind, SimRuntime& shard, Op& op);

    /// Runs one event; false when there is none left.
    bool step();
    /// Runs events until the clock would pass `end`; the clock then stands at `end`.
    void run_until(Duration end);
    void run_for(Duration span) { run_until(now_ + span); }
    /// Runs at most `count` events; the number that ran.
    uint64_t run_events(uint64_t count);

    /// Mixes a fact into the trace: what an event did, to whom, how much.
    void trace(uint64_t a, uint64_t b = 0, uint64_t c = 0);
    /// One line for a person; only with `verbose`. Not part of the hash.
    void note(std::string_view text);

    Machine& add_machine(std::string name);
    [[nodiscard]] const std::vector<std::unique_ptr<Machine>>& machines() const {
        return machines_;
    }
    [[nodiscard]] Network& network() { return *network_; }
    /// Called after every event (checkers). May be empty.
    void after_each_event(std::function<void()> check) { check_ = std::move(check); }

private:
    struct Slot {
        EventKind kind = EventKind::control;
        SimRuntime* shard = nullptr;  ///< of an op event
        OpList op;
        Action action;
    };
    struct Entry {
        Duration at;
        uint64_t key;
        uint64_t sequence;
        uint32_t slot;
        bool operator>(const Entry& other) const;
    };

    uint32_t take_slot();
    void push(Duration at, uint32_t slot);
    bool run_slot(uint32_t index);

    WorldOptions options_;
    Random order_;
    Duration now_{};
    uint64_t sequence_ = 0;
    uint64_t events_run_ = 0;
    uint64_t events_at_now_ = 0;
    uint64_t trace_;
    std::vector<Entry> heap_;
    std::deque<Slot> slots_;
    std::vector<uint32_t> free_slots_;
    std::function<void()> check_;
    std::unique_ptr<Network> network_;
    std::vector<std::unique_ptr<Machine>> machines_;
};

}  // namespace ottla::sim
