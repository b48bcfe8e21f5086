// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/storage_world.h"

#include <fmt/format.h>

#include <array>
#include <string_view>

#include "tests/sim/bugs.h"
#include "tests/sim/scenario.h"
#include "tests/sim/storage_program.h"

namespace ottla::sim {

namespace {
constexpr uint64_t kEnoughSpace = uint64_t{1} << 40U;
/// What somebody leaves of the disk: nothing, less than the reserve, or room for a while.
constexpr uint64_t kMostLeft = uint64_t{600} << 10U;
}  // namespace

StorageWorld::StorageWorld(const StorageOptions& options)
    : world(WorldOptions{.seed = options.seed, .shuffle = true, .verbose = options.verbose}),
      machine(world.add_machine("machine")),
      process(machine.add_process("storage", 1)),
      random(world.random_for("scenario")) {
    // Small everywhere, so that files roll, journals are used again and memory runs short.
    settings.chunk_bytes = size_t{16} << 10U;
    settings.chunk_budget_bytes = size_t{64} << 10U;
    settings.journal_first_file_bytes = uint64_t{16} << 10U;
    settings.journal_file_bytes = uint64_t{32} << 10U;
    settings.journal_limit_bytes = uint64_t{192} << 10U;
    settings.checkpoint_interval = std::chrono::milliseconds(40);
    settings.flush_delay = std::chrono::milliseconds(3);
    settings.flush_piece_bytes = size_t{8} << 10U;
    settings.sync_all_above = 6;
    settings.open_files = 8;
    settings.disk_reserve_bytes = uint64_t{128} << 10U;
    settings.disk_interval = std::chrono::milliseconds(20);
    settings.faults = options.bugs;
    for (uint32_t i = 0; i < options.logs; ++i) {
        std::string name = fmt::format("log-{}", i);
        TestedLog tested{.name = name,
                         .model = {},
                         .random = world.random_for(name),
                         .next_label = 0,
                         .producer = ProducerId{1000 + static_cast<int64_t>(i)},
                         .truncated = false};
        logs.emplace(name, std::move(tested));
    }
}

void StorageWorld::note_failure(const std::string& what) {
    world.note("FAILED " + what);
    if (failure.empty()) failure = what;
}

void StorageWorld::give_space_back() { machine.disk().set_capacity(kEnoughSpace); }

void StorageWorld::start() {
    may_fail = false;
    may_be_full = false;
    give_space_back();
    machine.disk().faults.sync_error = 0;
    machine.disk().faults.write_error = 0;
    const auto shards = static_cast<uint32_t>(random.between(1, 3));
    settings.shards = shards;
    process.start([this](Process& now) { return std::make_unique<StorageProgram>(*this, now); },
                  shards);
}

bool StorageWorld::run_until_serving() {
    const Duration limit = world.now() + std::chrono::seconds(60);
    auto* program = static_cast<StorageProgram*>(process.program());
    while (failure.empty() && !program->is_serving() && world.now() < limit && world.step())
        continue;
    if (failure.empty() && !program->is_serving()) note_failure("a start does not come to its end");
    return failure.empty();
}

void StorageWorld::stop_cleanly() {
    auto* program = static_cast<StorageProgram*>(process.program());
    program->begin_stop();
    const Duration began = world.now();
    const Duration limit = began + std::chrono::seconds(60);
    while (failure.empty() && !program->has_stopped() && !program->is_offline() &&
           world.now() < limit && world.step()) {
        // A deletion whose journal entry finds no space keeps its caller until there is some.
        if (may_be_full && world.now() > began + std::chrono::seconds(10)) give_space_back();
    }
    if (failure.empty() && !program->has_stopped() && !program->is_offline()) {
        note_failure("a clean stop does not come to its end");
    }
}

namespace {

/// Somebody takes what was free, or most of it.
void shrink_disk(StorageWorld& storage) {
    SimDisk& disk = storage.machine.disk();
    const uint64_t used = kEnoughSpace - disk.free_space();
    const uint64_t left = storage.random.below(kMostLeft);
    disk.set_capacity(used + left);
    storage.may_be_full = true;
    storage.world.note(fmt::format("the disk has {} bytes left", left));
}

/// What goes wrong while the program works, drawn anew for each round.
void draw_faults(StorageWorld& storage) {
    DiskFaults& faults = storage.machine.disk().faults;
    const uint64_t which = storage.random.below(10);
    faults.slow_operation = which == 0 ? 20'000 : 0;
    faults.sync_error = which == 1 ? 20'000 : 0;
    faults.write_error = which == 2 ? 10'000 : 0;
    storage.may_fail = which == 1 || which == 2;
    if (which == 3 || which == 4) shrink_disk(storage);
}

void run_round(StorageWorld& storage) {
    World& world = storage.world;
    storage.start();
    const bool dies_in_recovery = storage.random.below(4) == 0;
    if (dies_in_recovery) {
        world.run_events(storage.random.between(1, 300));
    } else {
        if (!storage.run_until_serving()) return;
        draw_faults(storage);
        const uint64_t events = storage.random.between(10, 6000);
        const bool space_returns = storage.random.below(2) == 0;
        for (uint64_t i = 0; i < events && storage.failure.empty(); ++i) {
            if (space_returns && i == events / 2) storage.give_space_back();
            if (!world.step()) break;
        }
    }
    if (!storage.failure.empty()) return;
    const uint64_t end = storage.random.below(10);
    if (end < 2 && !dies_in_recovery) storage.stop_cleanly();
    if (end < 5) {
        storage.process.kill();
    } else {
        storage.machine.power_cut();
    }
}

}  // namespace

ScenarioOutcome run_storage_scenario(const ScenarioOptions& options) {
    StorageOptions storage_options{.seed = options.seed, .verbose = options.verbose};
    set_bug(storage_options.bugs, options.bug);
    StorageWorld storage(storage_options);
    const uint64_t rounds = storage.random.between(2, 7);
    for (uint64_t i = 0; i < rounds && storage.failure.empty(); ++i) run_round(storage);
    if (storage.failure.empty()) {
        // Everything still there, and again after the power went without a warning.
        storage.start();
        if (storage.run_until_serving()) {
            storage.machine.power_cut();
            storage.start();
            storage.run_until_serving();
        }
    }
    ScenarioOutcome outcome;
    outcome.trace = storage.world.trace_hash();
    outcome.events = storage.world.events();
    outcome.seconds = std::chrono::duration<double>(storage.world.now()).count();
    outcome.failure = storage.failure;
    return outcome;
}

}  // namespace ottla::sim
