// SPDX-License-Identifier: Apache-2.0
#include "protocol/inspect.h"

#include <array>
#include <charconv>
#include <optional>

#include <fmt/format.h>

#include "protocol/message.h"

namespace ottla::protocol {
namespace {

constexpr size_t kMostHexDigits = size_t{512} * 1024 * 1024;

std::string_view next_word(std::string_view& line) {
    const size_t start = line.find_first_not_of(" \t\r\n");
    if (start == std::string_view::npos) return line = {};
    const size_t end = std::min(line.find_first_of(" \t\r\n", start), line.size());
    const std::string_view word = line.substr(start, end - start);
    line.remove_prefix(end);
    return word;
}

std::optional<int16_t> number(std::string_view word) {
    int16_t value = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (error != std::errc{} || end != word.data() + word.size()) return std::nullopt;
    return value;
}

int nibble(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

Result<Buffer> bytes_of(std::string_view hex) {
    if (hex.size() % 2 != 0)
        return fail(ErrorCode::invalid_argument, "an odd number of hex digits");
    if (hex.size() > kMostHexDigits)
        return fail(ErrorCode::invalid_argument, "the body is too long");
    if (hex.empty()) return Buffer{};
    BlockRef block = make_block(hex.size() / 2);
    for (size_t i = 0; i < hex.size(); i += 2) {
        const int high = nibble(hex[i]);
        const int low = nibble(hex[i + 1]);
        if (high < 0 || low < 0) {
            return fail(ErrorCode::invalid_argument, fmt::format("no hex digits at {}", i));
        }
        block->data()[i / 2] = static_cast<std::byte>(high * 16 + low);
    }
    return Buffer(std::move(block), 0, hex.size() / 2);
}

std::string hex_of(const Chain& bytes) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string hex;
    hex.reserve(bytes.size() * 2);
    for (const Buffer& piece : bytes.pieces()) {
        for (const std::byte byte : piece.span()) {
            hex += kDigits[std::to_integer<size_t>(byte >> 4)];
            hex += kDigits[std::to_integer<size_t>(byte & std::byte{15})];
        }
    }
    return hex;
}

Result<const MessageRow*> find_row(std::string_view kind, std::string_view which) {
    const MessageRow* row = nullptr;
    if (kind == "request" || kind == "response") {
        const auto key = number(which);
        if (!key) return fail(ErrorCode::invalid_argument, "the API key is not a number");
        row = find_message(kind == "request" ? MessageKind::request : MessageKind::response, *key);
        if (row == nullptr) {
            return fail(ErrorCode::invalid_argument, fmt::format("no API has the key {}", *key));
        }
        return row;
    }
    constexpr std::array<std::string_view, 4> kKinds{"record", "key", "value", "message"};
    if (std::ranges::find(kKinds, kind) == kKinds.end()) {
        return fail(ErrorCode::invalid_argument,
                    "a line is: request|response KEY VERSION HEX, or record|key|value|message NAME "
                    "VERSION HEX");
    }
    row = find_message(which);
    if (row == nullptr) return fail(ErrorCode::invalid_argument, "no message has this name");
    return row;
}

Result<std::string> inspect(std::string_view line, bool json) {
    const std::string_view kind = next_word(line);
    const std::string_view which = next_word(line);
    TRY(const MessageRow* row, find_row(kind, which));
    const auto version = number(next_word(line));
    if (!version) return fail(ErrorCode::invalid_argument, "the version is not a number");
    TRY(Buffer body, bytes_of(next_word(line)));
    if (!next_word(line).empty()) {
        return fail(ErrorCode::invalid_argument, "more words than kind, key, version and body");
    }
    TRY(const AnyMessage message, AnyMessage::decode(*row, *version, std::move(body)));
    return json ? message.json(*version) : hex_of(message.encode(*version));
}

}  // namespace

std::string inspect_line(std::string_view line, bool json) {
    Result<std::string> answer = inspect(line, json);
    return answer ? *std::move(answer) : fmt::format("error: {}", answer.error().detail);
}

}  // namespace ottla::protocol
