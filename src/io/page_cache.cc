// SPDX-License-Identifier: Apache-2.0
#include "io/page_cache.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <vector>

namespace ottla::io {
namespace {

constexpr long kCachestat = 451;  // On every architecture; headers before Linux 6.5 lack it.
constexpr uint64_t kPage = 4096;

struct CacheRange {
    uint64_t offset;
    uint64_t length;
};
struct CacheCounts {
    uint64_t cached;
    uint64_t dirty;
    uint64_t writeback;
    uint64_t evicted;
    uint64_t recently_evicted;
};

/// How many pages of the range are there; nothing where the kernel does not say.
std::optional<uint64_t> count_pages(int descriptor,
                                    uint64_t begin,
                                    uint64_t end,
                                    CacheQuestion how) {
    CacheRange range{begin, end - begin};
    CacheCounts counts{};
    const bool first = how == CacheQuestion::cachestat_or_mincore;
    if (first && ::syscall(kCachestat, descriptor, &range, &counts, 0U) == 0) return counts.cached;
    const uint64_t pages = (end - begin) / kPage;
    // Never read through: only its page table is asked.
    void* mapped =
        ::mmap(nullptr, end - begin, PROT_NONE, MAP_SHARED, descriptor, static_cast<off_t>(begin));
    if (mapped == MAP_FAILED) return std::nullopt;
    std::vector<unsigned char> there(pages);
    const bool told = ::mincore(mapped, end - begin, there.data()) == 0;
    ::munmap(mapped, end - begin);
    if (!told) return std::nullopt;
    return static_cast<uint64_t>(
        std::ranges::count_if(there, [](unsigned char page) { return (page & 1U) != 0; }));
}

}  // namespace

bool is_cached(int descriptor, uint64_t position, size_t length, CacheQuestion how) {
    struct stat about{};
    if (::fstat(descriptor, &about) != 0) return false;
    const uint64_t end =
        std::min<uint64_t>(position + length, static_cast<uint64_t>(about.st_size));
    if (position >= end) return true;
    const uint64_t begin = position / kPage * kPage;
    const uint64_t pages_end = (end + kPage - 1) / kPage * kPage;
    const auto pages = count_pages(descriptor, begin, pages_end, how);
    return pages && *pages == (pages_end - begin) / kPage;
}

}  // namespace ottla::io
