// SPDX-License-Identifier: Apache-2.0
// Variable-length integers: seven bits a byte, lowest first, the top bit says "more follows".
//
//   unsigned varint   plain, at most 5 bytes      protocol: compact lengths, tags
//   varint            zigzag 32 bits, <= 5 bytes  record fields
//   varlong           zigzag 64 bits, <= 10 bytes record timestamps
//
// Readers take [at, end) and give the position after the number, or nullptr when it runs over the
// end or longer than its maximum: no exception, no Result, because records are walked with these.
// Padded forms are taken and bits beyond the width dropped, as Kafka's reader does. Writers need
// room for the maximum at `at`. pure
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace ottla {

inline constexpr size_t kMaxVarintBytes = 5;
inline constexpr size_t kMaxVarlongBytes = 10;

constexpr uint32_t zigzag(int32_t v) {
    return (static_cast<uint32_t>(v) << 1) ^ static_cast<uint32_t>(v >> 31);
}
constexpr uint64_t zigzag(int64_t v) {
    return (static_cast<uint64_t>(v) << 1) ^ static_cast<uint64_t>(v >> 63);
}
constexpr int32_t unzigzag(uint32_t v) { return static_cast<int32_t>((v >> 1) ^ (0U - (v & 1U))); }
constexpr int64_t unzigzag(uint64_t v) { return static_cast<int64_t>((v >> 1) ^ (0U - (v & 1U))); }

constexpr size_t unsigned_varint_size(uint32_t v) {
    return (static_cast<size_t>(std::bit_width(v | 1U)) + 6) / 7;
}
constexpr size_t unsigned_varlong_size(uint64_t v) {
    return (static_cast<size_t>(std::bit_width(v | 1U)) + 6) / 7;
}
constexpr size_t varint_size(int32_t v) { return unsigned_varint_size(zigzag(v)); }
constexpr size_t varlong_size(int64_t v) { return unsigned_varlong_size(zigzag(v)); }

inline std::byte* write_unsigned_varlong(std::byte* at, uint64_t v) {
    for (; v >= 0x80U; v >>= 7) *at++ = static_cast<std::byte>(v | 0x80U);
    *at++ = static_cast<std::byte>(v);
    return at;
}
inline std::byte* write_unsigned_varint(std::byte* at, uint32_t v) {
    return write_unsigned_varlong(at, v);
}
inline std::byte* write_varint(std::byte* at, int32_t v) {
    return write_unsigned_varlong(at, zigzag(v));
}
inline std::byte* write_varlong(std::byte* at, int64_t v) {
    return write_unsigned_varlong(at, zigzag(v));
}

namespace detail {
template <class Word, unsigned MaxBytes>
const std::byte* read_groups(const std::byte* at, const std::byte* end, Word& value) {
    Word result = 0;
    for (unsigned i = 0; i < MaxBytes; ++i) {
        if (at == end) return nullptr;
        auto byte = std::to_integer<Word>(*at++);
        result |= static_cast<Word>((byte & 0x7FU) << (7 * i));
        if ((byte & 0x80U) == 0) {
            value = result;
            return at;
        }
    }
    return nullptr;
}
}  // namespace detail

inline const std::byte* read_unsigned_varint(const std::byte* at,
                                             const std::byte* end,
                                             uint32_t& v) {
    return detail::read_groups<uint32_t, kMaxVarintBytes>(at, end, v);
}
inline const std::byte* read_unsigned_varlong(const std::byte* at,
                                              const std::byte* end,
                                              uint64_t& v) {
    return detail::read_groups<uint64_t, kMaxVarlongBytes>(at, end, v);
}
inline const std::byte* read_varint(const std::byte* at, const std::byte* end, int32_t& v) {
    uint32_t raw = 0;
    at = read_unsigned_varint(at, end, raw);
    v = unzigzag(raw);
    return at;
}
inline const std::byte* read_varlong(const std::byte* at, const std::byte* end, int64_t& v) {
    uint64_t raw = 0;
    at = read_unsigned_varlong(at, end, raw);
    v = unzigzag(raw);
    return at;
}

}  // namespace ottla
