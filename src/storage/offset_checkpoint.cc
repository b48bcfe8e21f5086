// SPDX-License-Identifier: Apache-2.0
#include "storage/offset_checkpoint.h"

#include <fmt/format.h>

#include <bit>
#include <charconv>
#include <iterator>
#include <optional>

#include "base/uuid.h"

namespace ottla::storage {
namespace {

/// Takes the text up to `end` off the front of `rest`.
std::string_view take_until(std::string_view& rest, char end) {
    const size_t at = rest.find(end);
    const std::string_view taken = rest.substr(0, at);
    rest = at == std::string_view::npos ? std::string_view{} : rest.substr(at + 1);
    return taken;
}

template <class T>
std::optional<T> number(std::string_view text) {
    T value{};
    const char* end = text.data() + text.size();
    auto [stop, error] = std::from_chars(text.data(), end, value);
    if (error != std::errc{} || stop != end) return std::nullopt;
    return value;
}

}  // namespace

std::string to_text(const OffsetCheckpoint& entries) {
    std::string text = fmt::format("0\n{}\n", entries.size());
    for (const auto& [log, offset] : entries) {
        fmt::format_to(std::back_inserter(text), "{} {} {}\n", log.topic, log.partition.value(),
                       offset.value());
    }
    return text;
}

Result<OffsetCheckpoint> parse_offset_checkpoint(std::string_view text) {
    OffsetCheckpoint entries;
    // Kafka makes its files before it has anything to write, and may be stopped before it does.
    if (text.empty()) return entries;
    std::string_view rest = text;
    if (number<int>(take_until(rest, '\n')) != 0) {
        return fail(ErrorCode::malformed, "line 1: the version is not 0");
    }
    const auto count = number<size_t>(take_until(rest, '\n'));
    if (!count) return fail(ErrorCode::malformed, "line 2: no count");
    for (size_t line = 3; !rest.empty(); ++line) {
        std::string_view words = take_until(rest, '\n');
        if (words.empty()) continue;
        const std::string_view topic = take_until(words, ' ');
        const auto partition = number<int32_t>(take_until(words, ' '));
        const auto offset = number<int64_t>(words);
        if (topic.empty() || !partition || !offset) {
            return fail(ErrorCode::malformed,
                        fmt::format("line {}: not topic, partition, offset", line));
        }
        entries[{std::string(topic), PartitionIndex{*partition}}] = Offset{*offset};
    }
    if (entries.size() != *count) {
        return fail(ErrorCode::malformed,
                    fmt::format("{} entries, line 2 says {}", entries.size(), *count));
    }
    return entries;
}

std::string partition_metadata_text(const Uuid& topic_id) {
    return fmt::format("version: 0\ntopic_id: {}", to_string(topic_id));
}

bool may_be_damaged_id(const Uuid& found, const Uuid& wanted) {
    constexpr int kMostBits = 6;
    if (found.is_zero()) return true;
    int different = 0;
    for (size_t i = 0; i < found.bytes.size(); ++i) {
        different += std::popcount(static_cast<uint8_t>(found.bytes[i] ^ wanted.bytes[i]));
    }
    return different <= kMostBits;
}

Result<Uuid> parse_partition_metadata(std::string_view text) {
    std::string_view rest = text;
    while (!rest.empty()) {
        std::string_view line = take_until(rest, '\n');
        constexpr std::string_view kKey = "topic_id: ";
        if (!line.starts_with(kKey)) continue;
        if (auto id = parse_uuid(line.substr(kKey.size()))) return *id;
    }
    return fail(ErrorCode::malformed, "partition.metadata has no topic_id");
}

}  // namespace ottla::storage
