// SPDX-License-Identifier: Apache-2.0
// The sparse offset index of one segment: where in the file to begin looking for an offset.
//
//   %020d.index   entries of 8 bytes, big-endian: relative offset i32 | file position i32
//
// The relative offset is that of a batch's *last* record against the segment's base, the position
// that batch's first byte; one entry for every index.interval.bytes. Invariant: both rise strictly.
// Kafka preallocates the file while it runs; a tail of zeros is therefore not part of it.
// pure
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ottla/buffer.h"
#include "ottla/result.h"
#include "ottla/types.h"

namespace ottla::storage {

class OffsetIndex {
public:
    static constexpr size_t kEntryBytes = 8;

    struct Entry {
        Offset offset;
        uint64_t position = 0;
        bool operator==(const Entry&) const = default;
    };

    OffsetIndex(Offset base, int64_t max_bytes)
        : base_(base), most_entries_(static_cast<size_t>(max_bytes) / kEntryBytes) {}

    void append(Offset last_offset, uint64_t position);
    /// The last entry at or below `target`; {base, 0} if there is none.
    [[nodiscard]] Entry lookup(Offset target) const;
    /// Drops entries at `offset` and above.
    void truncate_to(Offset offset);
    /// Gives the memory back: `= {}` would keep it.
    void clear() { entries_ = std::vector<Packed>(); }
    /// Gives back what it took to grow; memory_bytes is then what it holds.
    void trim() { entries_.shrink_to_fit(); }
    /// Entries that there is room for. Not for decisions: allocators and builds differ in it.
    [[nodiscard]] size_t room() const { return entries_.capacity(); }

    [[nodiscard]] size_t size() const { return entries_.size(); }
    [[nodiscard]] size_t memory_bytes() const { return entries_.size() * sizeof(Packed); }
    [[nodiscard]] bool is_full() const { return entries_.size() >= most_entries_; }
    [[nodiscard]] Entry entry(size_t index) const;
    /// The last entry, {base, 0} at first.
    [[nodiscard]] Entry last() const;

    /// Of the entries from `first` on.
    [[nodiscard]] Buffer bytes(size_t first = 0) const;
    /// Replaces everything. `corrupt` if entries do not rise, or point behind `log_bytes`.
    Status load(std::span<const std::byte> bytes, uint64_t log_bytes);

private:
    struct Packed {
        uint32_t relative;
        uint32_t position;
    };
    Offset base_;
    size_t most_entries_;
    std::vector<Packed> entries_;
};

}  // namespace ottla::storage
