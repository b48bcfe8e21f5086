// SPDX-License-Identifier: Apache-2.0
#include "app/output.h"

#include <fmt/format.h>

#include <algorithm>

namespace ottla::app {

Result<OutputFormat> parse_output_format(std::string_view text) {
    if (text == "table") return OutputFormat::table;
    if (text == "json") return OutputFormat::json;
    return fail(ErrorCode::invalid_argument,
                fmt::format("--output {}: must be table or json", text));
}

namespace {

/// How many bytes a well-formed UTF-8 sequence takes at the front of `text`; 0 if there is none.
size_t utf8_length(std::string_view text) {
    const auto byte = [text](size_t at) { return static_cast<uint8_t>(text[at]); };
    const uint8_t first = byte(0);
    if (first < 0x80) return 1;
    const size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
    if (first < 0xC2 || first > 0xF4 || text.size() < length) return 0;
    for (size_t i = 1; i < length; ++i) {
        if ((byte(i) & 0xC0U) != 0x80) return 0;
    }
    const bool overlong = (first == 0xE0 && byte(1) < 0xA0) || (first == 0xF0 && byte(1) < 0x90);
    const bool surrogate = first == 0xED && byte(1) > 0x9F;
    const bool too_large = first == 0xF4 && byte(1) > 0x8F;
    return overlong || surrogate || too_large ? 0 : length;
}

/// How many bytes at the front stand for themselves in JSON: most texts are nothing else.
size_t plain_run(std::string_view text) {
    const auto special = std::ranges::find_if(
        text, [](char c) { return c < ' ' || c > '~' || c == '"' || c == '\\'; });
    return static_cast<size_t>(special - text.begin());
}

void append_escaped(std::string& out, char c) {
    switch (c) {
        case '"': out += "\\\""; break;
        case '\\': out += "\\\\"; break;
        case '\n': out += "\\n"; break;
        case '\r': out += "\\r"; break;
        case '\t': out += "\\t"; break;
        default:
            if (static_cast<uint8_t>(c) < 0x20) {
                out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
            } else {
                out += c;
            }
    }
}

std::string render_json(const Rows& rows) {
    std::string out = "[";
    for (size_t i = 0; i < rows.rows.size(); ++i) {
        out += i == 0 ? "{" : ",\n {";
        for (size_t column = 0; column < rows.columns.size(); ++column) {
            out += fmt::format("{}{}: {}", column == 0 ? "" : ", ",
                               json_string(rows.columns[column]), json_text(rows.rows[i][column]));
        }
        out += "}";
    }
    return out + "]\n";
}

std::string render_table(const Rows& rows) {
    std::vector<std::vector<std::string>> lines(1);
    for (const std::string& name : rows.columns) lines[0].push_back(table_heading(name));
    for (const auto& row : rows.rows) {
        auto& line = lines.emplace_back();
        for (const Cell& cell : row) line.push_back(plain_text(cell));
    }
    std::vector<size_t> widths(rows.columns.size());
    for (const auto& line : lines) {
        for (size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], line[i].size());
    }
    std::string out;
    for (const auto& line : lines) {
        for (size_t i = 0; i + 1 < line.size(); ++i)
            out += fmt::format("{:<{}}  ", line[i], widths[i]);
        out += line.back() + "\n";
    }
    return out;
}

}  // namespace

std::string plain_text(const Cell& cell) {
    if (const auto* text = std::get_if<std::string>(&cell)) return *text;
    if (const auto* number = std::get_if<int64_t>(&cell)) return std::to_string(*number);
    if (const auto* yes = std::get_if<bool>(&cell)) return *yes ? "yes" : "no";
    if (const auto* shown = std::get_if<Shown>(&cell)) return shown->plain;
    return "-";
}

std::string json_text(const Cell& cell) {
    if (const auto* text = std::get_if<std::string>(&cell)) return json_string(*text);
    if (const auto* number = std::get_if<int64_t>(&cell)) return std::to_string(*number);
    if (const auto* yes = std::get_if<bool>(&cell)) return *yes ? "true" : "false";
    if (const auto* shown = std::get_if<Shown>(&cell)) return shown->json;
    return "null";
}

std::string table_heading(std::string_view column) {
    std::string name(column);
    std::ranges::transform(name, name.begin(), [](char c) {
        return c == '_' ? ' ' : static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c);
    });
    return name;
}

bool is_readable(std::string_view text) {
    for (text.remove_prefix(plain_run(text)); !text.empty(); text.remove_prefix(plain_run(text))) {
        const auto first = static_cast<uint8_t>(text.front());
        const bool blank = first == '\n' || first == '\r' || first == '\t';
        const size_t length = utf8_length(text);
        if (length == 0 || (first < 0x20 && !blank) || first == 0x7F) return false;
        text.remove_prefix(length);
    }
    return true;
}

std::string json_string(std::string_view text) {
    std::string out = "\"";
    out.reserve(text.size() + 2);
    while (!text.empty()) {
        const size_t plain = plain_run(text);
        out += text.substr(0, plain);
        text.remove_prefix(plain);
        if (text.empty()) break;
        const size_t length = utf8_length(text);
        if (length == 1) {
            append_escaped(out, text.front());
        } else if (length == 0) {
            out += "\\ufffd";
        } else {
            out += text.substr(0, length);
        }
        text.remove_prefix(std::max<size_t>(length, 1));
    }
    return out + "\"";
}

std::string render(const Rows& rows, OutputFormat format) {
    return format == OutputFormat::json ? render_json(rows) : render_table(rows);
}

}  // namespace ottla::app
