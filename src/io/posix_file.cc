// SPDX-License-Identifier: Apache-2.0
#include "io/posix_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "io/page_cache.h"
#include "io/posix_error.h"
#include "io/write_back.h"

namespace ottla::io {

namespace {

constexpr size_t kPiecesPerCall = 1024;  // IOV_MAX on Linux.
constexpr size_t kZeroChunk = 256 * 1024;
constexpr size_t kLeastPastCache = 64 * 1024;
/// What one call copies: it is in the way of whoever wakes up on its core meanwhile.
constexpr size_t kCopyStep = 256 * 1024;
/// What one call asks of the disk: a journal's write has to wait for two of them. At 1.2 GB/s that is p50
/// 0.7 ms with 256 KiB, and 10 ms with 1 MiB, for 0.06 CPU-s/GB.
constexpr size_t kDiskStep = 288 * 1024;  // A mebibyte and what ColdRead adds take four.

class CloseJob final : public IoJob {
public:
    CloseJob(IoHome& home, int descriptor) : IoJob(home), descriptor_(descriptor) {}
    void perform(IoScratch&) override { ::close(descriptor_); }
    void come_home() override {}

private:
    int descriptor_;
};

bool is_multiple(uint64_t value) { return value % kDirectAlignment == 0; }
off_t to_off(uint64_t position) { return static_cast<off_t>(position); }

}  // namespace

PosixFile::~PosixFile() { queues_.closing.push(std::make_unique<CloseJob>(home_, descriptor_)); }

Status PosixFile::failure(std::string_view doing, int error) const {
    return std::unexpected(file_error(doing, path_, error));
}

bool PosixFile::is_aligned(const FileOp& op) const {
    if (!is_multiple(op.position) || !is_multiple(op.length)) return false;
    if (op.kind == FileOp::Kind::read) {
        return is_multiple(reinterpret_cast<uintptr_t>(op.into->data()) + op.into_offset);
    }
    if (op.staged) return true;
    return std::ranges::all_of(op.bytes.pieces(), [](const Buffer& piece) {
        return is_multiple(reinterpret_cast<uintptr_t>(piece.data())) && is_multiple(piece.size());
    });
}

void PosixFile::start(FileOp& op) {
    const bool moves = op.kind == FileOp::Kind::read || op.kind == FileOp::Kind::write;
    if (op.kind == FileOp::Kind::read) {
        CHECK(op.into && op.into_offset + op.length <= op.into->capacity(),
              "a read fits its block");
    }
    op.begin(*this);
    if (moves && direct_ && !is_aligned(op)) {
        op.set_error({ErrorCode::invalid_argument, path_ + ": direct I/O that is not aligned"});
        op.complete_inline();
    } else if (moves && op.length == 0 && !op.then_sync) {
        op.complete_inline();
    } else {
        start_job(queue_of(op), home_, op, *this);
    }
}

IoQueue& PosixFile::queue_of(const FileOp& op) const {
    return op.kind == FileOp::Kind::read ? queues_.reading : queues_.lane;
}

void PosixFile::cancel(Op& op) noexcept {
    cancel_job<FileOp, PosixFile>(queue_of(static_cast<FileOp&>(op)), op);
}

Status PosixFile::perform(FileOp& op, IoScratch& scratch) {
    switch (op.kind) {
        case FileOp::Kind::read: return read(op);
        case FileOp::Kind::write: {
            Status written =
                op.staged && direct_ ? write_staged(op, scratch.memory()) : write(op);
            return written && op.then_sync ? sync() : written;
        }
        case FileOp::Kind::allocate: return allocate(op.position, op.length);
        case FileOp::Kind::truncate:
            while (::ftruncate(descriptor_, to_off(op.length)) != 0) {
                if (errno != EINTR) return failure("truncate", errno);
            }
            return {};
        case FileOp::Kind::sync: return sync();
        case FileOp::Kind::check: return check();
    }
    return failure("unknown operation on", EINVAL);
}

Status PosixFile::sync() const {
    if (::fdatasync(descriptor_) == 0) return {};
    // Never tried again: also for want of space it must not look like a write that may be.
    const Status why = failure("sync", errno);
    return fail(ErrorCode::io_error, why.error().detail);
}

/// As final as a sync that failed.
Status PosixFile::check() const {
    const int error = write_back_error(descriptor_);
    if (error == 0) return {};
    const Status why = failure("write back", error);
    return fail(ErrorCode::io_error, why.error().detail);
}

Status PosixFile::read(FileOp& op) const {
    Status done = read_bytes(op);
    if (done) op.run_work();
    return done;
}

Status PosixFile::read_bytes(FileOp& op) const {
    const bool may_pass = !direct_ && op.length >= kLeastPastCache && is_aligned(op);
    if (may_pass && !is_cached(descriptor_, op.position, op.length)) {
        // By its number: the name may be another file's by now, or nobody's.
        const std::string path = "/proc/self/fd/" + std::to_string(descriptor_);
        const int past = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECT);
        if (past >= 0) {
            const Status done = read_through(past, true, op);
            ::close(past);
            if (done) return done;
            op.transferred =
                0;  // The file system wants another alignment, or the error comes again.
        }
    }
    return read_through(descriptor_, direct_, op);
}

Status PosixFile::read_through(int descriptor, bool past_cache, FileOp& op) const {
    std::byte* into = op.into->data() + op.into_offset;
    while (op.transferred < op.length) {
        const size_t done = op.transferred;
        const size_t most = past_cache ? (direct_ ? op.length : kDiskStep) : kCopyStep;
        const ssize_t count = ::pread(descriptor, into + done, std::min(op.length - done, most),
                                      to_off(op.position + done));
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return failure("read", errno);
        op.transferred += static_cast<size_t>(count);
        if (count == 0) return {};
        // The end of a file is where direct reads become short; going on there would be misaligned.
        if (past_cache && !is_multiple(op.transferred)) return {};
    }
    return {};
}

Status PosixFile::write(FileOp& op) const {
    const std::vector<Buffer>& pieces = op.bytes.pieces();
    std::array<iovec, kPiecesPerCall> vectors;
    size_t piece = 0;
    size_t written_of_piece = 0;
    while (piece < pieces.size()) {
        const size_t count = std::min(pieces.size() - piece, vectors.size());
        for (size_t i = 0; i < count; ++i) {
            const size_t skip = i == 0 ? written_of_piece : 0;
            const Buffer& bytes = pieces[piece + i];
            vectors[i] = {const_cast<std::byte*>(bytes.data()) + skip, bytes.size() - skip};
        }
        const ssize_t written = ::pwritev(descriptor_, vectors.data(), static_cast<int>(count),
                                          to_off(op.position + op.transferred));
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return failure("write", errno);
        if (written == 0) return failure("write", ENOSPC);
        op.transferred += static_cast<size_t>(written);
        written_of_piece += static_cast<size_t>(written);
        while (piece < pieces.size() && written_of_piece >= pieces[piece].size()) {
            written_of_piece -= pieces[piece++].size();
        }
    }
    return {};
}

Status PosixFile::write_staged(FileOp& op, std::span<std::byte> staging) const {
    const std::vector<Buffer>& pieces = op.bytes.pieces();
    size_t piece = 0;
    size_t copied_of_piece = 0;
    while (op.transferred < op.length) {
        size_t filled = 0;
        while (filled < staging.size() && piece < pieces.size()) {
            const Buffer& bytes = pieces[piece];
            const size_t size = std::min(bytes.size() - copied_of_piece, staging.size() - filled);
            std::memcpy(staging.data() + filled, bytes.data() + copied_of_piece, size);
            filled += size;
            copied_of_piece += size;
            if (copied_of_piece == bytes.size()) {
                ++piece;
                copied_of_piece = 0;
            }
        }
        for (size_t done = 0; done < filled;) {
            const ssize_t written = ::pwrite(descriptor_, staging.data() + done, filled - done,
                                             to_off(op.position + op.transferred));
            if (written < 0 && errno == EINTR) continue;
            if (written < 0) return failure("write", errno);
            // What is short of whole blocks cannot be gone on with; a full disk is what does that.
            if (written == 0 || !is_multiple(static_cast<uint64_t>(written))) {
                return failure("write", ENOSPC);
            }
            done += static_cast<size_t>(written);
            op.transferred += static_cast<size_t>(written);
        }
    }
    return {};
}

Status PosixFile::allocate(uint64_t position, uint64_t length) const {
    if (length == 0) return {};
    while (::fallocate(descriptor_, 0, to_off(position), to_off(length)) != 0) {
        if (errno == EOPNOTSUPP) return write_zeros(position, length);
        if (errno != EINTR) return failure("allocate", errno);
    }
    return {};
}

Status PosixFile::write_zeros(uint64_t position, uint64_t length) const {
    struct stat about{};
    if (::fstat(descriptor_, &about) != 0) return failure("status", errno);
    const uint64_t end = position + length;
    uint64_t at = static_cast<uint64_t>(about.st_size);
    if (direct_) at = at / kDirectAlignment * kDirectAlignment;
    if (direct_ && at != static_cast<uint64_t>(about.st_size)) {
        return failure("allocate a direct file whose size is not aligned,", EINVAL);
    }
    const BlockRef zeros = make_block(kZeroChunk, kDirectAlignment);
    std::memset(zeros->data(), 0, kZeroChunk);
    while (at < end) {
        const size_t size = std::min<uint64_t>(end - at, kZeroChunk);
        const ssize_t written = ::pwrite(descriptor_, zeros->data(), size, to_off(at));
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return failure("allocate", written < 0 ? errno : ENOSPC);
        at += static_cast<uint64_t>(written);
    }
    return {};
}

Result<size_t> PosixFile::read_cached(uint64_t position, std::span<std::byte> into) {
    CHECK(!direct_, "a direct file has no cache");
    if (!is_cached(descriptor_, position, into.size())) return fail(ErrorCode::would_block);
    size_t done = 0;
    while (done < into.size()) {
        const iovec vector{into.data() + done, into.size() - done};
        const ssize_t count =
            ::preadv2(descriptor_, &vector, 1, to_off(position + done), RWF_NOWAIT);
        if (count > 0) {
            done += static_cast<size_t>(count);
        } else if (count == 0) {
            break;
        } else if (errno == EAGAIN || errno == EOPNOTSUPP || errno == ENOSYS) {
            return fail(ErrorCode::would_block);
        } else if (errno != EINTR) {
            return std::unexpected(file_error("read", path_, errno));
        }
    }
    return done;
}

}  // namespace ottla::io
