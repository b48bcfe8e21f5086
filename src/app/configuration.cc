// SPDX-License-Identifier: Apache-2.0
#include "app/configuration.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace ottla::app {

namespace {

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\f'; }

std::string_view without_leading_blanks(std::string_view text) {
    while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
    return text;
}

/// Whether the line goes on below: an odd number of backslashes at its end.
bool continues(std::string_view line) {
    size_t backslashes = 0;
    while (backslashes < line.size() && line[line.size() - 1 - backslashes] == '\\') ++backslashes;
    return backslashes % 2 == 1;
}

std::string_view take_line(std::string_view& text) {
    const size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    return line;
}

/// A logical line with its continuations joined; empty for comments and blank lines.
std::string take_logical_line(std::string_view& text) {
    std::string_view line = without_leading_blanks(take_line(text));
    if (line.starts_with('#') || line.starts_with('!')) return {};
    std::string whole(line);
    while (continues(whole) && !text.empty()) {
        whole.pop_back();
        whole += without_leading_blanks(take_line(text));
    }
    return whole;
}

char unescaped(char c) {
    switch (c) {
        case 't': return '\t';
        case 'n': return '\n';
        case 'r': return '\r';
        case 'f': return '\f';
        default: return c;
    }
}

std::pair<std::string, std::string> split_property(std::string_view line) {
    std::string key;
    size_t at = 0;
    for (; at < line.size(); ++at) {
        const char c = line[at];
        if (c == '\\' && at + 1 < line.size()) {
            key += unescaped(line[++at]);
        } else if (c == '=' || c == ':' || is_blank(c)) {
            break;
        } else {
            key += c;
        }
    }
    std::string_view rest = without_leading_blanks(line.substr(at));
    if (rest.starts_with('=') || rest.starts_with(':')) rest.remove_prefix(1);
    rest = without_leading_blanks(rest);
    std::string value;
    for (size_t i = 0; i < rest.size(); ++i) {
        if (rest[i] == '\\' && i + 1 < rest.size()) {
            value += unescaped(rest[++i]);
        } else {
            value += rest[i];
        }
    }
    return {std::move(key), std::move(value)};
}

/// Variables of Kafka's official image that are not settings.
bool steers_the_jvm(std::string_view name) {
    static constexpr std::array<std::string_view, 9> kPrefixes = {
        "KAFKA_HEAP_OPTS", "KAFKA_OPTS",   "KAFKA_JMX_", "KAFKA_LOG4J_", "KAFKA_JVM_",
        "KAFKA_GC_",       "KAFKA_TOOLS_", "KAFKA_HOME", "KAFKA_VERSION"};
    return std::ranges::any_of(kPrefixes,
                               [name](std::string_view p) { return name.starts_with(p); });
}

std::string setting_of_variable(std::string_view name) {
    std::string key;
    for (size_t at = 0; at < name.size();) {
        if (name[at] != '_') {
            key += static_cast<char>(name[at] >= 'A' && name[at] <= 'Z' ? name[at] + 32 : name[at]);
            ++at;
            continue;
        }
        size_t run = 1;
        while (run < 3 && at + run < name.size() && name[at + run] == '_') ++run;
        key += run == 1 ? '.' : run == 2 ? '_' : '-';
        at += run;
    }
    return key;
}

class Collector {
public:
    /// `from` says where a value stands: a file's name, "environment", "--override".
    Status take(const KeyValues& values, Settings::Source source, std::string_view from) {
        for (const auto& [key, value] : values) {
            const Status done = configured_.settings.set(key, value, source);
            if (done) continue;
            if (done.error().code != ErrorCode::not_found) {
                return fail(ErrorCode::invalid_config,
                            fmt::format("{}: {}", from, done.error().detail));
            }
            warn_unknown(key, from);
        }
        return {};
    }
    Configured finish() && { return std::move(configured_); }

private:
    void warn_unknown(std::string_view key, std::string_view from) {
        const std::string_view near = nearest_broker_setting(key);
        configured_.warnings.push_back(
            near.empty() ? fmt::format("{}: unknown setting {}, ignored", from, key)
                         : fmt::format("{}: unknown setting {}, ignored (did you mean {}?)", from,
                                       key, near));
    }
    Configured configured_;
};

}  // namespace

Result<KeyValues> parse_properties(std::string_view text) {
    KeyValues values;
    while (!text.empty()) {
        const std::string line = take_logical_line(text);
        if (line.empty()) continue;
        auto property = split_property(line);
        if (property.first.empty()) {
            return fail(ErrorCode::invalid_config, fmt::format("a line without a key: '{}'", line));
        }
        values.push_back(std::move(property));
    }
    return values;
}

KeyValues from_environment(const std::map<std::string, std::string>& environment) {
    static constexpr std::string_view kPrefix = "KAFKA_";
    KeyValues values;
    for (const auto& [name, value] : environment) {
        if (!name.starts_with(kPrefix) || steers_the_jvm(name)) continue;
        values.emplace_back(setting_of_variable(std::string_view(name).substr(kPrefix.size())),
                            value);
    }
    return values;
}

Result<std::pair<std::string, std::string>> parse_override(std::string_view text) {
    const size_t equals = text.find('=');
    if (equals == std::string_view::npos || equals == 0) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("--override {}: must be key=value", text));
    }
    return std::pair{std::string(text.substr(0, equals)), std::string(text.substr(equals + 1))};
}

Result<Configured> configure(const Sources& sources) {
    Collector collector;
    if (!sources.file_name.empty()) {
        const bool yaml =
            sources.file_name.ends_with(".yaml") || sources.file_name.ends_with(".yml");
        auto values = yaml ? parse_yaml(sources.file_text) : parse_properties(sources.file_text);
        if (!values) {
            return fail(ErrorCode::invalid_config,
                        fmt::format("{}: {}", sources.file_name, values.error().detail));
        }
        TRY_STATUS(collector.take(*values, Settings::Source::file, sources.file_name));
    }
    TRY_STATUS(collector.take(from_environment(sources.environment), Settings::Source::environment,
                              "environment"));
    KeyValues overrides;
    for (const std::string& text : sources.overrides) {
        TRY(auto pair, parse_override(text));
        overrides.push_back(std::move(pair));
    }
    TRY_STATUS(collector.take(overrides, Settings::Source::command_line, "--override"));
    return std::move(collector).finish();
}

}  // namespace ottla::app
