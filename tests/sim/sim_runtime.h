// SPDX-License-Identifier: Apache-2.0
// SimRuntime: one shard of a simulated process. Its run queue is the World's heap.
//
// `now` is the World's clock plus an offset drawn at each start of the process, so that code which
// keeps an Instant across a restart is found out. Timers round up to a millisecond, as the contract
// allows. A dead shard (its process was killed) swallows what destructors still ask of it; a paused
// one keeps what falls due until it goes on. Dead shards stay allocated as long as the World:
// events name them.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <utility>
#include <vector>

#include "ottla/runtime.h"
#include "tests/sim/world.h"

namespace ottla::sim {

/// A machine's wall clock: drifts, and steps when a fault says so.
struct WallClock {
    int64_t start_milliseconds = 1'767'225'600'000;  ///< 2026-01-01
    int64_t drift_per_million = 0;
    int64_t stepped_milliseconds = 0;
    [[nodiscard]] WallTime at(Duration now) const;
};

/// What the shards of one incarnation of a process share.
struct Incarnation {
    Incarnation(World& w, const WallClock& c, uint64_t process, Random r);
    ~Incarnation();
    World& world;
    const WallClock& clock;
    uint64_t process_id;
    Random random;
    Duration boot_offset{};
    bool dead = false;
    bool paused = false;
    std::vector<std::unique_ptr<SimRuntime>> shards;
};

class SimRuntime final : public Runtime, public OpOwner {
public:
    SimRuntime(Incarnation& home, uint32_t shard, uint32_t shard_count);
    ~SimRuntime() override;

    Instant now() const override { return Instant{home_.world.now() + home_.boot_offset}; }
    WallTime wall_time() const override { return home_.clock.at(home_.world.now()); }
    uint64_t random() override { return home_.random.next(); }
    ShardIndex shard() const override { return shard_; }
    uint32_t shard_count() const override { return shard_count_; }
    void ready(Op& op) override;
    void start_timer(Op& op, Instant deadline) override;
    void submit(ShardIndex target, Message& message) override;
    void cancel(Op& op) noexcept override;

    [[nodiscard]] World& world() const { return home_.world; }
    [[nodiscard]] Incarnation& incarnation() const { return home_; }
    [[nodiscard]] bool is_dead() const { return home_.dead; }
    [[nodiscard]] bool is_paused() const { return home_.paused; }
    [[nodiscard]] uint64_t trace_id() const { return home_.process_id * 16 + shard_.value(); }
    /// For the World: the op's turn has come.
    void finish(Op& op);
    /// For the World: the op's turn came while the process is paused.
    void hold(EventKind kind, Op& op);
    /// Everything held goes on now, in the order in which it fell due.
    void release_held();

private:
    void deliver(uint32_t from);
    void schedule_delivery(SimRuntime& target);

    Incarnation& home_;
    const ShardIndex shard_;
    const uint32_t shard_count_;
    std::deque<LinkList<Message>> inbox_;  ///< one queue per sending shard
    OpList never_;                         ///< timers without a deadline
    OpList held_;
    std::vector<uint32_t> held_messages_;  ///< senders whose delivery fell due while paused
};

}  // namespace ottla::sim
