// SPDX-License-Identifier: Apache-2.0
// Runs a test's coroutine on a real backend, and lends it a directory that is gone afterwards.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <string>
#include <vector>

#include "io/backend.h"
#include "ottla/sync.h"

namespace ottla::io::test {

class TemporaryDirectory {
public:
    TemporaryDirectory() {
        std::string pattern = "/tmp/ottla-io-XXXXXX";
        path_ = ::mkdtemp(pattern.data());
    }
    TemporaryDirectory(const TemporaryDirectory&) = delete;
    TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
    ~TemporaryDirectory() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    [[nodiscard]] std::string file(std::string_view name) const {
        return path_ + "/" + std::string(name);
    }
    [[nodiscard]] const std::string& path() const { return path_; }

private:
    std::string path_;
};

/// The process under test: `run` ends with what its main returned; nothing may be left over.
struct Process {
    explicit Process(uint32_t shards = 1, size_t receive_block_bytes = size_t{256} * 1024)
        : backend({.shards = shards,
                   .seed = 1,
                   .receive_block_bytes = receive_block_bytes,
                   .warn = [this](const std::string& line) { warnings.push_back(line); }}) {}
    Ports on(uint32_t shard) { return backend.ports(ShardIndex{shard}); }
    void run(Task<int> main) {
        EXPECT_EQ(backend.run(std::move(main)), 0);
        EXPECT_EQ(warnings, std::vector<std::string>{});
    }
    std::vector<std::string> warnings;
    Backend backend;
};

}  // namespace ottla::io::test
