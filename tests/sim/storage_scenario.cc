// SPDX-License-Identifier: Apache-2.0
// The scenario `storage`: lives of a StorageWorld's process, one after the other, each with its own
// trouble and its own end.
#include <utility>

#include "tests/sim/bugs.h"
#include "tests/sim/scenario.h"
#include "tests/sim/storage_program.h"

namespace ottla::sim {

namespace {

/// What goes wrong while the program works, drawn anew for each round.
void draw_faults(StorageWorld& storage) {
    DiskFaults& faults = storage.machine.disk().faults;
    const uint64_t which = storage.random.below(12);
    const uint64_t where = storage.random.below(kDirectories.size() + 1);
    if (which == 0) faults.slow_operation = 20'000;
    if (which == 1) faults.sync_error = 20'000;
    if (which == 2) faults.write_error = 10'000;
    if (which == 3) faults.write_back_error = 100'000;
    if (which == 4) faults.read_error = 20'000;
    if (which >= 1 && which <= 4) {
        storage.begin_faults(where == kDirectories.size() ? std::string() : kDirectories[where]);
    }
    if (which == 5 || which == 6) storage.shrink_disk();
}

/// A start on a disk that may fail or be too small. It comes to its end, or says why not; then the
/// next one, on a disk that does what it should, finds everything.
bool troubled_start(StorageWorld& storage) {
    storage.start();
    draw_faults(storage);
    const uint64_t events = storage.random.between(1, 4000);
    for (uint64_t i = 0; i < events && storage.failure.empty(); ++i) {
        if (storage.program().has_given_up() || !storage.step()) break;
    }
    return storage.failure.empty();
}

void work(StorageWorld& storage) {
    draw_faults(storage);
    const uint64_t events = storage.random.between(10, 6000);
    const bool space_returns = storage.random.below(2) == 0;
    for (uint64_t i = 0; i < events && storage.failure.empty() && !storage.power_goes; ++i) {
        if (space_returns && i == events / 2) storage.give_space_back();
        if (!storage.step()) break;
    }
}

void end_round(StorageWorld& storage) {
    if (std::exchange(storage.power_goes, false)) {
        storage.power_cut();
        return;
    }
    const uint64_t end = storage.random.below(12);
    const bool serves = storage.program().is_serving() && !storage.program().has_given_up();
    if (end < 3 && serves) storage.stop_cleanly();
    if (end == 11 && serves) {
        // The power goes while it stops.
        storage.program().begin_stop();
        storage.world.run_events(storage.random.between(1, 600));
    }
    if (!storage.failure.empty()) return;
    if (end < 6) {
        storage.kill();
    } else {
        storage.power_cut();
    }
}

void go_on(StorageWorld& storage, uint64_t events) {
    for (uint64_t i = 0; i < events && storage.failure.empty(); ++i) {
        if (!storage.step()) break;
    }
}

/// Syncs fail, the process is killed, and the next one finds in the page cache what is not on the disk. The power
/// goes when it has settled.
void forgotten_syncs(StorageWorld& storage) {
    storage.start();
    if (!storage.run_until_serving()) return;
    storage.machine.disk().faults.sync_error = 100'000;
    storage.begin_faults("");
    go_on(storage, storage.random.between(300, 3000));
    if (!storage.failure.empty()) return;
    storage.kill();
    storage.start();
    if (!storage.run_until_serving()) return;
    go_on(storage, storage.random.between(300, 3000));
    if (storage.failure.empty()) storage.power_cut();
}

void run_round(StorageWorld& storage) {
    const uint64_t how = storage.random.below(9);
    if (how == 8) return forgotten_syncs(storage);
    if (how == 0) {
        storage.start();
        storage.world.run_events(storage.random.between(1, 300));
    } else if (how == 1) {
        if (!troubled_start(storage)) return;
    } else {
        storage.start();
        if (!storage.run_until_serving()) return;
        work(storage);
    }
    if (storage.failure.empty()) end_round(storage);
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
            // Before what was replayed is settled, or behind that.
            go_on(storage, storage.random.between(0, 2000));
            storage.power_cut();
            storage.start();
            storage.run_until_serving();
        }
    }
    return storage.outcome();
}

}  // namespace ottla::sim
