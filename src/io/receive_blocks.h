// SPDX-License-Identifier: Apache-2.0
// Where received bytes land.
//
//   ReceiveBlocks   a pool of equal blocks; one shard takes, any thread's last reference gives back
//   ReceiveBuffer   the shard's current block, filled from front to back by all its connections
//
// A connection that waits for bytes holds no memory: space is chosen when bytes are there, and what is
// lent is a slice that counts on the block. Once nobody holds a slice of the current block it starts
// over from its front, so a shard whose frames are handled at once lives in one warm block.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "ottla/buffer.h"

namespace ottla::io {

class ReceiveBlocks final : public BlockHome {
public:
    static ReceiveBlocks* create(size_t block_bytes) { return new ReceiveBlocks(block_bytes); }
    /// The shard's part is over; the pool goes when the last block that is out comes back.
    void release() noexcept { drop(); }

    BlockRef take();
    void take_back(Block* block) noexcept override;
    [[nodiscard]] size_t block_bytes() const { return block_bytes_; }

private:
    static constexpr size_t kKept = 16;  ///< Free blocks that are not given back to the heap.

    explicit ReceiveBlocks(size_t block_bytes) : block_bytes_(block_bytes) {}
    ~ReceiveBlocks();
    void drop() noexcept;

    const size_t block_bytes_;
    std::atomic<size_t> users_{1};  ///< The shard, and each block that is out.
    std::atomic<size_t> free_{0};
    std::atomic<Block*> returned_{nullptr};
    Block* kept_ = nullptr;
};

class ReceiveBuffer {
public:
    explicit ReceiveBuffer(size_t block_bytes) : blocks_(ReceiveBlocks::create(block_bytes)) {}
    ReceiveBuffer(const ReceiveBuffer&) = delete;
    ReceiveBuffer& operator=(const ReceiveBuffer&) = delete;
    ~ReceiveBuffer();

    /// Where the next receive may write: never less than an eighth of a block.
    std::span<std::byte> space();
    /// The first `size` bytes of `space()`, now received, as a slice that keeps its block alive.
    Buffer lend(size_t size);

private:
    ReceiveBlocks* blocks_;
    BlockRef block_;
    size_t used_ = 0;
};

}  // namespace ottla::io
