// SPDX-License-Identifier: Apache-2.0
// The sums of one closed segment, `%020d.ottla-sums` beside it: what Kafka's own checksums leave out.
//
// A batch's CRC covers all of it but its first 21 bytes: base offset, length, leader epoch, magic, and
// the CRC itself. So the sums are of these heads, a chunk of neighbouring batches at a time; together
// the two cover every byte of the file, and nothing is read twice. Of an index file, which has no
// checksum, they hold size and CRC.
//
//    0  magic u32 "OSUM"          | 36  log bytes u64
//    4  version u32 = 1           | 44  index:     size u32, crc u32
//    8  crc u32 of all behind it  | 52  timeindex: size u32, crc u32
//   12  reign, 16 bytes           | 60  txnindex:  size u32, crc u32; size 0: no file
//   28  base i64                  | 68  flags u32, bit 0: gaps
//                                 | 72  crc field u32 of the first batch
//                                 | 76  chunks u32, then for each: end u32, crc u32
//
// They are believed only in the reign they were written in (directory_sums.h): where Apache Kafka may
// have been since, nothing says that the segment is still the same one. Errors: corrupt.
// pure
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ottla/buffer.h"
#include "ottla/result.h"
#include "ottla/types.h"
#include "records/batch.h"

namespace ottla::storage {

inline constexpr std::string_view kSumsSuffix = ".ottla-sums";

struct FileSum {
    uint32_t size = 0;
    uint32_t crc = 0;
    bool operator==(const FileSum&) const = default;
};
FileSum sum_of(std::span<const std::byte> bytes);

struct HeadChunk {
    /// Where its last batch ends.
    uint32_t end = 0;
    uint32_t crc = 0;
    bool operator==(const HeadChunk&) const = default;
};

struct SegmentSums {
    Uuid reign;
    Offset base{0};
    uint64_t log_bytes = 0;
    /// Some batch does not begin where the one before it ended.
    bool has_gaps = false;
    FileSum offsets;
    FileSum times;
    FileSum transactions;
    /// What the first batch says of itself: a segment that was made again has another one.
    uint32_t first_crc = 0;
    std::vector<HeadChunk> chunks;

    bool operator==(const SegmentSums&) const = default;

    /// Where the chunk that holds `position` begins.
    [[nodiscard]] uint64_t chunk_begin(uint64_t position) const;
};

Buffer sums_bytes(const SegmentSums& sums);
Result<SegmentSums> parse_sums(std::span<const std::byte> bytes);

/// Makes the chunks while the batches of a segment come by, in order and without a hole.
class HeadSummer {
public:
    explicit HeadSummer(Offset base) : next_(base) {}
    void note(const BatchView& batch);
    [[nodiscard]] uint64_t position() const { return position_; }
    [[nodiscard]] bool has_gaps() const { return has_gaps_; }
    /// All of them; nothing may be noted behind it.
    std::vector<HeadChunk> finish();
    [[nodiscard]] uint32_t first_crc() const { return first_crc_; }

private:
    Offset next_;
    uint64_t position_ = 0;
    uint64_t begin_ = 0;
    uint32_t crc_ = 0;
    uint32_t first_crc_ = 0;
    bool has_gaps_ = false;
    std::vector<HeadChunk> chunks_;
};

/// How far the heads in a piece of the file, which begins at `position`, are those of the sums.
struct HeadVerdict {
    /// So many bytes from the front are whole chunks and right, or lie before the first whole one.
    size_t right = 0;
    /// Behind them comes a chunk that is wrong, and ends so many bytes from the front.
    std::optional<size_t> wrong_end;
    /// Behind them comes a chunk that needs so many bytes from the front; 0 if none does.
    size_t needed = 0;
};
HeadVerdict check_heads(std::span<const std::byte> bytes,
                        uint64_t position,
                        const SegmentSums& sums);

}  // namespace ottla::storage
