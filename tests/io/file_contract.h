// SPDX-License-Identifier: Apache-2.0
// What every FileSystem must do, written against the port only (include/ottla/file.h), so that src/io and
// tests/sim run the same cases. What a crash leaves is the simulator's own test.
// A case is given an empty directory.
#pragma once

#include <span>
#include <string>

#include "ottla/file.h"
#include "ottla/runtime.h"

namespace ottla::test {

struct FileContractCase {
    const char* name;
    Task<int> (*run)(Runtime& runtime, FileSystem& files, std::string directory);
};

std::span<const FileContractCase> file_contract_cases();

}  // namespace ottla::test
