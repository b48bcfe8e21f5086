// SPDX-License-Identifier: Apache-2.0
#include "base/growing_buffer.h"

#include <gtest/gtest.h>

namespace ottla {
namespace {

TEST(GrowingBuffer, KeepsItsBytesWhileItGrowsAndHandsThemOutUncopied) {
    GrowingBuffer growing;
    std::string expected;
    for (int i = 0; i < 1000; ++i) {
        std::string piece = std::to_string(i);
        growing.append(as_bytes(piece));
        expected += piece;
    }
    const std::byte* before = growing.data();
    Buffer whole = growing.take();
    EXPECT_EQ(whole.text(), expected);
    EXPECT_EQ(whole.data(), before);
    EXPECT_EQ(growing.size(), 0U);
    growing.append(as_bytes("new"));
    EXPECT_EQ(whole.text(), expected) << "what was handed out never changes";
}

TEST(GrowingBuffer, ClearKeepsTheMemoryAndReleaseDoesNot) {
    GrowingBuffer growing(1000);
    growing.extend(900);
    growing.shrink_to(10);
    EXPECT_EQ(growing.size(), 10U);
    growing.clear();
    EXPECT_GE(growing.capacity(), 1000U);
    EXPECT_TRUE(growing.span().empty());
    growing.release();
    EXPECT_EQ(growing.capacity(), 0U);
    EXPECT_TRUE(growing.take().empty());
}

}  // namespace
}  // namespace ottla
