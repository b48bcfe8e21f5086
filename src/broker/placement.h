// SPDX-License-Identifier: Apache-2.0
// Which shard owns a partition: a fixed mix of topic id and partition, so that every shard and
// every restart agrees while the number of shards stays the same. Journals are replayed whatever
// the count was (DESIGN 7.2), so changing it only moves owners. pure
#pragma once

#include <cstring>

#include "ottla/types.h"

namespace ottla::broker {

/// A partition by identity: a topic that was deleted and made again is another one.
struct PartitionKey {
    Uuid topic_id;
    PartitionIndex index;
    auto operator<=>(const PartitionKey&) const = default;
};

/// The finalizer of splitmix64: every input bit reaches every output bit.
constexpr uint64_t mix(uint64_t value) {
    value ^= value >> 30U;
    value *= 0xbf58476d1ce4e5b9U;
    value ^= value >> 27U;
    value *= 0x94d049bb133111ebU;
    return value ^ (value >> 31U);
}

constexpr ShardIndex owner_of(const PartitionKey& key, uint32_t shard_count) {
    uint64_t high = 0;
    uint64_t low = 0;
    for (size_t i = 0; i < 8; ++i) high = high << 8U | key.topic_id.bytes[i];
    for (size_t i = 8; i < 16; ++i) low = low << 8U | key.topic_id.bytes[i];
    // Neighbouring partitions go to neighbouring shards: a topic spreads evenly.
    const uint64_t topic = mix(high ^ mix(low));
    const auto partition = static_cast<uint64_t>(key.index.value());
    return ShardIndex{static_cast<uint32_t>((topic + partition) % shard_count)};
}

}  // namespace ottla::broker
