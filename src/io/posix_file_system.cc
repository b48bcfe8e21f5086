// SPDX-License-Identifier: Apache-2.0
#include "io/posix_file_system.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "io/posix_error.h"
#include "io/write_back.h"

namespace ottla::io {

namespace {

constexpr mode_t kFileMode = 0644;
constexpr mode_t kDirectoryMode = 0755;
/// A fetch of a mebibyte and what ColdRead and alignment add, for as many reads as are usually on their way
/// or on the way out. Smaller ones than an eighth of it the heap serves as well.
constexpr BlockPool::Shape kReadBlocks{.block_bytes = 1152UZ * 1024,
                                       .alignment = kDirectAlignment,
                                       .kept = 4};

Status failure(std::string_view doing, std::string_view path) {
    return std::unexpected(file_error(doing, path, errno));
}

/// A descriptor that this scope closes.
class Descriptor {
public:
    Descriptor(const std::string& path, int flags) {
        do {
            value_ = ::open(path.c_str(), flags | O_CLOEXEC, kFileMode);
        } while (value_ < 0 && errno == EINTR);
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    ~Descriptor() {
        if (value_ >= 0) ::close(value_);
    }
    [[nodiscard]] bool is_open() const { return value_ >= 0; }
    [[nodiscard]] int get() const { return value_; }
    int release() { return std::exchange(value_, -1); }

private:
    int value_ = -1;
};

std::string directory_of(const std::string& path) {
    const size_t slash = path.rfind('/');
    if (slash == std::string::npos) return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
}

Status status_of(FileSystemOp& op) {
    struct stat about {};
    if (::stat(op.path.c_str(), &about) != 0) return failure("status", op.path);
    op.file_status.size = static_cast<uint64_t>(about.st_size);
    op.file_status.is_directory = S_ISDIR(about.st_mode);
    op.file_status.modified =
        WallTime{int64_t{about.st_mtim.tv_sec} * 1000 + about.st_mtim.tv_nsec / 1'000'000};
    return {};
}

bool is_directory(DIR* directory, const dirent& entry) {
    if (entry.d_type != DT_UNKNOWN && entry.d_type != DT_LNK) return entry.d_type == DT_DIR;
    struct stat about {};
    return ::fstatat(::dirfd(directory), entry.d_name, &about, 0) == 0 && S_ISDIR(about.st_mode);
}

Status list_names(FileSystemOp& op) {
    const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(op.path.c_str()), &::closedir);
    if (!directory) return failure("list", op.path);
    while (true) {
        errno = 0;
        const dirent* entry = ::readdir(directory.get());
        if (entry == nullptr) break;
        std::string name = entry->d_name;
        if (name == "." || name == "..") continue;
        op.entries.push_back({std::move(name), is_directory(directory.get(), *entry)});
    }
    if (errno != 0) return failure("list", op.path);
    std::ranges::sort(op.entries);
    return {};
}

Status sync_names(const std::string& path) {
    const Descriptor directory(path, O_RDONLY | O_DIRECTORY);
    if (!directory.is_open()) return failure("open", path);
    if (::fsync(directory.get()) != 0) return failure("sync", path);
    return {};
}

Status sync_file_system(const std::string& path) {
    const Descriptor any(path, O_RDONLY);
    if (!any.is_open()) return failure("open", path);
    if (::syncfs(any.get()) != 0) return failure("sync the file system of", path);
    return {};
}

Status space_of(FileSystemOp& op) {
    struct statvfs about {};
    if (::statvfs(op.path.c_str(), &about) != 0) return failure("space of", op.path);
    op.space.free = uint64_t{about.f_bavail} * about.f_frsize;
    op.space.size = uint64_t{about.f_blocks} * about.f_frsize;
    return {};
}

Status put_file(const FileSystemOp& op) {
    const Descriptor file(op.path, O_WRONLY | O_CREAT | O_TRUNC);
    if (!file.is_open()) return failure("open", op.path);
    for (size_t done = 0; done < op.content.size();) {
        const ssize_t written =
            ::write(file.get(), op.content.data() + done, op.content.size() - done);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return failure("write", op.path);
        if (written == 0) errno = ENOSPC;
        if (written == 0) return failure("write", op.path);
        done += static_cast<size_t>(written);
    }
    return {};
}

/// What its descriptors were not told before they were closed is told to the next one that is opened.
Status check_file(const std::string& path) {
    const Descriptor file(path, O_RDONLY);
    if (!file.is_open()) return failure("open", path);
    errno = write_back_error(file.get());
    if (errno == 0) return {};
    // As final as a sync that failed, whatever its reason.
    const Status why = failure("write back", path);
    return fail(ErrorCode::io_error, why.error().detail);
}

class PosixFileLock final : public FileLock {
public:
    PosixFileLock(int descriptor, LockTable::Identity identity, std::shared_ptr<LockTable> table)
        : descriptor_(descriptor), identity_(identity), table_(std::move(table)) {}
    ~PosixFileLock() override {
        ::close(descriptor_);
        table_->remove(identity_);
    }

private:
    int descriptor_;
    LockTable::Identity identity_;
    std::shared_ptr<LockTable> table_;
};

}  // namespace

PosixFileSystem::PosixFileSystem(IoThreads& threads, IoHome& home, std::shared_ptr<LockTable> locks)
    : threads_(threads), home_(home), locks_(std::move(locks)),
      read_blocks_(BlockPool::create(kReadBlocks)) {}

BlockRef PosixFileSystem::read_block(size_t bytes) {
    const bool fits = bytes <= kReadBlocks.block_bytes && bytes >= kReadBlocks.block_bytes / 8;
    return fits ? read_blocks_->take() : make_block(bytes);
}

void PosixFileSystem::start(FileSystemOp& op) {
    op.begin(*this);
    start_job(threads_.bulk(), home_, op, *this);
}

void PosixFileSystem::cancel(Op& op) noexcept {
    cancel_job<FileSystemOp, PosixFileSystem>(threads_.bulk(), op);
}

Status PosixFileSystem::perform(FileSystemOp& op, IoScratch&) {
    const char* path = op.path.c_str();
    switch (op.kind) {
        case FileSystemOp::Kind::open: return open(op);
        case FileSystemOp::Kind::status: return status_of(op);
        case FileSystemOp::Kind::list: return list_names(op);
        case FileSystemOp::Kind::make_directory:
            if (::mkdir(path, kDirectoryMode) == 0) return {};
            return failure("make directory", op.path);
        case FileSystemOp::Kind::remove_directory:
            if (::rmdir(path) == 0) return {};
            if (errno != ENOENT) errno = ENOTEMPTY;  // EEXIST and ENOTDIR say the same here.
            return failure("remove directory", op.path);
        case FileSystemOp::Kind::rename:
            return ::rename(path, op.to.c_str()) == 0 ? Status() : failure("rename", op.path);
        case FileSystemOp::Kind::unlink:
            return ::unlink(path) == 0 ? Status() : failure("unlink", op.path);
        case FileSystemOp::Kind::sync_directory: return sync_names(op.path);
        case FileSystemOp::Kind::sync_all: return sync_file_system(op.path);
        case FileSystemOp::Kind::space: return space_of(op);
        case FileSystemOp::Kind::lock: return lock(op);
        case FileSystemOp::Kind::put: return put_file(op);
        case FileSystemOp::Kind::check: return check_file(op.path);
    }
    errno = EINVAL;
    return failure("unknown operation on", op.path);
}

Status PosixFileSystem::open(FileSystemOp& op) {
    const OpenOptions& options = op.options;
    int flags = options.write ? O_RDWR : O_RDONLY;
    if (options.create) flags |= O_CREAT;
    if (options.create && options.exclusive) flags |= O_EXCL;
    if (options.truncate) flags |= O_TRUNC;
    Descriptor opened(op.path, flags);
    if (!opened.is_open()) return failure("open", op.path);
    struct stat about {};
    if (::fstat(opened.get(), &about) != 0) return failure("status", op.path);
    if (S_ISDIR(about.st_mode)) return std::unexpected(file_error("open", op.path, EISDIR));
    // Set afterwards: open(O_CREAT | O_DIRECT) creates the file even where it then refuses
    // O_DIRECT.
    const bool direct = options.direct && ::fcntl(opened.get(), F_SETFL, O_DIRECT) == 0;
    const bool journal = options.lane == IoLane::journal;
    IoQueue& lane = journal ? threads_.journal(directory_of(op.path)) : threads_.bulk();
    IoQueue& reading = journal ? lane : threads_.reads();
    const PosixFile::Opened file{opened.release(), static_cast<uint64_t>(about.st_size), direct};
    op.file = std::make_unique<PosixFile>(
        file, op.path, PosixFile::Queues{lane, reading, threads_.bulk()}, home_);
    return {};
}

Status PosixFileSystem::lock(FileSystemOp& op) {
    const auto held = [&op](std::string_view who) {
        return fail(ErrorCode::locked, fmt::format("{}: {} holds the lock", op.path, who));
    };
    struct stat about {};
    if (::stat(op.path.c_str(), &about) == 0 && locks_->has({about.st_dev, about.st_ino})) {
        return held("this process itself");
    }
    Descriptor file(op.path, O_RDWR | O_CREAT);
    if (!file.is_open()) return failure("open", op.path);
    if (::fstat(file.get(), &about) != 0) return failure("status", op.path);
    struct flock whole {};
    whole.l_type = F_WRLCK;
    whole.l_whence = SEEK_SET;
    if (::fcntl(file.get(), F_SETLK, &whole) != 0) {
        return errno == EAGAIN || errno == EACCES ? held("another process")
                                                  : failure("lock", op.path);
    }
    const LockTable::Identity identity{about.st_dev, about.st_ino};
    CHECK(locks_->add(identity), "the table knows every lock of this process");
    op.file_lock = std::make_unique<PosixFileLock>(file.release(), identity, locks_);
    return {};
}

}  // namespace ottla::io
