// SPDX-License-Identifier: Apache-2.0
#include "storage/offset_map.h"

#include <bit>
#include <cstring>
#include <utility>

#include "ottla/check.h"

namespace ottla::storage {
namespace {

struct SipState {
    uint64_t v0, v1, v2, v3;

    void round() {
        v0 += v1;
        v1 = std::rotl(v1, 13) ^ v0;
        v0 = std::rotl(v0, 32);
        v2 += v3;
        v3 = std::rotl(v3, 16) ^ v2;
        v0 += v3;
        v3 = std::rotl(v3, 21) ^ v0;
        v2 += v1;
        v1 = std::rotl(v1, 17) ^ v2;
        v2 = std::rotl(v2, 32);
    }
    void take(uint64_t word) {
        v3 ^= word;
        round();
        round();
        v0 ^= word;
    }
    uint64_t finish() {
        for (int i = 0; i < 4; ++i) round();
        return v0 ^ v1 ^ v2 ^ v3;
    }
};

uint64_t load_little(const std::byte* at, size_t bytes) {
    uint64_t word = 0;
    for (size_t i = bytes; i-- > 0;) word = word << 8U | std::to_integer<uint64_t>(at[i]);
    return word;
}

}  // namespace

KeyHash siphash128(KeyHash secret, std::span<const std::byte> bytes) {
    SipState state{0x736f6d6570736575ULL ^ secret.low, 0x646f72616e646f6dULL ^ secret.high ^ 0xee,
                   0x6c7967656e657261ULL ^ secret.low, 0x7465646279746573ULL ^ secret.high};
    const size_t words = bytes.size() / 8;
    for (size_t i = 0; i < words; ++i) state.take(load_little(bytes.data() + i * 8, 8));
    const uint64_t rest = load_little(bytes.data() + words * 8, bytes.size() % 8);
    state.take(rest | static_cast<uint64_t>(bytes.size()) << 56U);
    KeyHash hash;
    state.v2 ^= 0xee;
    hash.low = state.finish();
    state.v1 ^= 0xdd;
    hash.high = state.finish();
    return hash;
}

/// Where the hash is, or the free slot where it would go. The table is not full.
size_t OffsetMap::slot_of(const Table& table, const KeyHash& hash) {
    const size_t mask = table.slots.size() - 1;
    size_t at = static_cast<size_t>(hash.low) & mask;
    while (table.slots[at].offset != kEmpty && table.slots[at].hash != hash) at = (at + 1) & mask;
    return at;
}

bool OffsetMap::put(std::span<const std::byte> key, Offset offset) {
    CHECK(offset >= Offset{0}, "offsets are not negative");
    const KeyHash hash = siphash128(secret_, key);
    Table& table = tables_[hash.high >> 56U];
    if (!table.slots.empty()) {
        Slot& known = table.slots[slot_of(table, hash)];
        if (known.offset != kEmpty) {
            known.offset = offset.value();
            return true;
        }
    }
    if (!make_room(table)) return false;
    table.slots[slot_of(table, hash)] = {hash, offset.value()};
    ++table.used;
    ++size_;
    return true;
}

std::optional<Offset> OffsetMap::find(std::span<const std::byte> key) const {
    const KeyHash hash = siphash128(secret_, key);
    const Table& table = tables_[hash.high >> 56U];
    if (table.slots.empty()) return std::nullopt;
    const Slot& slot = table.slots[slot_of(table, hash)];
    if (slot.offset == kEmpty) return std::nullopt;
    return Offset{slot.offset};
}

bool OffsetMap::make_room(Table& table) {
    const size_t slots = table.slots.size();
    if ((table.used + 1) * 4 <= slots * 3) return true;
    const size_t wanted = slots == 0 ? kFirstSlots : slots * 2;
    if (slots_ + wanted - slots <= most_slots_) {
        grow(table, wanted);
        return true;
    }
    return (table.used + 1) * 10 <= slots * 9;
}

void OffsetMap::grow(Table& table, size_t slots) {
    slots_ += slots - table.slots.size();
    const std::vector<Slot> old = std::exchange(table.slots, std::vector<Slot>(slots));
    for (const Slot& slot : old) {
        if (slot.offset != kEmpty) table.slots[slot_of(table, slot.hash)] = slot;
    }
}

}  // namespace ottla::storage
