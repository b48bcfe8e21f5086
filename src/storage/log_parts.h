// SPDX-License-Identifier: Apache-2.0
// LogParts: what a Log is made of, shared by the files that work on it: log.cc (append, roll,
// truncate), log_read.cc, log_load.cc (open, rebuild), log_lane.cc (file effects), log_flush.cc
// (batches into segments). Nobody outside storage/ includes it.
//
// The lane. File effects of one log happen one at a time, in this order: effects in the order of
// their journal entries, each once its group is durable, then batches from `flush_cursor` on. A
// truncation in memory takes effect on an ongoing write through `in_flight_end`: what the write put
// behind the cut is not counted as flushed, and the truncation of the file, which waits for the
// lane, removes it.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "ottla/sync.h"
#include "storage/journal_format.h"
#include "storage/leader_epochs.h"
#include "storage/log.h"
#include "storage/log_damage.h"
#include "storage/log_store.h"
#include "storage/log_tail.h"
#include "storage/producer_state.h"
#include "storage/segment.h"
#include "storage/segment_sums.h"

namespace ottla::storage {

class LogMove;
class ShardDirectory;

/// Something to be done to the files of a log, behind what is in front of it.
struct FileEffect {
    enum class Kind : uint8_t {
        make_directory,  ///< and partition.metadata
        make_segment,    ///< the file of `segment`
        truncate,        ///< `segment` to `position`; `removed` and `snapshots` go
        snapshot,        ///< producer state at `offset`
        remove_head,     ///< segments wholly below `offset`
    };
    Kind kind = Kind::make_directory;
    Offset offset{0};
    uint64_t position = 0;
    Buffer bytes;
    /// The very segment, not the one of its name: after a truncation there may be another at the
    /// same base, and its file is made only when the lane has removed this one's.
    std::shared_ptr<Segment> segment;
    std::vector<std::shared_ptr<Segment>> removed;
    std::vector<Offset> snapshots;
    /// The entry it carries out; none for a snapshot.
    JournalGroup* group = nullptr;
    /// Not before this group is durable: a snapshot speaks of records that a crash must not take back,
    /// and whoever finds it without an entry of its log has to know it from a catalogue.
    uint64_t after = 0;
};

/// The group is not known yet.
inline constexpr uint64_t kNotYet = UINT64_MAX;

/// A second descriptor of the segment that is being filled, for writes past the page cache. It is
/// one of the open files, and never a dirty one: the segment's own is, until the next sync.
struct DirectFile {
    DirectFile(std::shared_ptr<Segment> whose, OpenFiles& among)
        : segment(std::move(whose)), file(&among) {}

    const std::shared_ptr<Segment> segment;
    KeptFile file;
};

struct LogIdentity {
    TopicPartition name;
    Uuid topic_id;
    std::string log_dir;
    std::string directory_name;
    std::string path;
    uint64_t instance = 0;
};

struct LogParts {
    LogParts(LogIdentity who, const LogConfig& settings, ShardDirectory& directory);

    LogIdentity identity;
    LogConfig config;
    ShardDirectory& home;
    LogObserver* observer = nullptr;
    Log* self = nullptr;

    Offset log_start{0};
    Offset log_end{0};
    Offset durable_end{0};
    Offset flushed_end{0};
    Offset synced_end{0};
    Offset high_watermark{0};
    /// Counts whatever makes an earlier look at segments or positions wrong.
    uint64_t generation = 0;
    /// Counts truncations.
    uint64_t cuts = 0;
    uint64_t size_bytes = 0;

    LogTail tail;
    /// Ordered by base; the last one is active. Never empty once loaded. Shared with readers that
    /// are on their way: a segment may be truncated away or deleted under them.
    std::vector<std::shared_ptr<Segment>> segments;
    ProducerState producers;
    /// A truncation has cut the log, and producers still say what was cut.
    bool producers_outdated = false;
    LeaderEpochs epochs;
    /// They are for certain those of the batches: not read from Kafka's file, which has no checksum.
    bool epochs_certain = true;
    /// Offsets of the snapshot files, rising.
    std::vector<Offset> snapshots;

    // The journal's view.
    uint64_t declared_in = 0;  ///< file sequence of the last declaration
    uint64_t marked_group = 0;
    size_t mark_index = 0;

    /// Whoever waits inside one of the log's tasks; deletion waits for them.
    Gate users;

    // A move to another directory (log_move.h).
    /// The move of this log, if there is one.
    LogMove* moving = nullptr;
    /// This is the copy: nobody but the move knows of it, its folder has `-future` behind its name.
    bool is_copy = false;
    /// Its copy is about to take its place: appends have to wait.
    bool appends_wait = false;

    // The cleaner.
    /// Truncation, or a swap of segments: whoever holds it.
    Budget shape;
    /// Where the last cleaning ended.
    Offset cleaned = kNoOffset;
    /// A swap of segments is under way: their files are neither the old ones nor the new one.
    bool swapping = false;
    /// What a crashed cleaning left may still be there: nobody has listed the directory.
    bool may_have_leftovers = false;
    /// Why the cleaner leaves this log alone.
    std::optional<Error> uncleanable;

    // Damage (log_damage.h).
    std::vector<DamagedRange> damaged;
    std::set<std::string> unreadable;  ///< what was said of files that cannot be read
    /// Bases of segments whose indexes are being built anew.
    std::set<Offset> rebuilding;
    /// One of them is done, or was given up.
    Event rebuilding_ended;

    // The lane.
    Budget lane;
    std::deque<FileEffect> effects;
    /// The first batch that is not wholly in its file ...
    uint64_t flush_cursor = 0;
    /// ... and how many of its bytes are: the blocks of the run before reached so far.
    uint32_t flushed_part = 0;
    std::optional<uint64_t> in_flight_end;
    std::unique_ptr<DirectFile> direct;
    /// A checkpoint under way will set synced_end to this.
    Offset checkpoint_end{0};
    bool queued = false;  ///< in the flusher's queue
    bool ready = false;   ///< ... of logs with a whole piece
    bool dirty = false;   ///< in the checkpoint's list
    bool stalled = false;  ///< its lane met a full disk
    bool ending = false;   ///< a clean stop is about to write its last snapshot
    bool directory_made = true;
    bool names_changed = false;   ///< files came or went in the log's directory
    bool parent_changed = false;  ///< the directory itself is new
    bool epochs_changed = false;
    bool epochs_written = false;  ///< beside the file they will replace
    /// Names of files that were written whole and not synced yet ...
    std::vector<std::string> unsynced_names;
    /// ... and of those that the sweep under way covers.
    std::vector<std::string> swept_names;
    bool deleted = false;

    [[nodiscard]] Status usable() const;
    /// What batches are held against; null if that may be what is wrong.
    [[nodiscard]] const LeaderEpochs* known_epochs() const {
        return epochs_certain ? &epochs : nullptr;
    }
    [[nodiscard]] Segment& active() { return *segments.back(); }
    /// The segment that would hold `offset`: the last with base <= it, or the first.
    [[nodiscard]] size_t segment_index(Offset offset) const;
    [[nodiscard]] bool holds(const Segment& segment) const;
    [[nodiscard]] SegmentLimits limits() const;
    [[nodiscard]] std::string path_of(std::string_view name) const;
    void add_segment(Offset base);

    /// Where a batch lies, in a file or only noted.
    struct Place {
        std::shared_ptr<Segment> segment;
        uint64_t position = 0;
        Offset base{0};
    };

    // log.cc
    /// Declares the log in the journal's file if it must, leaving room for `bytes` in the same
    /// group.
    void declare(size_t bytes);
    void mark(JournalGroup& group);
    JournalGroup& journal_entry(EntryKind kind, Offset offset);
    void roll_segment(Offset base);
    /// Starts a new segment at `offset`, to which the log's end leaps.
    void roll_to(Offset offset);
    /// The snapshot of a roll waits for the entry that says so.
    void hold_snapshot(const JournalGroup& group);
    /// Producer state and, when a transaction was aborted, the index of `segment`.
    void feed(ProducerState& state, const BatchView& batch, Segment& segment) const;
    /// The log's start goes into the journal, then the segments below it go.
    void release_head();
    void advance_durable(Offset end);
    void forget_chunk(const Chunk& chunk);
    void drop_unflushed();
    /// The batch is in its file, or will never be.
    void settle(const TailBatch& batch);
    void cut(const Place& place);
    [[nodiscard]] Error passed_by_start(Offset offset) const;
    Task<Status> truncate(Offset offset);
    Task<Status> find_largest_time();
    /// `fresh` takes the place of `old`, whose files it has replaced; the caller holds shape and
    /// lane.
    Task<Status> replace_segments(std::vector<std::shared_ptr<Segment>> old,
                                  std::shared_ptr<Segment> fresh);

    // log_read.cc
    /// The first batch with last offset >= `offset`.
    Task<Result<Place>> locate(Offset offset);
    /// Feeds batches of [from, log_end) to `visitor`, from files and memory.
    Task<Status> visit_batches(Offset from, BatchVisitor& visitor);
    /// The same up to `end`; what is damaged in files is passed over.
    Task<Status> visit_batches(Offset from, Offset end, BatchVisitor& visitor);
    /// About kWindowBytes of batches below `from`: where they begin.
    Task<Result<Offset>> window_start(Offset from);
    /// Up to where the file of `segment` may be read.
    [[nodiscard]] uint64_t readable_end(const Segment& segment) const;
    /// From memory or files, whichever it is.
    Task<Result<LogSlice>> read_any(Offset from, size_t max_bytes);

    // log_damage.cc
    /// The indexes of `segment` are in memory and stay there while the pin is held; those that cannot
    /// be used are built anew. offset_out_of_range: the log does not have it any more, nor its files.
    Task<Result<IndexPin>> ensure_indexes(std::shared_ptr<Segment> segment);
    /// Those of a closed segment may be dropped from now on.
    void keep_indexes(Segment& segment) const;
    Task<Status> rebuild_indexes(std::shared_ptr<Segment> segment);
    Task<> rebuild_in_background(std::shared_ptr<Segment> segment,
                                 Gate::Pass alive,
                                 Gate::Pass inside);
    /// Whoever waited for them looks again, whatever came of it.
    void end_rebuilding(Offset base);
    /// Its offset index led somewhere else than it said.
    void distrust_index(std::shared_ptr<Segment> segment, std::string why);
    /// Is there a sound batch where `entry` of the segment's index says?
    Task<Result<bool>> stands(std::shared_ptr<Segment> segment, OffsetIndex::Entry entry);
    /// Every record of that segment's file is below it.
    [[nodiscard]] Offset limit_of(size_t index) const;
    /// There is no sound batch where `found` says: how far that goes.
    Task<Result<DamagedRange>> note_damage(std::shared_ptr<Segment> segment, FoundDamage found);
    /// A reader could not read the file of a segment; said once for each reason.
    void note_unreadable(const Segment& segment, const Error& why);
    /// The end of the damaged range that holds `offset`; `offset` if none does.
    [[nodiscard]] Offset behind_damage(Offset offset) const;
    [[nodiscard]] std::string sums_path(const Segment& segment) const;
    /// The sums of a closed segment, if there are any that count.
    Task<Result<std::optional<SegmentSums>>> load_sums(std::shared_ptr<Segment> segment);
    /// Those that a reader of `segment`, who holds a pin of it, needs are there afterwards.
    Task<Status> ensure_sums(std::shared_ptr<Segment> segment);
    /// Its indexes were built anew: what sums say of them is said again. The caller holds the lane.
    Task<Status> renew_sums(std::shared_ptr<Segment> segment);
    Task<Status> save_sums(std::shared_ptr<Segment> segment, SegmentSums sums);
    Task<Status> forget_sums(const Segment& segment);
    Task<Status> drop_sums(std::shared_ptr<Segment> segment);
    /// Producer state as it was when the record at `base` came.
    Task<Result<ProducerState>> producers_at(Offset base);

    // log_catalogue.cc
    /// Where its ends are, without the picture.
    [[nodiscard]] CatalogueEntry basic_entry() const;
    [[nodiscard]] CatalogueEntry entry() const;
    [[nodiscard]] std::vector<Offset> known_snapshots() const;
    /// From the catalogue, and what a replay put behind it.
    Task<Status> stand_up(FoundLog found);
    Task<Status> take_grown(GrownSegment grown);
    Task<Status> remove_leftovers();
    void forget_all();

    // log_load.cc
    Task<Status> load(FoundLog found);
    Task<Status> read_files(FoundLog found);
    Task<Status> rewrite_topic_id();
    Task<Status> rebuild_epochs();
    /// Segments and log_end are there: every other end.
    void settle_ends(const FoundLog& found);
    Task<Status> sort_out_snapshots(std::vector<Offset> found);
    /// The newest usable snapshot at or below `end`, then the batches behind it.
    Task<Status> rebuild_producers();
    /// Of closed segments, whose index files are not complete.
    Task<Status> finish_recovered(std::vector<std::shared_ptr<Segment>> closed);

    // log_lane.cc
    /// Is there anything that the lane could do now, or `least` bytes to flush?
    [[nodiscard]] bool lane_has_work(size_t least = 0) const;
    /// What lane_has_work says, until there is no more of it; the caller holds the lane.
    Task<Status> run_lane(size_t least = 0);
    Task<Status> perform(FileEffect& effect);
    void put_back(FileEffect effect);
    Task<Status> finish_segments();
    Task<Status> make_directory();
    Task<Status> truncate_files(FileEffect& effect);
    Task<Status> remove_head(Offset start);
    [[nodiscard]] bool has_unsynced() const;
    /// Puts changed epochs beside their file, for sync_files to put in its place, and new index entries
    /// into theirs. The caller of both holds the lane.
    Task<Status> write_small_files();
    Task<Status> write_epochs();
    /// What is there now and unsynced may be covered by a sweep that begins after this.
    void begin_sweep();
    /// Everything that was written, then epochs, then names. By a sweep: what it covered, whose names are
    /// for the caller's next one; what came since stays unsynced.
    Task<Status> sync_files(SyncBy by);
    Task<Status> write_snapshot(Offset offset, Buffer bytes);
    /// Clean stop: what is missing of snapshot and indexes, to be synced. The lane is empty.
    Task<Status> finish();
    /// The journal says that the log is gone, then its folder gets another name, which is the answer:
    /// to be removed by the caller, who drops the log first. Nothing: it had no folder.
    Task<Result<std::optional<std::string>>> erase();

    // log_move.cc
    /// Of a copy: from here on it is the log, and its folder has this name.
    JournalGroup& rename_entry(const std::string& directory_name);
    /// The folder has that name now. The caller holds the lane, and nobody else reads this log.
    void take_name(std::string directory_name);

    // log_flush.cc
    /// What one trip to the disk takes: positions in the file of one segment, numbers of the tail.
    struct FlushRun {
        uint64_t first = 0;
        uint64_t behind = 0;  ///< behind the last batch that it touches
        uint64_t whole = 0;   ///< behind the last one that is written to its end
        uint32_t part = 0;    ///< of batch `whole`, if that is another: bytes written then
        uint64_t base = 0;    ///< where batch `first` begins
        uint64_t begin = 0;
        uint64_t end = 0;
        std::optional<uint64_t> direct_from;
        [[nodiscard]] uint64_t size() const { return end - begin; }
    };
    [[nodiscard]] FlushRun next_run() const;
    /// Are `least` durable bytes not in their file yet, or the end of a segment? 0: any.
    [[nodiscard]] bool has_unflushed(size_t least) const;
    Task<Status> flush_piece();
    Task<Status> write_run(std::shared_ptr<Segment> segment, FlushRun run, Chain bytes);
    Task<Status> reserve(std::shared_ptr<Segment> segment);
    /// Null where there are no direct files.
    Task<Result<std::shared_ptr<File>>> direct_file_of(std::shared_ptr<Segment> segment);
};

/// An index or picture that does not fit its log is made anew, a log that cannot be read is an error.
bool is_rebuildable(const Error& why);
/// The producer-state view of a stored batch's header.
ProducerBatch producer_batch(const BatchView& batch);
/// Data, markers and everything else of a stored batch go where they belong; the transaction that a
/// marker ended, if it had data here.
std::optional<CompletedTransaction> feed_producers(ProducerState& producers,
                                                   const BatchView& batch);

}  // namespace ottla::storage
