// SPDX-License-Identifier: Apache-2.0
// What `ottla inspect` says about one file: rows, written as they come, because a file may hold
// millions of them; and whether all of it was intact.
//
//   table   a heading, then one line a row, columns padded to their widths
//   json    one object a line: {"file": ..., then the columns by name}
//
// The first damage and the first note are kept and become one line each at the end; the number of
// further ones is said. A note is worth knowing and no damage: zeros at the end of a file that was
// preallocated, a journal's torn last group.
// pure
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "app/output.h"
#include "ottla/types.h"

namespace ottla::app {

struct Column {
    std::string_view name;
    size_t width = 0;        ///< at least that of the name; the last one is not padded
    bool json_only = false;  ///< says nothing that a table does not show otherwise
};

class TextOut {
public:
    virtual ~TextOut() = default;
    virtual void write(std::string_view text) = 0;
};

class Report {
public:
    Report(std::string file, OutputFormat format, TextOut& out)
        : file_(std::move(file)), format_(format), out_(out) {}

    [[nodiscard]] const std::string& file() const { return file_; }

    /// The columns of the rows that follow; they outlive the report.
    void begin(std::span<const Column> columns);
    void row(std::initializer_list<Cell> cells) { row(std::span(cells.begin(), cells.size())); }
    void row(std::span<const Cell> cells);

    void damage(uint64_t position, std::string why);
    void note(uint64_t position, std::string what);

    [[nodiscard]] bool is_intact() const { return !damage_.first; }
    [[nodiscard]] uint64_t rows() const { return rows_; }
    /// "FILE: position 17: ..." for each of note and damage that there is, with line ends.
    [[nodiscard]] std::string verdict() const;

private:
    struct Remark {
        uint64_t position = 0;
        std::string text;
    };
    struct Remarks {
        std::optional<Remark> first;
        uint64_t more = 0;
        void add(uint64_t position, std::string text);
    };
    [[nodiscard]] std::string line(const Remarks& remarks) const;
    void table_row(std::span<const Cell> cells);
    void json_row(std::span<const Cell> cells);

    std::string file_;
    OutputFormat format_;
    TextOut& out_;
    std::span<const Column> columns_;
    std::string line_;
    uint64_t rows_ = 0;
    Remarks damage_;
    Remarks note_;
};

// Cells that every printer needs.

/// A default Cell is an empty text; this is null.
inline Cell nothing() { return std::monostate{}; }
/// A date for people, milliseconds for scripts; -1 is "none".
Cell time_cell(int64_t milliseconds);
/// Nothing for `none`.
Cell number_or(int64_t value, int64_t none);
inline Cell number_cell(uint64_t value) { return static_cast<int64_t>(value); }
/// "0x%08x" of a checksum.
Cell crc_cell(uint32_t crc);
std::string hex_text(std::span<const std::byte> bytes);
/// The sum as the two's complement gives it: hostile files hold any number.
constexpr int64_t wrapping_sum(int64_t a, int64_t b) {
    return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
}

}  // namespace ottla::app
