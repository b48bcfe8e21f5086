// SPDX-License-Identifier: Apache-2.0
// The contract of files on both backends, and what only real files can show.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <deque>

#include "io/posix_error.h"
#include "tests/io/file_contract.h"
#include "tests/io/with_backend.h"
#include "tests/sim/machine.h"

namespace ottla::io::test {
namespace {

using ottla::test::file_contract_cases;
using ottla::test::FileContractCase;

class FileContract : public testing::TestWithParam<FileContractCase> {};

TEST_P(FileContract, HoldsOnRealFiles) {
    const TemporaryDirectory directory;
    Process process;
    Ports ports = process.on(0);
    process.run(GetParam().run(ports.runtime, ports.files, directory.path()));
}

TEST_P(FileContract, HoldsOnSimulatedFiles) {
    for (uint64_t seed = 1; seed <= 20; ++seed) {
        SCOPED_TRACE(seed);
        sim::Bench bench(seed);
        const Status made = bench.run(bench.files().make_directory("/contract"));
        ASSERT_TRUE(made.has_value());
        bench.run(GetParam().run(bench.runtime(), bench.files(), "/contract"));
    }
}

INSTANTIATE_TEST_SUITE_P(All, FileContract,
                         testing::ValuesIn(file_contract_cases().begin(),
                                           file_contract_cases().end()),
                         [](const auto& one) { return std::string(one.param.name); });

// ---- full disks -------------------------------------------------------------------------------

/// A file system of one mebibyte; where mounting is not allowed, a limit on file sizes that acts alike.
class SmallDisk {
public:
    SmallDisk() {
        mounted_ = ::mount("ottla-test", directory_.path().c_str(), "tmpfs", 0, "size=1m") == 0;
        if (mounted_) return;
        ::getrlimit(RLIMIT_FSIZE, &before_);
        rlimit small = before_;
        small.rlim_cur = size_t{1} << 20U;
        ::setrlimit(RLIMIT_FSIZE, &small);
    }
    SmallDisk(const SmallDisk&) = delete;
    SmallDisk& operator=(const SmallDisk&) = delete;
    ~SmallDisk() {
        if (mounted_) {
            ::umount2(directory_.path().c_str(), MNT_DETACH);
        } else {
            ::setrlimit(RLIMIT_FSIZE, &before_);
        }
    }
    [[nodiscard]] std::string file(std::string_view name) const { return directory_.file(name); }
    [[nodiscard]] const std::string& path() const { return directory_.path(); }

private:
    TemporaryDirectory directory_;
    rlimit before_{};
    bool mounted_ = false;
};

Task<int> fills_the_disk(FileSystem& files, std::string path) {
    auto opened = co_await files.open(path, {.write = true, .create = true});
    const std::unique_ptr<File> file = std::move(opened).value();
    const Buffer half = Buffer::copy_of(std::string(size_t{600} * 1024, 'x'));
    const auto first = co_await file->write(0, half);
    EXPECT_TRUE(first.has_value());
    const auto second = co_await file->write(half.size(), half);
    EXPECT_EQ(second.error().code, ErrorCode::no_space);
    EXPECT_NE(second.error().detail.find(path), std::string::npos);
    const auto reserved = co_await file->allocate(0, size_t{8} << 20U);
    EXPECT_EQ(reserved.error().code, ErrorCode::no_space);
    const auto emptied = co_await file->truncate(0);
    EXPECT_TRUE(emptied.has_value());
    const auto again = co_await file->write(0, half);
    EXPECT_TRUE(again.has_value()) << "room again after truncation";
    co_return 0;
}

TEST(PosixFile, AFullDiskIsNoSpaceAndPassesWhenThereIsRoom) {
    const SmallDisk disk;
    Process process;
    process.run(fills_the_disk(process.on(0).files, disk.file("f")));
}

Task<int> opens(FileSystem& files, std::string path, bool write) {
    const auto opened = co_await files.open(path, {.write = write});
    EXPECT_FALSE(opened.has_value());
    if (!opened) EXPECT_TRUE(opened.error().detail.ends_with("not a regular file"));
    co_return 0;
}

TEST(PosixFile, ANamedPipeIsRefusedInsteadOfWaitedFor) {
    const TemporaryDirectory directory;
    const std::string pipe = directory.file(".ottla-journal-0-0");
    ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
    Process process;
    for (const bool write : {false, true}) process.run(opens(process.on(0).files, pipe, write));
}

TEST(PosixFile, ErrorsKeepTheirMeaningAndNameThePath) {
    EXPECT_EQ(code_of_file_error(ENOSPC), ErrorCode::no_space);
    EXPECT_EQ(code_of_file_error(EDQUOT), ErrorCode::no_space);
    EXPECT_EQ(code_of_file_error(EIO), ErrorCode::io_error);
    EXPECT_EQ(code_of_file_error(EROFS), ErrorCode::io_error);
    EXPECT_EQ(code_of_file_error(ENOENT), ErrorCode::not_found);
    EXPECT_EQ(code_of_file_error(EEXIST), ErrorCode::already_exists);
    EXPECT_EQ(file_error("write", "/a/b", EIO).detail, "write /a/b: Input/output error");
}

Task<int> falls_back_to_buffered(FileSystem& files, std::string path) {
    auto opened = co_await files.open(
        path, {.write = true, .create = true, .exclusive = true, .direct = true});
    EXPECT_TRUE(opened.has_value()) << opened.error().detail;
    const std::unique_ptr<File> file = std::move(opened).value();
    if (!file->is_direct()) {
        const auto odd = co_await file->write(3, Buffer::copy_of("not aligned"));
        EXPECT_TRUE(odd.has_value());
    }
    co_return 0;
}

TEST(PosixFile, DirectAndExclusiveTogetherOpenWhateverTheFileSystemSupports) {
    const SmallDisk tmpfs;  // Older kernels refuse O_DIRECT here, after creating the file.
    const TemporaryDirectory disk;
    for (const std::string& path : {tmpfs.file("d"), disk.file("d")}) {
        Process process;
        process.run(falls_back_to_buffered(process.on(0).files, path));
    }
}

Task<int> misses_the_cache(FileSystem& files, std::string path) {
    auto opened = co_await files.open(path, {.write = true, .create = true});
    const std::unique_ptr<File> file = std::move(opened).value();
    const size_t size = size_t{1} << 20U;
    (void)co_await file->write(0, Buffer::copy_of(std::string(size, 'x')));
    (void)co_await file->sync();
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    ::posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED);
    ::close(descriptor);
    std::vector<std::byte> into(4096);
    const auto cold = file->read_cached(size / 2, into);
    if (!cold) EXPECT_EQ(cold.error().code, ErrorCode::would_block);
    BlockRef block = make_block(4096);
    const auto read = co_await file->read(size / 2, 4096, block);
    EXPECT_EQ(read.value_or(0), 4096U);
    const auto warm = file->read_cached(size / 2, into);
    // tmpfs has no cold pages, and not every file system knows RWF_NOWAIT; where the first read
    // could tell that it would block, the second one is served from the cache that it filled.
    if (warm) EXPECT_EQ(*warm, 4096U);
    if (warm && !cold) EXPECT_EQ(into, std::vector<std::byte>(4096, std::byte{'x'}));
    if (!warm) EXPECT_EQ(warm.error().code, ErrorCode::would_block);
    EXPECT_TRUE(warm.has_value() || !cold.has_value());
    co_return 0;
}

TEST(PosixFile, ACachedReadNeverWaitsForTheDisk) {
    const TemporaryDirectory directory;
    Process process;
    process.run(misses_the_cache(process.on(0).files, directory.file("f")));
}

Task<int> open_one(FileSystem& files, std::string path, std::unique_ptr<File>& kept) {
    auto opened = co_await files.open(path, {.write = true, .create = true});
    kept = std::move(opened).value();
    co_return 0;
}

TEST(PosixFile, AFileMayBeClosedAfterTheShardsHaveStopped) {
    const TemporaryDirectory directory;
    Process process;
    std::unique_ptr<File> kept;
    process.run(open_one(process.on(0).files, directory.file("f"), kept));
    kept.reset();
}

// ---- locks ------------------------------------------------------------------------------------

/// Another process that holds a lock as Java's FileChannel takes it, until this object goes.
class Holder {
public:
    explicit Holder(const std::string& path) {
        std::array<int, 2> ready{};
        EXPECT_EQ(::pipe(ready.data()), 0);
        child_ = ::fork();
        if (child_ == 0) {
            const int file = ::open(path.c_str(), O_RDWR | O_CREAT, 0644);
            struct flock whole {};
            whole.l_type = F_WRLCK;
            const char told = ::fcntl(file, F_SETLK, &whole) == 0 ? 'y' : 'n';
            (void)!::write(ready[1], &told, 1);
            ::pause();
            ::_exit(0);
        }
        char told = 'n';
        EXPECT_EQ(::read(ready[0], &told, 1), 1);
        EXPECT_EQ(told, 'y');
        ::close(ready[0]);
        ::close(ready[1]);
    }
    Holder(const Holder&) = delete;
    Holder& operator=(const Holder&) = delete;
    ~Holder() {
        ::kill(child_, SIGKILL);
        ::waitpid(child_, nullptr, 0);
    }

private:
    pid_t child_ = -1;
};

Task<int> lock_code(FileSystem& files, std::string path, ErrorCode& code) {
    const auto lock = co_await files.lock(path);
    code = lock ? ErrorCode::none : lock.error().code;
    co_return 0;
}

TEST(PosixFileSystem, ALockHeldByAnotherProcessIsLockedAndFreeWhenItDies) {
    const TemporaryDirectory directory;
    ErrorCode code = ErrorCode::none;
    {
        const Holder other(directory.file(".lock"));
        Process process;
        process.run(lock_code(process.on(0).files, directory.file(".lock"), code));
        EXPECT_EQ(code, ErrorCode::locked);
    }
    Process process;
    process.run(lock_code(process.on(0).files, directory.file(".lock"), code));
    EXPECT_EQ(code, ErrorCode::none);
}

bool another_process_gets_it(const std::string& path) {
    const pid_t child = ::fork();
    if (child == 0) {
        const int file = ::open(path.c_str(), O_RDWR);
        struct flock whole {};
        whole.l_type = F_WRLCK;
        ::_exit(::fcntl(file, F_SETLK, &whole) == 0 ? 0 : 1);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

Task<int> second_lock_keeps_the_first(FileSystem& files, std::string path) {
    auto first = co_await files.lock(path);
    EXPECT_TRUE(first.has_value());
    EXPECT_FALSE(another_process_gets_it(path));
    const auto second = co_await files.lock(path);
    EXPECT_EQ(second.error().code, ErrorCode::locked);
    EXPECT_FALSE(another_process_gets_it(path)) << "asking again must not drop the lock we hold";
    first.value().reset();
    EXPECT_TRUE(another_process_gets_it(path));
    co_return 0;
}

TEST(PosixFileSystem, ASecondLockInOneProcessIsRefusedWithoutLosingTheFirst) {
    const TemporaryDirectory directory;
    Process process;
    process.run(second_lock_keeps_the_first(process.on(0).files, directory.file(".lock")));
}

// ---- lanes ------------------------------------------------------------------------------------

/// Cancels a whole queue: those not yet taken end as cancelled, the others as usual, all of them end.
Task<int> cancels_a_queue(Ports ports, std::string path) {
    auto opened =
        co_await ports.files.open(path, {.write = true, .create = true, .lane = IoLane::journal});
    const std::unique_ptr<File> file = std::move(opened).value();
    const Buffer bytes = Buffer::copy_of(std::string(size_t{64} * 1024, 'x'));
    std::deque<FileOp> ops;
    size_t done = 0;
    for (uint64_t i = 0; i < 200; ++i) {
        FileOp& op = ops.emplace_back(*file, i * bytes.size(), Chain(bytes), FileOp::WriteMode{});
        op.on_done([](Op& ended) { ++*static_cast<size_t*>(ended.context()); }, &done);
        op.start();
    }
    for (FileOp& op : ops) cancel(op);
    while (done < ops.size()) (void)co_await ports.runtime.sleep_for(std::chrono::milliseconds(1));
    size_t cancelled = 0;
    for (const FileOp& op : ops) {
        if (!op.failed()) continue;
        EXPECT_EQ(op.error().code, ErrorCode::cancelled);
        ++cancelled;
    }
    EXPECT_GT(cancelled, 0U) << "one thread cannot have taken two hundred";
    co_return 0;
}

TEST(PosixFile, WhatNoThreadHasTakenIsCancelledAndTheRestCompletes) {
    const TemporaryDirectory directory;
    Process process;
    process.run(cancels_a_queue(process.on(0), directory.file("f")));
}

Task<> append_often(File& file, uint64_t start, int count, int& running) {
    for (int i = 0; i < count; ++i) {
        const uint64_t position = start + static_cast<uint64_t>(i) * 8;
        const auto wrote = co_await file.write(position, Buffer::copy_of("12345678"));
        EXPECT_EQ(wrote.value_or(0), 8U);
    }
    --running;
}

Task<int> writes_side_by_side(Ports ports, std::string directory) {
    int running = 0;
    std::vector<std::unique_ptr<File>> files;
    for (const IoLane lane : {IoLane::bulk, IoLane::journal}) {
        const std::string path = directory + (lane == IoLane::bulk ? "/bulk" : "/journal");
        const OpenOptions options{.write = true, .create = true, .lane = lane};
        auto opened = co_await ports.files.open(path, options);
        files.push_back(std::move(opened).value());
        for (uint64_t i = 0; i < 4; ++i) {
            ++running;
            ports.runtime.spawn(append_often(*files.back(), i * 8000, 1000, running));
        }
    }
    while (running > 0) (void)co_await ports.runtime.sleep_for(std::chrono::milliseconds(1));
    for (const char* name : {"/bulk", "/journal"}) {
        const auto status = co_await ports.files.status(directory + name);
        EXPECT_EQ(status.value().size, 32'000U);
    }
    co_return 0;
}

struct WriteThere {
    Ports ports;
    std::string directory;
    Task<int> operator()(Runtime&) const { return writes_side_by_side(ports, directory); }
};

Task<int> two_shards_write(Process& process, std::string one, std::string other) {
    Runtime& runtime = process.on(0).runtime;
    std::vector<Task<int>> tasks;
    tasks.push_back(writes_side_by_side(process.on(0), std::move(one)));
    tasks.push_back(call_on(runtime, ShardIndex{1}, WriteThere{process.on(1), std::move(other)}));
    (void)co_await when_all(runtime, std::move(tasks));
    co_return 0;
}

TEST(PosixFile, TwoShardsWriteOnBothLanesSideBySide) {
    const TemporaryDirectory one;
    const TemporaryDirectory other;
    Process process(2);
    process.run(two_shards_write(process, one.path(), other.path()));
}

}  // namespace
}  // namespace ottla::io::test
