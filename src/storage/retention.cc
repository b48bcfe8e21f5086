// SPDX-License-Identifier: Apache-2.0
#include "storage/retention.h"

#include <algorithm>

namespace ottla::storage {
namespace {

/// Walks from the front as long as a rule says that the next segment goes.
class Sweep {
public:
    explicit Sweep(const LogFacts& log) : log_(log) {}

    template <class Rule>
    void take_while(Rule goes) {
        while (next_ < log_.segments.size() && may_go() && goes(log_.segments[next_])) ++next_;
    }

    [[nodiscard]] size_t taken() const { return next_; }
    /// Where the next segment ends.
    [[nodiscard]] Offset end() const {
        return next_ + 1 < log_.segments.size() ? log_.segments[next_ + 1].base : log_.log_end;
    }
    [[nodiscard]] bool is_last() const { return next_ + 1 == log_.segments.size(); }

private:
    [[nodiscard]] bool may_go() const {
        const bool last_and_empty = is_last() && log_.segments[next_].bytes == 0;
        return !last_and_empty && end() <= log_.high_watermark;
    }

    const LogFacts& log_;
    size_t next_ = 0;
};

uint64_t total_bytes(const LogFacts& log) {
    uint64_t bytes = 0;
    for (const SegmentFacts& segment : log.segments) bytes += segment.bytes;
    return bytes;
}

bool is_older_than(WallTime timestamp, WallTime now, int64_t milliseconds) {
    // Counted the way round that cannot overflow: a timestamp is anything that a client sent.
    if (timestamp > now) return false;
    return static_cast<uint64_t>(now.value()) - static_cast<uint64_t>(timestamp.value()) >
           static_cast<uint64_t>(milliseconds);
}

}  // namespace

RetentionDecision decide_retention(const LogConfig& rules, const LogFacts& log) {
    Sweep sweep(log);
    sweep.take_while([&](const SegmentFacts&) {
        return !sweep.is_last() && sweep.end() <= log.log_start;
    });
    if (rules.deletes && rules.retention_bytes >= 0) {
        uint64_t left = total_bytes(log);
        for (size_t i = 0; i < sweep.taken(); ++i) left -= log.segments[i].bytes;
        const auto kept = static_cast<uint64_t>(rules.retention_bytes);
        sweep.take_while([&](const SegmentFacts& segment) {
            if (left < segment.bytes + kept) return false;
            left -= segment.bytes;
            return true;
        });
    }
    if (rules.deletes && rules.retention_ms >= 0) {
        sweep.take_while([&](const SegmentFacts& segment) {
            return is_older_than(segment.largest_timestamp, log.now, rules.retention_ms);
        });
    }
    RetentionDecision decision;
    decision.segments = sweep.taken();
    decision.roll = sweep.taken() > 0 && sweep.taken() == log.segments.size();
    const bool rest = sweep.taken() < log.segments.size();
    const Offset start = rest ? log.segments[sweep.taken()].base : log.log_end;
    decision.log_start = sweep.taken() > 0 ? std::max(start, log.log_start) : log.log_start;
    return decision;
}

}  // namespace ottla::storage
