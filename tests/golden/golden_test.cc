// SPDX-License-Identifier: Apache-2.0
// Bytes and texts that Kafka's released library wrote (see capture.sh) against our codec.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <vector>

#include "protocol/api_table.h"
#include "protocol/inspect.h"
#include "protocol/message.h"

namespace ottla::protocol {
namespace {

struct GoldenLine {
    std::string kind, which;
    int version = 0;
    std::string rest;

    [[nodiscard]] std::string label() const {
        return kind + " " + which + " " + std::to_string(version);
    }
};

std::vector<GoldenLine> lines_of(const std::filesystem::path& path) {
    std::vector<GoldenLine> lines;
    std::ifstream file{path};
    for (std::string line; std::getline(file, line);) {
        std::istringstream words{line};
        GoldenLine golden;
        words >> golden.kind >> golden.which >> golden.version;
        words.ignore(1);
        std::getline(words, golden.rest);
        lines.push_back(golden);
    }
    return lines;
}

std::vector<GoldenLine> all_bytes() {
    std::vector<std::filesystem::path> paths;
    for (const auto& entry : std::filesystem::directory_iterator(OTTLA_GOLDEN_DIR)) {
        if (entry.path().extension() == ".hex") paths.push_back(entry.path());
    }
    std::ranges::sort(paths);
    std::vector<GoldenLine> all;
    for (const auto& path : paths) {
        for (GoldenLine& line : lines_of(path)) all.push_back(std::move(line));
    }
    return all;
}

TEST(Golden, KafkasBytesDecodeAndEncodeToTheSame) {
    const auto lines = all_bytes();
    ASSERT_GT(lines.size(), 1000U);
    for (const GoldenLine& line : lines) {
        EXPECT_EQ(inspect_line(line.label() + " " + line.rest, false), line.rest) << line.label();
    }
}

TEST(Golden, EveryStableVersionOfEveryApiIsCaptured) {
    std::set<std::string> captured;
    for (const GoldenLine& line : all_bytes()) captured.insert(line.label());
    for (const MessageRow& row : all_messages()) {
        const bool api = row.kind == MessageKind::request || row.kind == MessageKind::response;
        const std::string kind = row.kind == MessageKind::request    ? "request"
                                 : row.kind == MessageKind::response ? "response"
                                 : row.kind == MessageKind::record   ? "record"
                                 : row.kind == MessageKind::key      ? "key"
                                 : row.kind == MessageKind::value    ? "value"
                                                                     : "message";
        const std::string which = api ? std::to_string(row.key) : std::string{row.name};
        for (int version = row.min_version; version <= row.max_version; ++version) {
            const std::string label = kind + " " + which + " " + std::to_string(version);
            EXPECT_TRUE(captured.contains(label)) << label;
        }
    }
}

TEST(Golden, JsonIsWhatKafkasConvertersPrint) {
    std::map<std::string, std::string> bytes;  // the first line of a label is the filled one
    for (const GoldenLine& line : all_bytes()) bytes.emplace(line.label(), line.rest);
    const auto texts = lines_of(std::filesystem::path(OTTLA_GOLDEN_DIR) / "newest.json.txt");
    ASSERT_GT(texts.size(), 200U);
    size_t compared = 0;
    for (const GoldenLine& line : texts) {
        // Kafka's converters leave record payloads out.
        if (line.rest.find("ecords\":\"\"") != std::string::npos) continue;
        EXPECT_EQ(inspect_line(line.label() + " " + bytes.at(line.label()), true), line.rest);
        ++compared;
    }
    EXPECT_GT(compared, 260U);
}

}  // namespace
}  // namespace ottla::protocol
