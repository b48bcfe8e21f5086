// SPDX-License-Identifier: Apache-2.0
// Which part of a compacted log is cleaned, when, and into which segments: Kafka's decisions over
// the facts of its segments.
//
//   log start ... first dirty ... first uncleanable ... log end
//   [  cleaned before ][   dirty, cleanable   ][ not yet                 ]
//
// Never cleaned: the active segment, segments that are not stable to their end (open transactions,
// above the high watermark; Kafka goes up to the offset itself), what is younger than min.compaction.lag.ms and, ours, what is not checkpointed. A log
// is due when more than min.cleanable.dirty.ratio of its bytes are dirty, or a dirty record is
// older than max.compaction.lag.ms (KIP-354). Ratios are counted in millionths.
// pure
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "ottla/types.h"
#include "storage/log_config.h"

namespace ottla::storage {

struct CleanerSegment {
    Offset base{0};
    uint64_t bytes = 0;
    uint64_t offset_index_bytes = 0;
    uint64_t time_index_bytes = 0;
    WallTime largest_timestamp = kNoTimestamp;
    /// Of its first batch.
    WallTime first_timestamp = kNoTimestamp;
};

struct CleanerFacts {
    /// In order; the last is active.
    std::span<const CleanerSegment> segments;
    Offset log_start{0};
    Offset log_end{0};
    Offset last_stable{0};
    Offset synced_end{0};
    /// Where the last cleaning ended; kNoOffset if there was none.
    Offset cleaned{-1};
    WallTime now;
};

struct CleaningPlan {
    Offset first_dirty{0};
    Offset first_uncleanable{0};
    uint64_t clean_bytes = 0;
    uint64_t cleanable_bytes = 0;
    int64_t dirty_millionths = 0;
    /// A dirty record waits longer than max.compaction.lag.ms.
    bool overdue = false;
    /// By ratio or by age.
    bool due = false;
};

CleaningPlan plan_cleaning(const LogConfig& rules, const CleanerFacts& log);

/// Neighbours that become one segment: [first, last) of the segments.
struct SegmentGroup {
    size_t first = 0;
    size_t last = 0;
};

/// Groups the segments that begin below `end` so that none becomes larger than a segment may be in
/// bytes, index entries and offsets. `first_uncleanable` ends the last one.
std::vector<SegmentGroup> group_segments(const LogConfig& rules,
                                         std::span<const CleanerSegment> segments,
                                         Offset end,
                                         Offset first_uncleanable);

}  // namespace ottla::storage
