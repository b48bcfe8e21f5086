// SPDX-License-Identifier: Apache-2.0
// What a command prints: rows, as an aligned table for people or as JSON (one array of objects) for
// scripts. pure
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "ottla/result.h"

namespace ottla::app {

enum class OutputFormat : uint8_t { table, json };
/// "table" or "json"; invalid_argument otherwise.
Result<OutputFormat> parse_output_format(std::string_view text);

/// What people and scripts are shown differently: a date, a list, a text that has to be quoted.
struct Shown {
    std::string plain;
    std::string json;
    auto operator<=>(const Shown&) const = default;
};

using Cell = std::variant<std::string, int64_t, bool, std::monostate, Shown>;
std::string plain_text(const Cell& cell);
std::string json_text(const Cell& cell);
/// "base_offset" gives "BASE OFFSET".
std::string table_heading(std::string_view column);

struct Rows {
    std::vector<std::string> columns;  ///< snake_case: the JSON names; tables show them in capitals
    std::vector<std::vector<Cell>> rows;
};

/// With a newline at its end.
std::string render(const Rows& rows, OutputFormat format);
/// A JSON string with quotes; bytes that are not UTF-8 become U+FFFD.
std::string json_string(std::string_view text);
/// Well-formed UTF-8 without control characters, line ends and tabs excepted.
bool is_readable(std::string_view text);

}  // namespace ottla::app
