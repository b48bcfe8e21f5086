// SPDX-License-Identifier: Apache-2.0
// What the page cache has of a file, asked without touching it. A read with RWF_NOWAIT cannot be the
// question: one that misses starts the kernel's readahead on the spot, up to read_ahead_kb of pages that
// are allocated by the thread that asked (2 to 11 ms were measured for 8 MiB) and queue at the disk in
// front of the journal's writes. cachestat(2) answers in half a microsecond (Linux 6.5); where it is
// missing or forbidden mincore(2) does in 15 to 50.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ottla::io {

enum class CacheQuestion : uint8_t { cachestat_or_mincore, mincore };

/// Is all of it in memory, up to the end of the file? No for what cannot be told.
bool is_cached(int descriptor,
               uint64_t position,
               size_t length,
               CacheQuestion how = CacheQuestion::cachestat_or_mincore);

}  // namespace ottla::io
