// SPDX-License-Identifier: Apache-2.0
#include "base/varint.h"

#include <gtest/gtest.h>

#include <array>
#include <limits>
#include <span>
#include <vector>

namespace ottla {
namespace {

std::vector<std::byte> bytes_of(std::initializer_list<int> values) {
    std::vector<std::byte> bytes;
    for (int value : values) bytes.push_back(static_cast<std::byte>(value));
    return bytes;
}

template <class Number>
std::vector<Number> interesting() {
    std::vector<Number> numbers{0};
    for (int bit = 0; bit < std::numeric_limits<Number>::digits; ++bit) {
        auto power = static_cast<Number>(Number{1} << bit);
        numbers.insert(numbers.end(), {power, static_cast<Number>(power - 1)});
        if constexpr (std::is_signed_v<Number>) {
            numbers.insert(numbers.end(),
                           {static_cast<Number>(-power), static_cast<Number>(-power - 1)});
        }
    }
    numbers.push_back(std::numeric_limits<Number>::max());
    numbers.push_back(std::numeric_limits<Number>::min());
    return numbers;
}

/// Written, read back, and refused at every shorter length.
template <class Number, class Write, class Read, class Size>
void round_trip(Write write, Read read, Size size) {
    for (Number number : interesting<Number>()) {
        std::array<std::byte, kMaxVarlongBytes> room{};
        std::byte* end = write(room.data(), number);
        ASSERT_EQ(static_cast<size_t>(end - room.data()), size(number)) << number;
        Number back = 0;
        ASSERT_EQ(read(room.data(), end, back), end) << number;
        ASSERT_EQ(back, number);
        for (const std::byte* cut = room.data(); cut < end; ++cut) {
            ASSERT_EQ(read(room.data(), cut, back), nullptr) << number;
        }
    }
}

TEST(Varint, RoundTripsAndRefusesEveryTruncation) {
    round_trip<int32_t>(write_varint, read_varint, varint_size);
    round_trip<int64_t>(write_varlong, read_varlong, varlong_size);
    round_trip<uint32_t>(write_unsigned_varint, read_unsigned_varint, unsigned_varint_size);
    round_trip<uint64_t>(write_unsigned_varlong, read_unsigned_varlong, unsigned_varlong_size);
}

TEST(Varint, ZigzagIsKafkas) {
    std::array<std::byte, kMaxVarintBytes> room{};
    const auto written = [&](int32_t number) {
        std::byte* end = write_varint(room.data(), number);
        return std::vector<std::byte>(room.data(), end);
    };
    EXPECT_EQ(written(0), bytes_of({0x00}));
    EXPECT_EQ(written(-1), bytes_of({0x01}));
    EXPECT_EQ(written(63), bytes_of({0x7E}));
    EXPECT_EQ(written(-64), bytes_of({0x7F}));
    EXPECT_EQ(written(64), bytes_of({0x80, 0x01}));
    EXPECT_EQ(written(-8193), bytes_of({0x81, 0x80, 0x01}));
    EXPECT_EQ(written(std::numeric_limits<int32_t>::max()),
              bytes_of({0xFE, 0xFF, 0xFF, 0xFF, 0x0F}));
}

TEST(Varint, TakesPaddingButNothingLongerThanItsMaximum) {
    const auto padded = bytes_of({0x82, 0x80, 0x80, 0x80, 0x00});
    int32_t number = 0;
    EXPECT_EQ(read_varint(padded.data(), padded.data() + 5, number), padded.data() + 5);
    EXPECT_EQ(number, 1);
    const auto endless = std::vector<std::byte>(11, std::byte{0x80});
    EXPECT_EQ(read_varint(endless.data(), endless.data() + 11, number), nullptr);
    int64_t large = 0;
    EXPECT_EQ(read_varlong(endless.data(), endless.data() + 11, large), nullptr);
}

}  // namespace
}  // namespace ottla
