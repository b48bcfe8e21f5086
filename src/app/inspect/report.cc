// SPDX-License-Identifier: Apache-2.0
#include "app/inspect/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <iterator>

#include "ottla/check.h"

namespace ottla::app {

void Report::Remarks::add(uint64_t position, std::string text) {
    if (first) {
        ++more;
    } else {
        first = Remark{position, std::move(text)};
    }
}

void Report::damage(uint64_t position, std::string why) { damage_.add(position, std::move(why)); }

void Report::note(uint64_t position, std::string what) { note_.add(position, std::move(what)); }

std::string Report::line(const Remarks& remarks) const {
    if (!remarks.first) return {};
    const std::string more = remarks.more == 0 ? "" : fmt::format(" (and {} more)", remarks.more);
    return fmt::format("{}: position {}: {}{}\n", file_, remarks.first->position,
                       remarks.first->text, more);
}

std::string Report::verdict() const { return line(note_) + line(damage_); }

void Report::begin(std::span<const Column> columns) {
    columns_ = columns;
    if (format_ == OutputFormat::json) return;
    std::vector<Cell> names;
    for (const Column& column : columns) names.emplace_back(table_heading(column.name));
    table_row(names);
}

void Report::row(std::span<const Cell> cells) {
    CHECK(cells.size() == columns_.size(), "a row has a cell for every column");
    ++rows_;
    if (format_ == OutputFormat::json) {
        json_row(cells);
    } else {
        table_row(cells);
    }
}

void Report::table_row(std::span<const Cell> cells) {
    line_.clear();
    size_t owed = 0;  // Blanks of the last cell, once another one follows.
    for (size_t i = 0; i < cells.size(); ++i) {
        if (columns_[i].json_only) continue;
        line_.append(owed, ' ');
        const std::string text = plain_text(cells[i]);
        const size_t width = std::max(columns_[i].width, columns_[i].name.size());
        line_ += text;
        owed = 2 + (width > text.size() ? width - text.size() : 0);
    }
    line_ += '\n';
    out_.write(line_);
}

void Report::json_row(std::span<const Cell> cells) {
    line_ = "{\"file\": " + json_string(file_);
    for (size_t i = 0; i < cells.size(); ++i) {
        fmt::format_to(std::back_inserter(line_), ", \"{}\": {}", columns_[i].name,
                       json_text(cells[i]));
    }
    line_ += "}\n";
    out_.write(line_);
}

Cell time_cell(int64_t milliseconds) {
    constexpr int64_t kYear10000 = 253'402'300'800'000;
    std::string json = std::to_string(milliseconds);
    if (milliseconds == kNoTimestamp.value()) return Shown{"-", std::move(json)};
    if (milliseconds < 0 || milliseconds >= kYear10000) return milliseconds;
    const std::chrono::sys_time<std::chrono::milliseconds> at{
        std::chrono::milliseconds(milliseconds)};
    const auto day = std::chrono::floor<std::chrono::days>(at);
    const std::chrono::year_month_day date{day};
    const std::chrono::hh_mm_ss time{at - day};
    return Shown{
        fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(date.year()),
                    static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                    time.hours().count(), time.minutes().count(), time.seconds().count(),
                    time.subseconds().count()),
        std::move(json)};
}

Cell number_or(int64_t value, int64_t none) {
    if (value == none) return std::monostate{};
    return value;
}

Cell crc_cell(uint32_t crc) { return fmt::format("0x{:08x}", crc); }

std::string hex_text(std::span<const std::byte> bytes) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string hex;
    hex.reserve(bytes.size() * 2);
    for (const std::byte byte : bytes) {
        hex += kDigits[std::to_integer<size_t>(byte >> 4)];
        hex += kDigits[std::to_integer<size_t>(byte & std::byte{15})];
    }
    return hex;
}

}  // namespace ottla::app
