// SPDX-License-Identifier: Apache-2.0
// FileSource: a regular file on the disk, opened for reading only. No lock is taken and none is
// lost: an inspecting process holds none, and a broker's belong to its own process. Errors:
// not_found, invalid_argument (no regular file), io_error.
#pragma once

#include <fstream>
#include <memory>
#include <string>

#include "app/inspect/source.h"

namespace ottla::app {

class FileSource final : public Source {
public:
    static Result<std::unique_ptr<FileSource>> open(const std::string& path);
    [[nodiscard]] uint64_t size() const override { return size_; }
    Result<size_t> read(uint64_t position, std::span<std::byte> into) override;

private:
    explicit FileSource(uint64_t size) : size_(size) {}

    std::ifstream file_;
    uint64_t size_;
};

}  // namespace ottla::app
