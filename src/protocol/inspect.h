// SPDX-License-Identifier: Apache-2.0
// The core of `ottla inspect message`. A line in:
//
//     request|response <api key> <version> <hex of the body>
//     record|key|value|message <name> <version> <hex of the body>
//
// and a line out, without its end: the body encoded again as hex, or its fields as JSON, or
// `error: why`. Total: whatever the line holds, it returns.
// pure
#pragma once

#include <string>
#include <string_view>

namespace ottla::protocol {

std::string inspect_line(std::string_view line, bool json);

}  // namespace ottla::protocol
