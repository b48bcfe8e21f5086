// SPDX-License-Identifier: Apache-2.0
// BlockPool: equal blocks of memory that are used again while they are warm. One shard takes, any
// thread's last reference gives back. At most `kept` free blocks stay with the pool, the rest go back to
// the heap; a block may outlive the shard's part in it (`release`).
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>

#include "ottla/buffer.h"

namespace ottla::io {

class BlockPool final : public BlockHome {
public:
    struct Shape {
        size_t block_bytes = 0;
        size_t alignment = 0;
        size_t kept = 0;
    };
    struct Release {
        void operator()(BlockPool* pool) const noexcept { pool->drop(); }
    };
    /// The shard's part ends with the handle; the pool goes when the last block that is out comes back.
    using Handle = std::unique_ptr<BlockPool, Release>;
    static Handle create(Shape shape) { return Handle(new BlockPool(shape)); }

    BlockRef take();
    void take_back(Block* block) noexcept override;
    [[nodiscard]] size_t block_bytes() const { return shape_.block_bytes; }

private:
    explicit BlockPool(Shape shape) : shape_(shape) {}
    ~BlockPool();
    void drop() noexcept;

    const Shape shape_;
    std::atomic<size_t> users_{1};  ///< The shard, and each block that is out.
    std::atomic<size_t> free_{0};
    std::atomic<Block*> returned_{nullptr};
    Block* kept_ = nullptr;
};

}  // namespace ottla::io
