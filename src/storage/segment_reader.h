// SPDX-License-Identifier: Apache-2.0
// SegmentReader: the whole batches of one segment file, a piece at a time, each checked by its CRC.
// Holds one piece; a batch that is larger than a piece comes alone. Errors: corrupt (names file and
// position), io_error.
#pragma once

#include <memory>

#include "ottla/task.h"
#include "storage/segment.h"

namespace ottla::storage {

class SegmentReader {
public:
    /// Up to position `end`, where a batch ends.
    SegmentReader(std::shared_ptr<Segment> segment, uint64_t end, size_t piece_bytes)
        : segment_(std::move(segment)), end_(end), piece_bytes_(piece_bytes) {}

    /// Nothing at the end.
    Task<Result<Buffer>> next();

private:
    std::shared_ptr<Segment> segment_;
    uint64_t position_ = 0;
    uint64_t end_;
    size_t piece_bytes_;
};

}  // namespace ottla::storage
