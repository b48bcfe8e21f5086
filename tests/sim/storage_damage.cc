// SPDX-License-Identifier: Apache-2.0
// The scenario `damage`: between two lives of a StorageWorld's process one bit of one file flips.
// The next start may refuse by name (the directory, or a log of it), or not mind because something
// else knows better; what it must not do is serve it, or lose what it was promised without a word.
// With the bit as it was, everything is there again.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "storage/journal_replay.h"
#include "tests/sim/bugs.h"
#include "tests/sim/scenario.h"
#include "tests/sim/storage_program.h"

namespace ottla::sim {

namespace {

struct Flip {
    std::string path;
    uint64_t position = 0;
    unsigned bit = 0;
};

class Damage {
public:
    explicit Damage(const StorageOptions& options) : storage_(options) {}

    void round() {
        storage_.start();
        if (!storage_.run_until_serving()) return;
        const uint64_t events = storage_.random.between(200, 4000);
        for (uint64_t i = 0; i < events && storage_.failure.empty(); ++i) {
            if (!storage_.step()) break;
        }
        if (!storage_.failure.empty()) return;
        const uint64_t end = storage_.random.below(4);
        if (end < 2) storage_.stop_cleanly();
        if (end < 3) storage_.process.kill();
        if (end == 3) storage_.machine.power_cut();
        if (storage_.failure.empty()) strike();
    }
    [[nodiscard]] StorageWorld& world() { return storage_; }

private:
    void strike() {
        const std::optional<Flip> flip = draw();
        if (!flip) return;
        SimDisk& disk = storage_.machine.disk();
        if (!disk.flip_bit(flip->path, flip->position, flip->bit)) return;
        storage_.world.note(fmt::format("bit {} of byte {} of {} flips", flip->bit, flip->position,
                                        flip->path));
        const auto hurt = disk.contents(flip->path);
        storage_.damaged = flip->path;
        storage_.refusals = 0;
        storage_.start();
        const bool serves = storage_.run_until_serving();
        storage_.damaged.reset();
        if (!storage_.failure.empty()) {
            storage_.failure += fmt::format(" (bit {} of byte {} of {} had flipped)", flip->bit,
                                            flip->position, flip->path);
        }
        if (!storage_.failure.empty()) return;
        storage_.process.kill();
        if (serves && storage_.refusals == 0) return;
        ++storage_.refused;
        if (disk.contents(flip->path) == hurt) {
            disk.flip_bit(flip->path, flip->position, flip->bit);
        }
        storage_.start();
        storage_.run_until_serving();
        storage_.process.kill();
        if (!storage_.failure.empty()) storage_.failure += " (the bit is as it was)";
    }

    std::optional<Flip> draw() {
        std::vector<std::string> files;
        for (const std::string& path : storage_.machine.disk().files()) {
            const bool empty = storage_.machine.disk().contents(path)->empty();
            if (!empty && is_covered(path)) files.push_back(path);
        }
        if (files.empty()) return {};
        Flip flip;
        flip.path = files[storage_.random.below(files.size())];
        const uint64_t size = storage_.machine.disk().contents(flip.path)->size();
        flip.position = storage_.random.below(size);
        flip.bit = static_cast<unsigned>(storage_.random.below(8));
        if (flip.path.find(".ottla-journal-") != std::string::npos && is_newest_group(flip)) {
            return {};
        }
        return flip;
    }

    /// What carries a checksum, or is checked against what does. Not yet: headers of batches, the
    /// other indexes and Kafka's checkpoint files, which only .ottla-sums can cover.
    static bool is_covered(const std::string& path) {
        constexpr std::array kCovered = {".ottla-journal-", ".ottla-catalogue-", ".snapshot",
                                         "leader-epoch-checkpoint", "meta.properties",
                                         ".kafka_cleanshutdown", ".timeindex"};
        return !path.ends_with(".tmp") && std::ranges::any_of(kCovered, [&path](const char* part) {
            return path.find(part) != std::string::npos;
        });
    }

    /// Nothing can tell a flipped bit there from a group that the power cut tore.
    bool is_newest_group(const Flip& flip) {
        storage_.process.start();
        Ports ports = storage_.process.ports(0);
        const std::string directory = flip.path.substr(0, flip.path.rfind('/'));
        bool newest = true;
        for (size_t i = 0; i < kDirectories.size(); ++i) {
            if (directory != kDirectories[i]) continue;
            Uuid id;
            id.bytes.fill(static_cast<uint8_t>(7 + i));
            auto finding = storage::find_journals(ports, directory, id, {});
            const auto found = run(storage_.world, ports.runtime, std::move(finding));
            newest = !found || in_newest(*found, flip);
        }
        storage_.process.kill();
        return newest;
    }
    static bool in_newest(const storage::FoundJournals& found, const Flip& flip) {
        for (const storage::JournalChain& chain : found.chains) {
            const storage::ReplayGroup& group = chain.groups.back();
            const uint64_t end = group.position + group.header.blocks_bytes();
            const bool same = chain.paths[group.file] == flip.path;
            if (same && flip.position >= group.position && flip.position < end) return true;
        }
        return false;
    }

    StorageWorld storage_;
};

}  // namespace

ScenarioOutcome run_damage_scenario(const ScenarioOptions& options) {
    StorageOptions storage_options{.seed = options.seed, .verbose = options.verbose};
    set_bug(storage_options.bugs, options.bug);
    Damage damage(storage_options);
    StorageWorld& storage = damage.world();
    for (int i = 0; i < 6 && storage.failure.empty(); ++i) damage.round();
    ScenarioOutcome outcome;
    outcome.trace = storage.world.trace_hash();
    outcome.events = storage.world.events();
    outcome.seconds = std::chrono::duration<double>(storage.world.now()).count();
    outcome.failure = storage.failure;
    return outcome;
}

}  // namespace ottla::sim
