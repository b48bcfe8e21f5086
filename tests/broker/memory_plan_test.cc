// SPDX-License-Identifier: Apache-2.0
#include "broker/memory_plan.h"

#include <gtest/gtest.h>

namespace ottla::broker {
namespace {

constexpr uint64_t kMebibyte = uint64_t{1} << 20U;

uint64_t sum_of(const MemoryPlan& plan) {
    return plan.hot_tail_bytes + static_cast<uint64_t>(plan.request_bytes) + plan.client_bytes +
           plan.cleaner_map_bytes + plan.index_cache_bytes;
}

TEST(MemoryPlan, LargeMachinesGetNoMoreThanIsOfUse) {
    const MemoryPlan plan = plan_memory(0, 1'000'000 * kMebibyte, 2);
    EXPECT_EQ(plan.hot_tail_bytes, 32 * kMebibyte);
    EXPECT_EQ(plan.client_bytes, 64 * kMebibyte);
    EXPECT_EQ(plan.index_cache_bytes, 64 * kMebibyte);
    EXPECT_EQ(plan.receive_bytes, kMebibyte / 4);
    EXPECT_EQ(plan.decompressed_bytes, 128 * kMebibyte);
    const MemoryPlan unknown = plan_memory(0, 0, 2);
    EXPECT_EQ(sum_of(unknown), sum_of(plan));
    EXPECT_FALSE(plan.direct_flush) << "the page cache serves readers that lag";
    EXPECT_FALSE(unknown.direct_flush);
    EXPECT_FALSE(plan.returns_large_blocks || unknown.returns_large_blocks);
    EXPECT_EQ(plan.replay_bytes, 512 * kMebibyte) << "the journals of four shards";
    EXPECT_EQ(unknown.replay_bytes, plan.replay_bytes);
}

TEST(MemoryPlan, AGroupOf64MebibytesIsNotOverspent) {
    for (const uint32_t shards : {1U, 2U}) {
        const MemoryPlan plan = plan_memory(0, 64 * kMebibyte, shards);
        EXPECT_LE(shards * sum_of(plan), 32 * kMebibyte) << shards;
        EXPECT_GE(plan.hot_tail_bytes, 2 * kMebibyte);
        EXPECT_EQ(plan.index_cache_bytes, kMebibyte);
        EXPECT_EQ(plan.journal_file_bytes, 16 * kMebibyte);
        EXPECT_TRUE(plan.direct_flush && plan.returns_large_blocks);
        EXPECT_LE(plan.decompressed_bytes * shards, 8 * kMebibyte)
            << "small batches claim any size";
        EXPECT_EQ(plan.receive_bytes, kMebibyte / 16) << "100 connections at once are 6 MiB";
        EXPECT_EQ(plan.replay_bytes, 8 * kMebibyte) << "before anybody needs the rest";
    }
}

TEST(MemoryPlan, WhatIsAskedForIsTakenAtItsWord) {
    const MemoryPlan plan = plan_memory(static_cast<int64_t>(4096 * kMebibyte), 64 * kMebibyte, 2);
    EXPECT_EQ(plan.hot_tail_bytes, 512 * kMebibyte);
    EXPECT_EQ(plan.client_bytes, 512 * kMebibyte);
    EXPECT_EQ(plan.index_cache_bytes, 64 * kMebibyte) << "more of them is of no use";
    EXPECT_FALSE(plan.direct_flush);
}

TEST(MemoryPlan, TheLeastThatWorksIsGivenInAnyCase) {
    const MemoryPlan plan = plan_memory(1, 0, 8);
    EXPECT_EQ(plan.hot_tail_bytes, 2 * kMebibyte);
    EXPECT_EQ(plan.client_bytes, 4 * kMebibyte);
    EXPECT_GE(plan.request_bytes, 1);
    EXPECT_GT(plan.cleaner_map_bytes, 0U);
}

}  // namespace
}  // namespace ottla::broker
