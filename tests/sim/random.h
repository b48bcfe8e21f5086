// SPDX-License-Identifier: Apache-2.0
// The simulator's only source of chance: splitmix64 (Steele, Lea, Flood 2014). One seed gives many
// independent streams by `fork`, so that a draw added in one place does not shift all the others.
// No std distributions (they differ between libraries); never two draws in one expression, since
// the order of evaluation of arguments is not specified. pure
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "ottla/check.h"

namespace ottla::sim {

/// A strong mix of 64 bits: the finalizer of splitmix64.
constexpr uint64_t mix(uint64_t x) {
    x += 0x9e3779b97f4a7c15U;
    x = (x ^ (x >> 30U)) * 0xbf58476d1ce4e5b9U;
    x = (x ^ (x >> 27U)) * 0x94d049bb133111ebU;
    return x ^ (x >> 31U);
}

/// A hash of bytes that is the same on every build: eight at a time, then the rest.
uint64_t hash_of(std::span<const std::byte> bytes);
uint64_t hash_of(std::string_view text);

class Random {
public:
    explicit Random(uint64_t seed) : state_(mix(seed ^ 0x6f74746c61U)) {}

    uint64_t next() {
        state_ += 0x9e3779b97f4a7c15U;
        return mix(state_);
    }
    /// Uniform in [0, bound); the bias of the modulo is below 2^-32 for every bound used here.
    uint64_t below(uint64_t bound) {
        CHECK(bound != 0, "a draw from nothing");
        return next() % bound;
    }
    /// Uniform in [low, high].
    uint64_t between(uint64_t low, uint64_t high) { return low + below(high - low + 1); }
    /// True in `per_million` of a million cases.
    bool chance(uint32_t per_million) { return below(1'000'000) < per_million; }
    /// An independent stream named by `label`.
    [[nodiscard]] Random fork(uint64_t label) const { return Random{mix(state_ ^ mix(label))}; }

private:
    uint64_t state_;
};

}  // namespace ottla::sim
