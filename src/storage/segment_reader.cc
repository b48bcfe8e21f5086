// SPDX-License-Identifier: Apache-2.0
#include "storage/segment_reader.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/endian.h"

namespace ottla::storage {

Task<Result<Buffer>> SegmentReader::next() {
    size_t length = piece_bytes_;
    while (position_ < end_) {
        length = std::min<uint64_t>(length, end_ - position_);
        CO_TRY(const Buffer bytes, co_await segment_->read(position_, length));
        BatchCursor cursor(bytes.span(), BatchCursor::Crc::check);
        size_t whole = 0;
        BatchStep step = cursor.next();
        for (; step == BatchStep::batch; step = cursor.next()) {
            whole = cursor.position() + cursor.batch().size();
        }
        const bool can_grow = step == BatchStep::torn && bytes.size() == length &&
                              length < end_ - position_;
        if (whole == 0 && can_grow) {
            size_t wanted = length * 2;
            if (bytes.size() >= kBatchPrefixBytes) {
                const auto declared = load_be<int32_t>(bytes.data() + batch_layout::kLength);
                wanted = kBatchPrefixBytes + static_cast<size_t>(std::max(declared, 0));
            }
            length = std::max(wanted, length + 1);
            continue;
        }
        if (step == BatchStep::corrupt || whole == 0) {
            const std::string why =
                step == BatchStep::corrupt ? cursor.error().detail : "a torn batch";
            co_return fail(ErrorCode::corrupt, fmt::format("{} at {}: {}", segment_->log_path(),
                                                           position_ + whole, why));
        }
        position_ += whole;
        co_return bytes.slice(0, whole);
    }
    co_return Buffer{};
}

}  // namespace ottla::storage
