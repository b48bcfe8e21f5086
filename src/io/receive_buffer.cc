// SPDX-License-Identifier: Apache-2.0
#include "io/receive_buffer.h"

#include <algorithm>

namespace ottla::io {

namespace {
constexpr size_t kAlignment = 64;  // No two slices share a cache line; headers are read aligned.
constexpr size_t kLeastFraction = 8;
constexpr size_t kKeptBlocks = 16;
}  // namespace

ReceiveBuffer::ReceiveBuffer(size_t block_bytes)
    : blocks_(BlockPool::create({block_bytes, kAlignment, kKeptBlocks})) {}

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
