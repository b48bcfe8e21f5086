// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/log_model.h"

#include <fmt/format.h>

#include <algorithm>

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
            return;
        case LogChange::Kind::move_start: state.start = change.offset; return;
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

std::optional<std::string> LogModel::durable_end_moved(Offset end) {
    if (end < told_)
        return fmt::format("durable end went back from {} to {}", told_.value(), end.value());
    if (end > now_.end)
        return fmt::format("durable end {} is behind log end {}", end.value(), now_.end.value());
    told_ = end;
    for (size_t i = changes_.size(); i > durable_; --i) {
        const LogChange& change = changes_[i - 1];
        if (change.kind != LogChange::Kind::append || change.batch.end() > end) continue;
        durable_through(i - 1);
        break;
    }
    return {};
}

std::optional<std::string> LogModel::recovered(const LogState& found) {
    if (announced_) add(LogChange(*announced_));
    LogState state = base_;
    std::optional<std::string> wrong;
    bool matched = false;
    for (size_t done = 0; done <= changes_.size(); ++done) {
        if (done > 0) apply(state, changes_[done - 1]);
        if (done < durable_) continue;
        if (done == durable_) {
            wrong = fmt::format("found {}; durable was {}, then {} more changes to {}",
                                found.describe(), state.describe(), changes_.size() - durable_,
                                now_.describe());
        }
        if (!state.reads_like(found)) continue;
        matched = true;
        break;
    }
    base_ = now_ = found;
    told_ = found.end;
    changes_.clear();
    durable_ = 0;
    if (matched) return {};
    return wrong;
}

}  // namespace ottla::sim
