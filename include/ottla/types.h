// SPDX-License-Identifier: Apache-2.0
// Vocabulary: identifiers, offsets and time. Values, compared by value, never mixed by accident:
// an Id has no arithmetic, an Offset only moves by a count of records. Kafka's own nouns and widths.
// pure
#pragma once

#include <array>
#include <chrono>
#include <compare>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <string_view>

namespace ottla {

/// A named number: explicit to make, ordered, hashable, without arithmetic.
template <class Tag, class Rep>
class Id {
public:
    using rep = Rep;
    constexpr Id() = default;
    constexpr explicit Id(Rep value) : value_(value) {}
    [[nodiscard]] constexpr Rep value() const { return value_; }
    constexpr auto operator<=>(const Id&) const = default;

private:
    Rep value_{};
};

using BrokerId = Id<struct BrokerIdTag, int32_t>;
using PartitionIndex = Id<struct PartitionIndexTag, int32_t>;
using LeaderEpoch = Id<struct LeaderEpochTag, int32_t>;
using BrokerEpoch = Id<struct BrokerEpochTag, int64_t>;
using ProducerId = Id<struct ProducerIdTag, int64_t>;
using ProducerEpoch = Id<struct ProducerEpochTag, int16_t>;
using ShardIndex = Id<struct ShardIndexTag, uint32_t>;

inline constexpr BrokerId kNoBroker{-1};
inline constexpr LeaderEpoch kNoLeaderEpoch{-1};
inline constexpr ProducerId kNoProducer{-1};
inline constexpr ProducerEpoch kNoProducerEpoch{-1};

/// Position of a record in a partition; `_end` names are exclusive, `last_` names inclusive.
class Offset {
public:
    constexpr Offset() = default;
    constexpr explicit Offset(int64_t value) : value_(value) {}
    [[nodiscard]] constexpr int64_t value() const { return value_; }
    constexpr auto operator<=>(const Offset&) const = default;
    constexpr Offset operator+(int64_t records) const { return Offset{value_ + records}; }
    constexpr Offset operator-(int64_t records) const { return Offset{value_ - records}; }
    constexpr int64_t operator-(Offset other) const { return value_ - other.value_; }

private:
    int64_t value_{};
};
inline constexpr Offset kNoOffset{-1};

/// Monotonic time. Only `Runtime::now()` makes one; arithmetic through `Duration`.
using Duration = std::chrono::nanoseconds;
struct Instant {
    Duration since_start{};
    constexpr auto operator<=>(const Instant&) const = default;
    constexpr Instant operator+(Duration d) const { return {since_start + d}; }
    constexpr Duration operator-(Instant other) const { return since_start - other.since_start; }
};
inline constexpr Instant kNever{Duration::max()};

/// Wall clock, milliseconds since 1970-01-01 UTC: record timestamps, retention. May step.
using WallTime = Id<struct WallTimeTag, int64_t>;
inline constexpr WallTime kNoTimestamp{-1};

/// 128-bit identifier; printed as Kafka prints it (URL-safe base64, 22 characters, no padding).
struct Uuid {
    std::array<uint8_t, 16> bytes{};
    constexpr auto operator<=>(const Uuid&) const = default;
    [[nodiscard]] constexpr bool is_zero() const { return *this == Uuid{}; }
};
/// The topic id of `__cluster_metadata`: 00..01.
inline constexpr Uuid kMetadataTopicId{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};

struct TopicPartition {
    std::string topic;
    PartitionIndex partition;
    auto operator<=>(const TopicPartition&) const = default;
};

}  // namespace ottla

template <class Tag, class Rep>
struct std::hash<ottla::Id<Tag, Rep>> {
    size_t operator()(ottla::Id<Tag, Rep> id) const noexcept { return std::hash<Rep>{}(id.value()); }
};
