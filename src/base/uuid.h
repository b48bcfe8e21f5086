// SPDX-License-Identifier: Apache-2.0
// Uuid as text, the way Kafka prints it: URL-safe base64 of the 16 bytes, 22 characters, no
// padding. pure
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "ottla/types.h"

namespace ottla {

std::string to_string(const Uuid& uuid);
/// Nothing unless `text` is 22 characters of URL-safe base64 (Kafka takes trailing padding too).
std::optional<Uuid> parse_uuid(std::string_view text);
/// A random (version 4) uuid of 128 drawn bits whose text does not begin with '-', so that it can
/// stand behind a flag, and which is none of Kafka's reserved ids.
Uuid make_uuid(uint64_t high, uint64_t low);

}  // namespace ottla
