// SPDX-License-Identifier: Apache-2.0
// The Logger of the program: spdlog on standard error, one line each, from any shard.
#pragma once

#include <memory>

#include "ottla/log.h"

namespace ottla::app {

std::unique_ptr<Logger> make_console_log();

}  // namespace ottla::app
