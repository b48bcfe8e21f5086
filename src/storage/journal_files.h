// SPDX-License-Identifier: Apache-2.0
// The files of one journal, in the order in which groups fill them. A file is made once, zeroed in
// the background (a sync after a write into it then has no block map to update) and used again and
// again; each use has a new file sequence, written in every group header.
//
// While space is short (`may_grow(false)`) no large file is made: the journal goes round in the files
// that it has, or in kFewestFiles small ones, which the reserve of disk_room.h pays for; `can_take`
// says when appends have to wait for a checkpoint to give a file back.
//
// Invariants: the numbers of files have no gap once all that were begun are made, and a group says how many
// there were for certain (lasting_files), so that one which is gone is missed; a file is used again only after a group that no longer needs it was synced, so replay
// can insist on every file it is told to need; a file's name is durable before its first group is
// written.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ottla/file.h"
#include "ottla/runtime.h"
#include "ottla/sync.h"
#include "storage/log_config.h"

namespace ottla::storage {

class JournalFiles {
public:
    JournalFiles(Runtime& runtime,
                 FileSystem& files,
                 std::string directory,
                 const StorageSettings& settings);

    /// Makes the first file. already_exists: a journal of this shard was not replayed.
    Task<Status> open();
    /// The file of `sequence`, which never goes back. Large enough for `end`.
    /// no_space: nothing of it was written; ask again.
    Task<Result<File*>> file_for(uint64_t sequence, uint64_t group, uint64_t end);
    /// Is there space for large files? At first there is not.
    void may_grow(bool yes) { growing_ = yes; }
    /// Will file `sequence` be there, as long as `end`, without taking space that is short? The next
    /// group gives back files whose groups end at `synced_through` or before.
    [[nodiscard]] bool can_take(uint64_t sequence, uint64_t end, uint64_t synced_through) const;
    /// A group that needs nothing below `oldest_needed` is synced.
    void needed_from(uint64_t oldest_needed);
    /// Where replay has to start if it needs `group`: the first group of the file that holds it (or
    /// will), since a file is readable only from its beginning.
    [[nodiscard]] uint64_t start_of_file_with(uint64_t group) const;
    /// Files 0 to this, without it, are there for certain until the journal is done with.
    [[nodiscard]] uint32_t lasting_files() const;
    /// Bytes in files that hold `group` or a later one.
    [[nodiscard]] uint64_t live_bytes_from(uint64_t group) const;
    /// How large a planned file is: the first use is that of the small file.
    [[nodiscard]] uint64_t planned_bytes(uint64_t sequence) const;

    /// Waits for the background work; then nothing is on its way.
    Task<> stop();
    /// After stop: every file goes.
    Task<Status> remove_all();

private:
    struct Slot {
        std::string path;
        std::unique_ptr<File> file;
        uint64_t bytes = 0;
        uint64_t sequence = 0;  ///< 0: never used
        uint64_t first_group = 0;
        uint64_t last_group = 0;
        uint64_t used_bytes = 0;
    };

    size_t take_number();
    Task<Result<std::unique_ptr<Slot>>> make_slot(uint64_t bytes, bool zeroed);
    Task<Status> fill_slot(Slot& slot, bool zeroed);
    Task<Status> write_zeros(std::string path, uint64_t bytes);
    Task<> prepare();
    Slot* take_free();
    [[nodiscard]] uint64_t bytes_of_next() const;
    [[nodiscard]] Slot* current() { return live_.empty() ? nullptr : live_.back().get(); }

    Runtime& runtime_;
    FileSystem& files_;
    const std::string directory_;
    const StorageSettings& settings_;
    std::deque<std::unique_ptr<Slot>> live_;   ///< in order of their groups
    std::vector<std::unique_ptr<Slot>> free_;  ///< ready to be used (again)
    std::vector<std::string> every_path_;
    /// Of files by their numbers: those of files that could not be made are given again.
    enum class Number : uint8_t { free, taken, lasting };
    std::vector<Number> numbers_;
    uint64_t recorded_ = 0;
    bool growing_ = false;
    bool preparing_ = false;
    Gate gate_;
};

}  // namespace ottla::storage
