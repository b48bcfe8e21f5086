// SPDX-License-Identifier: Apache-2.0
#include "io/block_pool.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace ottla::io::test {
namespace {

constexpr BlockPool::Shape kShape{.block_bytes = 8192, .alignment = 4096, .kept = 2};

TEST(BlockPool, GivesTheSameAlignedBlockAgain) {
    const auto pool = BlockPool::create(kShape);
    const Block* first = nullptr;
    for (int i = 0; i < 10; ++i) {
        const BlockRef block = pool->take();
        if (first == nullptr) first = block.get();
        EXPECT_EQ(block.get(), first);
        EXPECT_EQ(block->capacity(), kShape.block_bytes);
        EXPECT_EQ(reinterpret_cast<uintptr_t>(block->data()) % kShape.alignment, 0U);
    }
}

TEST(BlockPool, ABlockThatSomebodyHoldsIsNotGivenToAnother) {
    const auto pool = BlockPool::create(kShape);
    std::vector<BlockRef> held;
    for (size_t i = 0; i < 8; ++i) {
        held.push_back(pool->take());
        for (size_t j = 0; j < i; ++j) EXPECT_NE(held[j].get(), held[i].get());
    }
}

TEST(BlockPool, BlocksComeBackFromOtherThreadsAndMayOutliveThePool) {
    auto pool = BlockPool::create(kShape);
    BlockRef last = pool->take();
    for (int round = 0; round < 100; ++round) {
        std::vector<std::thread> threads;
        for (int i = 0; i < 3; ++i) threads.emplace_back([held = pool->take()] {});
        for (std::thread& thread : threads) thread.join();
    }
    pool.reset();
    last->data()[0] = std::byte{1};
    EXPECT_EQ(last->data()[0], std::byte{1});
}

}  // namespace
}  // namespace ottla::io::test
