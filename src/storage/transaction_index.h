// SPDX-License-Identifier: Apache-2.0
// The aborted transactions whose markers lie in one segment: what a read_committed fetch must skip.
//
//   %020d.txnindex   entries of 34 bytes, big-endian, in the order of the markers; no file if there
//                    are none
//
//     version i16 = 0 | producer id i64 | first offset i64 | last offset i64 (of the marker) |
//     last stable offset i64 once the marker was in the log
//
// The last stable offset says how far a search has to go: nothing below it is decided behind the
// entry. Invariants: last offsets rise, no entry's first offset is above its last.
// pure
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ottla/buffer.h"
#include "ottla/result.h"
#include "ottla/types.h"

namespace ottla::storage {

struct AbortedTransaction {
    ProducerId producer;
    Offset first;
    /// Of the marker.
    Offset last;
    Offset last_stable;
    bool operator==(const AbortedTransaction&) const = default;
};

class TransactionIndex {
public:
    static constexpr size_t kEntryBytes = 34;

    void append(const AbortedTransaction& aborted);
    /// Adds those that overlap [from, to). False: no later segment can have another one.
    bool collect(Offset from, Offset to, std::vector<AbortedTransaction>& found) const;
    /// Drops entries whose marker is at `offset` or above.
    void truncate_to(Offset offset);
    /// Gives the memory back: `= {}` would keep it.
    void clear() { entries_ = std::vector<AbortedTransaction>(); }
    /// Gives back what it took to grow; memory_bytes is then what it holds.
    void trim() { entries_.shrink_to_fit(); }
    /// Entries that there is room for. Not for decisions: allocators and builds differ in it.
    [[nodiscard]] size_t room() const { return entries_.capacity(); }

    [[nodiscard]] const std::vector<AbortedTransaction>& entries() const { return entries_; }
    [[nodiscard]] bool empty() const { return entries_.empty(); }
    [[nodiscard]] size_t memory_bytes() const { return entries_.size() * sizeof(AbortedTransaction); }

    [[nodiscard]] Buffer bytes() const;
    /// Replaces everything. `corrupt` if the size, a version, or the order is wrong, or a marker is
    /// below `base`.
    Status load(std::span<const std::byte> bytes, Offset base);

private:
    std::vector<AbortedTransaction> entries_;
};

}  // namespace ottla::storage
