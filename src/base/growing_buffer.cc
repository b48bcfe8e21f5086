// SPDX-License-Identifier: Apache-2.0
#include "base/growing_buffer.h"

#include <algorithm>

#include "ottla/check.h"

namespace ottla {
namespace {
constexpr size_t kSmallestBlock = 256;
}

void GrowingBuffer::reserve(size_t size) {
    if (block_ && block_->capacity() - size_ >= size) return;
    size_t wanted = std::max({kSmallestBlock, size_ + size, capacity() * 2});
    BlockRef larger = make_block(wanted);
    if (size_ > 0) std::memcpy(larger->data(), block_->data(), size_);
    block_ = std::move(larger);
}

void GrowingBuffer::shrink_to(size_t size) {
    CHECK(size <= size_, "shrinking never grows");
    size_ = size;
}

Buffer GrowingBuffer::take() {
    if (size_ == 0) return {};
    Buffer whole(std::move(block_), 0, size_);
    release();
    return whole;
}

}  // namespace ottla
