// SPDX-License-Identifier: Apache-2.0
#include "storage/time_index.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/endian.h"
#include "ottla/check.h"

namespace ottla::storage {

void TimeIndex::maybe_append(WallTime timestamp, Offset offset) {
    if (timestamp <= last().timestamp) return;
    const int64_t relative = offset - base_;
    CHECK(relative >= 0 && relative <= INT32_MAX, "an offset of the segment");
    entries_.push_back({timestamp.value(), static_cast<uint32_t>(relative)});
}

TimeIndex::Entry TimeIndex::lookup(WallTime at) const {
    auto above = std::upper_bound(
        entries_.begin(), entries_.end(), at.value(),
        [](int64_t wanted, const Packed& entry) { return wanted < entry.timestamp; });
    if (above == entries_.begin()) return {kNoTimestamp, base_};
    return entry(static_cast<size_t>(above - entries_.begin()) - 1);
}

void TimeIndex::truncate_to(Offset offset) {
    while (!entries_.empty() && int64_t{entries_.back().relative} >= offset - base_) {
        entries_.pop_back();
    }
}

TimeIndex::Entry TimeIndex::entry(size_t index) const {
    return {WallTime{entries_[index].timestamp}, base_ + int64_t{entries_[index].relative}};
}

TimeIndex::Entry TimeIndex::last() const {
    return entries_.empty() ? Entry{kNoTimestamp, base_} : entry(entries_.size() - 1);
}

Buffer TimeIndex::bytes(size_t first) const {
    if (first >= entries_.size()) return {};
    const size_t size = (entries_.size() - first) * kEntryBytes;
    BlockRef block = make_block(size);
    std::byte* at = block->data();
    for (size_t i = first; i < entries_.size(); ++i) {
        store_be(at, entries_[i].timestamp);
        store_be(at + 8, entries_[i].relative);
        at += kEntryBytes;
    }
    return {std::move(block), 0, size};
}

/// A first entry of zeros is real (a record of 1970) unless the preallocated tail begins there.
static bool next_is_zero(std::span<const std::byte> bytes) {
    constexpr size_t k = TimeIndex::kEntryBytes;
    return bytes.size() >= 2 * k && load_be<int64_t>(bytes.data() + k) == 0 &&
           load_be<uint32_t>(bytes.data() + k + 8) == 0;
}

Status TimeIndex::load(std::span<const std::byte> bytes) {
    if (bytes.size() % kEntryBytes != 0) {
        return fail(ErrorCode::corrupt, "a time index is not a multiple of 12 bytes");
    }
    std::vector<Packed> found;
    for (size_t at = 0; at < bytes.size(); at += kEntryBytes) {
        const auto timestamp = load_be<int64_t>(bytes.data() + at);
        const auto relative = load_be<uint32_t>(bytes.data() + at + 8);
        if (timestamp == 0 && relative == 0 && (at > 0 || next_is_zero(bytes))) break;
        const bool rises = found.empty() || (timestamp > found.back().timestamp &&
                                             relative >= found.back().relative);
        if (!rises || relative > INT32_MAX || timestamp < 0) {
            return fail(ErrorCode::corrupt, fmt::format("time index entry {} is {} -> {}",
                                                        at / kEntryBytes, timestamp, relative));
        }
        found.push_back({timestamp, relative});
    }
    found.shrink_to_fit();
    entries_ = std::move(found);
    return {};
}

}  // namespace ottla::storage
