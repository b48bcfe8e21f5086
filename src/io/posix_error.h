// SPDX-License-Identifier: Apache-2.0
// errno in our vocabulary. The detail names what was attempted, on what, and the system's own words.
#pragma once

#include <string_view>

#include "ottla/result.h"

namespace ottla::io {

ErrorCode code_of_file_error(int error);
/// "open /data/t-0/x.log: No space left on device".
Error file_error(std::string_view doing, std::string_view path, int error);
/// Sockets: connection_refused, request_timed_out, else connection_reset.
Error socket_error(std::string_view doing, int error);

}  // namespace ottla::io
