// SPDX-License-Identifier: Apache-2.0
// Runs a printer of `ottla inspect` over bytes and keeps what it said; and the torture that every
// printer must bear: its file cut at every byte, and every byte of it changed.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "app/inspect/printers.h"
#include "ottla/buffer.h"

namespace ottla::app {

struct Printed {
    std::vector<std::string> lines;
    std::string verdict;
    bool intact = false;
};

class KeptLines final : public TextOut {
public:
    explicit KeptLines(std::vector<std::string>& lines) : lines_(lines) {}
    void write(std::string_view text) override {
        text.remove_suffix(text.ends_with('\n') ? 1 : 0);
        lines_.emplace_back(text);
    }

private:
    std::vector<std::string>& lines_;
};

struct Sample {
    FileKind kind;
    std::string name;
    std::string bytes;
    InspectOptions options = {};
};

inline Printed print_sample(const Sample& sample, OutputFormat format = OutputFormat::json) {
    Printed printed;
    KeptLines out(printed.lines);
    MemorySource source(as_bytes(sample.bytes));
    Report report(sample.name, format, out);
    print_file(sample.kind, source, sample.options, report);
    printed.verdict = report.verdict();
    printed.intact = report.is_intact();
    return printed;
}

/// The text of a field of a JSON line, as it stands there.
inline std::string field(const std::string& line, std::string_view name) {
    const std::string key = "\"" + std::string(name) + "\": ";
    const size_t at = line.find(key);
    if (at == std::string::npos) return "no field " + std::string(name);
    const size_t from = at + key.size();
    const size_t end = line[from] == '"' ? line.find('"', from + 1) + 1 : line.find(',', from);
    return line.substr(from, std::min(end, line.size() - 1) - from);
}

/// Damage is told with its place; rows are whole lines.
inline void expect_sound(const Sample& sample, const Printed& printed) {
    for (const std::string& line : printed.lines) {
        ASSERT_TRUE(line.starts_with("{\"file\": ") && line.ends_with('}')) << line;
    }
    const bool told = printed.verdict.find(sample.name + ": position ") != std::string::npos;
    ASSERT_TRUE(printed.intact || told) << printed.verdict;
}

/// Cut anywhere, a file still shows what is whole: a prefix of its rows (binary formats).
inline void expect_prefixes_of(const Sample& sample) {
    const Printed whole = print_sample(sample);
    ASSERT_TRUE(whole.intact) << whole.verdict;
    ASSERT_FALSE(whole.lines.empty());
    for (size_t size = 0; size < sample.bytes.size(); ++size) {
        Sample cut = sample;
        cut.bytes.resize(size);
        const Printed printed = print_sample(cut);
        expect_sound(cut, printed);
        ASSERT_LE(printed.lines.size(), whole.lines.size()) << size;
        for (size_t i = 0; i < printed.lines.size(); ++i) {
            ASSERT_EQ(printed.lines[i], whole.lines[i]) << "cut at " << size;
        }
    }
}

inline void expect_survives_flips(const Sample& sample) {
    for (size_t at = 0; at < sample.bytes.size(); ++at) {
        for (const int mask : {0x01, 0x15, 0x80, 0xFF}) {
            Sample flipped = sample;
            flipped.bytes[at] = static_cast<char>(flipped.bytes[at] ^ mask);
            expect_sound(flipped, print_sample(flipped));
            print_sample(flipped, OutputFormat::table);
        }
    }
}

inline void expect_survives_cuts(const Sample& sample) {
    for (size_t size = 0; size < sample.bytes.size(); ++size) {
        Sample cut = sample;
        cut.bytes.resize(size);
        expect_sound(cut, print_sample(cut));
    }
}

/// Big-endian numbers in a row.
class Bytes {
public:
    template <std::integral T>
    Bytes& put(T value) {
        for (size_t i = sizeof value; i-- > 0;) {
            text_.push_back(static_cast<char>(static_cast<uint64_t>(value) >> (8 * i)));
        }
        return *this;
    }
    [[nodiscard]] const std::string& text() const { return text_; }

private:
    std::string text_;
};

}  // namespace ottla::app
