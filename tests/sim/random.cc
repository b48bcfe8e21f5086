// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/random.h"

#include <cstring>

#include "ottla/buffer.h"

namespace ottla::sim {

uint64_t hash_of(std::span<const std::byte> bytes) {
    uint64_t hash = mix(bytes.size());
    size_t at = 0;
    for (; at + 8 <= bytes.size(); at += 8) {
        uint64_t word = 0;
        std::memcpy(&word, bytes.data() + at, 8);
        hash = (hash ^ word) * 0x9fb21c651e98df25U;
        hash ^= hash >> 32U;
    }
    uint64_t rest = 0;
    if (at < bytes.size()) std::memcpy(&rest, bytes.data() + at, bytes.size() - at);
    return mix(hash ^ rest);
}

uint64_t hash_of(std::string_view text) { return hash_of(as_bytes(text)); }

}  // namespace ottla::sim
