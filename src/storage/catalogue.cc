// SPDX-License-Identifier: Apache-2.0
#include "storage/catalogue.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <iterator>
#include <optional>
#include <span>

#include "base/crc32c.h"
#include "base/uuid.h"
#include "ottla/buffer.h"

namespace ottla::storage {
namespace {

constexpr std::string_view kVersion = "1\n";
constexpr size_t kCrcLine = 13;  // "crc ", eight digits, "\n"

std::string_view next_word(std::string_view& rest) {
    const size_t space = rest.find(' ');
    const std::string_view word = rest.substr(0, space);
    rest = space == std::string_view::npos ? std::string_view{} : rest.substr(space + 1);
    return word;
}

template <class T>
std::optional<T> number(std::string_view text) {
    T value{};
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, value);
    if (error != std::errc{} || stop != end) return std::nullopt;
    return value;
}

std::optional<CatalogueEntry> parse_line(std::string_view line) {
    CatalogueEntry entry;
    entry.name.topic = next_word(line);
    const auto partition = number<int32_t>(next_word(line));
    const auto id = parse_uuid(next_word(line));
    const auto recovery_point = number<int64_t>(next_word(line));
    const auto log_start = number<int64_t>(next_word(line));
    const auto high_watermark = number<int64_t>(next_word(line));
    const auto cleaned = number<int64_t>(next_word(line));
    if (!partition || !id || !recovery_point || !log_start || !high_watermark || !cleaned) return std::nullopt;
    entry.name.partition = PartitionIndex{*partition};
    entry.topic_id = *id;
    entry.recovery_point = Offset{*recovery_point};
    entry.log_start = Offset{*log_start};
    entry.high_watermark = Offset{*high_watermark};
    entry.cleaned = Offset{*cleaned};
    return entry;
}

}  // namespace

std::string catalogue_file_name(ShardIndex shard) {
    return fmt::format("{}{}", kCataloguePrefix, shard.value());
}

std::string catalogue_text(const std::vector<CatalogueEntry>& entries) {
    std::string text(kVersion);
    for (const CatalogueEntry& entry : entries) {
        fmt::format_to(std::back_inserter(text), "{} {} {} {} {} {} {}\n", entry.name.topic,
                       entry.name.partition.value(), to_string(entry.topic_id),
                       entry.recovery_point.value(), entry.log_start.value(),
                       entry.high_watermark.value(),
                       entry.cleaned.value());
    }
    const uint32_t crc = crc32c(0, as_bytes(text));
    fmt::format_to(std::back_inserter(text), "crc {:08x}\n", crc);
    return text;
}

Result<std::vector<CatalogueEntry>> parse_catalogue(std::string_view text) {
    if (text.size() < kVersion.size() + kCrcLine || !text.starts_with(kVersion)) {
        return fail(ErrorCode::corrupt, "a catalogue without a version or checksum");
    }
    std::string_view lines = text.substr(0, text.size() - kCrcLine);
    const std::string expected = fmt::format("crc {:08x}\n", crc32c(0, as_bytes(lines)));
    if (text.substr(lines.size()) != expected) {
        return fail(ErrorCode::corrupt, "the checksum of a catalogue is wrong");
    }
    lines.remove_prefix(kVersion.size());
    std::vector<CatalogueEntry> entries;
    while (!lines.empty()) {
        const size_t end = lines.find('\n');
        auto entry = parse_line(lines.substr(0, end));
        if (!entry) return fail(ErrorCode::corrupt, "a line of a catalogue cannot be read");
        entries.push_back(*std::move(entry));
        lines = end == std::string_view::npos ? std::string_view{} : lines.substr(end + 1);
    }
    return entries;
}

}  // namespace ottla::storage
