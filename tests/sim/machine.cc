// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/machine.h"

#include <fmt/format.h>

#include "tests/sim/network.h"

namespace ottla::sim {

Process::Process(Machine& machine, std::string name, uint32_t shard_count, uint64_t id)
    : machine_(machine), name_(std::move(name)), shard_count_(shard_count), id_(id) {}

Process::~Process() { die(false); }

void Process::start(Factory factory, uint32_t shard_count) {
    CHECK(now_ == nullptr, "a process runs once at a time");
    machine_.switch_on();
    if (shard_count != 0) shard_count_ = shard_count;
    World& world = machine_.world();
    const std::string label = fmt::format("process {} start {}", id_, ++starts_);
    world.note(label);
    incarnations_.push_back(
        std::make_unique<Incarnation>(world, machine_.clock(), id_, world.random_for(label)));
    now_ = incarnations_.back().get();
    const uint64_t offset = now_->random.between(1, 1'000'000);
    now_->boot_offset = std::chrono::milliseconds(static_cast<int64_t>(offset));
    all_shards_.push_back(std::make_unique<Shards>());
    shards_ = all_shards_.back().get();
    for (uint32_t i = 0; i < shard_count_; ++i) {
        now_->shards.push_back(std::make_unique<SimRuntime>(*now_, i, shard_count_));
        SimRuntime& runtime = *now_->shards.back();
        shards_->files.push_back(std::make_unique<SimFileSystem>(runtime, machine_.disk(), id_));
        shards_->transports.push_back(
            std::make_unique<SimTransport>(runtime, world.network(), machine_.name()));
    }
    if (factory) program_ = factory(*this);
}

void Process::kill() { die(false); }

void Process::die(bool without_power) {
    if (now_ == nullptr) return;
    World& world = machine_.world();
    world.note(fmt::format("process {} dies", id_));
    now_->dead = true;
    for (auto& files : shards_->files) files->die();
    machine_.disk().release_locks(id_);
    world.network().process_died(*now_, without_power);
    for (auto& shard : now_->shards) shard->destroy_roots();
    program_.reset();
    now_ = nullptr;
    shards_ = nullptr;
}

void Process::pause() {
    if (now_ != nullptr) now_->paused = true;
}

void Process::resume() {
    if (now_ == nullptr || !now_->paused) return;
    now_->paused = false;
    for (auto& shard : now_->shards) shard->release_held();
}

Ports Process::ports(uint32_t shard) {
    CHECK(now_ != nullptr, "the process runs");
    return Ports{.runtime = *now_->shards.at(shard),
                 .files = *shards_->files.at(shard),
                 .transport = *shards_->transports.at(shard)};
}

std::vector<Ports> Process::all_ports() {
    std::vector<Ports> all;
    for (uint32_t i = 0; i < shard_count_; ++i) all.push_back(ports(i));
    return all;
}

SimRuntime& Process::runtime(uint32_t shard) {
    CHECK(now_ != nullptr, "the process runs");
    return *now_->shards.at(shard);
}

Machine::Machine(World& world, std::string name)
    : world_(world),
      name_(std::move(name)),
      disk_(hash_of(name_), world.random_for("disk of " + name_)) {
    world.network().add_host(name_, *this);
    disk_.prepare_directory("/data");
}

Process& Machine::add_process(std::string name, uint32_t shard_count) {
    const uint64_t id = hash_of(name_) % 1000 * 10 + processes_.size();
    processes_.push_back(std::make_unique<Process>(*this, std::move(name), shard_count, id));
    return *processes_.back();
}

void Machine::power_cut(std::optional<Survival> survival) {
    world_.note("power cut: " + name_);
    has_power_ = false;
    for (auto& process : processes_) process->die(true);
    disk_.power_cut(survival);
}

void Machine::stop_all() {
    for (auto& process : processes_) process->die(false);
}

}  // namespace ottla::sim
