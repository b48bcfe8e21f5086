// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/log_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "tests/sim/transaction_model.h"

namespace ottla::sim {

std::string LogState::describe() const {
    if (!exists) return "absent";
    return fmt::format("{}..{} in {} batches", start.value(), end.value(), batches.size());
}

bool LogState::reads_like(const LogState& other) const {
    if (exists != other.exists) return false;
    if (!exists) return true;
    if (start != other.start || end != other.end) return false;
    const auto first_of = [this](const LogState& state) {
        return std::find_if(state.batches.begin(), state.batches.end(),
                            [this](const BatchFact& batch) { return batch.end() > start; });
    };
    return std::equal(first_of(*this), batches.end(), first_of(other), other.batches.end());
}

namespace {

struct Placed {
    const BatchFact* batch = nullptr;
    const RecordFact* record = nullptr;
};

std::map<Offset, Placed> records_of(const LogState& log) {
    std::map<Offset, Placed> records;
    for (const BatchFact& batch : log.batches) {
        for (const RecordFact& record : batch.keyed) {
            if (record.offset >= log.start) records[record.offset] = {&batch, &record};
        }
    }
    return records;
}

}  // namespace

std::optional<std::string> LogState::cannot_become(const LogState& cleaned) const {
    if (exists != cleaned.exists) return "it is there or not";
    if (!exists) return {};
    if (start != cleaned.start || end != cleaned.end) return "another start or end";
    const std::map<Offset, Placed> before = records_of(*this);
    const std::map<Offset, Placed> after = records_of(cleaned);
    for (const auto& [offset, placed] : after) {
        const auto known = before.find(offset);
        if (known == before.end() || *known->second.record != *placed.record) {
            return fmt::format("nobody wrote the record at {}", offset.value());
        }
        // Two tombstones of a key are alike; a batch keeps its producer and sequence.
        if (known->second.batch->producer != placed.batch->producer ||
            known->second.batch->sequence != placed.batch->sequence) {
            return fmt::format("somebody else wrote the record at {}", offset.value());
        }
    }
    const std::set<Offset> dropped = dropped_by_markers(batches);
    const std::set<Offset> open = still_open(batches);
    std::set<uint64_t> newer;
    for (auto at = before.rbegin(); at != before.rend(); ++at) {
        const auto& [offset, placed] = *at;
        const Offset batch = placed.batch->base;
        const uint64_t key = placed.record->key;
        const bool may_go = dropped.contains(batch) || placed.record->tombstone ||
                            (newer.contains(key) && !open.contains(batch));
        if (!may_go && !after.contains(offset)) {
            return fmt::format("the newest record of a key, at {}, is gone", offset.value());
        }
        if (!dropped.contains(batch) && !open.contains(batch)) newer.insert(key);
    }
    const auto wanted = table_of(*this, dropped);
    if (table_of(cleaned, dropped_by_markers(cleaned.batches)) != wanted) {
        return "the records make another table";
    }
    return {};
}

void LogModel::apply(LogState& state, const LogChange& change) {
    switch (change.kind) {
        case LogChange::Kind::create:
            state = LogState{
                .exists = true, .start = change.offset, .end = change.offset, .batches = {}};
            return;
        case LogChange::Kind::append:
            state.batches.push_back(change.batch);
            state.end = change.batch.end();
            return;
        case LogChange::Kind::truncate:
            while (!state.batches.empty() && state.batches.back().end() > change.offset) {
                state.end = state.batches.back().base;
                state.batches.pop_back();
            }
            state.end = std::max(state.end, state.start);
            return;
        case LogChange::Kind::move_start:
            state.start = change.offset;
            state.end = std::max(state.end, state.start);
            return;
        case LogChange::Kind::remove: state = LogState{}; return;
    }
}

size_t LogModel::add(const LogChange& change) {
    announced_.reset();
    apply(now_, change);
    if (change.kind != LogChange::Kind::append) told_ = std::min(told_, now_.end);
    if (change.kind == LogChange::Kind::create) told_ = change.offset;
    changes_.push_back(change);
    return changes_.size() - 1;
}

void LogModel::durable_through(size_t index) { durable_ = std::max(durable_, index + 1); }

std::optional<std::string> LogModel::durable_end_moved(Offset end, bool synced) {
    if (end < told_)
        return fmt::format("durable end went back from {} to {}", told_.value(), end.value());
    if (end > now_.end)
        return fmt::format("durable end {} is behind log end {}", end.value(), now_.end.value());
    told_ = end;
    size_t& known = synced ? durable_ : acknowledged_;
    for (size_t i = changes_.size(); i > known; --i) {
        const LogChange& change = changes_[i - 1];
        if (change.kind != LogChange::Kind::append || change.batch.end() > end) continue;
        known = i;
        break;
    }
    return {};
}

namespace {

/// Where two states that should be alike first differ.
std::string first_difference(const LogState& found, const LogState& wanted) {
    if (found.exists != wanted.exists || found.start != wanted.start) return "another start";
    auto have = found.batches.begin();
    for (const BatchFact& batch : wanted.batches) {
        if (batch.end() <= wanted.start) continue;
        while (have != found.batches.end() && have->end() <= found.start) ++have;
        if (have == found.batches.end()) {
            return fmt::format("nothing for the batch at {}", batch.base.value());
        }
        if (*have != batch) {
            return fmt::format("another batch at {} (sequence {} x{}, wanted {} x{})",
                               have->base.value(), have->sequence, have->records, batch.sequence,
                               batch.records);
        }
        ++have;
    }
    return "more behind the end";
}

}  // namespace

bool LogModel::is_alike(const LogState& wanted, const LogState& found) const {
    if (compacted_) return !wanted.cannot_become(found);
    return wanted.reads_like(found);
}

/// Is `found` the state behind the first `done` changes? The start may be further: it only moves
/// over what is durable, so a checkpoint may know it while the appends in front of it are lost.
bool LogModel::explains(const LogState& state, size_t done, const LogState& found) const {
    LogState ahead = state;
    for (;; ++done) {
        if (is_alike(ahead, found)) return true;
        if (ahead.exists && found.start > ahead.start && found.start <= start_limit_) {
            LogState moved = ahead;
            moved.start = found.start;
            if (is_alike(moved, found)) return true;
        }
        while (done < changes_.size() && changes_[done].kind != LogChange::Kind::move_start) {
            const LogChange::Kind kind = changes_[done].kind;
            if (kind == LogChange::Kind::create || kind == LogChange::Kind::remove) return false;
            ++done;
        }
        if (done == changes_.size() || changes_[done].offset > state.end) return false;
        ahead.start = changes_[done].offset;
    }
}

/// Of a compacted log the place may hold several batches, and a cleaner may have been there.
bool LogModel::has_all_but_one(const LogState& wanted, const LogState& found) const {
    const Offset highest = std::max(wanted.start, start_limit_);
    if (!wanted.exists || found.start < wanted.start || found.start > highest) return false;
    if (found.end != std::max(wanted.end, found.start)) return false;
    size_t missing = 0;
    auto have = found.batches.begin();
    for (const BatchFact& batch : wanted.batches) {
        if (batch.end() <= found.start) continue;
        while (have != found.batches.end() && have->end() <= found.start) ++have;
        const bool there = have != found.batches.end() && have->base == batch.base;
        if (!there) {
            ++missing;
            continue;
        }
        const bool cleaned =
            compacted_ && std::ranges::all_of(have->keyed, [&batch](const RecordFact& record) {
                return std::ranges::find(batch.keyed, record) != batch.keyed.end();
            });
        if (*have != batch && !cleaned) return false;
        ++have;
    }
    return have == found.batches.end() && (compacted_ || missing <= 1);
}

std::optional<std::string> LogModel::is_explained_with_a_hole(const LogState& found) const {
    std::vector<LogChange> changes = changes_;
    if (announced_) changes.push_back(*announced_);
    const size_t promised = unsynced_lost_ ? durable_ : acknowledged();
    LogState state = base_;
    for (size_t done = 0; done <= changes.size(); ++done) {
        if (done > 0) apply(state, changes[done - 1]);
        if (done >= promised && has_all_but_one(state, found)) return {};
    }
    return fmt::format("found {}, promised was {} of {} changes to {}", found.describe(), promised,
                       changes.size(), now_.describe());
}

std::optional<std::string> LogModel::recovered(const LogState& found) {
    if (announced_) add(LogChange(*announced_));
    const size_t promised = unsynced_lost_ ? durable_ : acknowledged();
    LogState state = base_;
    std::string wrong;
    bool matched = false;
    for (size_t done = 0; done <= changes_.size() && !matched; ++done) {
        if (done > 0) apply(state, changes_[done - 1]);
        if (done < promised) continue;
        if (done == promised) {
            wrong = fmt::format("found {}; durable was {}, then {} more changes to {}; {}",
                                found.describe(), state.describe(), changes_.size() - promised,
                                now_.describe(),
                                compacted_ ? state.cannot_become(found).value_or("more behind")
                                           : first_difference(found, state));
        }
        matched = explains(state, done, found);
    }
    // What lies below the start is not read any more, but transactions began there.
    base_ = found;
    base_.batches.clear();
    for (const BatchFact& batch : state.batches) {
        // Of a compacted log all that was there, since a cleaning is judged by it.
        const bool kept = compacted_ ? batch.base < found.end : batch.end() <= found.start;
        if (matched && found.exists && kept) base_.batches.push_back(batch);
    }
    const bool whole = compacted_ && matched && found.exists;
    if (!whole) {
        base_.batches.insert(base_.batches.end(), found.batches.begin(), found.batches.end());
    }
    now_ = base_;
    told_ = found.end;
    start_limit_ = found.start;
    changes_.clear();
    durable_ = acknowledged_ = 0;
    unsynced_lost_ = false;
    if (matched) return {};
    return wrong;
}

}  // namespace ottla::sim
