// SPDX-License-Identifier: Apache-2.0
#include "storage/offset_index.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/endian.h"
#include "ottla/check.h"

namespace ottla::storage {

void OffsetIndex::append(Offset last_offset, uint64_t position) {
    const int64_t relative = last_offset - base_;
    CHECK(relative >= 0 && relative <= INT32_MAX, "an offset of the segment");
    CHECK(position <= INT32_MAX, "a position of the segment");
    CHECK(entries_.empty() || entries_.back().relative < relative, "index entries rise");
    entries_.push_back({static_cast<uint32_t>(relative), static_cast<uint32_t>(position)});
}

OffsetIndex::Entry OffsetIndex::lookup(Offset target) const {
    const int64_t relative = target - base_;
    auto above = std::upper_bound(
        entries_.begin(), entries_.end(), relative,
        [](int64_t wanted, const Packed& entry) { return wanted < int64_t{entry.relative}; });
    if (above == entries_.begin()) return {base_, 0};
    return entry(static_cast<size_t>(above - entries_.begin()) - 1);
}

void OffsetIndex::truncate_to(Offset offset) {
    while (!entries_.empty() && int64_t{entries_.back().relative} >= offset - base_) {
        entries_.pop_back();
    }
}

OffsetIndex::Entry OffsetIndex::entry(size_t index) const {
    return {base_ + int64_t{entries_[index].relative}, entries_[index].position};
}

OffsetIndex::Entry OffsetIndex::last() const {
    return entries_.empty() ? Entry{base_, 0} : entry(entries_.size() - 1);
}

Buffer OffsetIndex::bytes(size_t first) const {
    if (first >= entries_.size()) return {};
    const size_t size = (entries_.size() - first) * kEntryBytes;
    BlockRef block = make_block(size);
    std::byte* at = block->data();
    for (size_t i = first; i < entries_.size(); ++i) {
        store_be(at, entries_[i].relative);
        store_be(at + 4, entries_[i].position);
        at += kEntryBytes;
    }
    return {std::move(block), 0, size};
}

Status OffsetIndex::load(std::span<const std::byte> bytes, uint64_t log_bytes) {
    if (bytes.size() % kEntryBytes != 0) {
        return fail(ErrorCode::corrupt, "an offset index is not a multiple of 8 bytes");
    }
    std::vector<Packed> found;
    for (size_t at = 0; at < bytes.size(); at += kEntryBytes) {
        const auto relative = load_be<uint32_t>(bytes.data() + at);
        const auto position = load_be<uint32_t>(bytes.data() + at + 4);
        if (position == 0) break;  // The preallocated tail: no entry points at the first batch.
        const bool rises =
            found.empty() || (relative > found.back().relative && position > found.back().position);
        if (!rises || relative > INT32_MAX || position >= log_bytes) {
            return fail(ErrorCode::corrupt, fmt::format("offset index entry {} is {} -> {}",
                                                        at / kEntryBytes, relative, position));
        }
        found.push_back({relative, position});
    }
    found.shrink_to_fit();
    entries_ = std::move(found);
    return {};
}

}  // namespace ottla::storage
