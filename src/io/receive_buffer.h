// SPDX-License-Identifier: Apache-2.0
// ReceiveBuffer: where received bytes land: the shard's current block, filled from front to back by all
// its connections.
//
// A connection that waits for bytes holds no memory: space is chosen when bytes are there, and what is
// lent is a slice that counts on the block. Once nobody holds a slice of the current block it starts
// over from its front, so a shard whose frames are handled at once lives in one warm block.
#pragma once

#include <cstddef>
#include <span>

#include "io/block_pool.h"

namespace ottla::io {

class ReceiveBuffer {
public:
    explicit ReceiveBuffer(size_t block_bytes);
    ReceiveBuffer(const ReceiveBuffer&) = delete;
    ReceiveBuffer& operator=(const ReceiveBuffer&) = delete;

    /// Where the next receive may write: never less than an eighth of a block.
    std::span<std::byte> space();
    /// The first `size` bytes of `space()`, now received, as a slice that keeps its block alive.
    Buffer lend(size_t size);

private:
    BlockPool::Handle blocks_;
    BlockRef block_;
    size_t used_ = 0;
};

}  // namespace ottla::io
