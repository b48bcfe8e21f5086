// SPDX-License-Identifier: Apache-2.0
#include "base/crc32c.h"

#include <gtest/gtest.h>

#include <vector>

#include "ottla/buffer.h"

namespace ottla {
namespace {

std::vector<std::byte> some_bytes(size_t size) {
    std::vector<std::byte> bytes(size);
    uint32_t x = 12345;
    for (std::byte& byte : bytes) {
        x = x * 1664525U + 1013904223U;
        byte = static_cast<std::byte>(x >> 24);
    }
    return bytes;
}

TEST(Crc32c, GivesTheKnownAnswers) {
    // RFC 3720, B.4, and the usual check string.
    std::vector<std::byte> zeros(32);
    std::vector<std::byte> ones(32, std::byte{0xff});
    std::vector<std::byte> rising(32);
    for (size_t i = 0; i < 32; ++i) rising[i] = static_cast<std::byte>(i);
    for (auto* implementation : {&crc32c, &crc32c_parts::table, &crc32c_parts::hardware}) {
        EXPECT_EQ(implementation(0, as_bytes("123456789")), 0xE3069283U);
        EXPECT_EQ(implementation(0, zeros), 0x8A9136AAU);
        EXPECT_EQ(implementation(0, ones), 0x62A8AB43U);
        EXPECT_EQ(implementation(0, rising), 0x46DD794EU);
        EXPECT_EQ(implementation(0, {}), 0U);
    }
}

TEST(Crc32c, BothImplementationsAgreeAtEveryLengthAndAlignment) {
    if (!crc32c_parts::has_hardware()) GTEST_SKIP() << "no SSE4.2 here";
    // Around every block size of the three streams: 3 * 64, 3 * 512, 3 * 4096.
    const auto bytes = some_bytes(3 * 4096 * 2 + 3 * 512 + 3 * 64 + 40);
    for (size_t offset : {0UZ, 1UZ, 3UZ, 7UZ}) {
        for (size_t size = 0; size + offset <= bytes.size(); size += size < 400 ? 1 : 97) {
            std::span<const std::byte> part = std::span(bytes).subspan(offset, size);
            ASSERT_EQ(crc32c_parts::hardware(7, part), crc32c_parts::table(7, part))
                << size << " at " << offset;
        }
    }
}

TEST(Crc32c, ExtendsOverPiecesAsOverTheWhole) {
    const auto bytes = some_bytes(20'000);
    const std::span<const std::byte> whole(bytes);
    for (size_t cut : {0UZ, 1UZ, 8UZ, 191UZ, 12'288UZ, 19'999UZ, 20'000UZ}) {
        EXPECT_EQ(crc32c(crc32c(0, whole.first(cut)), whole.subspan(cut)), crc32c(0, whole));
    }
}

}  // namespace
}  // namespace ottla
