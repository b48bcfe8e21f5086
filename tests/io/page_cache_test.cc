// SPDX-License-Identifier: Apache-2.0
// Large reads of what the page cache does not have go past it; nothing else may notice.
#include "io/page_cache.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "tests/io/with_backend.h"

namespace ottla::io::test {
namespace {

constexpr size_t kPage = 4096;
constexpr size_t kSize = 1024 * 1024;

/// Bytes that tell where they lie.
std::string pattern(size_t size, uint8_t salt) {
    std::string bytes(size, '\0');
    for (size_t i = 0; i < size; ++i) {
        bytes[i] = static_cast<char>((i / 7 + i / kPage + salt) % 251);
    }
    return bytes;
}

/// A second descriptor of a file, to look at the cache and to empty it.
class Watcher {
public:
    explicit Watcher(const std::string& path) : file_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}
    Watcher(const Watcher&) = delete;
    Watcher& operator=(const Watcher&) = delete;
    ~Watcher() { ::close(file_); }
    [[nodiscard]] bool has(size_t position, size_t length) const {
        const bool told = is_cached(file_, position, length);
        EXPECT_EQ(is_cached(file_, position, length, CacheQuestion::mincore), told);
        return told;
    }
    /// False where files cannot be evicted (tmpfs).
    [[nodiscard]] bool evict() const {
        ::posix_fadvise(file_, 0, 0, POSIX_FADV_DONTNEED);
        return !has(0, kSize);
    }
    [[nodiscard]] size_t pages() const {
        size_t count = 0;
        for (size_t at = 0; at < kSize; at += kPage) count += has(at, kPage) ? 1 : 0;
        return count;
    }

private:
    int file_;
};

Task<std::unique_ptr<File>> written(FileSystem& files, std::string path, std::string bytes) {
    auto opened = co_await files.open(path, {.write = true, .create = true});
    std::unique_ptr<File> file = std::move(opened).value();
    const auto wrote = co_await file->write(0, Buffer::copy_of(bytes));
    EXPECT_TRUE(wrote.has_value());
    const auto synced = co_await file->sync();
    EXPECT_TRUE(synced.has_value());
    co_return file;
}

Task<std::string> read_all(File& file, uint64_t position, size_t length) {
    const BlockRef block = make_block(length, kDirectAlignment);
    const auto got = co_await file.read(position, length, block);
    EXPECT_TRUE(got.has_value());
    co_return std::string(as_text({block->data(), got.value_or(0)}));
}

void on_a_new_file(Task<int> (*story)(FileSystem& files, std::string path)) {
    const TemporaryDirectory directory;
    Process process;
    process.run(story(process.on(0).files, directory.file("f")));
}

Task<int> asks_without_reading(FileSystem& files, std::string path) {
    const auto file = co_await written(files, path, pattern(kSize, 0));
    const Watcher watcher(path);
    EXPECT_TRUE(watcher.has(0, kSize));
    EXPECT_TRUE(watcher.has(kSize - 1, kSize)) << "what lies behind the end is not missed";
    if (!watcher.evict()) co_return 0;
    std::vector<std::byte> into(kPage);
    const auto missed = file->read_cached(kSize / 2, into);
    EXPECT_EQ(missed.error().code, ErrorCode::would_block);
    EXPECT_EQ(watcher.pages(), 0U) << "no readahead began";
    const std::string first = co_await read_all(*file, 0, 1);
    EXPECT_TRUE(watcher.has(0, kPage));
    EXPECT_TRUE(file->read_cached(0, into).has_value());
    EXPECT_FALSE(watcher.has(0, kSize));
    co_return 0;
}

TEST(PageCache, IsAskedWithoutAReadOrReadahead) { on_a_new_file(asks_without_reading); }

Task<int> passes_the_cache(FileSystem& files, std::string path) {
    const std::string bytes = pattern(kSize + 1000, 3);
    const auto file = co_await written(files, path, bytes);
    const Watcher watcher(path);
    const bool evicted = watcher.evict();
    const auto probe = co_await files.open(path, {.direct = true});
    const bool past = evicted && (*probe)->is_direct();
    const std::string middle = co_await read_all(*file, 64 * kPage, 32 * kPage);
    EXPECT_EQ(middle, bytes.substr(64 * kPage, 32 * kPage));
    if (past) EXPECT_EQ(watcher.pages(), 0U);
    // Short only at the end of the file.
    const std::string end = co_await read_all(*file, kSize - 32 * kPage, 64 * kPage);
    EXPECT_EQ(end, bytes.substr(kSize - 32 * kPage));
    const std::string beyond = co_await read_all(*file, kSize + 32 * kPage, 32 * kPage);
    EXPECT_EQ(beyond, "");
    // A small or unaligned one is an ordinary read.
    const std::string odd = co_await read_all(*file, 100, 32 * kPage);
    EXPECT_EQ(odd, bytes.substr(100, 32 * kPage));
    if (past) EXPECT_GT(watcher.pages(), 0U);
    co_return 0;
}

TEST(PosixFile, ALargeColdReadGoesPastThePageCache) { on_a_new_file(passes_the_cache); }

Task<int> sees_what_is_only_cached(FileSystem& files, std::string path) {
    std::string bytes = pattern(kSize, 5);
    const auto file = co_await written(files, path, bytes);
    const Watcher watcher(path);
    (void)watcher.evict();
    // Dirty pages in the middle, not a whole one of them among those at the end.
    for (const auto& [at, size] :
         {std::pair{40 * kPage, 3 * kPage}, std::pair{99 * kPage + 5, kPage}}) {
        const std::string fresh(size, '~');
        const auto wrote = co_await file->write(at, Buffer::copy_of(fresh));
        EXPECT_TRUE(wrote.has_value());
        bytes.replace(at, size, fresh);
    }
    const std::string all = co_await read_all(*file, 0, kSize);
    EXPECT_EQ(all, bytes);
    co_return 0;
}

TEST(PosixFile, AReadPastTheCacheSeesWhatIsNotOnDiskYet) {
    on_a_new_file(sees_what_is_only_cached);
}

Task<int> keeps_to_its_file(FileSystem& files, std::string path) {
    const std::string bytes = pattern(kSize, 9);
    const auto file = co_await written(files, path, bytes);
    {
        const Watcher watcher(path);
        (void)watcher.evict();
    }
    const Status unlinked = co_await files.unlink(path);
    EXPECT_TRUE(unlinked.has_value());
    const auto other = co_await written(files, path, pattern(kSize, 77));
    const std::string all = co_await read_all(*file, 0, kSize);
    EXPECT_EQ(all, bytes);
    co_return 0;
}

TEST(PosixFile, AReadPastTheCacheIsOfTheFileAndNotOfItsName) { on_a_new_file(keeps_to_its_file); }

// ---- threads ----------------------------------------------------------------------------------

Task<> open_pipe(FileSystem& files, std::string path, size_t& open) {
    const auto opened = co_await files.open(path, {});
    EXPECT_TRUE(opened.has_value());
    ++open;
}

/// Opening a pipe that nobody writes to keeps the threads for bulk work waiting, all of them.
Task<int> reads_beside_bulk_work(Ports ports, std::string directory) {
    const std::string bytes = pattern(kSize, 1);
    const auto file = co_await written(ports.files, directory + "/f", bytes);
    const std::string pipe = directory + "/pipe";
    EXPECT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
    size_t open = 0;
    constexpr size_t kMany = 8;
    for (size_t i = 0; i < kMany; ++i) ports.runtime.spawn(open_pipe(ports.files, pipe, open));
    co_await ports.runtime.yield();
    const std::string all = co_await read_all(*file, 0, kSize);
    EXPECT_EQ(all, bytes);
    EXPECT_EQ(open, 0U);
    const int writer = ::open(pipe.c_str(), O_RDWR | O_CLOEXEC);
    while (open < kMany) co_await ports.runtime.sleep_for(std::chrono::milliseconds(1));
    ::close(writer);
    co_return 0;
}

TEST(PosixFile, ReadsDoNotStandBehindBulkWork) {
    const TemporaryDirectory directory;
    Process process;
    process.run(reads_beside_bulk_work(process.on(0), directory.path()));
}

}  // namespace
}  // namespace ottla::io::test
