// SPDX-License-Identifier: Apache-2.0
// The sparse time index of one segment: from which offset on records may be as young as a
// timestamp.
//
//   %020d.timeindex   entries of 12 bytes, big-endian: timestamp i64 | relative offset i32
//
// An entry says: no record at or before that offset has a larger timestamp. The offset is the last
// one of the batch that set the maximum. Appended beside each offset index entry, and a final one
// when the segment is rolled or closed. Invariants: timestamps rise strictly, offsets do not fall.
// pure
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ottla/buffer.h"
#include "ottla/result.h"
#include "ottla/types.h"

namespace ottla::storage {

class TimeIndex {
public:
    static constexpr size_t kEntryBytes = 12;

    struct Entry {
        WallTime timestamp = kNoTimestamp;
        Offset offset;
        bool operator==(const Entry&) const = default;
    };

    TimeIndex(Offset base, int64_t max_bytes)
        : base_(base), most_entries_(static_cast<size_t>(max_bytes) / kEntryBytes) {}

    /// Appends if `timestamp` is larger than the last entry's.
    void maybe_append(WallTime timestamp, Offset offset);
    /// The last entry with a timestamp <= `at`; {-1, base} if there is none.
    [[nodiscard]] Entry lookup(WallTime at) const;
    void truncate_to(Offset offset);
    /// Gives the memory back: `= {}` would keep it.
    void clear() { entries_ = std::vector<Packed>(); }
    /// Gives back what it took to grow; memory_bytes is then what it holds.
    void trim() { entries_.shrink_to_fit(); }
    /// Entries that there is room for. Not for decisions: allocators and builds differ in it.
    [[nodiscard]] size_t room() const { return entries_.capacity(); }

    [[nodiscard]] size_t size() const { return entries_.size(); }
    [[nodiscard]] size_t memory_bytes() const { return entries_.size() * sizeof(Packed); }
    /// One slot is kept for the final entry, as Kafka does.
    [[nodiscard]] bool is_full() const { return entries_.size() + 1 >= most_entries_; }
    [[nodiscard]] Entry entry(size_t index) const;
    [[nodiscard]] Entry last() const;

    /// Of the entries from `first` on.
    [[nodiscard]] Buffer bytes(size_t first = 0) const;
    Status load(std::span<const std::byte> bytes);

private:
    struct Packed {
        int64_t timestamp;
        uint32_t relative;
    };
    Offset base_;
    size_t most_entries_;
    std::vector<Packed> entries_;
};

}  // namespace ottla::storage
