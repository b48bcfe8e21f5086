// SPDX-License-Identifier: Apache-2.0
// Journal: the write path of one shard in one log directory (DESIGN 7.2). Entries are placed in
// chunk memory at once; a group is what gathered since the last write. One group at a time is on
// its way: one direct write of whole blocks, one sync; what arrives meanwhile is the next group.
//
// Invariants: groups are written in order, N+1 only after N is synced; nothing is told to be
// durable before that; after a failed write or sync the journal is dead (the error is kept, nothing
// more is written or acknowledged). Memory is bounded: `fits` says no when the chunks hold only
// bytes that are not in segment files yet, or when replay would become too long.
//
// No space: DiskRoom admits appends only where this cannot happen, but others may take the disk. A
// group that the disk refused before its sync is simply not durable, so it is written again, the
// same bytes at the same place (a replay that finds half of them finds a torn tail), until there is
// space; the listener tells the waiters of what is in doubt each time. A sync that fails, for
// whatever reason, is never repeated: the journal is dead.
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
#include "storage/journal_files.h"
#include "storage/journal_format.h"
#include "storage/journal_memory.h"

namespace ottla::storage {

/// What the journal tells the logs of its directory.
class JournalListener {
public:
    /// Does anybody act on `group` being written but not synced? If not, both are one trip.
    [[nodiscard]] virtual bool acts_when_written(const JournalGroup& group) const = 0;
    virtual void group_written(const JournalGroup& group) = 0;
    virtual void group_durable(const JournalGroup& group) = 0;
    /// The chunk's memory goes: `instance` forgets what it has in it.
    virtual void chunk_evicted(uint64_t instance, const Chunk& chunk) = 0;
    virtual void journal_failed(const Error& why) = 0;
    /// The disk has no space for the next group; it is tried again after disk_interval.
    virtual void journal_stalled(const Error& why) = 0;

protected:
    ~JournalListener() = default;
};

struct JournalIdentity {
    std::string directory;
    Uuid directory_id;
};

class Journal {
public:
    Journal(Runtime& runtime,
            FileSystem& files,
            JournalIdentity identity,
            const StorageSettings& settings,
            JournalListener& listener);

    /// Makes the first file; the writer runs from here on. Entries may have been placed before.
    Task<Status> open();
    /// Writes what is there, then nothing more; the files are removed. For a clean stop, after the
    /// last effect.
    Task<Status> close();

    /// Is there room for a batch of `bytes`? Evicts what can go.
    [[nodiscard]] bool fits(size_t bytes);

    struct Place {
        JournalGroup* group = nullptr;
        std::span<std::byte> batch;
        uint32_t offset_in_chunk = 0;
    };
    /// Room for a batch; the caller fills it before anybody else runs, and marks the group. Counts
    /// one pending effect.
    Place add_append(uint64_t instance, Offset segment_base, uint64_t position, size_t batch_bytes);
    /// Any other entry. Counts one pending effect unless it is a declaration.
    JournalGroup& add_entry(const JournalEntry& entry);
    /// The file sequence that an entry of `bytes` would go to: a log declares itself once in each.
    uint64_t file_of_next(size_t bytes);

    /// An effect of the group is done (or will never be: the batch was truncated, the log deleted).
    void effect_done(JournalGroup& group);
    /// A truncation: marks of `instance` above `end` in groups that are not durable come down to
    /// it.
    void lower_marks(uint64_t instance, Offset end);

    /// Drawn when it is made.
    [[nodiscard]] uint64_t id() const { return id_; }
    /// The open group, or the last one.
    [[nodiscard]] uint64_t newest_group() const { return next_sequence_ - 1; }
    [[nodiscard]] uint64_t durable_through() const { return durable_through_; }
    /// Every group up to here is durable and its effects are done.
    [[nodiscard]] uint64_t effects_done_through() const { return done_through_; }
    /// Their effects are synced too: replay may start behind `group`.
    void synced_through(uint64_t group);
    /// What a replay would have to read.
    [[nodiscard]] uint64_t live_bytes() const {
        return files_.live_bytes_from(synced_through_ + 1);
    }
    /// Of groups whose effects are not done.
    [[nodiscard]] size_t undone_bytes() const { return undone_bytes_; }

    /// A checkpoint would give appends room.
    [[nodiscard]] bool wants_checkpoint() const;
    /// The end comes: a group that finds no space fails the journal, whose replay loses nothing.
    void stop_waiting_for_space() { patient_ = false; }
    /// Is there space for large files?
    void may_grow(bool yes) { files_.may_grow(yes); }
    /// The instances that have batches in groups which are not durable.
    [[nodiscard]] std::vector<uint64_t> in_doubt() const;

    /// Waits until `group` is durable; an error when the journal died before.
    Task<Status> wait_durable(uint64_t group);
    [[nodiscard]] const std::optional<Error>& error() const { return error_; }
    /// Another shard or the flusher saw the directory fail.
    void fail_with(const Error& why);

    /// Gives up memory that nobody needs: called when idle.
    void trim();
    [[nodiscard]] size_t memory_bytes() const { return memory_bytes_; }

private:
    JournalGroup& open_group(size_t entry_bytes);
    JournalGroup& begin_group(Chunk& chunk);
    Chunk& add_chunk(size_t at_least);
    void seal(JournalGroup& group);
    void evict_front();
    std::byte* extend(JournalGroup& group, size_t bytes);
    [[nodiscard]] bool may_evict_front() const;
    [[nodiscard]] size_t chunk_size_for(size_t entry_bytes) const;
    void advance_done();
    [[nodiscard]] bool has_file_for(size_t entry_bytes) const;
    Task<> run();
    Task<Status> write_when_possible(JournalGroup& group);
    Task<Status> write_group(JournalGroup& group);

    Runtime& runtime_;
    FileSystem& file_system_;
    const JournalIdentity identity_;
    const StorageSettings& settings_;
    JournalListener& listener_;
    JournalFiles files_;
    const uint64_t id_;

    std::deque<std::unique_ptr<Chunk>> chunks_;
    std::vector<BlockRef> spare_;
    size_t memory_bytes_ = 0;
    size_t undone_bytes_ = 0;
    /// Not yet durable, in order; the last one may be open.
    std::deque<JournalGroup*> unwritten_;
    /// Not yet done, in order.
    std::deque<JournalGroup*> undone_;
    JournalGroup* open_ = nullptr;

    uint64_t next_sequence_ = 1;
    uint64_t durable_through_ = 0;
    uint64_t done_through_ = 0;
    uint64_t synced_through_ = 0;
    uint32_t previous_crc_ = 0;
    uint64_t plan_file_ = 1;
    uint64_t plan_position_ = 0;

    std::optional<Error> error_;
    bool patient_ = true;
    bool closing_ = false;
    bool running_ = false;
    Event wake_;
    Event progress_;
};

}  // namespace ottla::storage
