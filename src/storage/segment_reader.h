// SPDX-License-Identifier: Apache-2.0
// SegmentReader: the batches of one closed segment for who makes another one of them (the cleaner), a
// piece at a time. Nothing damaged comes through, since in its next place nobody could tell any more:
// the CRC of each batch, what that leaves out by neighbours and epochs (piece_check.h), and in a segment
// with gaps by its sums, which are whole, and compared, only at the end. So what came out is right when
// next() has given nothing. Errors: corrupt (also reported as damage), io_error.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "ottla/buffer.h"
#include "ottla/task.h"
#include "storage/log_damage.h"
#include "storage/segment.h"
#include "storage/segment_sums.h"

namespace ottla::storage {

class SegmentReader {
public:
    /// Up to position `end`, where a batch ends; every record there is below `limit`.
    SegmentReader(LogParts& log,
                  std::shared_ptr<Segment> segment,
                  uint64_t end,
                  Offset limit,
                  size_t piece_bytes);

    /// Nothing at the end.
    Task<Result<Buffer>> next();

private:
    [[nodiscard]] Status compare_sums();

    LogParts& log_;
    std::shared_ptr<Segment> segment_;
    SoundWalk walk_;
    bool begun_ = false;
    std::shared_ptr<const SegmentSums> sums_;
    HeadSummer heads_;
};

}  // namespace ottla::storage
