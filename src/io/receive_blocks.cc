// SPDX-License-Identifier: Apache-2.0
#include "io/receive_blocks.h"

namespace ottla::io {

namespace {
constexpr size_t kAlignment = 64;  // No two slices share a cache line; headers are read aligned.
constexpr size_t kLeastFraction = 8;
}  // namespace

BlockRef ReceiveBlocks::take() {
    users_.fetch_add(1, std::memory_order_relaxed);
    if (kept_ == nullptr) kept_ = returned_.exchange(nullptr, std::memory_order_acquire);
    if (kept_ == nullptr) return BlockRef::adopt(Block::create(block_bytes_, kAlignment, this));
    free_.fetch_sub(1, std::memory_order_relaxed);
    Block* block = std::exchange(kept_, kept_->next_in_pool);
    block->revive();
    return BlockRef::adopt(block);
}

void ReceiveBlocks::take_back(Block* block) noexcept {
    if (free_.fetch_add(1, std::memory_order_relaxed) >= kKept) {
        free_.fetch_sub(1, std::memory_order_relaxed);
        Block::destroy(block);
    } else {
        Block* top = returned_.load(std::memory_order_relaxed);
        do {
            block->next_in_pool = top;
        } while (!returned_.compare_exchange_weak(top, block, std::memory_order_release,
                                                  std::memory_order_relaxed));
    }
    drop();
}

void ReceiveBlocks::drop() noexcept {
    if (users_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
}

ReceiveBlocks::~ReceiveBlocks() {
    for (Block* list : {kept_, returned_.load(std::memory_order_acquire)}) {
        while (list != nullptr) Block::destroy(std::exchange(list, list->next_in_pool));
    }
}

ReceiveBuffer::~ReceiveBuffer() {
    block_ = {};
    blocks_->release();
}

std::span<std::byte> ReceiveBuffer::space() {
    if (block_ && !block_->is_shared()) used_ = 0;
    if (!block_ || block_->capacity() - used_ < blocks_->block_bytes() / kLeastFraction) {
        block_ = blocks_->take();
        used_ = 0;
    }
    return {block_->data() + used_, block_->capacity() - used_};
}

Buffer ReceiveBuffer::lend(size_t size) {
    Buffer slice(block_, used_, size);
    used_ = std::min((used_ + size + kAlignment - 1) / kAlignment * kAlignment, block_->capacity());
    return slice;
}

}  // namespace ottla::io
