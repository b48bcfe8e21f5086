// SPDX-License-Identifier: Apache-2.0
// The corpora again in every test run: what a fuzzer found once stays found.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "ottla/buffer.h"
#include "tests/fuzz/fuzzers.h"

namespace ottla {
namespace {

std::vector<std::string> corpus(const char* name) {
    std::vector<std::string> inputs;
    for (const auto& entry :
         std::filesystem::directory_iterator(std::filesystem::path(OTTLA_FUZZ_CORPUS) / name)) {
        std::ifstream file(entry.path(), std::ios::binary);
        inputs.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    }
    return inputs;
}

/// Each input, each of its truncations, and each with one byte flipped.
void replay(const char* name, void (*fuzzer)(std::span<const std::byte>)) {
    const std::vector<std::string> inputs = corpus(name);
    ASSERT_FALSE(inputs.empty());
    for (const std::string& input : inputs) {
        fuzzer(as_bytes(input));
        for (size_t i = 0; i < input.size(); ++i) {
            fuzzer(as_bytes(input.substr(0, i)));
            std::string flipped = input;
            flipped[i] = static_cast<char>(flipped[i] ^ 0x15);
            fuzzer(as_bytes(flipped));
        }
    }
}

TEST(FuzzCorpus, ProtocolFrame) { replay("protocol_frame", fuzz_protocol_frame); }
TEST(FuzzCorpus, ProtocolMessage) { replay("protocol_message", fuzz_protocol_message); }
TEST(FuzzCorpus, RecordBatch) { replay("record_batch", fuzz_record_batch); }

}  // namespace
}  // namespace ottla
