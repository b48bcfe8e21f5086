// SPDX-License-Identifier: Apache-2.0
#include "ottla/buffer.h"

#include <gtest/gtest.h>

namespace ottla {
namespace {

struct CountingHome final : BlockHome {
    void take_back(Block* block) noexcept override {
        ++returned;
        Block::destroy(block);
    }
    int returned = 0;
};

TEST(Buffer, SliceSharesBytesAndKeepsTheBlockAlive) {
    CountingHome home;
    Buffer tail;
    {
        BlockRef block = BlockRef::adopt(Block::create(16, 16, &home));
        for (size_t i = 0; i < 16; ++i) block->data()[i] = static_cast<std::byte>(i);
        Buffer whole(block, 0, 16);
        tail = whole.slice(12, 4);
        EXPECT_EQ(tail.data(), whole.data() + 12);
    }
    EXPECT_EQ(home.returned, 0);
    EXPECT_EQ(tail.span()[0], std::byte{12});
    tail = {};
    EXPECT_EQ(home.returned, 1);
}

TEST(Buffer, SliceBeyondTheEndIsAProgrammersError) {
    Buffer four = Buffer::copy_of("abcd");
    EXPECT_DEATH((void)four.slice(2, 3), "lies within");
}

TEST(Chain, FlattenJoinsPiecesInOrderAndIgnoresEmptyOnes) {
    Chain chain;
    chain.append(Buffer::copy_of("re"));
    chain.append(Buffer{});
    chain.append(Buffer::copy_of("cord"));
    EXPECT_EQ(chain.size(), 6U);
    EXPECT_EQ(chain.pieces().size(), 2U);
    EXPECT_EQ(chain.flatten().text(), "record");
}

}  // namespace
}  // namespace ottla
