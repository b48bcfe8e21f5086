// SPDX-License-Identifier: Apache-2.0
// Bytes under construction: appended at the end, patched in place, then handed out as one Buffer
// without a copy. Capacity doubles; memory is not zeroed. `clear` keeps the block for the next use,
// as long as no Buffer of it was taken. Belongs to one shard. pure
#pragma once

#include <cstring>
#include <span>

#include "ottla/buffer.h"

namespace ottla {

class GrowingBuffer {
public:
    GrowingBuffer() = default;
    explicit GrowingBuffer(size_t capacity) { reserve(capacity); }

    /// Room for `size` more bytes without another allocation.
    void reserve(size_t size);
    /// `size` bytes at the end, for the caller to fill.
    std::byte* extend(size_t size) {
        reserve(size);
        std::byte* at = block_->data() + size_;
        size_ += size;
        return at;
    }
    void append(std::span<const std::byte> bytes) {
        if (!bytes.empty()) std::memcpy(extend(bytes.size()), bytes.data(), bytes.size());
    }
    /// Drops what lies behind `size`.
    void shrink_to(size_t size);
    void clear() { size_ = 0; }
    /// Gives the memory back too.
    void release() {
        block_ = {};
        size_ = 0;
    }

    [[nodiscard]] std::byte* data() { return block_ ? block_->data() : nullptr; }
    [[nodiscard]] size_t size() const { return size_; }
    [[nodiscard]] size_t capacity() const { return block_ ? block_->capacity() : 0; }
    [[nodiscard]] std::span<const std::byte> span() const {
        return size_ == 0 ? std::span<const std::byte>{}
                          : std::span<const std::byte>{block_->data(), size_};
    }
    /// Everything so far; this object is empty afterwards and starts a new block.
    [[nodiscard]] Buffer take();

private:
    BlockRef block_;
    size_t size_ = 0;
};

}  // namespace ottla
