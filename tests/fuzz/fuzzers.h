// SPDX-License-Identifier: Apache-2.0
// Every fuzzer by name: what a parser does with bytes from anybody. Each takes any input, returns,
// and aborts (CHECK, sanitizer) if something that must hold does not. pure
#pragma once

#include <cstddef>
#include <span>

namespace ottla {

/// tests/fuzz/record_batch_fuzz.cc: the first byte chooses the rules, the rest is a records field.
void fuzz_record_batch(std::span<const std::byte> input);

/// tests/fuzz/protocol_frame_fuzz.cc: two bytes choose the cuts, the rest is a stream of frames.
void fuzz_protocol_frame(std::span<const std::byte> input);
/// tests/fuzz/protocol_message_fuzz.cc: three bytes choose message and version, the rest is a body.
void fuzz_protocol_message(std::span<const std::byte> input);

}  // namespace ottla
