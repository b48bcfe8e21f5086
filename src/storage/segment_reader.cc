// SPDX-License-Identifier: Apache-2.0
#include "storage/segment_reader.h"

#include <fmt/format.h>

#include <algorithm>

#include "storage/log_parts.h"
#include "storage/shard_directory.h"

namespace ottla::storage {

SegmentReader::SegmentReader(
    LogParts& log, std::shared_ptr<Segment> segment, uint64_t end, Offset limit, size_t piece_bytes)
    : log_(log),
      segment_(std::move(segment)),
      walk_(log, segment_, end, limit, piece_bytes),
      heads_(segment_->base()) {}

Task<Result<Buffer>> SegmentReader::next() {
    if (!std::exchange(begun_, true)) {
        const IndexPin pin(segment_);
        CO_TRY_STATUS(co_await log_.ensure_sums(segment_));
        sums_ = segment_->sums();
    }
    CO_TRY(Buffer bytes, co_await walk_.next());
    if (walk_.met_damage()) {
        co_return fail(ErrorCode::corrupt,
                       fmt::format("{} is damaged: nothing is made of it", segment_->log_path()));
    }
    if (sums_ == nullptr) co_return bytes;
    BatchCursor cursor(bytes.span());
    while (cursor.next() == BatchStep::batch) heads_.note(cursor.batch());
    if (bytes.empty()) CO_TRY_STATUS(compare_sums());
    co_return bytes;
}

Status SegmentReader::compare_sums() {
    const std::shared_ptr<const SegmentSums> sums = std::exchange(sums_, nullptr);
    const auto [known, found] = std::pair{sums->chunks, heads_.finish()};
    const auto wrong = std::ranges::mismatch(known, found).in1;
    if (wrong == known.end() && known.size() == found.size()) return {};
    const uint64_t position = wrong == known.end() ? 0 : sums->chunk_begin(wrong->end - 1);
    const std::string what = fmt::format("{} at {}: the heads of batches are not those of its sums",
                                         segment_->log_path(), position);
    log_.home.report({Damage::Kind::batch, segment_->log_path(), position, what});
    return fail(ErrorCode::corrupt, what);
}

}  // namespace ottla::storage
