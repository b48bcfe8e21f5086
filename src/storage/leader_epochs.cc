// SPDX-License-Identifier: Apache-2.0
#include "storage/leader_epochs.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace ottla::storage {

void LeaderEpochs::assign(LeaderEpoch epoch, Offset start) {
    if (!entries_.empty() && entries_.back().epoch == epoch && entries_.back().start <= start)
        return;
    while (!entries_.empty() &&
           (entries_.back().epoch >= epoch || entries_.back().start >= start)) {
        entries_.pop_back();
    }
    entries_.push_back({epoch, start});
}

std::optional<EpochStart> LeaderEpochs::latest() const {
    if (entries_.empty()) return std::nullopt;
    return entries_.back();
}

std::optional<EpochStart> LeaderEpochs::earliest() const {
    if (entries_.empty()) return std::nullopt;
    return entries_.front();
}

LeaderEpoch LeaderEpochs::epoch_at(Offset offset) const {
    const auto after = std::ranges::upper_bound(entries_, offset, {}, &EpochStart::start);
    return after == entries_.begin() ? kNoLeaderEpoch : std::prev(after)->epoch;
}

bool LeaderEpochs::allows(LeaderEpoch epoch, Offset last) const {
    if (entries_.empty() || epoch == kNoLeaderEpoch) return true;
    const auto after = std::ranges::upper_bound(entries_, last, {}, &EpochStart::start);
    // The first entry may have begun earlier: it moved up with the log's start.
    if (after == entries_.begin()) return epoch >= LeaderEpoch{0} && epoch <= after->epoch;
    const LeaderEpoch known = std::prev(after)->epoch;
    if (after == entries_.end()) return epoch == known;
    return epoch >= known && epoch < after->epoch;
}

EpochEnd LeaderEpochs::end_of(LeaderEpoch requested, Offset log_end) const {
    if (requested == kNoLeaderEpoch || entries_.empty()) return {};
    if (requested == entries_.back().epoch) return {requested, log_end};
    const auto higher = std::ranges::upper_bound(entries_, requested, {}, &EpochStart::epoch);
    if (higher == entries_.end()) return {};
    if (higher == entries_.begin()) return {requested, higher->start};
    return {std::prev(higher)->epoch, higher->start};
}

void LeaderEpochs::truncate_end(Offset end) {
    std::erase_if(entries_, [end](const EpochStart& entry) { return entry.start >= end; });
}

void LeaderEpochs::truncate_start(Offset start) {
    const auto after = std::ranges::upper_bound(entries_, start, {}, &EpochStart::start);
    if (after == entries_.begin()) return;
    std::prev(after)->start = start;
    entries_.erase(entries_.begin(), std::prev(after));
}

std::string LeaderEpochs::checkpoint() const {
    std::string text = fmt::format("0\n{}\n", entries_.size());
    for (const EpochStart& entry : entries_) {
        text += fmt::format("{} {}\n", entry.epoch.value(), entry.start.value());
    }
    return text;
}

namespace {

/// Takes one number and the separator behind it off the front of `text`.
template <class T>
bool take_number(std::string_view& text, char separator, T& out) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    if (error != std::errc{} || end == text.data() + text.size() || *end != separator) return false;
    text.remove_prefix(static_cast<size_t>(end - text.data()) + 1);
    return true;
}

}  // namespace

Result<LeaderEpochs> LeaderEpochs::parse(std::string_view text) {
    int32_t version = -1;
    int64_t count = -1;
    if (!take_number(text, '\n', version) || version != 0 || !take_number(text, '\n', count)) {
        return fail(ErrorCode::corrupt, "leader-epoch-checkpoint has a bad head");
    }
    LeaderEpochs epochs;
    for (int64_t i = 0; i < count; ++i) {
        int32_t epoch = 0;
        int64_t start = 0;
        if (!take_number(text, ' ', epoch) || !take_number(text, '\n', start)) {
            return fail(ErrorCode::corrupt, "leader-epoch-checkpoint has a bad line");
        }
        const EpochStart entry{LeaderEpoch{epoch}, Offset{start}};
        if (!epochs.entries_.empty() && (entry.epoch <= epochs.entries_.back().epoch ||
                                         entry.start < epochs.entries_.back().start)) {
            return fail(ErrorCode::corrupt, "leader-epoch-checkpoint is out of order");
        }
        epochs.entries_.push_back(entry);
    }
    if (!text.empty())
        return fail(ErrorCode::corrupt, "leader-epoch-checkpoint has more than it says");
    return epochs;
}

}  // namespace ottla::storage
