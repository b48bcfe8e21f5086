// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/sim_runtime.h"

#include <algorithm>

namespace ottla::sim {

namespace {
constexpr Duration kMillisecond = std::chrono::milliseconds(1);
}

WallTime WallClock::at(Duration now) const {
    const int64_t micros = now.count() / 1000;
    const int64_t drifted = micros + micros / 1'000'000 * drift_per_million;
    return WallTime{start_milliseconds + stepped_milliseconds + drifted / 1000};
}

Incarnation::Incarnation(World& w, const WallClock& c, uint64_t process, Random r)
    : world(w), clock(c), process_id(process), random(r) {}

Incarnation::~Incarnation() = default;

SimRuntime::SimRuntime(Incarnation& home, uint32_t shard, uint32_t shard_count)
    : home_(home), shard_(shard), shard_count_(shard_count) {
    for (uint32_t i = 0; i < shard_count; ++i) inbox_.emplace_back();
}

SimRuntime::~SimRuntime() { destroy_roots(); }

void SimRuntime::ready(Op& op) {
    op.mark_ready();
    if (home_.dead) return;
    home_.world.schedule_op(home_.world.now(), EventKind::ready, *this, op);
}

void SimRuntime::start_timer(Op& op, Instant deadline) {
    op.begin(*this);
    if (home_.dead) return;
    if (deadline == kNever) {
        never_.push_back(op);
        return;
    }
    const Duration due = std::max(deadline.since_start - home_.boot_offset, home_.world.now());
    const Duration ticks = (due + kMillisecond - Duration{1}) / kMillisecond * kMillisecond;
    home_.world.schedule_op(due == home_.world.now() ? due : ticks, EventKind::timer, *this, op);
}

void SimRuntime::cancel(Op& op) noexcept {
    op.unlink();
    op.set_error({ErrorCode::cancelled, {}});
    ready(op);
}

void SimRuntime::finish(Op& op) {
    if (op.phase() == Op::Phase::pending) op.mark_ready();  // A timer: its event is its turn.
    op.finish();
}

void SimRuntime::hold(EventKind kind, Op& op) {
    if (kind == EventKind::timer && op.phase() == Op::Phase::pending) op.mark_ready();
    held_.push_back(op);
}

void SimRuntime::release_held() {
    while (!held_.empty()) {
        home_.world.schedule_op(home_.world.now(), EventKind::ready, *this, held_.pop_front());
    }
    for (const uint32_t from : std::exchange(held_messages_, {})) {
        home_.shards[from]->schedule_delivery(*this);
    }
}

void SimRuntime::submit(ShardIndex target, Message& message) {
    if (home_.dead) return;
    CHECK(target.value() < home_.shards.size(), "no such shard");
    SimRuntime& there = *home_.shards[target.value()];
    there.inbox_[shard_.value()].push_back(message);
    schedule_delivery(there);
}

void SimRuntime::schedule_delivery(SimRuntime& target) {
    // One ticket per message; the queue keeps the order of one pair whatever the tickets' order is.
    home_.world.schedule(home_.world.now(), EventKind::message,
                         [&target, from = shard_.value()] { target.deliver(from); });
}

void SimRuntime::deliver(uint32_t from) {
    if (home_.dead || inbox_[from].empty()) return;
    if (home_.paused) {
        held_messages_.push_back(from);
        return;
    }
    home_.world.trace(trace_id(), from);
    inbox_[from].pop_front().run(*this);
}

}  // namespace ottla::sim
