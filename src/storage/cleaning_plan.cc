// SPDX-License-Identifier: Apache-2.0
#include "storage/cleaning_plan.h"

#include <algorithm>
#include <limits>

namespace ottla::storage {
namespace {

/// What a cleaning left can be trusted only inside the log: elsewhere it begins from the front.
Offset first_dirty_of(const CleanerFacts& log) {
    const bool inside = log.cleaned >= log.log_start && log.cleaned <= log.log_end;
    return inside ? log.cleaned : log.log_start;
}

/// Where segment `index` ends.
Offset end_of(std::span<const CleanerSegment> segments, size_t index, Offset log_end) {
    return index + 1 < segments.size() ? segments[index + 1].base : log_end;
}

Offset first_uncleanable_of(const LogConfig& rules, const CleanerFacts& log, Offset first_dirty) {
    Offset limit = log.segments.back().base;
    for (size_t i = 0; i + 1 < log.segments.size(); ++i) {
        const CleanerSegment& segment = log.segments[i];
        const Offset end = end_of(log.segments, i, log.log_end);
        const bool dirty = end > first_dirty;
        const bool too_young = rules.min_compaction_lag_ms > 0 && dirty &&
                               segment.largest_timestamp.value() >
                                   log.now.value() - rules.min_compaction_lag_ms;
        // Whole segments: a transaction that may still end otherwise loses nothing.
        if (end > log.last_stable || end > log.synced_end || too_young) {
            limit = std::min(limit, segment.base);
            break;
        }
    }
    return std::max(first_dirty, limit);
}

bool is_overdue(const LogConfig& rules, const CleanerFacts& log, Offset first_dirty) {
    const int64_t lag = std::max<int64_t>(rules.max_compaction_lag_ms, 0);
    if (lag >= log.now.value()) return false;
    int64_t earliest = std::numeric_limits<int64_t>::max();
    for (size_t i = 0; i + 1 < log.segments.size(); ++i) {
        const int64_t first = log.segments[i].first_timestamp.value();
        if (end_of(log.segments, i, log.log_end) <= first_dirty || first <= 0) continue;
        earliest = std::min(earliest, first);
    }
    return earliest < log.now.value() - lag;
}

}  // namespace

CleaningPlan plan_cleaning(const LogConfig& rules, const CleanerFacts& log) {
    CleaningPlan plan;
    plan.first_dirty = plan.first_uncleanable = first_dirty_of(log);
    if (!rules.compacts || log.segments.size() < 2) return plan;
    plan.first_uncleanable = first_uncleanable_of(rules, log, plan.first_dirty);
    for (size_t i = 0; i < log.segments.size(); ++i) {
        const CleanerSegment& segment = log.segments[i];
        if (segment.base < plan.first_dirty) plan.clean_bytes += segment.bytes;
        const bool holds_dirty = end_of(log.segments, i, log.log_end) > plan.first_dirty;
        if (holds_dirty && segment.base < plan.first_uncleanable) {
            plan.cleanable_bytes += segment.bytes;
        }
    }
    if (plan.cleanable_bytes == 0 || plan.first_uncleanable <= plan.first_dirty) return plan;
    // Of at most 2^63 bytes: divided before it is multiplied only when it must be.
    const uint64_t all = plan.clean_bytes + plan.cleanable_bytes;
    constexpr uint64_t kMillion = 1'000'000;
    const uint64_t share = all > std::numeric_limits<uint64_t>::max() / kMillion
                               ? plan.cleanable_bytes / (all / kMillion)
                               : plan.cleanable_bytes * kMillion / all;
    plan.dirty_millionths = static_cast<int64_t>(share);
    plan.overdue = is_overdue(rules, log, plan.first_dirty);
    plan.due = plan.overdue || plan.dirty_millionths > rules.min_cleanable_dirty_millionths;
    return plan;
}

std::vector<SegmentGroup> group_segments(const LogConfig& rules,
                                         std::span<const CleanerSegment> segments,
                                         Offset end,
                                         Offset first_uncleanable) {
    std::vector<SegmentGroup> groups;
    const auto most_bytes = static_cast<uint64_t>(rules.segment_bytes);
    const auto most_index = static_cast<uint64_t>(rules.segment_index_bytes);
    uint64_t bytes = 0;
    uint64_t offsets = 0;
    uint64_t times = 0;
    for (size_t i = 0; i < segments.size() && segments[i].base < end; ++i) {
        const CleanerSegment& next = segments[i];
        bytes += next.bytes;
        offsets += next.offset_index_bytes;
        times += next.time_index_bytes;
        const Offset next_end = end_of(segments, i, first_uncleanable);
        const bool fits = !groups.empty() && bytes <= most_bytes && offsets <= most_index &&
                          times <= most_index &&
                          next_end - 1 - segments[groups.back().first].base <=
                              std::numeric_limits<int32_t>::max();
        if (fits) {
            groups.back().last = i + 1;
            continue;
        }
        groups.push_back({i, i + 1});
        bytes = next.bytes;
        offsets = next.offset_index_bytes;
        times = next.time_index_bytes;
    }
    return groups;
}

}  // namespace ottla::storage
