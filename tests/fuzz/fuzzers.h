// SPDX-License-Identifier: Apache-2.0
// Every fuzzer by name: what a parser does with bytes from anybody. Each takes any input, returns,
// and aborts (CHECK, sanitizer) if something that must hold does not. pure
#pragma once

#include <cstddef>
#include <span>

namespace ottla {

/// tests/fuzz/record_batch_fuzz.cc: the first byte chooses the rules, the rest is a records field.
void fuzz_record_batch(std::span<const std::byte> input);

}  // namespace ottla
