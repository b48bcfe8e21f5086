// SPDX-License-Identifier: Apache-2.0
// What retention takes away from one log: Kafka's rules over the facts of its segments.
//
// Segments go from the front, one by one, and only whole ones below the high watermark: those
// wholly below the log's start (delete-records), then those without which the log still has
// retention.bytes, then those whose largest timestamp is older than retention.ms. A timestamp in
// the future keeps its segment, as in Kafka 4; a segment without any counts by the time of its
// file. Size and time only with `delete` in cleanup.policy. When nothing would be left the active
// segment is rolled first, so that a log always has one; an empty last segment is left alone.
// pure
#pragma once

#include <cstdint>
#include <span>

#include "ottla/types.h"
#include "storage/log_config.h"

namespace ottla::storage {

/// One segment, as retention and the cleaner see it; a log's segments in order, the last is active.
struct SegmentFacts {
    Offset base{0};
    uint64_t bytes = 0;
    /// The largest of its records, the time of its file if they have none.
    WallTime largest_timestamp = kNoTimestamp;
};

struct LogFacts {
    std::span<const SegmentFacts> segments;
    Offset log_start{0};
    Offset log_end{0};
    Offset high_watermark{0};
    WallTime now;
};

struct RetentionDecision {
    /// Below it everything goes; the log's start when there is nothing to do.
    Offset log_start{0};
    /// How many segments lie below it.
    size_t segments = 0;
    /// The active one is among them.
    bool roll = false;
};

RetentionDecision decide_retention(const LogConfig& rules, const LogFacts& log);

}  // namespace ottla::storage
