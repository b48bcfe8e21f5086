// SPDX-License-Identifier: Apache-2.0
#include "base/crc32c.h"

#include <array>
#include <bit>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#include <wmmintrin.h>
#endif

namespace ottla {
namespace {

/// The polynomial 0x1EDC6F41 with its bits reversed: bit 31 is x^0.
constexpr uint32_t kPolynomial = 0x82F63B78U;

/// v * x modulo the polynomial, in the reversed representation.
constexpr uint32_t times_x(uint32_t v) { return (v >> 1) ^ ((v & 1U) != 0 ? kPolynomial : 0U); }

using Tables = std::array<std::array<uint32_t, 256>, 8>;

/// tables[k][b]: what byte b contributes when k more bytes follow it in the same word.
constexpr Tables make_tables() {
    Tables tables{};
    for (uint32_t byte = 0; byte < 256; ++byte) {
        uint32_t v = byte;
        for (int bit = 0; bit < 8; ++bit) v = times_x(v);
        tables[0][byte] = v;
    }
    for (size_t k = 1; k < 8; ++k) {
        for (size_t byte = 0; byte < 256; ++byte) {
            uint32_t v = tables[k - 1][byte];
            tables[k][byte] = (v >> 8) ^ tables[0][v & 0xFFU];
        }
    }
    return tables;
}
constexpr Tables kTables = make_tables();

template <class Word>
Word load_little(const std::byte* at) {
    Word word;
    std::memcpy(&word, at, sizeof word);
    if constexpr (std::endian::native == std::endian::big) word = std::byteswap(word);
    return word;
}

uint32_t table_state(uint32_t state, const std::byte* at, size_t size) {
    for (; size >= 8; at += 8, size -= 8) {
        uint64_t word = load_little<uint64_t>(at) ^ state;
        state = 0;
        for (size_t i = 0; i < 8; ++i) state ^= kTables[7 - i][(word >> (8 * i)) & 0xFFU];
    }
    for (; size > 0; ++at, --size) {
        state = (state >> 8) ^ kTables[0][(state ^ std::to_integer<uint32_t>(*at)) & 0xFFU];
    }
    return state;
}

#if defined(__x86_64__)

/// x^power modulo the polynomial, reversed: the constant that moves a state past power/8 bytes.
constexpr uint32_t x_to_the(uint32_t power) {
    uint32_t v = 0x80000000U;
    for (uint32_t i = 0; i < power; ++i) v = times_x(v);
    return v;
}

#define OTTLA_SSE42 __attribute__((target("sse4.2,pclmul")))

OTTLA_SSE42 uint64_t one_stream(uint64_t state, const std::byte* at, size_t size) {
    for (; size >= 8; at += 8, size -= 8) state = _mm_crc32_u64(state, load_little<uint64_t>(at));
    for (; size > 0; ++at, --size) {
        state = _mm_crc32_u8(static_cast<uint32_t>(state), std::to_integer<uint8_t>(*at));
    }
    return state;
}

/// The 64-bit product of two reversed polynomials. Reversal leaves it one power of x too high, and
/// folding it into the last word of a stream multiplies by x^32: hence the 33 in the constants.
OTTLA_SSE42 uint64_t carryless_product(uint64_t a, uint32_t b) {
    __m128i product = _mm_clmulepi64_si128(_mm_cvtsi64_si128(static_cast<int64_t>(a)),
                                           _mm_cvtsi64_si128(static_cast<int64_t>(b)), 0);
    return static_cast<uint64_t>(_mm_cvtsi128_si64(product));
}

/// Runs of three neighbouring blocks of `Block` bytes: the instruction takes 3 cycles and can start
/// every cycle, so three independent streams keep it busy; two products join them afterwards.
template <size_t Block>
OTTLA_SSE42 uint64_t three_streams(uint64_t state, const std::byte*& at, size_t& size) {
    static_assert(Block % 8 == 0);
    constexpr uint32_t kTwoBlocks = x_to_the(16 * Block - 33);
    constexpr uint32_t kOneBlock = x_to_the(8 * Block - 33);
    for (; size >= 3 * Block; at += 3 * Block, size -= 3 * Block) {
        uint64_t second = 0;
        uint64_t third = 0;
        for (size_t i = 0; i < Block - 8; i += 8) {
            state = _mm_crc32_u64(state, load_little<uint64_t>(at + i));
            second = _mm_crc32_u64(second, load_little<uint64_t>(at + Block + i));
            third = _mm_crc32_u64(third, load_little<uint64_t>(at + 2 * Block + i));
        }
        state = _mm_crc32_u64(state, load_little<uint64_t>(at + Block - 8));
        second = _mm_crc32_u64(second, load_little<uint64_t>(at + 2 * Block - 8));
        uint64_t last = load_little<uint64_t>(at + 3 * Block - 8);
        last ^= carryless_product(state, kTwoBlocks) ^ carryless_product(second, kOneBlock);
        state = _mm_crc32_u64(third, last);
    }
    return state;
}

OTTLA_SSE42 uint32_t hardware_state(uint32_t start, const std::byte* at, size_t size) {
    uint64_t state = start;
    state = three_streams<4096>(state, at, size);
    state = three_streams<512>(state, at, size);
    state = three_streams<64>(state, at, size);
    return static_cast<uint32_t>(one_stream(state, at, size));
}

#endif

}  // namespace

namespace crc32c_parts {

uint32_t table(uint32_t previous, std::span<const std::byte> bytes) {
    return ~table_state(~previous, bytes.data(), bytes.size());
}

#if defined(__x86_64__)
bool has_hardware() {
    return __builtin_cpu_supports("sse4.2") != 0 && __builtin_cpu_supports("pclmul") != 0;
}
uint32_t hardware(uint32_t previous, std::span<const std::byte> bytes) {
    if (!has_hardware()) return table(previous, bytes);
    return ~hardware_state(~previous, bytes.data(), bytes.size());
}
#else
bool has_hardware() { return false; }
uint32_t hardware(uint32_t previous, std::span<const std::byte> bytes) {
    return table(previous, bytes);
}
#endif

}  // namespace crc32c_parts

uint32_t crc32c(uint32_t previous, std::span<const std::byte> bytes) {
#if defined(__x86_64__)
    // Immutable once made and the same for every caller, so not state anyone could share or reset.
    static const auto state_of = crc32c_parts::has_hardware() ? &hardware_state : &table_state;
    return ~state_of(~previous, bytes.data(), bytes.size());
#else
    return crc32c_parts::table(previous, bytes);
#endif
}

}  // namespace ottla
