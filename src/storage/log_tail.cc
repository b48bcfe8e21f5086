// SPDX-License-Identifier: Apache-2.0
#include "storage/log_tail.h"

#include <cstring>

namespace ottla::storage {
namespace {

/// Below it a copy is cheaper than a piece of its own: a piece costs a reference count and an
/// iovec.
constexpr size_t kSmallBatch = 4096;
constexpr size_t kLargestCopy = 256UZ * 1024;

}  // namespace

Chain LogTail::gather(uint64_t from, uint64_t to) const {
    Chain bytes;
    while (from < to) {
        uint64_t run_end = from;
        size_t run_bytes = 0;
        while (run_end < to && at(run_end).bytes < kSmallBatch && run_bytes < kLargestCopy) {
            run_bytes += at(run_end++).bytes;
        }
        if (run_end - from < 2) {
            const TailBatch& batch = at(from++);
            bytes.append(Buffer{batch.group->chunk->block, batch.in_chunk, batch.bytes});
            continue;
        }
        BlockRef block = make_block(run_bytes);
        std::byte* into = block->data();
        for (; from < run_end; ++from) {
            const TailBatch& batch = at(from);
            std::memcpy(into, batch.group->chunk->block->data() + batch.in_chunk, batch.bytes);
            into += batch.bytes;
        }
        bytes.append(Buffer{std::move(block), 0, run_bytes});
    }
    return bytes;
}

}  // namespace ottla::storage
