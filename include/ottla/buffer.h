// SPDX-License-Identifier: Apache-2.0
// Bytes that are shared and never copied by accident.
//
//   Block   one refcounted allocation; writable by whoever made it (journal chunk, receive buffer)
//   Buffer  an immutable slice of a Block; keeps it alive; copying a Buffer counts, never copies bytes
//   Chain   several Buffers in order: what one gathered write takes
//
// Invariants: bytes covered by a Buffer that was handed out do not change any more; a Block goes back
// to its `BlockHome` (a pool) or the heap when the last reference drops. The count is atomic because
// slices of a received frame cross shards (DESIGN 4); everything else here belongs to one shard.
// pure
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ottla {

class Block;

/// Where a pooled block goes when its last reference drops, on whichever shard that happens.
class BlockHome {
public:
    virtual void take_back(Block* block) noexcept = 0;

protected:
    ~BlockHome() = default;
};

class Block {
public:
    /// Heap memory of `capacity` bytes, `alignment` a power of two; count 1 (adopt it with BlockRef).
    static Block* create(size_t capacity, size_t alignment = alignof(std::max_align_t),
                         BlockHome* home = nullptr);
    /// Frees the memory; only for the block's home, once it is unreferenced.
    static void destroy(Block* block) noexcept;

    [[nodiscard]] std::byte* data() { return data_; }
    [[nodiscard]] size_t capacity() const { return capacity_; }
    void add_reference() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }
    void drop_reference() noexcept {
        if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) last_reference_gone();
    }
    [[nodiscard]] bool is_shared() const { return references_.load(std::memory_order_acquire) > 1; }
    /// A pool gives a block out again: count 0 -> 1.
    void revive() noexcept { references_.store(1, std::memory_order_relaxed); }

    Block* next_in_pool = nullptr;

private:
    Block(std::byte* data, size_t capacity, size_t alignment, BlockHome* home)
        : data_(data), capacity_(capacity), alignment_(alignment), home_(home) {}
    void last_reference_gone() noexcept;

    std::atomic<uint32_t> references_{1};
    std::byte* data_;
    size_t capacity_;
    size_t alignment_;
    BlockHome* home_;
};

/// Intrusive pointer to a Block.
class BlockRef {
public:
    BlockRef() = default;
    static BlockRef adopt(Block* block) { return BlockRef{block}; }
    BlockRef(const BlockRef& other) : block_(other.block_) {
        if (block_) block_->add_reference();
    }
    BlockRef(BlockRef&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
    BlockRef& operator=(BlockRef other) noexcept {
        std::swap(block_, other.block_);
        return *this;
    }
    ~BlockRef() {
        if (block_) block_->drop_reference();
    }
    explicit operator bool() const { return block_ != nullptr; }
    Block* operator->() const { return block_; }
    [[nodiscard]] Block* get() const { return block_; }

private:
    explicit BlockRef(Block* block) : block_(block) {}
    Block* block_ = nullptr;
};

inline BlockRef make_block(size_t capacity, size_t alignment = alignof(std::max_align_t)) {
    return BlockRef::adopt(Block::create(capacity, alignment));
}

class Buffer {
public:
    Buffer() = default;
    Buffer(BlockRef block, size_t offset, size_t size);
    /// A fresh block holding a copy.
    static Buffer copy_of(std::span<const std::byte> bytes);
    static Buffer copy_of(std::string_view text);

    [[nodiscard]] const std::byte* data() const { return data_; }
    [[nodiscard]] size_t size() const { return size_; }
    [[nodiscard]] bool empty() const { return size_ == 0; }
    [[nodiscard]] std::span<const std::byte> span() const { return {data_, size_}; }
    [[nodiscard]] std::string_view text() const {
        return {reinterpret_cast<const char*>(data_), size_};
    }
    /// The same block, a part of the bytes. CHECKs offset + size <= size().
    [[nodiscard]] Buffer slice(size_t offset, size_t size) const;
    [[nodiscard]] const BlockRef& block() const { return block_; }
    /// Equality of contents.
    bool operator==(const Buffer& other) const;

private:
    BlockRef block_;
    const std::byte* data_ = nullptr;
    size_t size_ = 0;
};

/// Buffers in order. Its size is kept, so asking costs nothing.
class Chain {
public:
    Chain() = default;
    Chain(Buffer buffer) { append(std::move(buffer)); }  // NOLINT: one buffer is a chain
    void append(Buffer buffer) {
        if (buffer.empty()) return;
        size_ += buffer.size();
        pieces_.push_back(std::move(buffer));
    }
    void append(Chain other) {
        size_ += other.size_;
        for (Buffer& piece : other.pieces_) pieces_.push_back(std::move(piece));
    }
    [[nodiscard]] size_t size() const { return size_; }
    [[nodiscard]] bool empty() const { return size_ == 0; }
    [[nodiscard]] const std::vector<Buffer>& pieces() const { return pieces_; }
    /// One contiguous buffer: the only piece itself, or a copy of all.
    [[nodiscard]] Buffer flatten() const;
    /// Equality of contents, however they are cut.
    bool operator==(const Chain& other) const;

private:
    std::vector<Buffer> pieces_;
    size_t size_ = 0;
};

inline std::span<const std::byte> as_bytes(std::string_view text) {
    return std::as_bytes(std::span(text.data(), text.size()));
}
inline std::string_view as_text(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace ottla
