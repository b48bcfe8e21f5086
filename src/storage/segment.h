// SPDX-License-Identifier: Apache-2.0
// Segment: one `%020d.log` file and its indexes (offsets, times, aborted transactions). It owns the open file and the index entries of
// what is appended; who may write it when is the caller's affair (the log's lane, or the quorum
// log's own).
//
// Two sides. Memory: `note_append` says that a batch takes its place at `size()`, as Kafka's
// LogSegment counts index entries, timestamps and the reasons to roll. Files: `write`, `sync`,
// `write_indexes`, `truncate_file`; a segment that was only noted has no file yet. Room that was reserved
// for it (`reserve`) lies behind its batches as zeros, up to the end of the file, until it is finished or
// truncated: whoever reads the file goes by size(). The index of a
// growing segment is in memory; its files have a part of it that a catalogue vouches for
// (`save_new_entries`, `entry`, `restore`), all of it when it is finished (rolled, closed), and are
// rebuilt by `recover` otherwise. The file is opened when it is needed and closed when OpenFiles needs
// the descriptor for another one; readers hold it open by a copy of `file()`: unlinking or closing it
// does not hurt them. The indexes of a closed one may be dropped from memory while nobody pins them
// (index_cache.h). Used alone by the metadata log. Errors: io_error, no_space, corrupt (names the
// file and position).
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "ottla/file.h"
#include "ottla/op.h"
#include "ottla/result.h"
#include "ottla/task.h"
#include "ottla/types.h"
#include "records/batch.h"
#include "storage/atomic_file.h"
#include "storage/catalogue.h"
#include "storage/crc_walk.h"
#include "storage/index_cache.h"
#include "storage/offset_index.h"
#include "storage/open_files.h"
#include "storage/segment_sums.h"
#include "storage/time_index.h"
#include "storage/transaction_index.h"

namespace ottla::storage {

struct SegmentLimits {
    int64_t segment_bytes = 1024LL * 1024 * 1024;
    int64_t segment_ms = 7LL * 24 * 60 * 60 * 1000;
    /// This segment's share of segment.jitter.ms: it rolls so much earlier.
    int64_t jitter_ms = 0;
    int64_t index_bytes = 10LL * 1024 * 1024;
    int64_t index_interval_bytes = 4096;
};

/// Where a walk over a segment ended: behind its last whole batch.
struct SegmentEnd {
    uint64_t position = 0;
    /// Behind the last record; the segment's base if there is none.
    Offset offset;
    /// Why it stopped before the end of the file; nothing if it did not.
    std::optional<Error> damage;
};

/// Sees the batches of a walk in order; views are valid during the call.
class BatchVisitor {
public:
    virtual void visit(const BatchView& batch, uint64_t position) = 0;

protected:
    ~BatchVisitor() = default;
};

inline constexpr uint64_t kMostTransactionBytes = 256ULL * 1024 * 1024;

/// All entries, as files that have them.
IndexFiles index_files_of(const OffsetIndex& offsets, const TimeIndex& times);

class Segment {
public:
    /// Without `open_files` its file stays open once it was.
    Segment(FileSystem& files,
            std::string directory,
            Offset base,
            SegmentLimits limits,
            WallTime created,
            OpenFiles* open_files = nullptr);

    [[nodiscard]] Offset base() const { return base_; }
    /// Its index entries have no room for an offset from here on.
    [[nodiscard]] Offset reach() const;
    /// Bytes noted: where the next batch goes.
    [[nodiscard]] uint64_t size() const { return size_; }
    [[nodiscard]] WallTime max_timestamp() const { return max_timestamp_; }
    /// The max timestamp of its first batch.
    [[nodiscard]] WallTime first_timestamp() const {
        return first_timestamp_.value_or(kNoTimestamp);
    }
    /// Of a closed segment these may be dropped: held by an IndexPin, after load_indexes.
    [[nodiscard]] const OffsetIndex& offset_index() const { return offsets_; }
    [[nodiscard]] const TimeIndex& time_index() const { return times_; }
    [[nodiscard]] const TransactionIndex& transaction_index() const { return transactions_; }
    /// Of the index files, also while the indexes are dropped; not below what they have.
    [[nodiscard]] uint64_t offset_index_bytes() const;
    [[nodiscard]] uint64_t time_index_bytes() const;
    [[nodiscard]] std::string log_path() const;

    // Memory.
    void note_append(const BatchView& batch);
    /// A batch of the file, `position` not below size(): what lies between is passed over.
    void note_found(const BatchView& batch, uint64_t position);
    /// The marker that was noted last aborted a transaction.
    void note_aborted(const AbortedTransaction& aborted) {
        CHECK(indexes_loaded_, "a segment whose indexes are dropped does not grow");
        transactions_.append(aborted);
        finished_ = false;
    }
    /// Would a batch of `bytes`, ending with `last`, have to begin another segment?
    [[nodiscard]] bool must_roll(size_t bytes, Offset last, WallTime timestamp, WallTime now) const;
    /// A segment keeps the jitter that it began with.
    void set_limits(const SegmentLimits& limits) {
        const int64_t jitter = limits_.jitter_ms;
        limits_ = limits;
        limits_.jitter_ms = std::min(jitter, limits.segment_ms);
    }
    /// Forgets what was noted from `offset` on, which lies at `position`.
    /// The largest time is that of the last index entry then, until note_largest_time.
    void note_truncate(Offset offset, uint64_t position);
    void note_largest_time(WallTime time, Offset offset) {
        if (time <= max_timestamp_) return;
        max_timestamp_ = time;
        offset_of_max_timestamp_ = offset;
    }

    // Files. One at a time, except read.
    /// Makes the file if there is none. `bytes` lie at `position`.
    Task<Status> write(uint64_t position, Chain bytes);
    /// The same past the page cache, through `direct`, another descriptor of it: whole blocks.
    Task<Status> write_direct(std::shared_ptr<File> direct, uint64_t position, Chain bytes);
    Task<Status> truncate_file(uint64_t size);
    /// Room for `bytes` in a file that has none yet; none of it where the disk has not that much to give.
    Task<Status> reserve(uint64_t bytes);
    /// Is the next batch's place, of `bytes`, on the disk already?
    [[nodiscard]] bool has_room(size_t bytes) const { return size_ + bytes <= reserved_; }
    /// Its file was made here; said once.
    [[nodiscard]] bool take_made() { return std::exchange(made_, false); }
    /// The room behind its batches is given back. The final time index entry, then both index files,
    /// exactly as long as their entries.
    Task<Status> write_indexes();
    /// Index entries that only memory has go behind those in the files, if they are that many.
    Task<Status> save_new_entries(size_t at_least);
    /// Log and index files, if they changed since the last sync. Names are the caller's
    /// sync_directory.
    Task<Status> sync();
    /// The same by a sync_all of the caller's, with many others: between these two. What changes meanwhile
    /// stays dirty.
    void begin_sweep();
    Task<Status> end_sweep();
    /// At most `length` bytes at `position`; a few that are cached at once. Short only at the end of
    /// the file. `walk`: over it, if an I/O thread reads it.
    Task<Result<Buffer>> read(uint64_t position,
                              size_t length,
                              std::shared_ptr<CrcWalk> walk = nullptr);
    /// Walks the whole batches in [from, size of the file), checking CRCs if asked; nothing is read from
    /// `limit` on. A batch whose offsets go back, or are none of this segment, is damage.
    Task<Result<SegmentEnd>> walk(uint64_t from,
                                  BatchCursor::Crc crc,
                                  BatchVisitor& visitor,
                                  uint64_t limit = UINT64_MAX);

    /// There is a .txnindex file of it: whoever listed the directory says so before load.
    void expect_transaction_file() { transaction_file_ = true; }
    /// After recover, which cannot know them, until transactions_rebuilt.
    [[nodiscard]] bool lacks_transactions() const { return lacks_transactions_; }
    void transactions_rebuilt() { lacks_transactions_ = false; }
    /// The transaction index alone, synced but for its name.
    Task<Status> save_transactions();

    /// From the files of a clean stop: size, indexes, timestamps. `corrupt` if the indexes do not
    /// fit: recover.
    Task<Status> load();
    /// Walks from the beginning with CRCs, cuts the file behind the last good batch, builds the
    /// indexes anew. Damage below `keep_below` is no torn end: nothing is cut. Zeros up to the end of
    /// the file are reserved room that nobody used, if they begin at `filled` or later: they are cut
    /// and are no damage.
    Task<Result<SegmentEnd>> recover(BatchVisitor* visitor,
                                     Offset keep_below = Offset{0},
                                     Offset filled = Offset{INT64_MAX});
    /// Its indexes were built anew (adopt_indexes), but for the aborted transactions.
    void lose_transactions() { lacks_transactions_ = true; }
    /// What a catalogue says of it. `growing`: a few index entries are said too, for the next append.
    [[nodiscard]] SegmentEntry entry(bool growing) const;
    /// From a catalogue. Reads nothing but index entries that a growing one has in its files; `corrupt`
    /// if those are not the ones that were vouched for.
    Task<Status> restore(SegmentEntry from);
    /// Walks with CRCs what the file has behind size(), up to `end`.
    Task<Result<SegmentEnd>> catch_up(BatchVisitor* visitor, uint64_t end);
    /// The index files are read again if they were dropped (drop_indexes). `corrupt` if they make no
    /// sense, or are not those of `sums`.
    Task<Status> load_indexes(std::optional<SegmentSums> sums = {});
    /// And sums that can be read again. Not of a growing one, while pinned, or before the files say
    /// all there is and are synced. For IndexCache, which knows that it is closed.
    void drop_indexes();
    /// They grow no more: what was kept for that is given back.
    void trim_indexes();
    /// Memory that they and the sums take, of a segment that was trimmed.
    [[nodiscard]] size_t index_bytes() const;
    [[nodiscard]] KeptIndexes& kept_indexes() { return kept_indexes_; }
    /// Takes those of `scratch`, which noted the batches of this segment's file: all of a closed
    /// one, those below position `covered` and offset `covered_end` of an open one.
    void adopt_indexes(Segment& scratch, uint64_t covered, Offset covered_end, bool closed);
    [[nodiscard]] bool has_indexes() const { return indexes_loaded_; }
    /// Of a closed one, for its readers: null if there are none, or they need none.
    [[nodiscard]] const std::shared_ptr<const SegmentSums>& sums() const { return sums_; }
    [[nodiscard]] bool sums_were_sought() const { return sums_were_sought_; }
    void take_sums(std::shared_ptr<const SegmentSums> sums) {
        sums_ = std::move(sums);
        sums_were_sought_ = true;
    }
    /// Removes its files; nothing is opened by their names any more.
    Task<Status> remove_files();

    /// The directory that holds its files has another name now.
    void follow_directory(std::string directory) { directory_ = std::move(directory); }
    /// Its files have `.cleaned` or `.swap` behind their names.
    void set_extension(std::string extension) { extension_ = std::move(extension); }
    /// Another one takes its place: it serves readers by its open file and is not opened again.
    void retire() {
        gone_ = true;
        file_.pin();
        kept_indexes_.leave();
    }

    Task<Result<std::shared_ptr<File>>> file(bool create);
    /// Truncated away: what is unsynced of it never matters again.
    void let_go() { file_.release(); }
    [[nodiscard]] bool is_open() const { return file_.is_open(); }
    /// Its file was opened or made here before.
    [[nodiscard]] bool has_file() const { return has_file_; }
    [[nodiscard]] bool is_dirty() const { return file_.is_dirty() || indexes_dirty_; }
    /// A file was made since the last names_synced().
    [[nodiscard]] bool names_changed() const { return names_changed_; }
    void names_synced() { names_changed_ = false; }
    /// Index files on disk say all there is.
    [[nodiscard]] bool is_finished() const { return finished_; }

private:
    friend class SegmentBuilder;
    [[nodiscard]] std::string path(std::string_view suffix) const;
    void reset_notes();
    void clear_indexes();
    [[nodiscard]] uint64_t most_index_entries() const;
    void note_indexes_written();
    Task<Status> write_index_entries();
    Task<Status> write_index_file(std::string_view suffix, uint64_t position, Buffer entries);
    Task<Result<Buffer>> vouched_entries(std::string_view suffix, size_t bytes, uint32_t crc);
    Task<Status> write_transactions();
    Task<Status> sync_indexes(SyncBy by, IndexFiles covered, uint64_t cuts);
    Task<Status> trim();
    [[nodiscard]] bool belongs_behind(const SegmentEnd& before, const BatchView& batch) const;
    [[nodiscard]] Error stray(uint64_t position, const BatchView& batch) const;
    Task<Result<bool>> has_zeros_only(uint64_t from);

    FileSystem& files_;
    std::string directory_;
    std::string extension_;
    const Offset base_;
    SegmentLimits limits_;
    const WallTime created_;
    uint64_t size_ = 0;
    /// Blocks up to here are the file's, as far as this life knows.
    uint64_t reserved_ = 0;
    OffsetIndex offsets_;
    TimeIndex times_;
    TransactionIndex transactions_;
    /// What of the indexes is in their files, and what of that is synced.
    IndexFiles in_files_;
    IndexFiles synced_in_files_;
    uint64_t index_cuts_ = 0;
    int64_t bytes_since_index_entry_ = 0;
    WallTime max_timestamp_ = kNoTimestamp;
    Offset offset_of_max_timestamp_;
    std::optional<WallTime> first_timestamp_;
    KeptFile file_;
    KeptIndexes kept_indexes_{*this};
    bool has_file_ = false;
    bool made_ = false;
    /// The file may be longer than its batches.
    bool has_tail_ = false;
    bool indexes_dirty_ = false;
    /// A sweep covers them, as they were then.
    std::optional<IndexFiles> swept_indexes_;
    uint64_t swept_cuts_ = 0;
    /// A sync of them is under way, or failed.
    bool indexes_in_doubt_ = false;
    bool indexes_loaded_ = true;
    bool names_changed_ = false;
    bool finished_ = false;
    bool gone_ = false;
    bool transaction_file_ = false;
    bool transaction_file_may_exist_ = false;
    bool lacks_transactions_ = false;
    bool sums_were_sought_ = false;
    std::shared_ptr<const SegmentSums> sums_;
};

}  // namespace ottla::storage
