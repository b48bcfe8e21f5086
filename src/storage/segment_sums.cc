// SPDX-License-Identifier: Apache-2.0
#include "storage/segment_sums.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/crc32c.h"
#include "base/endian.h"

namespace ottla::storage {
namespace {

constexpr uint32_t kMagic = 0x4F53554D;  // "OSUM"
constexpr uint32_t kVersion = 1;
constexpr uint32_t kHasGaps = 1;
constexpr size_t kHeaderBytes = 80;
constexpr size_t kCrcAt = 8;
constexpr size_t kCoveredFrom = 12;
constexpr size_t kChunkEntry = 8;
/// A chunk ends with the batch that brings it here. A wrong head makes its whole chunk unreadable.
constexpr uint64_t kChunkBytes = 16ULL * 1024;
/// Of a batch, what its CRC does not cover, and that CRC.
constexpr size_t kHeadBytes = batch_layout::kAttributes;

void put(std::byte* at, const FileSum& sum) {
    store_be<uint32_t>(at, sum.size);
    store_be<uint32_t>(at + 4, sum.crc);
}

FileSum take(const std::byte* at) { return {load_be<uint32_t>(at), load_be<uint32_t>(at + 4)}; }

/// Are these the batches of one chunk, by their heads?
bool is_chunk(std::span<const std::byte> bytes, uint32_t wanted) {
    uint32_t crc = 0;
    while (!bytes.empty()) {
        if (bytes.size() < kHeadBytes) return false;
        crc = crc32c(crc, bytes.first(kHeadBytes));
        const auto length = load_be<int32_t>(bytes.data() + batch_layout::kLength);
        const uint64_t size = kBatchPrefixBytes + static_cast<uint64_t>(std::max(length, 0));
        if (size < kBatchHeaderBytes || size > bytes.size()) return false;
        bytes = bytes.subspan(size);
    }
    return crc == wanted;
}

}  // namespace

FileSum sum_of(std::span<const std::byte> bytes) {
    return {static_cast<uint32_t>(bytes.size()), crc32c(0, bytes)};
}

uint64_t SegmentSums::chunk_begin(uint64_t position) const {
    const auto at = std::ranges::upper_bound(chunks, position, {}, &HeadChunk::end);
    return at == chunks.begin() ? 0 : std::prev(at)->end;
}

Buffer sums_bytes(const SegmentSums& sums) {
    const size_t size = kHeaderBytes + sums.chunks.size() * kChunkEntry;
    BlockRef block = make_block(size);
    std::byte* const at = block->data();
    store_be<uint32_t>(at, kMagic);
    store_be<uint32_t>(at + 4, kVersion);
    std::memcpy(at + 12, sums.reign.bytes.data(), sums.reign.bytes.size());
    store_be<int64_t>(at + 28, sums.base.value());
    store_be<uint64_t>(at + 36, sums.log_bytes);
    put(at + 44, sums.offsets);
    put(at + 52, sums.times);
    put(at + 60, sums.transactions);
    store_be<uint32_t>(at + 68, sums.has_gaps ? kHasGaps : 0);
    store_be<uint32_t>(at + 72, sums.first_crc);
    store_be<uint32_t>(at + 76, static_cast<uint32_t>(sums.chunks.size()));
    std::byte* entry = at + kHeaderBytes;
    for (const HeadChunk& chunk : sums.chunks) {
        put(entry, {chunk.end, chunk.crc});
        entry += kChunkEntry;
    }
    store_be<uint32_t>(at + kCrcAt, crc32c(0, {at + kCoveredFrom, size - kCoveredFrom}));
    return {std::move(block), 0, size};
}

Result<SegmentSums> parse_sums(std::span<const std::byte> bytes) {
    const std::byte* const at = bytes.data();
    if (bytes.size() < kHeaderBytes || load_be<uint32_t>(at) != kMagic) {
        return fail(ErrorCode::corrupt, "no sums of a segment");
    }
    if (load_be<uint32_t>(at + 4) != kVersion) {
        return fail(ErrorCode::corrupt, "sums of an unknown version");
    }
    if (load_be<uint32_t>(at + kCrcAt) != crc32c(0, bytes.subspan(kCoveredFrom))) {
        return fail(ErrorCode::corrupt, "sums with a wrong checksum");
    }
    const size_t room = (bytes.size() - kHeaderBytes) / kChunkEntry;
    const bool fits = bytes.size() == kHeaderBytes + room * kChunkEntry;
    if (!fits || load_be<uint32_t>(at + 76) != room) {
        return fail(ErrorCode::corrupt, "sums of a wrong length");
    }
    SegmentSums sums;
    sums.has_gaps = (load_be<uint32_t>(at + 68) & kHasGaps) != 0;
    std::memcpy(sums.reign.bytes.data(), at + 12, sums.reign.bytes.size());
    sums.base = Offset{load_be<int64_t>(at + 28)};
    sums.log_bytes = load_be<uint64_t>(at + 36);
    sums.offsets = take(at + 44);
    sums.times = take(at + 52);
    sums.transactions = take(at + 60);
    sums.first_crc = load_be<uint32_t>(at + 72);
    uint32_t before = 0;
    sums.chunks.reserve(room);
    for (size_t i = 0; i < room; ++i) {
        const FileSum entry = take(at + kHeaderBytes + i * kChunkEntry);
        if (entry.size <= before) return fail(ErrorCode::corrupt, "sums whose chunks do not rise");
        before = entry.size;
        sums.chunks.push_back({entry.size, entry.crc});
    }
    if (before != sums.log_bytes) return fail(ErrorCode::corrupt, "sums of a part of a segment");
    return sums;
}

void HeadSummer::note(const BatchView& batch) {
    if (position_ == 0) first_crc_ = batch.stored_crc();
    crc_ = crc32c(crc_, batch.bytes().first(kHeadBytes));
    has_gaps_ = has_gaps_ || batch.base_offset() != next_;
    next_ = batch.offset_end();
    position_ += batch.size();
    if (position_ - begin_ < kChunkBytes) return;
    chunks_.push_back({static_cast<uint32_t>(position_), crc_});
    begin_ = position_;
    crc_ = 0;
}

std::vector<HeadChunk> HeadSummer::finish() {
    if (position_ > begin_) chunks_.push_back({static_cast<uint32_t>(position_), crc_});
    chunks_.shrink_to_fit();
    return std::move(chunks_);
}

HeadVerdict check_heads(std::span<const std::byte> bytes,
                        uint64_t position,
                        const SegmentSums& sums) {
    HeadVerdict verdict;
    auto chunk = std::ranges::upper_bound(sums.chunks, position, {}, &HeadChunk::end);
    const uint64_t begin = chunk == sums.chunks.begin() ? 0 : std::prev(chunk)->end;
    if (begin != position && chunk != sums.chunks.end()) {
        // Inside a chunk, behind damage: its heads cannot be summed.
        verdict.right = std::min<uint64_t>((chunk++)->end - position, bytes.size());
    }
    for (; chunk != sums.chunks.end() && verdict.right < bytes.size(); ++chunk) {
        const size_t end = chunk->end - position;
        if (end > bytes.size()) {
            verdict.needed = end;
            return verdict;
        }
        if (!is_chunk(bytes.subspan(verdict.right, end - verdict.right), chunk->crc)) {
            verdict.wrong_end = end;
            return verdict;
        }
        verdict.right = end;
    }
    return verdict;
}

}  // namespace ottla::storage
