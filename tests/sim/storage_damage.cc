// SPDX-License-Identifier: Apache-2.0
// The scenario `damage`: between two lives of a StorageWorld's process one bit of one file flips.
// The next start may refuse by name (the directory for a file of its own, else the log whose file it is),
// lose the one batch that was hit and say so, or not mind because something else knows better; what it
// must not do is serve it, or lose what it was promised without a word, or suffer elsewhere. With the
// bit as it was, everything is there again.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "storage/file_names.h"
#include "storage/journal_replay.h"
#include "storage/segment_sums.h"
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
        if (end < 3) storage_.kill();
        if (end == 3) storage_.power_cut();
        if (storage_.failure.empty()) strike();
    }
    [[nodiscard]] StorageWorld& world() { return storage_; }
    [[nodiscard]] bool was_met() const { return was_met_; }

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
        // Retention, cleaner and scrubber go on meanwhile.
        const uint64_t events = storage_.random.between(0, 2000);
        for (uint64_t i = 0; serves && i < events && storage_.failure.empty(); ++i) {
            if (!storage_.step()) break;
        }
        storage_.damaged.reset();
        if (!storage_.failure.empty()) {
            storage_.failure += fmt::format(" (bit {} of byte {} of {} had flipped)", flip->bit,
                                            flip->position, flip->path);
        }
        if (!storage_.failure.empty()) return;
        storage_.kill();
        if (serves && storage_.refusals == 0) return;
        was_met_ = true;
        ++storage_.refused;
        if (is_still_there(*flip, *hurt)) {
            disk.flip_bit(flip->path, flip->position, flip->bit);
        }
        storage_.healed = flip->path;
        storage_.start();
        storage_.run_until_serving();
        storage_.healed.reset();
        storage_.kill();
        if (!storage_.failure.empty()) {
            storage_.failure += fmt::format(" (bit {} of byte {} of {} is as it was)", flip->bit,
                                            flip->position, flip->path);
        }
    }

    /// A start that found it may have made the file anew, or have written on behind it.
    [[nodiscard]] bool is_still_there(const Flip& flip, const std::string& hurt) const {
        const std::string now = contents(flip.path);
        const size_t known = flip.position + 1;
        return now.size() >= known && now.compare(0, known, hurt, 0, known) == 0;
    }

    [[nodiscard]] std::string contents(const std::string& path) const {
        return storage_.machine.disk().contents(path).value_or("");
    }

    std::optional<Flip> draw() {
        // A kind first: most files are segments.
        std::map<std::string, std::vector<std::string>> kinds;
        for (const std::string& path : storage_.machine.disk().files()) {
            const std::string kind = kind_of(path.substr(path.rfind('/') + 1));
            if (!kind.empty() && !contents(path).empty()) kinds[kind].push_back(path);
        }
        if (kinds.empty()) return {};
        const auto kind =
            std::next(kinds.begin(), static_cast<ptrdiff_t>(storage_.random.below(kinds.size())));
        Flip flip;
        flip.path = kind->second[storage_.random.below(kind->second.size())];
        const uint64_t size = contents(flip.path).size();
        flip.position = storage_.random.below(size);
        if (kind->first == storage::kLogSuffix && storage_.random.below(2) == 0) {
            flip.position = somewhere_in_a_head(contents(flip.path));
        }
        flip.bit = static_cast<unsigned>(storage_.random.below(8));
        return is_covered(flip, kind->first) ? std::optional(flip) : std::nullopt;
    }

    /// What Kafka's CRC leaves out, for the most part.
    uint64_t somewhere_in_a_head(const std::string& bytes) {
        std::vector<uint64_t> heads{0};
        BatchCursor cursor(as_bytes(bytes));
        while (cursor.next() == BatchStep::batch) heads.push_back(cursor.position());
        const uint64_t head = heads[storage_.random.below(heads.size())];
        const uint64_t position = head + storage_.random.below(batch_layout::kAttributes);
        return std::min<uint64_t>(position, bytes.size() - 1);
    }

    /// Empty: never read again, or not before something else takes its place.
    static std::string kind_of(const std::string& name) {
        for (const char* passing : {".tmp", ".cleaned", ".swap", ".deleted"}) {
            if (name.ends_with(passing)) return "";
        }
        for (const char* shards : {".ottla-journal-", ".ottla-catalogue-", ".ottla-retired-"}) {
            if (name.starts_with(shards)) return shards;
        }
        const bool numbered = !name.empty() && name.front() >= '0' && name.front() <= '9';
        return numbered ? name.substr(name.find('.')) : name;
    }

    /// Is there something that such a flip can be told by?
    bool is_covered(const Flip& flip, const std::string& kind) {
        if (kind == ".ottla-journal-") return !is_newest_group(flip);
        if (kind == storage::kTimeIndexSuffix || kind == storage::kTransactionIndexSuffix) {
            return has_sums(flip.path);
        }
        if (kind != storage::kLogSuffix) return true;
        // A base offset next to a gap can be another one.
        const std::string bytes = contents(flip.path);
        const std::string name = flip.path.substr(flip.path.rfind('/') + 1);
        storage::HeadSummer heads(*storage::parse_offset_file(name, storage::kLogSuffix));
        BatchCursor cursor(as_bytes(bytes));
        uint64_t last = 0;
        for (; cursor.next() == BatchStep::batch; last = cursor.position()) {
            heads.note(cursor.batch());
        }
        // A log that was read from its files knows a leader epoch by the neighbours in the segment
        // (ADR 0042), and one of these has none on one side.
        if (is_in_epoch(flip, 0) || is_in_epoch(flip, last)) return false;
        return !heads.has_gaps() || has_sums(flip.path);
    }
    static bool is_in_epoch(const Flip& flip, uint64_t head) {
        const uint64_t begin = head + batch_layout::kLeaderEpoch;
        return flip.position >= begin && flip.position < begin + sizeof(int32_t);
    }
    /// Of the segment whose file it is, as it is now.
    [[nodiscard]] bool has_sums(const std::string& path) const {
        const std::string stem = path.substr(0, path.rfind('.'));
        const std::string bytes = contents(stem + std::string(storage::kSumsSuffix));
        const auto sums = storage::parse_sums(as_bytes(bytes));
        return sums && sums->log_bytes == contents(stem + ".log").size();
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
            const auto names = run(storage_.world, ports.runtime, ports.files.list(directory));
            if (!names) continue;
            storage::JournalSearch search{
                .directory = directory, .directory_id = id, .names = *names};
            auto finding = storage::find_journals(ports, std::move(search));
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
    bool was_met_ = false;
};

}  // namespace

ScenarioOutcome run_damage_scenario(const ScenarioOptions& options) {
    StorageOptions storage_options{.seed = options.seed, .verbose = options.verbose};
    set_bug(storage_options.bugs, options.bug);
    Damage damage(storage_options);
    StorageWorld& storage = damage.world();
    // A life that met damage leaves producers that lack what could not be read: no more is promised
    // of them, also when the bit is as it was.
    for (int i = 0; i < 6 && storage.failure.empty() && !damage.was_met(); ++i) {
        damage.round();
    }
    return storage.outcome();
}

}  // namespace ottla::sim
