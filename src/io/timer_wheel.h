// SPDX-License-Identifier: Apache-2.0
// Hierarchical timer wheel over Ops: arming and cancelling cost O(1) and allocate nothing.
// Time is a count of ticks (the runtime: milliseconds since its start). Seven levels of 64 slots; an
// entry stands on the level of the highest bit in which its tick differs from the present, so that
// every entry of a level lies ahead of the present slot and the lowest occupied slot comes first.
// A slot of a higher level is spread over the lower ones when time enters it. Cancelling is
// `Op::unlink`, done by whoever wants to (also by ~Op): a slot whose bit is set may be empty.
// Entries of one tick fire in the order they were added. Source: Varghese and Lauck, 1987.
// pure
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "ottla/op.h"

namespace ottla::io {

class TimerWheel {
public:
    static constexpr uint64_t kNoTick = UINT64_MAX;

    /// `tick` must lie in the future; what is further away than 139 years fires then.
    void add(Op& op, uint64_t tick) {
        DCHECK(tick > present_, "a timer of the past is ready, not armed");
        op.owner_word = std::min(tick, kLastTick);
        place(op);
    }

    /// Moves the present to `now` and calls fire(Op&), unlinked, for everything due, in order of ticks.
    template <class Fire>
    void advance(uint64_t now, Fire fire) {
        for (Slot slot = first(); slot.start <= now; slot = first()) {
            present_ = std::max(present_, slot.start);
            OpList& ops = slots_[slot.level][slot.index];
            occupied_[slot.level] &= ~(uint64_t{1} << slot.index);
            while (!ops.empty()) {
                Op& op = ops.pop_front();
                if (op.owner_word <= present_) {
                    fire(op);
                } else {
                    place(op);
                }
            }
        }
        present_ = std::max(present_, now);
    }

    /// When to call `advance` next: at or before the first entry's tick; kNoTick without entries.
    [[nodiscard]] uint64_t next_tick() { return first().start; }
    [[nodiscard]] uint64_t present() const { return present_; }

private:
    static constexpr size_t kBits = 6;
    static constexpr size_t kSlots = size_t{1} << kBits;
    static constexpr size_t kLevels = 7;
    static constexpr uint64_t kLastTick = (uint64_t{1} << (kBits * kLevels)) - 1;

    struct Slot {
        size_t level = 0;
        size_t index = 0;
        uint64_t start = kNoTick;
    };

    void place(Op& op) {
        const uint64_t tick = op.owner_word;
        const uint64_t difference = (present_ ^ tick) | (kSlots - 1);
        const size_t level = (static_cast<size_t>(std::bit_width(difference)) - 1) / kBits;
        const size_t index = (tick >> (level * kBits)) & (kSlots - 1);
        slots_[level][index].push_back(op);
        occupied_[level] |= uint64_t{1} << index;
    }

    /// The first slot that holds an entry; forgets the bits of slots that cancellation emptied.
    Slot first() {
        for (size_t level = 0; level < kLevels; ++level) {
            while (occupied_[level] != 0) {
                const auto index = static_cast<size_t>(std::countr_zero(occupied_[level]));
                if (!slots_[level][index].empty()) return {level, index, start_of(level, index)};
                occupied_[level] &= occupied_[level] - 1;
            }
        }
        return {};
    }

    [[nodiscard]] uint64_t start_of(size_t level, size_t index) const {
        const size_t shift = level * kBits;
        const uint64_t above = present_ >> (shift + kBits) << (shift + kBits);
        return above | (uint64_t{index} << shift);
    }

    uint64_t present_ = 0;
    std::array<uint64_t, kLevels> occupied_{};
    std::array<std::array<OpList, kSlots>, kLevels> slots_;
};

}  // namespace ottla::io
