// SPDX-License-Identifier: Apache-2.0
// Fills any message with values that differ from the defaults and from each other, the same ones
// each time: arrays get two elements, what may be null is set. Only fields of the version are
// touched.
#pragma once

#include <cstdint>

#include "protocol/message.h"

namespace ottla::protocol {

void fill(AnyMessage& message, int16_t version);

}  // namespace ottla::protocol
