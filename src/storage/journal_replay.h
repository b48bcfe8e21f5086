// SPDX-License-Identifier: Apache-2.0
// Reading journals back: which groups of which files have to be replayed, in which order.
//
// Every block of a file is looked at, of every file that may hold something needed; a group counts if its CRC
// (seeded with its file's sequence) is right. The newest group says where replay starts. From there to it every group must
// be present, intact and name the one before it: a hole is corruption, because group N+1 was only
// written once N was synced. What comes behind the newest intact group is a torn tail, or an older
// use of the file, and is not looked at again. Retired: a marker file names journals whose effects
// are all in synced segments; they are only removed. Errors: corrupt, naming file and group.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
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
};

Task<Result<FoundJournals>> find_journals(Ports ports,
                                          std::string directory,
                                          Uuid directory_id,
                                          TestFaults faults);
/// Header and payload of one group of a chain.
Task<Result<Buffer>> read_group(FileSystem& files, std::string path, ReplayGroup group);

/// All groups of a chain, which outlives it, in order; neighbours in a file are read together.
class GroupReader {
public:
    GroupReader(FileSystem& files, const JournalChain& chain) : files_(files), chain_(chain) {}
    /// Header and payload; nothing at the end.
    Task<Result<std::optional<Buffer>>> next();
    /// The one that next() gave.
    [[nodiscard]] const ReplayGroup& group() const { return chain_.groups[at_ - 1]; }

private:
    Task<Status> read_ahead();

    FileSystem& files_;
    const JournalChain& chain_;
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
