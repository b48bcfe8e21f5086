// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/world.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "tests/sim/machine.h"
#include "tests/sim/network.h"
#include "tests/sim/sim_runtime.h"

namespace ottla::sim {

namespace {
/// So many events without the clock moving is a loop that waits for nothing.
constexpr uint64_t kEventsAtOneInstant = 5'000'000;
}  // namespace

std::string_view name_of(EventKind kind) {
    switch (kind) {
        case EventKind::ready: return "ready";
        case EventKind::timer: return "timer";
        case EventKind::message: return "message";
        case EventKind::disk: return "disk";
        case EventKind::network: return "network";
        case EventKind::fault: return "fault";
        case EventKind::client: return "client";
        case EventKind::control: return "control";
    }
    return "?";
}

bool World::Entry::operator>(const Entry& other) const {
    if (at != other.at) return at > other.at;
    if (key != other.key) return key > other.key;
    return sequence > other.sequence;
}

World::World(WorldOptions options)
    : options_(options),
      order_(Random(options.seed).fork(hash_of("order"))),
      trace_(mix(options.seed)),
      network_(std::make_unique<Network>(*this)) {}

World::~World() {
    check_ = nullptr;
    for (auto& machine : machines_) machine->stop_all();
}

Random World::random_for(std::string_view label) const {
    return Random(options_.seed).fork(hash_of(label));
}

uint32_t World::take_slot() {
    if (free_slots_.empty()) {
        slots_.emplace_back();
        return static_cast<uint32_t>(slots_.size() - 1);
    }
    const uint32_t index = free_slots_.back();
    free_slots_.pop_back();
    return index;
}

void World::push(Duration at, uint32_t slot) {
    const uint64_t key = options_.shuffle ? order_.next() >> 40U : 0;
    heap_.push_back({.at = std::max(at, now_), .key = key, .sequence = ++sequence_, .slot = slot});
    std::push_heap(heap_.begin(), heap_.end(), std::greater<>{});
}

void World::schedule(Duration at, EventKind kind, Action action) {
    const uint32_t index = take_slot();
    Slot& slot = slots_[index];
    slot.kind = kind;
    slot.shard = nullptr;
    slot.action = std::move(action);
    push(at, index);
}

void World::schedule_op(Duration at, EventKind kind, SimRuntime& shard, Op& op) {
    const uint32_t index = take_slot();
    Slot& slot = slots_[index];
    slot.kind = kind;
    slot.shard = &shard;
    slot.op.push_back(op);
    push(at, index);
}

bool World::run_slot(uint32_t index) {
    Slot& slot = slots_[index];
    const EventKind kind = slot.kind;
    if (slot.shard == nullptr) {
        Action action = std::move(slot.action);
        slot.action = nullptr;
        free_slots_.push_back(index);
        trace(static_cast<uint64_t>(kind));
        action();
        return true;
    }
    SimRuntime& shard = *slot.shard;
    if (slot.op.empty()) {  // Cancelled, or its process is gone.
        free_slots_.push_back(index);
        return false;
    }
    Op& op = slot.op.pop_front();
    free_slots_.push_back(index);
    if (shard.is_paused()) {
        shard.hold(kind, op);
        return false;
    }
    trace(static_cast<uint64_t>(kind), shard.trace_id());
    shard.finish(op);
    return true;
}

bool World::step() {
    while (!heap_.empty()) {
        std::pop_heap(heap_.begin(), heap_.end(), std::greater<>{});
        const Entry entry = heap_.back();
        heap_.pop_back();
        if (entry.at > now_) {
            now_ = entry.at;
            events_at_now_ = 0;
        }
        if (!run_slot(entry.slot)) continue;
        ++events_run_;
        CHECK(++events_at_now_ < kEventsAtOneInstant,
              "time stands still: a loop that waits for nothing");
        if (check_) check_();
        return true;
    }
    return false;
}

void World::run_until(Duration end) {
    while (!heap_.empty() && heap_.front().at <= end) {
        // A tombstone at the front may hide a later event: look before each step.
        const Entry& front = heap_.front();
        const Slot& slot = slots_[front.slot];
        if (slot.shard != nullptr && const_cast<Slot&>(slot).op.empty()) {
            free_slots_.push_back(front.slot);
            std::pop_heap(heap_.begin(), heap_.end(), std::greater<>{});
            heap_.pop_back();
            continue;
        }
        step();
    }
    if (end > now_) {
        now_ = end;
        events_at_now_ = 0;
    }
}

uint64_t World::run_events(uint64_t count) {
    uint64_t ran = 0;
    while (ran < count && step()) ++ran;
    return ran;
}

void World::trace(uint64_t a, uint64_t b, uint64_t c) {
    uint64_t hash = trace_ ^ static_cast<uint64_t>(now_.count());
    hash = mix(hash ^ a);
    hash = (hash ^ b) * 0x9fb21c651e98df25U;
    hash = (hash ^ (hash >> 29U) ^ c) * 0x9fb21c651e98df25U;
    trace_ = hash ^ (hash >> 32U);
}

void World::note(std::string_view text) {
    if (!options_.verbose) return;
    const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(now_).count();
    fmt::print(stderr, "{:>10}.{:06} #{:<8} {}\n", micros / 1'000'000, micros % 1'000'000,
               events_run_, text);
}

Machine& World::add_machine(std::string name) {
    machines_.push_back(std::make_unique<Machine>(*this, std::move(name)));
    return *machines_.back();
}

}  // namespace ottla::sim
