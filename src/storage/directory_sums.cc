// SPDX-License-Identifier: Apache-2.0
#include "storage/directory_sums.h"

#include <fmt/format.h>

#include <iterator>

#include "base/crc32c.h"
#include "base/numbers.h"
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

bool take_line(DirectorySums& sums, std::string_view line) {
    const std::string_view what = next_word(line);
    if (what == "reign") {
        const auto id = parse_uuid(line);
        if (id) sums.reign = *id;
        return id.has_value();
    }
    if (what == "stop") {
        const auto at = whole_number<int64_t>(line);
        if (at) sums.stopped = WallTime{*at};
        return at.has_value();
    }
    if (what == "metadata") {
        const auto base = whole_number<int64_t>(next_word(line));
        const auto bytes = whole_number<uint64_t>(line);
        if (base && bytes) sums.metadata = {Offset{*base}, *bytes};
        return base && bytes;
    }
    if (what != "file") return true;  // Of a later version: it has its reasons.
    const std::string name(next_word(line));
    const auto size = whole_number<uint32_t>(next_word(line));
    const auto crc = whole_number<uint32_t>(line, 16);
    if (size && crc) sums.files[name] = {*size, *crc};
    return size && crc;
}

}  // namespace

bool DirectorySums::agrees(std::string_view name, std::string_view text) const {
    const auto at = files.find(name);
    return at == files.end() || at->second == sum_of(as_bytes(text));
}

std::string to_text(const DirectorySums& sums) {
    std::string text(kVersion);
    auto out = std::back_inserter(text);
    fmt::format_to(out, "reign {}\n", to_string(sums.reign));
    if (sums.stopped) fmt::format_to(out, "stop {}\n", sums.stopped->value());
    if (const auto& end = sums.metadata; end) {
        fmt::format_to(out, "metadata {} {}\n", end->segment.value(), end->bytes);
    }
    for (const auto& [name, sum] : sums.files) {
        fmt::format_to(out, "file {} {} {:08x}\n", name, sum.size, sum.crc);
    }
    const uint32_t crc = crc32c(0, as_bytes(text));
    fmt::format_to(out, "crc {:08x}\n", crc);
    return text;
}

Result<DirectorySums> parse_directory_sums(std::string_view text) {
    if (text.size() < kVersion.size() + kCrcLine || !text.starts_with(kVersion)) {
        return fail(ErrorCode::corrupt, "sums without a version or checksum");
    }
    std::string_view lines = text.substr(0, text.size() - kCrcLine);
    const std::string expected = fmt::format("crc {:08x}\n", crc32c(0, as_bytes(lines)));
    if (text.substr(lines.size()) != expected) {
        return fail(ErrorCode::corrupt, "the checksum of the sums is wrong");
    }
    lines.remove_prefix(kVersion.size());
    DirectorySums sums;
    while (!lines.empty()) {
        const size_t end = lines.find('\n');
        if (!take_line(sums, lines.substr(0, end))) {
            return fail(ErrorCode::corrupt, "a line of the sums cannot be read");
        }
        lines = end == std::string_view::npos ? std::string_view{} : lines.substr(end + 1);
    }
    return sums;
}

}  // namespace ottla::storage
