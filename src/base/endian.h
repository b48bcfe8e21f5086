// SPDX-License-Identifier: Apache-2.0
// Big-endian numbers at unaligned places, as every Kafka format stores them.
// pure
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstring>

namespace ottla {

template <std::integral T>
T load_be(const std::byte* at) {
    T value;
    std::memcpy(&value, at, sizeof value);
    return std::byteswap(value);
}

template <std::integral T>
void store_be(std::byte* at, T value) {
    value = std::byteswap(value);
    std::memcpy(at, &value, sizeof value);
}

}  // namespace ottla
