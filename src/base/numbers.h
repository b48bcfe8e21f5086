// SPDX-License-Identifier: Apache-2.0
// A number that is all of a text, as our own small files have them. pure
#pragma once

#include <charconv>
#include <optional>
#include <string_view>
#include <system_error>

namespace ottla {

/// Nothing if `text` is empty, goes on behind the number, or the number does not fit.
template <class T>
std::optional<T> whole_number(std::string_view text, int base = 10) {
    T value{};
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, value, base);
    if (error != std::errc{} || stop != end) return std::nullopt;
    return value;
}

}  // namespace ottla
