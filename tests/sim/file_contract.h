// SPDX-License-Identifier: Apache-2.0
// What every FileSystem does, crashes aside: one set of tests for the simulated disk and for
// src/io.
//
// A harness gives `FileSystem& files()`, `std::string directory()` (exists, empty, made anew for
// each test) and `run(Task<T>) -> T`. Instantiate it with
//     INSTANTIATE_TYPED_TEST_SUITE_P(Posix, FileContract, PosixHarness);
// What crashes leave behind is tested on the simulated disk only (crash_contract_test.cc).
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "ottla/file.h"

namespace ottla::test {

template <class Harness>
class FileContract : public testing::Test {
protected:
    using FilePtr = std::unique_ptr<File>;

    FileSystem& files() { return harness_.files(); }
    std::string path(const std::string& name) { return harness_.directory() + "/" + name; }
    template <class T>
    T run(Task<T> task) {
        return harness_.run(std::move(task));
    }

    static OpenOptions for_writing() {
        OpenOptions options;
        options.write = true;
        options.create = true;
        return options;
    }
    FilePtr open(const std::string& name, OpenOptions options) {
        Result<FilePtr> file = run(files().open(path(name), options));
        EXPECT_TRUE(file.has_value()) << name;
        return file ? *std::move(file) : nullptr;
    }
    FilePtr make(const std::string& name, const std::string& text) {
        FilePtr file = open(name, for_writing());
        EXPECT_TRUE(write(*file, 0, text).has_value());
        return file;
    }

    static Task<Result<size_t>> do_write(File& file, uint64_t position, Chain bytes) {
        co_return co_await file.write(position, std::move(bytes));
    }
    static Task<Result<size_t>> do_read(File& file,
                                        uint64_t position,
                                        size_t length,
                                        BlockRef into) {
        co_return co_await file.read(position, length, into);
    }
    static Task<Result<size_t>> do_op(File& file,
                                      FileOp::Kind kind,
                                      uint64_t position,
                                      uint64_t length) {
        FileOp op(file, kind, position, length);
        co_return co_await op;
    }

    Result<size_t> write(File& file, uint64_t position, const std::string& text) {
        return run(do_write(file, position, Chain(Buffer::copy_of(text))));
    }
    Result<std::string> read(File& file, uint64_t position, size_t length) {
        BlockRef block = make_block(length);
        const Result<size_t> count = run(do_read(file, position, length, block));
        if (!count) return std::unexpected(count.error());
        return std::string(as_text({block->data(), *count}));
    }
    Result<size_t> allocate(File& file, uint64_t position, uint64_t length) {
        return run(do_op(file, FileOp::Kind::allocate, position, length));
    }
    Result<size_t> truncate(File& file, uint64_t size) {
        return run(do_op(file, FileOp::Kind::truncate, 0, size));
    }
    Result<size_t> sync(File& file) { return run(do_op(file, FileOp::Kind::sync, 0, 0)); }
    uint64_t size_of(const std::string& name) {
        const Result<FileStatus> status = run(files().status(path(name)));
        EXPECT_TRUE(status.has_value());
        return status ? status->size : 0;
    }

    Harness harness_;
};

TYPED_TEST_SUITE_P(FileContract);

TYPED_TEST_P(FileContract, OpeningWhatIsNotThereIsNotFound) {
    const auto file = this->run(this->files().open(this->path("absent"), OpenOptions{}));
    ASSERT_FALSE(file.has_value());
    EXPECT_EQ(file.error().code, ErrorCode::not_found);
    const auto status = this->run(this->files().status(this->path("absent")));
    EXPECT_EQ(status.error().code, ErrorCode::not_found);
}

TYPED_TEST_P(FileContract, ExclusiveCreationRefusesAnExistingFile) {
    this->make("f", "x");
    OpenOptions options = this->for_writing();
    options.exclusive = true;
    const auto file = this->run(this->files().open(this->path("f"), options));
    ASSERT_FALSE(file.has_value());
    EXPECT_EQ(file.error().code, ErrorCode::already_exists);
}

TYPED_TEST_P(FileContract, OpeningWithTruncateEmptiesTheFile) {
    this->make("f", "something");
    OpenOptions options = this->for_writing();
    options.truncate = true;
    this->open("f", options);
    EXPECT_EQ(this->size_of("f"), 0U);
}

TYPED_TEST_P(FileContract, AReadIsShortOnlyAtTheEnd) {
    const auto file = this->make("f", "0123456789");
    EXPECT_EQ(this->read(*file, 2, 5), "23456");
    EXPECT_EQ(this->read(*file, 8, 5), "89");
    EXPECT_EQ(this->read(*file, 10, 5), "");
    EXPECT_EQ(this->read(*file, 99, 5), "");
}

TYPED_TEST_P(FileContract, AWriteGathersItsPieces) {
    const auto file = this->open("f", this->for_writing());
    Chain bytes;
    bytes.append(Buffer::copy_of("one "));
    bytes.append(Buffer::copy_of("two "));
    bytes.append(Buffer::copy_of("three"));
    EXPECT_EQ(this->run(this->do_write(*file, 0, bytes)), 13U);
    EXPECT_EQ(this->read(*file, 0, 100), "one two three");
}

TYPED_TEST_P(FileContract, AWriteBeyondTheEndLeavesZeros) {
    const auto file = this->make("f", "ab");
    EXPECT_EQ(this->write(*file, 4, "ef"), 2U);
    EXPECT_EQ(this->size_of("f"), 6U);
    EXPECT_EQ(this->read(*file, 0, 6), std::string("ab\0\0ef", 6));
}

TYPED_TEST_P(FileContract, AllocatedSpaceReadsAsZerosAndCounts) {
    const auto file = this->make("f", "ab");
    ASSERT_TRUE(this->allocate(*file, 0, 8192).has_value());
    EXPECT_EQ(this->size_of("f"), 8192U);
    EXPECT_EQ(this->read(*file, 0, 4), std::string("ab\0\0", 4));
    EXPECT_EQ(this->read(*file, 8190, 10), std::string(2, '\0'));
}

TYPED_TEST_P(FileContract, TruncationCutsAndWhatGrowsBackIsZero) {
    const auto file = this->make("f", "0123456789");
    ASSERT_TRUE(this->truncate(*file, 4).has_value());
    EXPECT_EQ(this->size_of("f"), 4U);
    ASSERT_TRUE(this->truncate(*file, 6).has_value());
    EXPECT_EQ(this->read(*file, 0, 10), std::string("0123\0\0", 6));
}

TYPED_TEST_P(FileContract, SyncingWhatIsThereSucceeds) {
    const auto file = this->make("f", "data");
    EXPECT_TRUE(this->sync(*file).has_value());
    EXPECT_TRUE(this->run(this->files().sync_directory(this->path("."))).has_value());
    EXPECT_TRUE(this->run(this->files().sync_all(this->path("."))).has_value());
}

TYPED_TEST_P(FileContract, ACheckOfWhatArrivedSucceeds) {
    const auto file = this->make("f", "data");
    ASSERT_TRUE(this->run(this->files().sync_all(this->path("."))).has_value());
    EXPECT_TRUE(this->run(this->do_op(*file, FileOp::Kind::check, 0, 0)).has_value());
    EXPECT_TRUE(this->run(this->files().check(this->path("f"))).has_value());
    const auto none = this->run(this->files().check(this->path("absent")));
    EXPECT_EQ(none.error().code, ErrorCode::not_found);
}

TYPED_TEST_P(FileContract, PutMakesAFileOrReplacesAllThatIsInIt) {
    const std::string path = this->path("f");
    for (const std::string text : {"a long one", "short", ""}) {
        ASSERT_TRUE(this->run(this->files().put(path, Buffer::copy_of(text))).has_value());
        const auto file = this->open("f", OpenOptions{});
        EXPECT_EQ(file->opened_size(), text.size());
        EXPECT_EQ(this->read(*file, 0, 100), text);
    }
    const std::string nowhere = this->path("none/f");
    const auto failed = this->run(this->files().put(nowhere, Buffer::copy_of("x")));
    EXPECT_EQ(failed.error().code, ErrorCode::not_found);
}

TYPED_TEST_P(FileContract, AFileKnowsHowLargeItWasWhenItWasOpened) {
    const auto file = this->make("f", "data");
    EXPECT_EQ(file->opened_size(), 0U);
    EXPECT_EQ(this->open("f", OpenOptions{})->opened_size(), 4U);
}

TYPED_TEST_P(FileContract, WritingToAFileOpenedForReadingFails) {
    this->make("f", "data");
    const auto file = this->open("f", OpenOptions{});
    EXPECT_FALSE(this->write(*file, 0, "x").has_value());
    EXPECT_EQ(this->read(*file, 0, 4), "data");
}

TYPED_TEST_P(FileContract, RenameReplacesItsTarget) {
    this->make("a", "new");
    this->make("b", "old");
    ASSERT_TRUE(this->run(this->files().rename(this->path("a"), this->path("b"))).has_value());
    const auto file = this->open("b", OpenOptions{});
    EXPECT_EQ(this->read(*file, 0, 10), "new");
    const auto gone = this->run(this->files().status(this->path("a")));
    EXPECT_EQ(gone.error().code, ErrorCode::not_found);
    const auto again = this->run(this->files().rename(this->path("a"), this->path("c")));
    EXPECT_EQ(again.error().code, ErrorCode::not_found);
}

TYPED_TEST_P(FileContract, ADirectoryIsRenamedWithWhatIsInIt) {
    ASSERT_TRUE(this->run(this->files().make_directory(this->path("d"))).has_value());
    this->make("d/f", "inside");
    ASSERT_TRUE(this->run(this->files().rename(this->path("d"), this->path("e"))).has_value());
    EXPECT_EQ(this->size_of("e/f"), 6U);
}

TYPED_TEST_P(FileContract, AListIsSortedAndTellsDirectories) {
    this->make("b", "");
    this->make("a", "");
    ASSERT_TRUE(this->run(this->files().make_directory(this->path("c"))).has_value());
    const auto entries = this->run(this->files().list(this->path(".")));
    ASSERT_TRUE(entries.has_value());
    ASSERT_EQ(entries->size(), 3U);
    EXPECT_EQ((*entries)[0], (DirectoryEntry{"a", false}));
    EXPECT_EQ((*entries)[1], (DirectoryEntry{"b", false}));
    EXPECT_EQ((*entries)[2], (DirectoryEntry{"c", true}));
}

TYPED_TEST_P(FileContract, DirectoriesAreMadeOnceAndRemovedEmpty) {
    const std::string directory = this->path("d");
    ASSERT_TRUE(this->run(this->files().make_directory(directory)).has_value());
    const auto twice = this->run(this->files().make_directory(directory));
    EXPECT_EQ(twice.error().code, ErrorCode::already_exists);
    this->make("d/f", "x");
    const auto full = this->run(this->files().remove_directory(directory));
    EXPECT_EQ(full.error().code, ErrorCode::io_error);
    ASSERT_TRUE(this->run(this->files().unlink(this->path("d/f"))).has_value());
    EXPECT_TRUE(this->run(this->files().remove_directory(directory)).has_value());
    const auto gone = this->run(this->files().list(directory));
    EXPECT_EQ(gone.error().code, ErrorCode::not_found);
}

TYPED_TEST_P(FileContract, AnUnlinkedFileLivesAsLongAsItIsOpen) {
    const auto file = this->make("f", "still here");
    ASSERT_TRUE(this->run(this->files().unlink(this->path("f"))).has_value());
    EXPECT_EQ(this->read(*file, 0, 100), "still here");
    const auto again = this->run(this->files().unlink(this->path("f")));
    EXPECT_EQ(again.error().code, ErrorCode::not_found);
}

TYPED_TEST_P(FileContract, ACachedReadGivesTheBytesOrWouldBlock) {
    const auto file = this->make("f", "0123456789");
    std::array<std::byte, 20> into{};
    int hits = 0;
    for (int i = 0; i < 200; ++i) {
        const Result<size_t> count = file->read_cached(4, into);
        if (!count) {
            ASSERT_EQ(count.error().code, ErrorCode::would_block);
            continue;
        }
        ++hits;
        ASSERT_EQ(as_text({into.data(), *count}), "456789");
    }
    EXPECT_GT(hits, 0);
}

TYPED_TEST_P(FileContract, DirectFilesTakeWholeAlignedBlocks) {
    OpenOptions options = this->for_writing();
    options.direct = true;
    const auto file = this->open("f", options);
    BlockRef block = make_block(2 * kDirectAlignment, kDirectAlignment);
    std::memset(block->data(), 'd', 2 * kDirectAlignment);
    const Buffer whole(block, 0, 2 * kDirectAlignment);
    ASSERT_TRUE(this->run(this->do_write(*file, 0, Chain(whole))).has_value());
    EXPECT_EQ(this->size_of("f"), 2 * kDirectAlignment);
    BlockRef back = make_block(2 * kDirectAlignment, kDirectAlignment);
    EXPECT_EQ(this->run(this->do_read(*file, 0, 2 * kDirectAlignment, back)), 2 * kDirectAlignment);
    EXPECT_EQ(std::memcmp(back->data(), block->data(), 2 * kDirectAlignment), 0);
    if (!file->is_direct()) GTEST_SKIP() << "this file system has no direct files";
    const auto odd = this->run(this->do_write(*file, 0, Chain(whole.slice(0, 512))));
    ASSERT_FALSE(odd.has_value());
    EXPECT_EQ(odd.error().code, ErrorCode::invalid_argument);
    const auto between = this->run(this->do_write(*file, 512, Chain(whole)));
    EXPECT_FALSE(between.has_value());
}

TYPED_TEST_P(FileContract, ThereIsFreeSpaceAndALockIsTaken) {
    const auto space = this->run(this->files().space(this->path(".")));
    ASSERT_TRUE(space.has_value());
    EXPECT_GT(space->free, 0U);
    EXPECT_GE(space->size, space->free);
    const auto lock = this->run(this->files().lock(this->path(".lock")));
    EXPECT_TRUE(lock.has_value());
}

REGISTER_TYPED_TEST_SUITE_P(FileContract,
                            OpeningWhatIsNotThereIsNotFound,
                            ExclusiveCreationRefusesAnExistingFile,
                            OpeningWithTruncateEmptiesTheFile,
                            AReadIsShortOnlyAtTheEnd,
                            AWriteGathersItsPieces,
                            AWriteBeyondTheEndLeavesZeros,
                            AllocatedSpaceReadsAsZerosAndCounts,
                            TruncationCutsAndWhatGrowsBackIsZero,
                            SyncingWhatIsThereSucceeds,
                            ACheckOfWhatArrivedSucceeds,
                            PutMakesAFileOrReplacesAllThatIsInIt,
                            AFileKnowsHowLargeItWasWhenItWasOpened,
                            WritingToAFileOpenedForReadingFails,
                            RenameReplacesItsTarget,
                            ADirectoryIsRenamedWithWhatIsInIt,
                            AListIsSortedAndTellsDirectories,
                            DirectoriesAreMadeOnceAndRemovedEmpty,
                            AnUnlinkedFileLivesAsLongAsItIsOpen,
                            ACachedReadGivesTheBytesOrWouldBlock,
                            DirectFilesTakeWholeAlignedBlocks,
                            ThereIsFreeSpaceAndALockIsTaken);

}  // namespace ottla::test
