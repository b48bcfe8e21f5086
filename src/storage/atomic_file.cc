// SPDX-License-Identifier: Apache-2.0
#include "storage/atomic_file.h"

#include <fmt/format.h>

namespace ottla::storage {

std::string parent_path(const std::string& path) {
    const size_t slash = path.rfind('/');
    if (slash == std::string::npos) return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
}

Task<Status> write_file(FileSystem& files, std::string path, Buffer content) {
    OpenOptions options;
    options.write = true;
    options.create = true;
    options.truncate = true;
    CO_TRY(std::unique_ptr<File> file, co_await files.open(path, options));
    Chain bytes(content);
    CO_TRY([[maybe_unused]] size_t written, co_await file->write_and_sync(0, std::move(bytes)));
    co_return Status();
}

Task<Status> replace_file(FileSystem& files, std::string path, Buffer content) {
    const std::string temporary = path + ".tmp";
    CO_TRY_STATUS(co_await write_file(files, temporary, content));
    CO_TRY_STATUS(co_await files.rename(temporary, path));
    CO_TRY_STATUS(co_await files.sync_directory(parent_path(path)));
    co_return Status();
}

Task<Result<Buffer>> read_file(FileSystem& files, std::string path, uint64_t at_most) {
    CO_TRY(std::unique_ptr<File> file, co_await files.open(path, OpenOptions{}));
    const uint64_t size = file->opened_size();
    if (size > at_most) {
        co_return fail(ErrorCode::invalid_argument,
                       fmt::format("{} has {} bytes, at most {} are read", path, size, at_most));
    }
    if (size == 0) co_return Buffer{};
    BlockRef block = make_block(size);
    CO_TRY(const size_t got, co_await file->read(0, size, block));
    co_return Buffer{std::move(block), 0, got};
}

Task<Status> remove_file(FileSystem& files, std::string path) {
    const Status done = co_await files.unlink(path);
    if (!done && done.error().code != ErrorCode::not_found) co_return done;
    co_return Status();
}

Task<Status> resize_anew(File& file, uint64_t size) {
    CO_TRY([[maybe_unused]] size_t longer, co_await file.truncate(size + 1));
    CO_TRY([[maybe_unused]] size_t exact, co_await file.truncate(size));
    co_return Status();
}

Task<Status> sync_anew(File& file, uint64_t size) {
    CO_TRY_STATUS(co_await resize_anew(file, size));
    CO_TRY([[maybe_unused]] size_t synced, co_await file.sync());
    co_return Status();
}

Task<Status> sync_file(FileSystem& files, std::string path, SyncBy by) {
    if (by == SyncBy::sweep) {
        const Status arrived = co_await files.check(path);
        if (!arrived && arrived.error().code != ErrorCode::not_found) co_return arrived;
        co_return Status();
    }
    OpenOptions options;
    options.write = true;
    const auto file = co_await files.open(path, options);
    if (!file && file.error().code == ErrorCode::not_found) co_return Status();
    if (!file) co_return std::unexpected(file.error());
    CO_TRY([[maybe_unused]] size_t synced, co_await (*file)->sync());
    co_return Status();
}

Task<Status> remove_log_directory(FileSystem& files, std::string path) {
    const auto entries = co_await files.list(path);
    if (!entries && entries.error().code == ErrorCode::not_found) co_return Status();
    if (!entries) co_return std::unexpected(entries.error());
    for (const DirectoryEntry& entry : *entries) {
        CO_TRY_STATUS(co_await remove_file(files, fmt::format("{}/{}", path, entry.name)));
    }
    co_return co_await files.remove_directory(path);
}

}  // namespace ottla::storage
