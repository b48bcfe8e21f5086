// SPDX-License-Identifier: Apache-2.0
// FileSystem and File: every system call that the broker makes on its disks, and what a crash leaves.
// This text is the specification of the simulated disk (tests/sim) and what src/io must live up to.
//
// THE CRASH CONTRACT
//  1. Process death (kill -9): every completed operation stays. An operation in flight may have happened
//     wholly, in part (a write: any prefix of its pieces, or any subset of its 512-byte sectors), or not.
//  2. Power cut: of data written since the last completed sync of that file, any subset of 512-byte
//     sectors survives, each whole or not at all; what did not survive reads as before, or as zeros
//     where the file had no data. The file's size is independent of its data: it may be anything between the
//     size at the last sync and the largest size since. A power cut during a call freezes the disk there.
//  3. Names: of the creates, renames and unlinks in a directory since its last sync_directory (or sync_all),
//     any subset survives, applied in their order. So: a new file needs its own sync AND its directory's sync; a rename
//     is atomic (old or new, never both gone) but not durable before sync_directory.
//  4. `sync` makes durable what *completed before sync began*, data and size. A write that runs beside
//     a sync is not covered by it. `sync_all(directory)` is the same for every file and directory of
//     that file system, whether open, closed or unlinked since; it reports no write error of another file.
//     `check` asks one file for it, once a sync_all that began after its last write has completed: did all
//     that was written there since it was opened, or checked or synced last, arrive? It makes nothing durable
//     and costs next to nothing, where a sync that finds nothing to do still has the disk empty its cache.
//  5. A failed sync or check: the dirty data it would have covered is gone (reads may still show it until the power cut) and the
//     NEXT SYNC SUCCEEDS although the data is lost. So nothing in doubt may be acknowledged after one.
//  6. A write may fail with no_space or io_error, having written any prefix. `allocate` reserves blocks
//     and reads as zeros; a write inside allocated space does not fail with no_space.
//  7. Direct files (OpenOptions::direct): position, length and memory of reads and writes are multiples
//     of `kDirectAlignment`; anything else fails with invalid_argument. A staged write takes its bytes
//     from anywhere in memory; position and length stay whole blocks. Direct and buffered operations on one
//     file see each other's completed writes. A file system without O_DIRECT opens the file buffered;
//     File::is_direct tells.
//  8. Storage may corrupt: bit flips and misdirected writes happen; only checksums find them.
//  9. Operations on one File started in order may complete in any order and overlap; whoever needs an
//     order awaits. Reading what a pending write covers gives old or new bytes, per sector.
//
// Paths are plain strings, '/' separated. Errors: not_found, already_exists, no_space, io_error, locked,
// would_block, invalid_argument. Every operation is an Op: it may be cancelled before a thread took it,
// else it completes. Buffers belong to the operation (refcounted), never to the frame.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ottla/buffer.h"
#include "ottla/op.h"
#include "ottla/result.h"
#include "ottla/task.h"
#include "ottla/types.h"

namespace ottla {

inline constexpr size_t kDirectAlignment = 4096;
inline constexpr size_t kSectorSize = 512;

/// Which I/O threads serve a file: the journal's own, or the rest (flushes, cold reads, checkpoints).
enum class IoLane : uint8_t { bulk, journal };

struct OpenOptions {
    bool write = false;      ///< else read-only
    bool create = false;     ///< make it if absent (empty)
    bool exclusive = false;  ///< with create: already_exists if there is one
    bool truncate = false;   ///< to zero bytes
    bool direct = false;     ///< bypass the page cache (contract 7)
    IoLane lane = IoLane::bulk;
};

class File;
class FileSystem;

/// What else a read is for: done once all its bytes came, by the thread that read them, while they are in the
/// cache of its core. It touches only these bytes and itself, and is looked at when the read is done.
class ReadWork {
public:
    virtual ~ReadWork() = default;
    virtual void run(std::span<const std::byte> bytes) noexcept = 0;
};

/// One operation on an open file. `transferred` is what a read or write moved.
class FileOp final : public Awaitable<FileOp> {
public:
    enum class Kind : uint8_t { read, write, allocate, truncate, sync, check };

    FileOp(File& file, Kind what, uint64_t where, uint64_t how_much)
        : kind(what), position(where), length(how_much), file_(file) {}
    FileOp(File& file, uint64_t where, size_t how_much, BlockRef destination, size_t offset,
           std::shared_ptr<ReadWork> further)
        : kind(Kind::read), position(where), length(how_much), into(std::move(destination)),
          into_offset(offset), work(std::move(further)), file_(file) {}
    struct WriteMode {
        bool then_sync = false;
        bool staged = false;
    };
    FileOp(File& file, uint64_t where, Chain what, WriteMode mode)
        : kind(Kind::write), position(where), length(what.size()), bytes(std::move(what)),
          then_sync(mode.then_sync), staged(mode.staged), file_(file) {}
    void start();
    /// Bytes moved: of a read, less than asked only at the end of the file; a write moves all or fails.
    Result<size_t> result() const {
        if (failed()) return std::unexpected(error());
        return transferred;
    }

    const Kind kind;
    const uint64_t position;
    const uint64_t length;      ///< read, allocate: bytes; truncate: the new size
    BlockRef into;              ///< read: destination block ...
    size_t into_offset = 0;     ///< ... and where in it
    const std::shared_ptr<ReadWork> work;  ///< read: may be none
    Chain bytes;                ///< write
    const bool then_sync = false;  ///< write: and a sync that begins once the write completed
    const bool staged = false;     ///< write: `bytes` are not aligned in memory
    size_t transferred = 0;

    /// For whoever performs a read, when all of it came.
    void run_work() const {
        if (work) work->run({into->data() + into_offset, transferred});
    }

private:
    File& file_;
};

class File {
public:
    virtual ~File() = default;  ///< Closes; pending operations must have completed (simulation excepted).

    virtual void start(FileOp& op) = 0;
    /// Reads only what is cached (RWF_NOWAIT), on the spot; would_block if any byte is not. Less than
    /// asked only at the end of the file. Never for direct files.
    virtual Result<size_t> read_cached(uint64_t position, std::span<std::byte> into) = 0;
    virtual bool is_direct() const = 0;
    /// How many bytes it had when it was opened.
    virtual uint64_t opened_size() const = 0;

    FileOp read(uint64_t position, size_t length, BlockRef into, size_t into_offset = 0,
                std::shared_ptr<ReadWork> work = nullptr) {
        return {*this, position, length, std::move(into), into_offset, std::move(work)};
    }
    /// The pieces of `bytes`, gathered, at `position`; beyond the end the file grows.
    FileOp write(uint64_t position, Chain bytes) {
        return {*this, position, std::move(bytes), FileOp::WriteMode{}};
    }
    /// A write whose bytes are copied into aligned memory of the I/O thread first, piece by piece, for direct
    /// files. The pieces reach the disk in order.
    FileOp write_staged(uint64_t position, Chain bytes) {
        return {*this, position, std::move(bytes), FileOp::WriteMode{.staged = true}};
    }
    /// A write and, once it completed, a sync of the file, in one trip to the I/O thread. Fails as either
    /// of them does (contract 5 if it was the sync); nothing tells that the write alone is done.
    FileOp write_and_sync(uint64_t position, Chain bytes) {
        return {*this, position, std::move(bytes), FileOp::WriteMode{.then_sync = true}};
    }
    /// Reserves [position, position + length) with zeros; the size grows to cover it.
    FileOp allocate(uint64_t position, uint64_t length) {
        return {*this, FileOp::Kind::allocate, position, length};
    }
    FileOp truncate(uint64_t size) { return {*this, FileOp::Kind::truncate, 0, size}; }
    /// Data and size durable (fdatasync). After an error: contract 5.
    FileOp sync() { return {*this, FileOp::Kind::sync, 0, 0}; }
    /// After a sync_all: contract 4. An error is that of a failed sync: contract 5.
    FileOp check() { return {*this, FileOp::Kind::check, 0, 0}; }
};

struct FileStatus {
    uint64_t size = 0;
    bool is_directory = false;
    WallTime modified{};
};
struct DirectoryEntry {
    std::string name;
    bool is_directory = false;
    auto operator<=>(const DirectoryEntry&) const = default;
};

struct DiskSpace {
    uint64_t free = 0;  ///< bytes that an ordinary writer can still use
    uint64_t size = 0;  ///< bytes there are in all
};

/// An exclusive hold on a lock file, as Java's FileChannel.lock takes it (fcntl F_SETLK); ends with it.
class FileLock {
public:
    virtual ~FileLock() = default;
};

/// One operation on names; FileSystem's methods wrap it.
class FileSystemOp final : public Awaitable<FileSystemOp> {
public:
    enum class Kind : uint8_t {
        open,
        status,
        list,
        make_directory,
        remove_directory,
        rename,
        unlink,
        sync_directory,
        sync_all,
        space,
        lock,
        put,
        check,
    };
    FileSystemOp(FileSystem& files, Kind what, std::string where)
        : kind(what), path(std::move(where)), files_(files) {}
    void start();
    Status result() const { return status(); }

    const Kind kind;
    const std::string path;
    std::string to;                       ///< rename: the new path
    OpenOptions options;                  ///< open
    Buffer content;                       ///< put
    std::unique_ptr<File> file;           ///< out, open
    FileStatus file_status;               ///< out, status
    std::vector<DirectoryEntry> entries;  ///< out, list: sorted by name
    DiskSpace space;                      ///< out, space
    std::unique_ptr<FileLock> file_lock;  ///< out, lock

private:
    FileSystem& files_;
};

class FileSystem {
public:
    virtual ~FileSystem() = default;
    virtual void start(FileSystemOp& op) = 0;
    /// Memory of at least `bytes` for a large read that is gone soon; what is in it is undefined. The backend
    /// gives the same blocks again, because memory that is mapped anew costs as much as the read.
    virtual BlockRef read_block(size_t bytes) { return make_block(bytes); }

    Task<Result<std::unique_ptr<File>>> open(std::string path, OpenOptions options);
    Task<Result<FileStatus>> status(std::string path);
    /// The names in a directory, sorted; without "." and "..".
    Task<Result<std::vector<DirectoryEntry>>> list(std::string path);
    /// One level; already_exists if there is one.
    Task<Status> make_directory(std::string path);
    /// Must be empty (io_error otherwise).
    Task<Status> remove_directory(std::string path);
    /// The file is made, or emptied, and has `content` afterwards, unsynced; all in one trip.
    Task<Status> put(std::string path, Buffer content);
    /// File::check of a file that was closed since: opens it for that. not_found if it is gone.
    Task<Status> check(std::string path);
    /// Replaces the target if there is one. Files and directories, within one file system.
    Task<Status> rename(std::string from, std::string to);
    Task<Status> unlink(std::string path);
    /// Makes creates, renames and unlinks directly in `path` durable.
    Task<Status> sync_directory(std::string path);
    /// Everything on the file system that holds `path` (syncfs).
    Task<Status> sync_all(std::string path);
    /// Of the file system that holds `path`.
    Task<Result<DiskSpace>> space(std::string path);
    /// Creates the file if absent; `locked` when another process holds it.
    Task<Result<std::unique_ptr<FileLock>>> lock(std::string path);
};

}  // namespace ottla
