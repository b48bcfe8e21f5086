// SPDX-License-Identifier: Apache-2.0
// BatchWalk: the batches of a segment or a metadata snapshot, one after the other, for printers.
// It reads headers and runs the CRC over the rest piece by piece; a whole batch comes into memory
// only when a printer asks for it. What is damaged is reported as it is met. Behind a wrong CRC the
// walk goes on, since the next batch is still found by the length; behind an impossible length it
// ends. Zeros up to the end of the file are a note: Kafka preallocates segments on request.
// pure
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "app/inspect/report.h"
#include "app/inspect/source.h"
#include "ottla/buffer.h"
#include "records/batch.h"

namespace ottla::app {

class BatchWalk {
public:
    /// Larger batches are not brought into memory: `whole` reports them.
    static constexpr uint64_t kMostBatchBytes = uint64_t{512} << 20;

    /// `base`: no offset below it is right here.
    BatchWalk(Source& source, int64_t base, Report& report)
        : window_(source), report_(report), expected_(base) {}

    /// False at the end, and where damage hides what follows.
    bool next();

    /// Fields only: this view ends behind the header, so its size and payload are not the batch's,
    /// and its last_offset may overflow: use the walk's.
    [[nodiscard]] const BatchView& header() const { return *header_; }
    [[nodiscard]] int64_t last_offset() const {
        return wrapping_sum(header_->base_offset().value(), header_->last_offset_delta());
    }
    [[nodiscard]] uint64_t position() const { return position_; }
    [[nodiscard]] uint64_t size() const { return size_; }
    [[nodiscard]] bool crc_matches() const { return crc_matches_; }
    /// Valid until the next call of the walk.
    std::optional<BatchView> whole();

private:
    bool stop(std::string why);
    bool read_header();
    bool end_in_zeros();
    /// False if the file cannot be read any further.
    bool check_crc();
    void check_fields();

    Window window_;
    Report& report_;
    int64_t expected_;  ///< the next base offset is at least that
    uint64_t position_ = 0;
    uint64_t size_ = 0;
    std::array<std::byte, kBatchHeaderBytes> header_bytes_{};
    std::optional<BatchView> header_;
    bool crc_matches_ = false;
};

}  // namespace ottla::app
