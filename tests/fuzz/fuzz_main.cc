// SPDX-License-Identifier: Apache-2.0
// libFuzzer's entry around one fuzzer; the build names it.
#include <cstdint>

#include "tests/fuzz/fuzzers.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    ottla::OTTLA_FUZZ_FUNCTION(std::as_bytes(std::span(data, size)));
    return 0;
}
