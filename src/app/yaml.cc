// SPDX-License-Identifier: Apache-2.0
// The one place that includes yaml-cpp, and one of the few that catch exceptions: the library's
// own.
#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include "app/configuration.h"

namespace ottla::app {

namespace {

constexpr int kMaxDepth = 16;

Status flatten(const YAML::Node& node, const std::string& prefix, int depth, KeyValues& out) {
    const auto wrong = [&](const char* what) {
        return fail(ErrorCode::invalid_config,
                    fmt::format("line {}: {} {}", node.Mark().line + 1, prefix, what));
    };
    if (depth > kMaxDepth) return wrong("nests too deeply");
    if (node.IsNull()) {
        out.emplace_back(prefix, "");
        return {};
    }
    if (node.IsScalar()) {
        out.emplace_back(prefix, node.Scalar());
        return {};
    }
    if (node.IsSequence()) {
        std::string joined;
        for (const YAML::Node& item : node) {
            if (!item.IsScalar()) return wrong("must be a list of plain values");
            joined += (joined.empty() ? "" : ",") + item.Scalar();
        }
        out.emplace_back(prefix, joined);
        return {};
    }
    for (const auto& entry : node) {
        if (!entry.first.IsScalar()) return wrong("has a key that is not plain text");
        const std::string key =
            prefix.empty() ? entry.first.Scalar() : prefix + "." + entry.first.Scalar();
        TRY_STATUS(flatten(entry.second, key, depth + 1, out));
    }
    return {};
}

}  // namespace

Result<KeyValues> parse_yaml(const std::string& text) {
    try {
        const YAML::Node root = YAML::Load(text);
        KeyValues values;
        if (root.IsNull()) return values;
        if (!root.IsMap()) return fail(ErrorCode::invalid_config, "must be a map of settings");
        TRY_STATUS(flatten(root, "", 0, values));
        return values;
    } catch (const YAML::Exception& error) {
        return fail(ErrorCode::invalid_config,
                    fmt::format("line {}: {}", error.mark.line + 1, error.msg));
    }
}

}  // namespace ottla::app
