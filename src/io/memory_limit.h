// SPDX-License-Identifier: Apache-2.0
// How much memory this process may use: the least of the machine's and of what its control group and
// the groups above it allow (version 2: memory.max; version 1: memory.limit_in_bytes). Read once, at
// start; nothing of it is an error, since the machine's own memory is always known. And what a process does that
// has little of it.
#pragma once

#include <cstdint>
#include <string>

namespace ottla::io {

struct MemorySources {
    std::string membership = "/proc/self/cgroup";
    std::string groups = "/sys/fs/cgroup";
    uint64_t physical_bytes = 0;  ///< 0: ask the system
};

uint64_t memory_limit(const MemorySources& sources = {});

/// For the process and for good: heap blocks of 128 KiB and more are maps of their own, whose memory is the system's
/// again when they are freed. Costs a page fault for each 4 KiB of each of them.
void return_large_blocks();

}  // namespace ottla::io
