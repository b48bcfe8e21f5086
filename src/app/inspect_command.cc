// SPDX-License-Identifier: Apache-2.0
// ottla inspect message: reads lines `request|response <api key> <version> <hex of the body>` and
// prints for each the bytes encoded again, its fields (--output json), or `error: ...`.
#include <iostream>

#include "app/cli.h"
#include "protocol/inspect.h"

namespace ottla::app {

namespace {

/// Longer lines are answered with an error and skipped: a body of 128 MiB is more than any broker
/// takes.
constexpr size_t kMaxLine = size_t{256} * 1024 * 1024;

/// One line without its end; false at the end of the input. `whole` tells whether it fitted.
bool read_line(std::streambuf& in, std::string& line, bool& whole) {
    line.clear();
    whole = true;
    int c = in.sbumpc();
    if (c == std::streambuf::traits_type::eof()) return false;
    for (; c != std::streambuf::traits_type::eof() && c != '\n'; c = in.sbumpc()) {
        if (line.size() < kMaxLine) {
            line.push_back(static_cast<char>(c));
        } else {
            whole = false;
        }
    }
    if (line.ends_with('\r')) line.pop_back();
    return true;
}

int inspect_messages(OutputFormat format) {
    std::ios::sync_with_stdio(false);
    std::string line;
    bool whole = true;
    while (read_line(*std::cin.rdbuf(), line, whole)) {
        print(whole ? protocol::inspect_line(line, format == OutputFormat::json)
                    : std::string("error: the line is too long"));
        print("\n");
    }
    return 0;
}

}  // namespace

int inspect_command(Arguments arguments) {
    const std::string what = arguments.word().value_or("");
    const auto text = arguments.option_or("--output", "table");
    if (!text) return complain(text.error());
    const auto format = parse_output_format(*text);
    if (!format) return complain(format.error());
    const Status finished = arguments.finish();
    if (!finished) return complain(finished.error());
    if (what == "message") return inspect_messages(*format);
    return complain(
        {ErrorCode::invalid_argument, "usage: ottla inspect message [--output json] < lines"});
}

}  // namespace ottla::app
