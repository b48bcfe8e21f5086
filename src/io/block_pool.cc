// SPDX-License-Identifier: Apache-2.0
#include "io/block_pool.h"

#include <utility>

namespace ottla::io {

BlockRef BlockPool::take() {
    users_.fetch_add(1, std::memory_order_relaxed);
    if (kept_ == nullptr) kept_ = returned_.exchange(nullptr, std::memory_order_acquire);
    if (kept_ == nullptr) {
        return BlockRef::adopt(Block::create(shape_.block_bytes, shape_.alignment, this));
    }
    free_.fetch_sub(1, std::memory_order_relaxed);
    Block* block = std::exchange(kept_, kept_->next_in_pool);
    block->revive();
    return BlockRef::adopt(block);
}

void BlockPool::take_back(Block* block) noexcept {
    if (free_.fetch_add(1, std::memory_order_relaxed) >= shape_.kept) {
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

void BlockPool::drop() noexcept {
    if (users_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
}

BlockPool::~BlockPool() {
    for (Block* list : {kept_, returned_.load(std::memory_order_acquire)}) {
        while (list != nullptr) Block::destroy(std::exchange(list, list->next_in_pool));
    }
}

}  // namespace ottla::io
