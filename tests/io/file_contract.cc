// SPDX-License-Identifier: Apache-2.0
#include "tests/io/file_contract.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "ottla/sync.h"

namespace ottla::test {

namespace {

constexpr OpenOptions kNew{.write = true, .create = true};
constexpr OpenOptions kReadOnly{};

using FilePtr = std::unique_ptr<File>;

Task<FilePtr> make_file(FileSystem& files, std::string path, std::string text) {
    auto file = co_await files.open(std::move(path), kNew);
    const auto wrote = co_await file.value()->write(0, Buffer::copy_of(text));
    EXPECT_EQ(wrote.value_or(0), text.size());
    co_return std::move(file).value();
}

Task<Result<std::string>> read_text(File& file, uint64_t position, size_t length) {
    BlockRef block = make_block(length + 3);
    CO_TRY(const size_t count, co_await file.read(position, length, block, 3));
    co_return std::string(as_text({block->data() + 3, count}));
}

/// What `result` failed with; none for a value.
template <class T>
ErrorCode code_of(const Result<T>& result) {
    return result ? ErrorCode::none : result.error().code;
}

Task<ErrorCode> open_code(FileSystem& files, std::string path, OpenOptions options) {
    const auto file = co_await files.open(std::move(path), options);
    co_return code_of(file);
}

// ---- contents ---------------------------------------------------------------------------------

Task<int> round_trip(Runtime&, FileSystem& files, std::string directory) {
    const FilePtr file = co_await make_file(files, directory + "/f", "hello world");
    Chain pieces;
    std::string expected;
    for (int i = 0; i < 3000; ++i) {
        const std::string piece = std::to_string(i * 7919) + ",";
        pieces.append(Buffer::copy_of(piece));
        expected += piece;
    }
    const auto wrote = co_await file->write(6, std::move(pieces));
    EXPECT_EQ(wrote.value_or(0), expected.size());
    const auto all = co_await read_text(*file, 0, 100'000);
    EXPECT_EQ(all.value(), "hello " + expected) << "3,000 pieces in order, short only at the end";
    const auto middle = co_await read_text(*file, 2, 4);
    EXPECT_EQ(middle.value(), "llo ");
    const auto beyond = co_await read_text(*file, 1'000'000, 10);
    EXPECT_EQ(beyond.value(), "");
    const auto nothing = co_await read_text(*file, 0, 0);
    EXPECT_EQ(nothing.value(), "");
    const auto synced = co_await file->sync();
    EXPECT_TRUE(synced.has_value());
    const auto status = co_await files.status(directory + "/f");
    EXPECT_EQ(status.value().size, 6 + expected.size());
    EXPECT_FALSE(status.value().is_directory);
    co_return 0;
}

Task<int> holes_read_as_zeros(Runtime&, FileSystem& files, std::string directory) {
    const FilePtr file = co_await make_file(files, directory + "/f", "ab");
    (void)co_await file->write(6, Buffer::copy_of("z"));
    const auto all = co_await read_text(*file, 0, 100);
    EXPECT_EQ(all.value(), std::string("ab\0\0\0\0z", 7));
    co_return 0;
}

Task<int> truncates_both_ways(Runtime&, FileSystem& files, std::string directory) {
    const FilePtr file = co_await make_file(files, directory + "/f", "abcdef");
    const auto shorter = co_await file->truncate(2);
    const auto longer = co_await file->truncate(4);
    EXPECT_TRUE(shorter.has_value() && longer.has_value());
    const auto all = co_await read_text(*file, 0, 100);
    EXPECT_EQ(all.value(), std::string("ab\0\0", 4)) << "what was cut off does not come back";
    co_return 0;
}

Task<int> allocates(Runtime&, FileSystem& files, std::string directory) {
    const FilePtr file = co_await make_file(files, directory + "/f", "abc");
    const auto inside = co_await file->allocate(0, 2);
    EXPECT_TRUE(inside.has_value());
    const auto grown = co_await file->allocate(0, 8192);
    EXPECT_TRUE(grown.has_value());
    const auto status = co_await files.status(directory + "/f");
    EXPECT_EQ(status.value().size, 8192U);
    const auto all = co_await read_text(*file, 0, 8192);
    EXPECT_EQ(all.value(), "abc" + std::string(8189, '\0')) << "what was there stays";
    co_return 0;
}

/// Remembers the bytes it was given.
struct Copying final : ReadWork {
    void run(std::span<const std::byte> bytes) noexcept override {
        text += as_text(bytes);
        ++times;
    }
    std::string text;
    int times = 0;
};

Task<int> work_on_a_read(Runtime&, FileSystem& files, std::string directory) {
    const FilePtr file = co_await make_file(files, directory + "/f", "abcdef");
    const auto work = std::make_shared<Copying>();
    auto reading = file->read(2, 100, make_block(103), 3, work);
    const auto count = co_await reading;
    EXPECT_EQ(count.value(), 4U);
    EXPECT_EQ(work->text, "cdef") << "what came, and only that";
    EXPECT_EQ(work->times, 1);
    co_return 0;
}

Task<int> reads_cached(Runtime& runtime, FileSystem& files, std::string directory) {
    const FilePtr file = co_await make_file(files, directory + "/f", "abcdef");
    std::array<std::byte, 10> into{};
    for (int attempt = 0; attempt < 100; ++attempt) {
        const auto count = file->read_cached(2, into);
        if (!count) {
            EXPECT_EQ(count.error().code, ErrorCode::would_block);
            co_await runtime.yield();
            continue;
        }
        EXPECT_EQ(as_text(std::span(into).first(*count)), "cdef") << "short at the end";
        break;
    }
    const auto beyond = file->read_cached(100, into);
    if (beyond) EXPECT_EQ(*beyond, 0U);
    co_return 0;
}

Task<int> direct_files(Runtime&, FileSystem& files, std::string directory) {
    OpenOptions options = kNew;
    options.direct = true;
    auto opened = co_await files.open(directory + "/d", options);
    const FilePtr file = std::move(opened).value();
    BlockRef block = make_block(3 * kDirectAlignment, kDirectAlignment);
    std::memset(block->data(), 'x', block->capacity());
    const auto wrote = co_await file->write(0, Buffer(block, 0, 2 * kDirectAlignment));
    EXPECT_EQ(wrote.value_or(0), 2 * kDirectAlignment);
    const auto past_end = co_await file->read(kDirectAlignment, 2 * kDirectAlignment, block);
    EXPECT_EQ(past_end.value_or(0), kDirectAlignment);
    EXPECT_EQ(block->data()[0], std::byte{'x'});
    if (file->is_direct()) {
        const auto position = co_await file->write(512, Buffer(block, 0, kDirectAlignment));
        const auto length = co_await file->write(0, Buffer(block, 0, 512));
        const auto memory = co_await file->write(0, Buffer(block, 512, kDirectAlignment));
        const auto piece = co_await file->read(0, kDirectAlignment, block, 512);
        const auto read_at = co_await file->read(1, kDirectAlignment, block);
        for (const auto& bad : {position, length, memory, piece, read_at}) {
            EXPECT_EQ(code_of(bad), ErrorCode::invalid_argument);
        }
    }
    co_return 0;
}

Task<int> staged_writes(Runtime&, FileSystem& files, std::string directory) {
    OpenOptions options = kNew;
    options.direct = true;
    auto opened = co_await files.open(directory + "/d", options);
    const FilePtr direct = std::move(opened).value();
    auto plain = co_await files.open(directory + "/d", OpenOptions{.write = true});
    const FilePtr buffered = std::move(plain).value();
    const auto before = co_await buffered->write(0, Buffer::copy_of(std::string(4000, 'b')));
    EXPECT_TRUE(before.has_value());
    // Odd pieces at odd addresses, longer than any staging memory.
    constexpr size_t kWhole = 600 * kDirectAlignment;
    std::string expected;
    Chain pieces;
    for (size_t i = 0; expected.size() < kWhole; ++i) {
        const size_t size = std::min<size_t>(1 + i * 7919 % 30'011, kWhole - expected.size());
        const std::string piece(size, static_cast<char>('a' + i % 26));
        pieces.append(Buffer::copy_of("?" + piece).slice(1, size));
        expected += piece;
    }
    const auto wrote = co_await direct->write_staged(0, std::move(pieces));
    EXPECT_EQ(wrote.value_or(0), kWhole);
    const auto behind = co_await buffered->write(kWhole, Buffer::copy_of("tail"));
    EXPECT_TRUE(behind.has_value());
    const auto all = co_await read_text(*buffered, 0, 2 * kWhole);
    EXPECT_TRUE(all.value() == expected + "tail") << "what was cached before is not seen again";
    if (direct->is_direct()) {
        const auto position =
            co_await direct->write_staged(1, Buffer::copy_of(std::string(4096, 'z')));
        const auto length = co_await direct->write_staged(0, Buffer::copy_of("z"));
        EXPECT_EQ(code_of(position), ErrorCode::invalid_argument);
        EXPECT_EQ(code_of(length), ErrorCode::invalid_argument);
    }
    const auto anywhere = co_await buffered->write_staged(3, Buffer::copy_of("Z"));
    EXPECT_EQ(anywhere.value_or(0), 1U) << "a buffered file takes all";
    co_return 0;
}

Task<int> writes_and_syncs(Runtime& runtime, FileSystem& files, std::string directory) {
    const FilePtr file = co_await make_file(files, directory + "/f", "abcdef");
    Chain pieces(Buffer::copy_of("12"));
    pieces.append(Buffer::copy_of("345"));
    const auto wrote = co_await file->write_and_sync(4, std::move(pieces));
    EXPECT_EQ(wrote.value_or(0), 5U) << "the bytes of the write";
    const auto nothing = co_await file->write_and_sync(0, Chain());
    EXPECT_EQ(nothing.value_or(9), 0U) << "only a sync is left";
    const auto all = co_await read_text(*file, 0, 100);
    EXPECT_EQ(all.value(), "abcd12345");

    auto opened = co_await files.open(directory + "/f", kReadOnly);
    const FilePtr reader = std::move(opened).value();
    const auto refused = co_await reader->write_and_sync(0, Buffer::copy_of("z"));
    EXPECT_EQ(code_of(refused), ErrorCode::invalid_argument);
    OpenOptions options = kNew;
    options.direct = true;
    auto direct_one = co_await files.open(directory + "/d", options);
    const FilePtr direct = std::move(direct_one).value();
    BlockRef block = make_block(kDirectAlignment, kDirectAlignment);
    std::memset(block->data(), 'x', block->capacity());
    const auto whole = co_await direct->write_and_sync(0, Buffer(block, 0, kDirectAlignment));
    EXPECT_EQ(whole.value_or(0), kDirectAlignment);
    if (direct->is_direct()) {
        const auto odd = co_await direct->write_and_sync(0, Buffer(block, 0, 512));
        EXPECT_EQ(code_of(odd), ErrorCode::invalid_argument);
    }

    // One at a time it is a journal; cancelled it ends as either.
    FileOp last = file->write_and_sync(0, Buffer::copy_of("LAST"));
    bool done = false;
    last.on_done([](Op& ended) { *static_cast<bool*>(ended.context()) = true; }, &done);
    last.start();
    cancel(last);
    while (!done) (void)co_await runtime.sleep_for(std::chrono::milliseconds(1));
    const auto after = co_await read_text(*file, 0, 4);
    if (!last.failed()) EXPECT_EQ(after.value(), "LAST");
    if (last.failed()) EXPECT_EQ(last.error().code, ErrorCode::cancelled);
    co_return 0;
}

Task<int> many_at_once(Runtime& runtime, FileSystem& files, std::string directory) {
    const FilePtr file = co_await make_file(files, directory + "/f", "");
    FileOp first = file->write(0, Buffer::copy_of("one."));
    FileOp second = file->write(4, Buffer::copy_of("two."));
    FileOp third = file->write(8, Buffer::copy_of("six."));
    size_t done = 0;
    for (FileOp* op : {&first, &second, &third}) {
        op->on_done([](Op& ended) { ++*static_cast<size_t*>(ended.context()); }, &done);
        op->start();
    }
    cancel(third);  // Its end may be either; it ends.
    while (done < 3) (void)co_await runtime.sleep_for(std::chrono::milliseconds(1));
    const bool cut = third.failed();
    if (cut) EXPECT_EQ(third.error().code, ErrorCode::cancelled);
    const auto all = co_await read_text(*file, 0, 100);
    EXPECT_EQ(all.value(), cut ? "one.two." : "one.two.six.");
    co_return 0;
}

Task<int> read_only_files(Runtime&, FileSystem& files, std::string directory) {
    (void)co_await make_file(files, directory + "/f", "abc");
    auto opened = co_await files.open(directory + "/f", kReadOnly);
    const FilePtr file = std::move(opened).value();
    const auto write = co_await file->write(0, Buffer::copy_of("z"));
    const auto truncate = co_await file->truncate(0);
    const auto allocate = co_await file->allocate(0, 4096);
    for (const auto& refused : {write, truncate, allocate}) {
        EXPECT_EQ(code_of(refused), ErrorCode::invalid_argument);
    }
    const auto all = co_await read_text(*file, 0, 100);
    EXPECT_EQ(all.value(), "abc");
    co_return 0;
}

// ---- names ------------------------------------------------------------------------------------

Task<int> opens_as_asked(Runtime&, FileSystem& files, std::string directory) {
    const std::string path = directory + "/f";
    ErrorCode code = co_await open_code(files, path, kReadOnly);
    EXPECT_EQ(code, ErrorCode::not_found);
    code = co_await open_code(files, directory + "/none/f", kNew);
    EXPECT_EQ(code, ErrorCode::not_found);
    (void)co_await make_file(files, path, "abc");
    OpenOptions options = kNew;
    options.exclusive = true;
    code = co_await open_code(files, path, options);
    EXPECT_EQ(code, ErrorCode::already_exists);
    code = co_await open_code(files, path + "/below", kNew);
    EXPECT_EQ(code, ErrorCode::not_found) << "a file is no directory";
    code = co_await open_code(files, directory, kReadOnly);
    EXPECT_EQ(code, ErrorCode::io_error) << "a directory is no file";
    auto again = co_await files.open(path, kNew);
    auto all = co_await read_text(*again.value(), 0, 100);
    EXPECT_EQ(all.value(), "abc") << "create keeps what is there";
    options = kNew;
    options.truncate = true;
    auto emptied = co_await files.open(path, options);
    all = co_await read_text(*emptied.value(), 0, 100);
    EXPECT_EQ(all.value(), "");
    co_return 0;
}

Task<int> lists_sorted(Runtime&, FileSystem& files, std::string directory) {
    for (const char* name : {"b", "a", "Z", "10", "9", "é"}) {
        (void)co_await make_file(files, directory + "/" + name, "");
    }
    const Status made = co_await files.make_directory(directory + "/c");
    EXPECT_TRUE(made.has_value());
    const auto listed = co_await files.list(directory);
    const std::vector<DirectoryEntry> expected = {{"10", false}, {"9", false}, {"Z", false},
                                                  {"a", false},  {"b", false}, {"c", true},
                                                  {"é", false}};
    EXPECT_EQ(listed.value(), expected);
    const auto none = co_await files.list(directory + "/none");
    EXPECT_EQ(code_of(none), ErrorCode::not_found);
    co_return 0;
}

Task<int> directories(Runtime&, FileSystem& files, std::string directory) {
    const std::string path = directory + "/d";
    const Status made = co_await files.make_directory(path);
    EXPECT_TRUE(made.has_value());
    const Status again = co_await files.make_directory(path);
    EXPECT_EQ(code_of(again), ErrorCode::already_exists);
    const Status deep = co_await files.make_directory(directory + "/x/y");
    EXPECT_EQ(code_of(deep), ErrorCode::not_found) << "one level";
    const auto status = co_await files.status(path);
    EXPECT_TRUE(status.value().is_directory);
    (void)co_await make_file(files, path + "/f", "1");
    const Status full = co_await files.remove_directory(path);
    EXPECT_EQ(code_of(full), ErrorCode::io_error);
    const Status not_one = co_await files.remove_directory(path + "/f");
    EXPECT_EQ(code_of(not_one), ErrorCode::io_error);
    const Status gone = co_await files.unlink(path + "/f");
    EXPECT_TRUE(gone.has_value());
    const Status removed = co_await files.remove_directory(path);
    EXPECT_TRUE(removed.has_value());
    const auto after = co_await files.status(path);
    EXPECT_EQ(code_of(after), ErrorCode::not_found);
    const Status none = co_await files.remove_directory(path);
    EXPECT_EQ(code_of(none), ErrorCode::not_found);
    co_return 0;
}

Task<int> renames(Runtime&, FileSystem& files, std::string directory) {
    const FilePtr old = co_await make_file(files, directory + "/from", "new text");
    const FilePtr replaced = co_await make_file(files, directory + "/to", "old text");
    const Status renamed = co_await files.rename(directory + "/from", directory + "/to");
    EXPECT_TRUE(renamed.has_value());
    const ErrorCode gone = co_await open_code(files, directory + "/from", kReadOnly);
    EXPECT_EQ(gone, ErrorCode::not_found);
    auto opened = co_await files.open(directory + "/to", kReadOnly);
    auto text = co_await read_text(*opened.value(), 0, 100);
    EXPECT_EQ(text.value(), "new text");
    text = co_await read_text(*replaced, 0, 100);
    EXPECT_EQ(text.value(), "old text") << "an open file outlives its name";
    const Status none = co_await files.rename(directory + "/from", directory + "/x");
    EXPECT_EQ(code_of(none), ErrorCode::not_found);
    (void)co_await files.make_directory(directory + "/d");
    (void)co_await make_file(files, directory + "/d/f", "below");
    const Status moved = co_await files.rename(directory + "/d", directory + "/e");
    EXPECT_TRUE(moved.has_value());
    const auto below = co_await files.status(directory + "/e/f");
    EXPECT_EQ(below.value().size, 5U);
    co_return 0;
}

Task<int> unlinks(Runtime&, FileSystem& files, std::string directory) {
    const FilePtr file = co_await make_file(files, directory + "/f", "abc");
    const Status gone = co_await files.unlink(directory + "/f");
    EXPECT_TRUE(gone.has_value());
    const Status again = co_await files.unlink(directory + "/f");
    EXPECT_EQ(code_of(again), ErrorCode::not_found);
    const auto text = co_await read_text(*file, 0, 100);
    EXPECT_EQ(text.value(), "abc");
    (void)co_await files.make_directory(directory + "/d");
    const Status directory_too = co_await files.unlink(directory + "/d");
    EXPECT_EQ(code_of(directory_too), ErrorCode::io_error);
    co_return 0;
}

Task<int> syncs_and_measures(Runtime&, FileSystem& files, std::string directory) {
    (void)co_await make_file(files, directory + "/f", "abc");
    const Status names = co_await files.sync_directory(directory);
    EXPECT_TRUE(names.has_value());
    const Status all = co_await files.sync_all(directory);
    EXPECT_TRUE(all.has_value());
    const Status none = co_await files.sync_directory(directory + "/none");
    EXPECT_EQ(code_of(none), ErrorCode::not_found);
    const auto space = co_await files.space(directory);
    EXPECT_GT(space.value_or(DiskSpace{}).free, 0U);
    EXPECT_GE(space.value_or(DiskSpace{}).size, space.value_or(DiskSpace{}).free);
    co_return 0;
}

Task<int> locks(Runtime&, FileSystem& files, std::string directory) {
    auto held = co_await files.lock(directory + "/.lock");
    EXPECT_TRUE(held.has_value());
    const auto status = co_await files.status(directory + "/.lock");
    EXPECT_TRUE(status.has_value()) << "the file is made";
    held.value().reset();
    auto again = co_await files.lock(directory + "/.lock");
    EXPECT_TRUE(again.has_value()) << "a lock that ended is free";
    const auto nowhere = co_await files.lock(directory + "/none/.lock");
    EXPECT_EQ(code_of(nowhere), ErrorCode::not_found);
    co_return 0;
}

constexpr std::array kCases = {
    FileContractCase{"RoundTripOfGatheredPieces", round_trip},
    FileContractCase{"HolesReadAsZeros", holes_read_as_zeros},
    FileContractCase{"TruncatesBothWays", truncates_both_ways},
    FileContractCase{"AllocateKeepsWhatIsThereAndGrows", allocates},
    FileContractCase{"ReadCachedIsWholeOrWouldBlock", reads_cached},
    FileContractCase{"AReadMayBringWorkThatIsDoneOnItsBytes", work_on_a_read},
    FileContractCase{"DirectFilesRefuseWhatIsNotAligned", direct_files},
    FileContractCase{"StagedWritesTakeBytesFromAnywhere", staged_writes},
    FileContractCase{"AWriteAndSyncIsBoth", writes_and_syncs},
    FileContractCase{"OperationsOverlapAndMayBeCancelled", many_at_once},
    FileContractCase{"ReadOnlyFilesRefuseChanges", read_only_files},
    FileContractCase{"OpensAsAsked", opens_as_asked},
    FileContractCase{"ListsSorted", lists_sorted},
    FileContractCase{"Directories", directories},
    FileContractCase{"RenameReplacesAndOpenFilesStay", renames},
    FileContractCase{"UnlinkedFilesStayReadable", unlinks},
    FileContractCase{"SyncsAndMeasures", syncs_and_measures},
    FileContractCase{"LocksEndWithTheirHolder", locks},
};

}  // namespace

std::span<const FileContractCase> file_contract_cases() { return kCases; }

}  // namespace ottla::test
