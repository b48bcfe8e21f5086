// SPDX-License-Identifier: Apache-2.0
// Reading journals back: which groups of which files have to be replayed, in which order.
//
// Every block of a file is looked at, of every file that may hold something needed; a group counts if its CRC
// (seeded with its file's sequence) is right. The newest group says where replay starts. From there to it every group must
// be present, intact and name the one before it: a hole is corruption, because group N+1 was only
// written once N was synced. What comes behind the newest intact group is a torn tail, or an older
// use of the file, and is not looked at again. Each byte is read once, as long as there is memory to keep
// what has to be replayed until it is (JournalSearch::most_held); the rest is read again. A file that a group has seen and that is
// not there is corruption too: nothing else would tell what was in it. Retired: a marker file names journals whose effects
// are all in synced segments; they are only removed. Errors: corrupt, naming file and group.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "ottla/file.h"
#include "ottla/ports.h"
#include "ottla/result.h"
#include "ottla/task.h"
#include "storage/journal_format.h"
#include "storage/log_config.h"

namespace ottla::storage {

struct ReplayGroup {
    size_t file = 0;  ///< index into JournalChain::paths
    uint64_t position = 0;
    GroupHeader header;
    /// Header and payload; empty: to be read again.
    Buffer bytes;
};

/// What may stay in memory of what was read; by the blocks that it lies in.
struct ReplayMemory {
    size_t most = 0;
    size_t held = 0;
    bool take(size_t bytes) {
        if (bytes > most - held) return false;
        held += bytes;
        return true;
    }
};

/// One journal: the files of one shard of an earlier process.
struct JournalChain {
    ShardIndex shard;
    uint64_t journal_id = 0;
    std::vector<std::string> paths;
    std::vector<ReplayGroup> groups;  ///< to be replayed, in order
};

struct FoundJournals {
    std::vector<JournalChain> chains;
    /// Files to be removed once all is applied: those of the chains, of retired journals, and
    /// markers.
    std::vector<std::string> paths;
    /// Journals that markers name.
    std::set<uint64_t> retired;
    size_t held_bytes = 0;
};

struct JournalSearch {
    std::string directory;
    Uuid directory_id;
    std::vector<DirectoryEntry> names;  ///< of the directory
    size_t most_held = 0;
    TestFaults faults;
};

Task<Result<FoundJournals>> find_journals(Ports ports, JournalSearch search);
/// Header and payload of one group of a chain.
Task<Result<Buffer>> read_group(FileSystem& files, std::string path, ReplayGroup group);

/// All groups of a chain, which outlives it, in order; neighbours in a file are read together.
class GroupReader {
public:
    GroupReader(FileSystem& files, JournalChain& chain) : files_(files), chain_(chain) {}
    /// Header and payload; nothing at the end.
    Task<Result<std::optional<Buffer>>> next();
    /// The one that next() gave.
    [[nodiscard]] const ReplayGroup& group() const { return chain_.groups[at_ - 1]; }
    /// It is not asked for again: what the chain holds of its bytes goes, except for what others took.
    void let_go() { chain_.groups[at_ - 1].bytes = {}; }

private:
    Task<Status> read_ahead();

    FileSystem& files_;
    JournalChain& chain_;
    size_t at_ = 0;
    std::unique_ptr<File> file_;
    size_t file_index_ = 0;
    Buffer held_;
    uint64_t held_from_ = 0;
};

/// Before anything of `chain` is applied: its newest group may be in the page cache only, if the
/// process was killed before its sync or that sync failed, and what was applied once must be found
/// again by the next replay.
Task<Status> settle_newest_group(FileSystem& files, JournalChain chain);

/// Durable: from now on the journal counts as applied, whatever of its files a crash leaves.
Task<Status> retire_journal(FileSystem& files,
                            std::string directory,
                            ShardIndex shard,
                            uint64_t journal_id);
/// Removes retired markers; their files are gone, durably.
Task<Status> remove_retired_markers(FileSystem& files, std::string directory);

}  // namespace ottla::storage
