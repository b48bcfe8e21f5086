// SPDX-License-Identifier: Apache-2.0
#include "broker/memory_plan.h"

#include <algorithm>

namespace ottla::broker {
namespace {

constexpr uint64_t kMebibyte = uint64_t{1} << 20U;
constexpr uint64_t kMostTail = 32 * kMebibyte;
constexpr uint64_t kMostRequests = 64 * kMebibyte;
constexpr uint64_t kMostClients = 64 * kMebibyte;
constexpr uint64_t kMostMap = 128 * kMebibyte;
constexpr uint64_t kLeastTail = 2 * kMebibyte;  // Two chunks: one is filled while one is written.
constexpr uint64_t kLeastRequests = kMebibyte;
constexpr uint64_t kLeastClients = 4 * kMebibyte;
constexpr uint64_t kLeastMap = kMebibyte / 2;
/// Of a gibibyte of records they are some 6 MiB.
constexpr uint64_t kMostIndexes = 64 * kMebibyte;
constexpr uint64_t kLeastIndexes = kMebibyte;
constexpr uint64_t kMostDecompressed = 128 * kMebibyte;
/// Java producers fill requests of a mebibyte, counted before they compress.
constexpr uint64_t kLeastDecompressed = 4 * kMebibyte;
constexpr uint64_t kMostReceived = kMebibyte / 4;
constexpr uint64_t kLeastReceived = kMebibyte / 64;
constexpr uint64_t kReceivePart = 512;  ///< As many reads may come at once before any is counted.
constexpr uint64_t kJournalFile = 32 * kMebibyte;
constexpr uint64_t kSmallJournalFile = 16 * kMebibyte;
constexpr uint64_t kSmallBudget = 64 * kMebibyte;
constexpr uint64_t kMostReplayed = 512 * kMebibyte;
constexpr uint64_t kRoomForPageCache = 512 * kMebibyte;
constexpr uint64_t kRoomForHeap = 128 * kMebibyte;

}  // namespace

MemoryPlan plan_memory(int64_t asked, uint64_t allowed, uint32_t shards) {
    const bool derived = asked <= 0;
    const bool unknown = derived && allowed == 0;
    const uint64_t budget = derived ? allowed / 2 : static_cast<uint64_t>(asked);
    const uint64_t share = unknown ? UINT64_MAX : budget / 4 / std::max(shards, 1U);
    const auto part = [&](uint64_t least, uint64_t most) {
        return std::max(least, derived ? std::min(share, most) : share);
    };
    MemoryPlan plan;
    plan.hot_tail_bytes = part(kLeastTail, kMostTail);
    plan.request_bytes = static_cast<int64_t>(std::clamp(share, kLeastRequests, kMostRequests));
    plan.client_bytes = part(kLeastClients, kMostClients);
    // An eighth of the budget, but not more than another wants anyway.
    plan.cleaner_map_bytes = std::clamp(share / 2, kLeastMap, kMostMap);
    plan.index_cache_bytes = std::clamp(share / 8, kLeastIndexes, kMostIndexes);
    plan.decompressed_bytes = std::clamp(share, kLeastDecompressed, kMostDecompressed);
    const uint64_t received = unknown ? kMostReceived : budget / kReceivePart;
    plan.receive_bytes = std::clamp(received, kLeastReceived, kMostReceived);
    plan.journal_file_bytes = unknown || budget >= kSmallBudget ? kJournalFile : kSmallJournalFile;
    plan.returns_large_blocks = !unknown && budget < kRoomForHeap;
    plan.replay_bytes = unknown ? kMostReplayed : std::min(budget / 4, kMostReplayed);
    plan.direct_flush = !unknown && budget < kRoomForPageCache;
    return plan;
}

}  // namespace ottla::broker
