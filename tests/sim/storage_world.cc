// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/storage_world.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <string_view>

#include "records/batch.h"
#include "tests/sim/scenario.h"
#include "tests/sim/storage_program.h"

namespace ottla::sim {

namespace {

constexpr uint64_t kEnoughSpace = uint64_t{1} << 40U;
/// What somebody leaves of the disk: nothing, less than the reserve, or room for a while.
constexpr uint64_t kMostLeft = uint64_t{600} << 10U;

/// Small everywhere, so that files roll, journals are used again and memory runs short.
storage::StorageSettings small_settings() {
    storage::StorageSettings settings;
    settings.chunk_bytes = size_t{16} << 10U;
    settings.chunk_budget_bytes = size_t{64} << 10U;
    settings.journal_first_file_bytes = uint64_t{16} << 10U;
    settings.journal_file_bytes = uint64_t{32} << 10U;
    settings.journal_limit_bytes = uint64_t{192} << 10U;
    settings.checkpoint_interval = std::chrono::milliseconds(40);
    settings.flush_delay = std::chrono::milliseconds(3);
    settings.flush_piece_bytes = size_t{8} << 10U;
    settings.direct_least_bytes = size_t{4} << 10U;
    settings.sync_all_above = 2;
    settings.retention_check_interval = std::chrono::milliseconds(25);
    settings.cleaner_backoff = std::chrono::milliseconds(25);
    settings.cleaner_map_bytes = size_t{16} << 10U;
    settings.cleaner_io_bytes = size_t{8} << 10U;
    settings.disk_reserve_bytes = uint64_t{128} << 10U;
    settings.disk_interval = std::chrono::milliseconds(20);
    return settings;
}

/// Two of three seeds flush past the page cache, some of them on disks that take no such writes.
/// From a stream of its own: the other draws of a seed are what they were.
void draw_direct(StorageWorld& storage) {
    Random random = storage.world.random_for("direct");
    const uint64_t how = random.below(12);
    storage.settings.direct_flush = how < 8;
    if (how == 6) storage.machine.disk().faults.direct = DirectIo::opened_buffered;
    if (how == 7) storage.machine.disk().faults.direct = DirectIo::refused;
    // Runs of several blocks, and what is left of one often waits.
    if (!storage.settings.direct_flush || random.below(4) == 0) return;
    storage.large_value = 8000;
    storage.settings.flush_delay = std::chrono::milliseconds(random.between(20, 120));
    for (auto& [name, tested] : storage.logs) {
        const bool rolls = tested.config.compacts || tested.config.retention_bytes >= 0;
        if (!rolls) tested.config.segment_bytes = 24'000;
    }
}

/// Two of three seeds have next to no memory for the indexes of closed segments.
void draw_indexes(StorageWorld& storage) {
    Random random = storage.world.random_for("indexes");
    switch (random.below(3)) {
        case 0: storage.settings.index_cache_bytes = 0; break;
        case 1: storage.settings.index_cache_bytes = random.between(100, 1500); break;
        default: break;
    }
}

/// Half of the logs are relaxed, always or now and then.
void draw_durability(TestedLog& tested) {
    const uint64_t how = tested.durability.below(6);
    tested.switches_durability = how < 2;
    if (how == 1 || how == 2) tested.config.durability = storage::Durability::relaxed;
}

/// Half of the logs reserve room for each new segment.
void draw_preallocation(StorageWorld& storage) {
    Random random = storage.world.random_for("preallocation");
    for (auto& [name, tested] : storage.logs) {
        tested.config.preallocate = random.below(2) == 0;
    }
}

/// Behind the last batch of a file nothing is left but zeros.
bool has_reserved_tail(std::string_view bytes) {
    BatchCursor cursor(as_bytes(bytes));
    size_t end = 0;
    while (cursor.next() == BatchStep::batch) end = cursor.position() + cursor.batch().size();
    return end < bytes.size() && bytes.find_first_not_of('\0', end) == std::string_view::npos;
}

/// Of five logs two are plain, one loses its oldest records, one its superseded ones, one both.
storage::LogConfig config_of(uint32_t index) {
    storage::LogConfig config;
    config.segment_bytes = 6000;
    config.index_interval_bytes = 512;
    config.retention_ms = -1;
    config.delete_retention_ms = 60;
    config.min_cleanable_dirty_millionths = 100'000;
    const uint32_t kind = index % 5;
    if (kind == 2) config.retention_bytes = 20'000;
    if (kind == 3) config.segment_bytes = 3000;
    if (kind == 3) config.compacts = true;
    if (kind == 3) config.deletes = false;
    if (kind == 4) config.retention_ms = 150;
    return config;
}

}  // namespace

StorageWorld::StorageWorld(const StorageOptions& wanted)
    : options(wanted),
      world(WorldOptions{.seed = options.seed, .shuffle = true, .verbose = options.verbose}),
      machine(world.add_machine("machine")),
      process(machine.add_process("storage", 1)),
      random(world.random_for("scenario")),
      settings(small_settings()) {
    machine.disk().prepare_directory("/data");
    settings.faults = options.bugs;
    for (uint32_t i = 0; i < options.logs; ++i) {
        std::string name = fmt::format("log-{}", i);
        const storage::LogConfig config = config_of(i);
        const int64_t producer = 1000 + static_cast<int64_t>(i);
        TestedLog tested{
            .name = name,
            .config = config,
            .model = LogModel(config.compacts),
            .random = world.random_for(name),
            .producers = {ProducerId{producer}, ProducerId{producer + 10'000'000},
                          ProducerId{producer + 20'000'000}},
            .durability = world.random_for(name + " durability"),
        };
        draw_durability(tested);
        logs.emplace(name, std::move(tested));
    }
    draw_direct(*this);
    draw_indexes(*this);
    draw_preallocation(*this);
}

StorageProgram& StorageWorld::program() { return static_cast<StorageProgram&>(*process.program()); }

void StorageWorld::note_failure(const std::string& what) {
    world.note("FAILED " + what);
    if (failure.empty()) failure = what;
}

bool StorageWorld::may_fail(size_t directory) const {
    return failing && kDirectories[directory].starts_with(*failing);
}

bool StorageWorld::is_hurt(const std::string& path) const {
    return damaged && damaged->starts_with(path + "/");
}

bool StorageWorld::names_damage(const Error& error) const {
    if (!damaged || error.code != ErrorCode::corrupt) return false;
    const std::string folder = damaged->substr(0, damaged->rfind('/'));
    return error.detail.find(folder) != std::string::npos;
}

bool StorageWorld::names_hurt_directory(const Error& error) const {
    if (!names_damage(error)) return false;
    return std::ranges::any_of(kDirectories, [this](const std::string& directory) {
        return is_hurt(directory) && damaged->rfind('/') == directory.size();
    });
}

ScenarioOutcome StorageWorld::outcome() const {
    ScenarioOutcome outcome;
    outcome.trace = world.trace_hash();
    outcome.events = world.events();
    outcome.seconds = std::chrono::duration<double>(world.now()).count();
    outcome.failure = failure;
    return outcome;
}

void StorageWorld::kill() {
    for (auto& [name, tested] : logs) {
        if (may_fail(tested.directory)) tested.model.lose_unsynced();
    }
    process.kill();
}

void StorageWorld::power_cut() {
    for (auto& [name, tested] : logs) tested.model.lose_unsynced();
    machine.power_cut();
}

bool StorageWorld::step() { return world.step() && !machine.disk().stands_still(); }

void StorageWorld::begin_faults(std::string path) {
    machine.disk().faults.only_under = path;
    failing = std::move(path);
}

void StorageWorld::end_faults() {
    DiskFaults& faults = machine.disk().faults;
    faults.sync_error = faults.write_error = faults.read_error = faults.write_back_error = 0;
    faults.slow_operation = 0;
    faults.only_under.clear();
    failing.reset();
}

void StorageWorld::shrink_disk() {
    SimDisk& disk = machine.disk();
    const uint64_t used = kEnoughSpace - disk.free_space();
    const uint64_t left = random.below(kMostLeft);
    disk.set_capacity(used + left);
    may_be_full = true;
    world.note(fmt::format("the disk has {} bytes left", left));
}

void StorageWorld::give_space_back() { machine.disk().set_capacity(kEnoughSpace); }

void StorageWorld::start(uint32_t shards) {
    end_faults();
    may_be_full = false;
    give_space_back();
    if (shards == 0) shards = static_cast<uint32_t>(random.between(1, 3));
    settings.shards = shards;
    reports.clear();
    // Two: whatever is opened closes another one, and a second dirty file asks for a checkpoint.
    settings.open_files = random.between(2, 6);
    process.start([this](Process& now) { return std::make_unique<StorageProgram>(*this, now); },
                  shards);
}

bool StorageWorld::run_until_serving() {
    const Duration limit = world.now() + std::chrono::seconds(60);
    const StorageProgram& running = program();
    while (failure.empty() && !running.is_serving() && !running.has_given_up() &&
           world.now() < limit && step())
        continue;
    if (machine.disk().stands_still() || running.has_given_up()) return false;
    if (failure.empty() && !running.is_serving()) note_failure("a start does not come to its end");
    return failure.empty();
}

void StorageWorld::stop_cleanly() {
    StorageProgram& running = program();
    running.begin_stop();
    const Duration began = world.now();
    const Duration limit = began + std::chrono::seconds(60);
    while (failure.empty() && !running.has_stopped() && !running.has_given_up() &&
           world.now() < limit && step()) {
        // A deletion whose journal entry finds no space keeps its caller until there is some.
        if (may_be_full && world.now() > began + std::chrono::seconds(10)) give_space_back();
    }
    if (machine.disk().stands_still()) return;
    if (failure.empty() && !running.has_stopped() && !running.has_given_up()) {
        note_failure("a clean stop does not come to its end");
    }
    if (failure.empty() && running.has_stopped()) check_ends();
}

/// Kafka takes whatever a file has for batches.
void StorageWorld::check_ends() {
    for (const std::string& path : machine.disk().files()) {
        // One that a full disk kept from being removed is no log any more.
        if (!path.ends_with(".log") || path.contains("-delete/")) continue;
        const auto bytes = machine.disk().contents(path);
        if (!bytes || !has_reserved_tail(*bytes)) continue;
        note_failure("a clean stop left reserved room in " + path);
    }
}

}  // namespace ottla::sim
