// SPDX-License-Identifier: Apache-2.0
#include "broker/topic_config.h"

#include <algorithm>
#include <charconv>

namespace ottla::broker {

namespace {

constexpr std::string_view kLeaveFlushToTheSystem = "9223372036854775807";

/// Only an *explicit* "never flush by count" asks for relaxed durability: it is also Kafka's
/// default.
storage::Durability durability(const Settings& settings, const TopicOverrides& overrides) {
    if (settings.text("ottla.durability") == "relaxed") return storage::Durability::relaxed;
    const auto own = overrides.find("flush.messages");
    if (own != overrides.end()) {
        return own->second == kLeaveFlushToTheSystem ? storage::Durability::relaxed
                                                     : storage::Durability::strict;
    }
    const bool everywhere = settings.is_set("log.flush.interval.messages") &&
                            settings.text("log.flush.interval.messages") == kLeaveFlushToTheSystem;
    return everywhere ? storage::Durability::relaxed : storage::Durability::strict;
}

std::optional<Compression> compression(const Settings& settings, const TopicOverrides& overrides) {
    const std::string type = topic_text(settings, overrides, "compression.type");
    if (type == "producer") return std::nullopt;
    const auto level = [&](std::string_view name) {
        return static_cast<int>(topic_number(settings, overrides, name));
    };
    if (type == "gzip") {
        const int chosen = level("compression.gzip.level");
        if (chosen == -1) return Compression{Codec::gzip, std::nullopt};
        return Compression{Codec::gzip, chosen};
    }
    if (type == "snappy") return Compression{Codec::snappy, std::nullopt};
    if (type == "lz4") return Compression{Codec::lz4, level("compression.lz4.level")};
    if (type == "zstd") return Compression{Codec::zstd, level("compression.zstd.level")};
    return Compression{};
}

/// A ratio such as "0.5", in millionths: decisions count in whole numbers.
int64_t millionths(const std::string& text) {
    double value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return static_cast<int64_t>(value * 1e6 + 0.5);
}

void add_cleanup(storage::LogConfig& log,
                 const Settings& settings,
                 const TopicOverrides& overrides) {
    const auto policies = split_list(topic_text(settings, overrides, "cleanup.policy"));
    const auto number = [&](std::string_view name) {
        return topic_number(settings, overrides, name);
    };
    log.deletes = std::ranges::find(policies, "delete") != policies.end();
    log.compacts = std::ranges::find(policies, "compact") != policies.end();
    log.retention_ms = number("retention.ms");
    log.retention_bytes = number("retention.bytes");
    log.delete_retention_ms = number("delete.retention.ms");
    log.min_compaction_lag_ms = number("min.compaction.lag.ms");
    log.max_compaction_lag_ms = number("max.compaction.lag.ms");
    log.min_cleanable_dirty_millionths =
        millionths(topic_text(settings, overrides, "min.cleanable.dirty.ratio"));
}

}  // namespace

replication::PartitionConfig partition_config(const Settings& settings,
                                              const TopicOverrides& overrides) {
    const auto number = [&](std::string_view name) {
        return topic_number(settings, overrides, name);
    };
    replication::PartitionConfig config;
    config.log.segment_bytes = number("segment.bytes");
    config.log.segment_ms = number("segment.ms");
    config.log.segment_jitter_ms = number("segment.jitter.ms");
    config.log.segment_index_bytes = number("segment.index.bytes");
    config.log.index_interval_bytes = number("index.interval.bytes");
    config.log.producer_id_expiration_ms = settings.number("producer.id.expiration.ms");
    config.log.durability = durability(settings, overrides);
    config.log.preallocate = topic_flag(settings, overrides, "preallocate");
    add_cleanup(config.log, settings, overrides);
    config.rules.compacted = config.log.compacts;
    config.rules.max_message_bytes = static_cast<size_t>(number("max.message.bytes"));
    config.rules.segment_bytes = static_cast<size_t>(config.log.segment_bytes);
    config.rules.timestamp_type =
        topic_text(settings, overrides, "message.timestamp.type") == "LogAppendTime"
            ? TimestampType::log_append_time
            : TimestampType::create_time;
    config.rules.timestamp_before_max_ms = number("message.timestamp.before.max.ms");
    config.rules.timestamp_after_max_ms = number("message.timestamp.after.max.ms");
    config.rules.compression = compression(settings, overrides);
    config.min_in_sync = static_cast<int32_t>(number("min.insync.replicas"));
    return config;
}

bool is_internal_topic(std::string_view name) {
    return name == "__consumer_offsets" || name == "__transaction_state" ||
           name == "__share_group_state";
}

}  // namespace ottla::broker
