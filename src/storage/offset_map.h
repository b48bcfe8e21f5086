// SPDX-License-Identifier: Apache-2.0
// OffsetMap: the newest offset of each key that a cleaning has seen, in bounded memory.
//
// Keys are kept as 128-bit hashes, 24 bytes an entry whatever their length: SipHash under a secret
// drawn for each cleaning, so that two keys meet with a chance of 2^-128 and nobody can make them
// meet (with a fixed hash a producer could). 256 open-addressed tables, each of which grows by
// itself: memory follows the keys, and growing never takes long. Full at 90 % of `max_bytes`; a
// full map says so and changes nothing, the cleaning then ends where it is.
// pure
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "ottla/types.h"

namespace ottla::storage {

struct KeyHash {
    uint64_t high = 0;
    uint64_t low = 0;
    auto operator<=>(const KeyHash&) const = default;
};

/// SipHash-2-4 with 128 bits of output.
KeyHash siphash128(KeyHash secret, std::span<const std::byte> bytes);

class OffsetMap {
public:
    OffsetMap(size_t max_bytes, KeyHash secret) : most_slots_(max_bytes / kSlotBytes), secret_(secret) {}

    /// Offsets of one key rise. False: no room for another key.
    bool put(std::span<const std::byte> key, Offset offset);
    [[nodiscard]] std::optional<Offset> find(std::span<const std::byte> key) const;

    [[nodiscard]] size_t size() const { return size_; }
    [[nodiscard]] size_t memory_bytes() const { return slots_ * kSlotBytes; }

private:
    static constexpr size_t kTables = 256;
    static constexpr size_t kFirstSlots = 16;
    static constexpr int64_t kEmpty = -1;
    struct Slot {
        KeyHash hash;
        int64_t offset = kEmpty;
    };
    static constexpr size_t kSlotBytes = sizeof(Slot);
    struct Table {
        std::vector<Slot> slots;
        size_t used = 0;
    };

    static size_t slot_of(const Table& table, const KeyHash& hash);
    bool make_room(Table& table);
    void grow(Table& table, size_t slots);

    size_t most_slots_;
    KeyHash secret_;
    std::array<Table, kTables> tables_;
    size_t slots_ = 0;
    size_t size_ = 0;
};

}  // namespace ottla::storage
