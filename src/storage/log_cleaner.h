// SPDX-License-Identifier: Apache-2.0
// LogCleaner: compaction of the logs of one directory of a shard (KIP-58, 354, 534).
//
// One log at a time, the dirtiest that is due (cleaning_plan.h): a first pass over its dirty part
// puts the newest offset of every key into an OffsetMap, a second one copies what stays
// (batch_filter.h) of every segment from the log's start on into new segments, which take the place
// of the old ones one group after another (segment_swap.h). When the map is full the cleaning ends
// there and the rest is the next one's.
//
// It reads and writes pieces of log.cleaner.io.buffer.size on the bulk I/O threads, at most
// log.cleaner.io.max.bytes.per.second, and gives way to everything else after each 64 KiB, so it
// holds never more than the map and two pieces and no turn of the run loop for long. It touches
// only closed, checkpointed segments; a journal entry says before each swap that no older append to
// them may be replayed. Truncation and a swap exclude each other; whoever changed the log meanwhile
// wins, and the cleaning is given up; so it is when the log begins to move to another directory, whose
// copy might have a record already and never see the tombstone that took it. A damaged batch takes the log out of cleaning, by name.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "ottla/task.h"
#include "storage/batch_filter.h"
#include "storage/cleaning_plan.h"
#include "storage/segment.h"
#include "storage/segment_reader.h"

namespace ottla::storage {

class ShardDirectory;
struct LogParts;

class LogCleaner {
public:
    explicit LogCleaner(ShardDirectory& home) : home_(home) {}

    /// Until the directory closes or fails.
    Task<> run();
    /// Tries the dirtiest log that is due; false if there is none.
    Task<bool> clean_dirtiest();
    /// Segments rewritten since the start.
    [[nodiscard]] uint64_t swaps() const { return swaps_; }

private:
    struct Cleaning;

    Task<Status> clean(LogParts& log, CleaningPlan plan);
    Task<Status> read_keys(Cleaning& cleaning);
    Status note_keys(Cleaning& cleaning, const BatchView& batch);
    Task<Status> rewrite(Cleaning& cleaning, SegmentGroup group);
    Task<Status> copy(Cleaning& cleaning, SegmentReader from, Segment& to);
    Task<Status> write_out(Cleaning& cleaning, Segment& to);
    Task<Status> swap_in(Cleaning& cleaning, SegmentGroup group, std::shared_ptr<Segment> fresh);
    Task<Status> put_in_place(Cleaning& cleaning,
                              SegmentGroup group,
                              std::shared_ptr<Segment> fresh);
    Task<> write_sums(Cleaning& cleaning, Segment& fresh);
    [[nodiscard]] static bool still_there(const Cleaning& cleaning, SegmentGroup group);
    /// Room for others; an error when the cleaning has to end.
    Task<Status> give_way(LogParts& log, size_t bytes);
    Task<> slow_down(size_t bytes);

    ShardDirectory& home_;
    uint64_t swaps_ = 0;
    /// Logs whose cleaning failed, until the next round.
    std::set<uint64_t> resting_;
};

}  // namespace ottla::storage
