// SPDX-License-Identifier: Apache-2.0
// LogTail: where the newest batches of one log lie in journal chunks, oldest first. A ring with
// running numbers: a batch keeps its number while others come and go at both ends.
//
// Invariant: offsets rise, bytes are those of the segment files to come: every batch knows its
// segment and position. An idle log's tail holds no memory. `gather` copies runs of small batches
// together, so that a reader or writer never gets thousands of pieces. pure
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "ottla/buffer.h"
#include "ottla/types.h"
#include "storage/journal_memory.h"

namespace ottla::storage {

struct TailBatch {
    Offset base{0};
    Offset last{0};
    JournalGroup* group = nullptr;
    uint32_t in_chunk = 0;
    uint32_t bytes = 0;
    Offset segment_base{0};
    uint32_t position = 0;
    /// Its blocks were the file's when it was appended: it owes the disk less.
    bool reserved = false;

    [[nodiscard]] uint64_t position_end() const { return uint64_t{position} + bytes; }
};

class LogTail {
public:
    [[nodiscard]] uint64_t begin() const { return first_; }
    [[nodiscard]] uint64_t end() const { return first_ + (batches_.size() - head_); }
    [[nodiscard]] bool empty() const { return begin() == end(); }
    [[nodiscard]] const TailBatch& at(uint64_t number) const {
        return batches_[head_ + static_cast<size_t>(number - first_)];
    }
    [[nodiscard]] const TailBatch& front() const { return at(begin()); }
    [[nodiscard]] const TailBatch& back() const { return batches_.back(); }

    void push_back(const TailBatch& batch) { batches_.push_back(batch); }
    void pop_back() { batches_.pop_back(); }
    void pop_front() {
        ++head_;
        ++first_;
        if (head_ == batches_.size()) {
            batches_.clear();
            if (batches_.capacity() > kKeptCapacity) batches_.shrink_to_fit();
            head_ = 0;
        } else if (head_ >= kKeptCapacity && head_ > batches_.size() / 2) {
            batches_.erase(batches_.begin(), batches_.begin() + static_cast<ptrdiff_t>(head_));
            head_ = 0;
        }
    }
    /// The first batch whose last offset is >= `offset`; end() if there is none.
    [[nodiscard]] uint64_t find(Offset offset) const {
        auto at = std::lower_bound(
            batches_.begin() + static_cast<ptrdiff_t>(head_), batches_.end(), offset,
            [](const TailBatch& batch, Offset wanted) { return batch.last < wanted; });
        return first_ + static_cast<uint64_t>(at - batches_.begin()) - head_;
    }

    /// The bytes of [from, to), in order.
    [[nodiscard]] Chain gather(uint64_t from, uint64_t to) const;

private:
    static constexpr size_t kKeptCapacity = 64;
    std::vector<TailBatch> batches_;
    size_t head_ = 0;
    uint64_t first_ = 0;
};

}  // namespace ottla::storage
