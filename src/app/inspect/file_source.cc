// SPDX-License-Identifier: Apache-2.0
#include "app/inspect/file_source.h"

#include <filesystem>
#include <system_error>

namespace ottla::app {

Result<std::unique_ptr<FileSource>> FileSource::open(const std::string& path) {
    std::error_code error;
    const auto status = std::filesystem::status(path, error);
    if (status.type() == std::filesystem::file_type::not_found) {
        return fail(ErrorCode::not_found, path + ": no such file");
    }
    if (error) return fail(ErrorCode::io_error, path + ": " + error.message());
    if (status.type() != std::filesystem::file_type::regular) {
        return fail(ErrorCode::io_error, path + ": not a regular file");
    }
    const uint64_t size = std::filesystem::file_size(path, error);
    if (error) return fail(ErrorCode::io_error, path + ": " + error.message());
    std::unique_ptr<FileSource> source(new FileSource(size));
    source->file_.open(path, std::ios::binary);
    if (!source->file_) return fail(ErrorCode::io_error, path + ": cannot be opened for reading");
    return source;
}

Result<size_t> FileSource::read(uint64_t position, std::span<std::byte> into) {
    file_.clear();
    file_.seekg(static_cast<std::streamoff>(position));
    file_.read(reinterpret_cast<char*>(into.data()), static_cast<std::streamsize>(into.size()));
    if (file_.bad()) return fail(ErrorCode::io_error, "the file cannot be read");
    return static_cast<size_t>(file_.gcount());
}

}  // namespace ottla::app
