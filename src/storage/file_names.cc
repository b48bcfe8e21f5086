// SPDX-License-Identifier: Apache-2.0
#include "storage/file_names.h"

#include <fmt/format.h>

#include <charconv>

namespace ottla::storage {
namespace {

constexpr size_t kMostNameBytes = 255;

template <class T>
std::optional<T> parse_number(std::string_view text) {
    T value{};
    const char* end = text.data() + text.size();
    auto [stop, error] = std::from_chars(text.data(), end, value);
    if (error != std::errc{} || stop != end || text.empty() || text.front() == '-') return {};
    return value;
}

std::optional<TopicPartition> parse_topic_partition(std::string_view name) {
    const size_t dash = name.rfind('-');
    if (dash == std::string_view::npos || dash == 0) return std::nullopt;
    const auto partition = parse_number<int32_t>(name.substr(dash + 1));
    if (!partition) return std::nullopt;
    return TopicPartition{std::string(name.substr(0, dash)), PartitionIndex{*partition}};
}

}  // namespace

std::string join_path(std::string_view directory, std::string_view name) {
    return fmt::format("{}/{}", directory, name);
}

std::string offset_file_name(Offset offset, std::string_view suffix) {
    return fmt::format("{:020}{}", offset.value(), suffix);
}

std::optional<Offset> parse_offset_file(std::string_view name, std::string_view suffix) {
    if (name.size() != 20 + suffix.size() || !name.ends_with(suffix)) return std::nullopt;
    const auto offset = parse_number<int64_t>(name.substr(0, 20));
    if (!offset) return std::nullopt;
    return Offset{*offset};
}

std::string log_directory_name(const TopicPartition& log) {
    return fmt::format("{}-{}", log.topic, log.partition.value());
}

std::optional<LogDirectoryName> parse_log_directory(std::string_view name) {
    LogDirectoryName found;
    for (auto [suffix, kind] : {std::pair{std::string_view("-delete"), LogDirectoryKind::deleted},
                                std::pair{std::string_view("-future"), LogDirectoryKind::future},
                                std::pair{std::string_view("-stray"), LogDirectoryKind::stray}}) {
        if (!name.ends_with(suffix)) continue;
        const std::string_view stem = name.substr(0, name.size() - suffix.size());
        const size_t dot = stem.rfind('.');
        if (dot == std::string_view::npos || stem.size() - dot - 1 != 32) continue;
        found.kind = kind;
        name = stem.substr(0, dot);
        break;
    }
    auto log = parse_topic_partition(name);
    if (!log) return std::nullopt;
    found.log = *std::move(log);
    return found;
}

std::string deleted_directory_name(const TopicPartition& log, uint64_t unique) {
    // Kafka cuts long topics here too.
    const std::string suffix = fmt::format("-{}.{:032x}-delete", log.partition.value(), unique);
    return log.topic.substr(0, std::min(log.topic.size(), kMostNameBytes - suffix.size())) + suffix;
}

std::optional<std::string> future_directory_name(const TopicPartition& log,
                                                 uint64_t unique_high,
                                                 uint64_t unique_low) {
    std::string name = fmt::format("{}-{}.{:016x}{:016x}-future", log.topic, log.partition.value(),
                                   unique_high, unique_low);
    if (name.size() > kMostNameBytes) return std::nullopt;
    return name;
}

std::string journal_file_name(ShardIndex shard, uint64_t number) {
    return fmt::format("{}{}-{}", kJournalPrefix, shard.value(), number);
}

std::optional<JournalFileName> parse_journal_file(std::string_view name) {
    if (!name.starts_with(kJournalPrefix)) return std::nullopt;
    name.remove_prefix(kJournalPrefix.size());
    const size_t dash = name.find('-');
    if (dash == std::string_view::npos) return std::nullopt;
    const auto shard = parse_number<uint32_t>(name.substr(0, dash));
    const auto number = parse_number<uint64_t>(name.substr(dash + 1));
    if (!shard || !number) return std::nullopt;
    return JournalFileName{ShardIndex{*shard}, *number};
}

}  // namespace ottla::storage
