// SPDX-License-Identifier: Apache-2.0
#include "ottla/file.h"

namespace ottla {

void FileOp::start() { file_.start(*this); }
void FileSystemOp::start() { files_.start(*this); }

using Kind = FileSystemOp::Kind;

Task<Result<std::unique_ptr<File>>> FileSystem::open(std::string path, OpenOptions options) {
    FileSystemOp op(*this, Kind::open, std::move(path));
    op.options = options;
    CO_TRY_STATUS(co_await op);
    co_return std::move(op.file);
}

Task<Result<FileStatus>> FileSystem::status(std::string path) {
    FileSystemOp op(*this, Kind::status, std::move(path));
    CO_TRY_STATUS(co_await op);
    co_return op.file_status;
}

Task<Result<std::vector<DirectoryEntry>>> FileSystem::list(std::string path) {
    FileSystemOp op(*this, Kind::list, std::move(path));
    CO_TRY_STATUS(co_await op);
    co_return std::move(op.entries);
}

Task<Status> FileSystem::make_directory(std::string path) {
    FileSystemOp op(*this, Kind::make_directory, std::move(path));
    co_return co_await op;
}

Task<Status> FileSystem::remove_directory(std::string path) {
    FileSystemOp op(*this, Kind::remove_directory, std::move(path));
    co_return co_await op;
}

Task<Status> FileSystem::put(std::string path, Buffer content) {
    FileSystemOp op(*this, Kind::put, std::move(path));
    op.content = std::move(content);
    co_return co_await op;
}

Task<Status> FileSystem::check(std::string path) {
    FileSystemOp op(*this, Kind::check, std::move(path));
    co_return co_await op;
}

Task<Status> FileSystem::rename(std::string from, std::string to) {
    FileSystemOp op(*this, Kind::rename, std::move(from));
    op.to = std::move(to);
    co_return co_await op;
}

Task<Status> FileSystem::unlink(std::string path) {
    FileSystemOp op(*this, Kind::unlink, std::move(path));
    co_return co_await op;
}

Task<Status> FileSystem::sync_directory(std::string path) {
    FileSystemOp op(*this, Kind::sync_directory, std::move(path));
    co_return co_await op;
}

Task<Status> FileSystem::sync_all(std::string path) {
    FileSystemOp op(*this, Kind::sync_all, std::move(path));
    co_return co_await op;
}

Task<Result<DiskSpace>> FileSystem::space(std::string path) {
    FileSystemOp op(*this, Kind::space, std::move(path));
    CO_TRY_STATUS(co_await op);
    co_return op.space;
}

Task<Result<std::unique_ptr<FileLock>>> FileSystem::lock(std::string path) {
    FileSystemOp op(*this, Kind::lock, std::move(path));
    CO_TRY_STATUS(co_await op);
    co_return std::move(op.file_lock);
}

}  // namespace ottla
