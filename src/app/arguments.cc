// SPDX-License-Identifier: Apache-2.0
#include "app/arguments.h"

#include <fmt/format.h>

#include <charconv>

namespace ottla::app {

std::optional<std::string> Arguments::word() {
    if (words_.empty() || words_.front().starts_with("--")) return std::nullopt;
    std::string first = std::move(words_.front());
    words_.erase(words_.begin());
    return first;
}

Result<std::vector<std::string>> Arguments::options(std::string_view name) {
    std::vector<std::string> values;
    const std::string joined = fmt::format("{}=", name);
    for (auto at = words_.begin(); at != words_.end();) {
        if (at->starts_with(joined)) {
            values.push_back(at->substr(joined.size()));
            at = words_.erase(at);
        } else if (*at == name) {
            if (at + 1 == words_.end()) {
                return fail(ErrorCode::invalid_argument, fmt::format("{} needs a value", name));
            }
            values.push_back(*(at + 1));
            at = words_.erase(at, at + 2);
        } else {
            ++at;
        }
    }
    return values;
}

Result<std::optional<std::string>> Arguments::option(std::string_view name) {
    TRY(auto values, options(name));
    if (values.empty()) return std::nullopt;
    return std::move(values.back());
}

Result<std::string> Arguments::option_or(std::string_view name, std::string_view otherwise) {
    TRY(auto value, option(name));
    return value ? *std::move(value) : std::string(otherwise);
}

Result<std::optional<int64_t>> Arguments::number(std::string_view name,
                                                 int64_t least,
                                                 int64_t most) {
    TRY(const auto text, option(name));
    if (!text) return std::nullopt;
    int64_t value = 0;
    const char* end = text->data() + text->size();
    const auto [stop, error] = std::from_chars(text->data(), end, value);
    if (error != std::errc{} || stop != end || value < least || value > most) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("{} {}: must be a number from {} to {}", name, *text, least, most));
    }
    return value;
}

bool Arguments::flag(std::string_view name) { return std::erase(words_, name) > 0; }

Status Arguments::finish() const {
    if (words_.empty()) return {};
    return fail(ErrorCode::invalid_argument,
                fmt::format("'{}' is not understood here", words_.front()));
}

}  // namespace ottla::app
