// SPDX-License-Identifier: Apache-2.0
#include "ottla/buffer.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "ottla/check.h"

namespace ottla {

Block* Block::create(size_t capacity, size_t alignment, BlockHome* home) {
    auto* data = static_cast<std::byte*>(::operator new(capacity, std::align_val_t(alignment)));
    return new Block(data, capacity, alignment, home);
}

void Block::destroy(Block* block) noexcept {
    ::operator delete(block->data_, std::align_val_t(block->alignment_));
    delete block;
}

void Block::last_reference_gone() noexcept {
    if (home_ != nullptr) {
        home_->take_back(this);
    } else {
        destroy(this);
    }
}

Buffer::Buffer(BlockRef block, size_t offset, size_t size) : block_(std::move(block)), size_(size) {
    CHECK(block_ && offset + size <= block_->capacity(), "a slice lies within its block");
    data_ = block_->data() + offset;
}

Buffer Buffer::copy_of(std::span<const std::byte> bytes) {
    if (bytes.empty()) return {};
    BlockRef block = make_block(bytes.size());
    std::memcpy(block->data(), bytes.data(), bytes.size());
    return {std::move(block), 0, bytes.size()};
}

Buffer Buffer::copy_of(std::string_view text) { return copy_of(as_bytes(text)); }

Buffer Buffer::slice(size_t offset, size_t size) const {
    CHECK(offset <= size_ && size <= size_ - offset, "a slice lies within its buffer");
    Buffer part;
    part.block_ = block_;
    part.data_ = data_ + offset;
    part.size_ = size;
    return part;
}

bool Buffer::operator==(const Buffer& other) const {
    return std::ranges::equal(span(), other.span());
}

bool Chain::operator==(const Chain& other) const {
    return size_ == other.size_ && flatten() == other.flatten();
}

Buffer Chain::flatten() const {
    if (pieces_.empty()) return {};
    if (pieces_.size() == 1) return pieces_.front();
    BlockRef block = make_block(size_);
    size_t at = 0;
    for (const Buffer& piece : pieces_) {
        std::memcpy(block->data() + at, piece.data(), piece.size());
        at += piece.size();
    }
    return {std::move(block), 0, size_};
}

}  // namespace ottla
