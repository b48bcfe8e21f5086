// SPDX-License-Identifier: Apache-2.0
// Logger: where a process says what a person should know. One line per refused request: who, what,
// why. Passed in, never ambient; the implementation (src/app) may be called from every shard. Lines
// carry no secrets and no payload bytes. pure
#pragma once

#include <cstdint>
#include <string_view>

namespace ottla {

enum class LogLevel : uint8_t { debug, info, warning, error };

class Logger {
public:
    virtual ~Logger() = default;
    virtual void write(LogLevel level, std::string_view line) = 0;
};

}  // namespace ottla
