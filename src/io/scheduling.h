// SPDX-License-Identifier: Apache-2.0
// What the kernel's scheduler is told about our threads. A shard and a journal run for microseconds at a
// time and somebody waits for each of them: they ask for short turns, which a scheduler that knows deadlines
// (EEVDF, Linux 6.12 and newer) pays back with being let in at once. Threads that move large amounts for
// one reader or the flusher step back a little. Neither needs a privilege; where the kernel knows nothing of
// it or a sandbox forbids it, everything works as before, later. ADR 0062 has the figures.
#pragma once

#include <cstdint>

namespace ottla::io {

enum class ThreadKind : uint8_t {
    prompt,  ///< shards, journals
    bulk,    ///< flushes, cold and large reads, large sends, names
};

/// For the calling thread.
void schedule_as(ThreadKind kind);

}  // namespace ottla::io
