// SPDX-License-Identifier: Apache-2.0
// The words of a command line: positional words, `--name value` or `--name=value`, and `--flag`.
// A command takes what it knows and then calls `finish`, which refuses whatever is left by name.
// pure
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ottla/result.h"

namespace ottla::app {

class Arguments {
public:
    explicit Arguments(std::vector<std::string> words) : words_(std::move(words)) {}

    /// The next positional word; nothing when there is none before an option or the end.
    std::optional<std::string> word();
    /// The value of an option, wherever it stands; invalid_argument when its value is missing.
    /// Given twice: the last one.
    Result<std::optional<std::string>> option(std::string_view name);
    Result<std::string> option_or(std::string_view name, std::string_view otherwise);
    /// Every value of a repeatable option, in order.
    Result<std::vector<std::string>> options(std::string_view name);
    Result<std::optional<int64_t>> number(std::string_view name, int64_t least, int64_t most);
    bool flag(std::string_view name);
    /// invalid_argument naming the first word that nobody took.
    Status finish() const;

private:
    std::vector<std::string> words_;
};

}  // namespace ottla::app
