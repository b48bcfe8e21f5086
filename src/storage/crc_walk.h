// SPDX-License-Identifier: Apache-2.0
// CrcWalk: checks the CRCs of the batches in a piece of a segment on the thread that reads it, while the bytes
// are in the cache of its core. A shard then neither pulls a mebibyte over from another core nor is busy for
// as long as that takes. It only vouches for what it walked (PieceRules::crc_checked): everything else is
// looked at by check_piece on the shard, also what no thread walked because the page cache had it.
#pragma once

#include <memory>

#include "ottla/file.h"
#include "records/batch.h"

namespace ottla::storage {

class CrcWalk final : public ReadWork {
public:
    /// The piece are at most `length` bytes, `lead` bytes behind the beginning of what is read.
    void expect(size_t lead, size_t length) {
        lead_ = lead;
        length_ = length;
    }
    void run(std::span<const std::byte> bytes) noexcept override {
        bytes = bytes.subspan(std::min(lead_, bytes.size()));
        BatchCursor cursor(bytes.first(std::min(length_, bytes.size())), BatchCursor::Crc::check);
        while (cursor.next() == BatchStep::batch)
            checked_ = cursor.position() + cursor.batch().size();
    }
    /// So many bytes from the front of the piece are whole batches with the right CRCs.
    [[nodiscard]] size_t checked() const { return checked_; }

private:
    size_t lead_ = 0;
    size_t length_ = 0;
    size_t checked_ = 0;
};

}  // namespace ottla::storage
