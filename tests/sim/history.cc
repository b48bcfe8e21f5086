// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/history.h"

#include <fmt/format.h>

#include <algorithm>

namespace ottla::sim {

std::string to_string(const Partition& partition) {
    return fmt::format("{}-{}", partition.topic, partition.index);
}

void History::fail(const std::string& what) {
    if (failure_.empty()) failure_ = what;
}

void History::producer_named(int64_t id) {
    if (producer_ids_.insert(id).second) return;
    fail(fmt::format("producer id {} was given to two producers (invariant 4)", id));
}

void History::one_writer(const Partition& where) { partitions_[where].one_writer = true; }

void History::sent(const Partition& where, uint64_t content) {
    auto& sent = partitions_[where].sent;
    sent.try_emplace(content, static_cast<int64_t>(sent.size()));
}

void History::fix(const Partition& where, int64_t offset, uint64_t content, const char* how) {
    Facts& facts = partitions_[where];
    const auto sent = facts.sent.find(content);
    if (sent == facts.sent.end()) {
        return fail(
            fmt::format("{} at {}: {} a record that nobody sent", to_string(where), offset, how));
    }
    const auto [at, fresh] = facts.at.try_emplace(offset, content);
    if (!fresh && at->second != content) {
        return fail(fmt::format("{} at {}: {} another record than before (invariant 2)",
                                to_string(where), offset, how));
    }
    const auto [known, first] = facts.offsets.try_emplace(content, offset);
    if (!first && known->second != offset) {
        fail(fmt::format("{}: one record at {} and {}: a duplicate (invariant 4)", to_string(where),
                         known->second, offset));
    }
    if (facts.one_writer && sent->second != offset) {
        fail(fmt::format("{} at {}: {} the record that was sent as number {} (invariant 4)",
                         to_string(where), offset, how, sent->second));
    }
}

void History::acknowledged(const Partition& where,
                           int64_t base,
                           std::span<const uint64_t> contents) {
    for (const uint64_t content : contents) {
        fix(where, base++, content, "acknowledged");
        ++acknowledged_;
    }
    int64_t& told = partitions_[where].told;
    told = std::max(told, base);
}

void History::exposed(const Partition& where, int64_t offset, uint64_t content) {
    fix(where, offset, content, "read");
    ++exposed_;
}

int64_t History::told(const Partition& where) const {
    const auto at = partitions_.find(where);
    return at == partitions_.end() ? 0 : at->second.told;
}

void History::end_told(const Partition& where, int64_t end, int64_t before) {
    if (end < before) {
        fail(fmt::format("{}: the end is told as {} after {} (invariant 2)", to_string(where), end,
                         before));
    }
    int64_t& told = partitions_[where].told;
    told = std::max(told, end);
}

void History::check_whole(const Partition& where, std::span<const uint64_t> contents) {
    const auto size = static_cast<int64_t>(contents.size());
    if (size < told(where)) {
        fail(fmt::format("{}: {} records are left of {} (invariant 3)", to_string(where), size,
                         told(where)));
    }
    for (int64_t offset = 0; offset < size; ++offset) {
        fix(where, offset, contents[static_cast<size_t>(offset)], "left with");
    }
}

}  // namespace ottla::sim
