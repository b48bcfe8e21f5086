// SPDX-License-Identifier: Apache-2.0
#include "storage/meta_properties.h"

#include <fmt/format.h>

#include <charconv>
#include <map>

#include "base/uuid.h"

namespace ottla::storage {
namespace {

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\r')) text.remove_suffix(1);
    return text;
}

/// Java escapes ':', '=', '#', '!' and '\\' when it writes a value.
std::string unescaped(std::string_view text) {
    std::string plain;
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\\' && i + 1 < text.size()) ++i;
        plain.push_back(text[i]);
    }
    return plain;
}

std::map<std::string, std::string, std::less<>> parse_properties(std::string_view text) {
    std::map<std::string, std::string, std::less<>> found;
    while (!text.empty()) {
        const size_t end = text.find('\n');
        const std::string_view line = trimmed(text.substr(0, end));
        text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
        if (line.empty() || line.front() == '#' || line.front() == '!') continue;
        const size_t equals = line.find('=');
        if (equals == std::string_view::npos) continue;
        found.insert_or_assign(std::string(trimmed(line.substr(0, equals))),
                               unescaped(trimmed(line.substr(equals + 1))));
    }
    return found;
}

}  // namespace

Result<MetaProperties> parse_meta_properties(std::string_view text) {
    const auto found = parse_properties(text);
    auto value = [&found](std::string_view key) {
        auto at = found.find(key);
        return at == found.end() ? std::string() : at->second;
    };
    if (value("version") != "1") {
        return fail(ErrorCode::corrupt,
                    fmt::format("meta.properties: version is '{}', not 1", value("version")));
    }
    MetaProperties meta;
    meta.cluster_id = value("cluster.id");
    if (meta.cluster_id.empty()) {
        return fail(ErrorCode::corrupt, "meta.properties: no cluster.id");
    }
    const std::string node = value("node.id");
    int32_t id = -1;
    auto [stop, error] = std::from_chars(node.data(), node.data() + node.size(), id);
    if (error != std::errc{} || stop != node.data() + node.size() || id < 0) {
        return fail(ErrorCode::corrupt, fmt::format("meta.properties: node.id is '{}'", node));
    }
    meta.node_id = BrokerId{id};
    const std::string directory = value("directory.id");
    if (!directory.empty()) {
        const auto uuid = parse_uuid(directory);
        if (!uuid) {
            return fail(ErrorCode::corrupt,
                        fmt::format("meta.properties: directory.id is '{}'", directory));
        }
        meta.directory_id = *uuid;
    }
    return meta;
}

std::string to_text(const MetaProperties& meta) {
    return fmt::format("#\nversion=1\ncluster.id={}\nnode.id={}\ndirectory.id={}\n",
                       meta.cluster_id, meta.node_id.value(), to_string(meta.directory_id));
}

}  // namespace ottla::storage
