// SPDX-License-Identifier: Apache-2.0
// ColdRead: one read of a log that the hot tail cannot answer. It finds the segment and the place by
// index, reads a piece, and hands out only batches that piece_check found sound.
//
// Damage. What lies in front of it is served; it is an error (corrupt, naming file and position) for
// a read of an offset inside it, and nothing for one behind it, which goes on at the next sound batch
// (log_damage.h). An index that led astray is not believed: the search begins at its entry before,
// then at the segment's beginning, and when that shows that the index was wrong and not the batch, it
// is built anew. Lives in the reading task; every await is followed by a look at the log's generation.
#pragma once

#include <memory>
#include <optional>

#include "storage/log_parts.h"
#include "storage/piece_check.h"

namespace ottla::storage {

struct Wanted {
    Offset from{0};
    Offset upper{0};
    size_t max_bytes = 0;
    bool at_least_one = false;
};

class ColdRead {
public:
    ColdRead(LogParts& log, const Wanted& wanted);
    Task<Result<LogSlice>> run();
    /// Of a run that failed: a file that cannot be read is reported, once.
    void tell_of(const Error& why) const;

private:
    Task<Status> find_place();
    /// To where the sums of the segment, if it needs any, can be compared.
    void step_back_to_chunk();
    Task<Status> next_segment();
    [[nodiscard]] PieceVerdict check(std::span<const std::byte> bytes, uint64_t room) const;
    [[nodiscard]] PieceRules rules(uint64_t room) const;
    /// From where the next piece begins.
    Task<Result<Buffer>> read_piece(size_t length);
    /// The answer, or nothing: another piece has to be read.
    Task<Result<std::optional<LogSlice>>> take(Buffer bytes, uint64_t room, bool whole);
    /// The place where an index led is no batch, or not the one: from an earlier one.
    Task<Status> doubt_index();
    void check_doubt(const PieceVerdict& verdict);
    Task<Status> pass_damage(std::string why, std::optional<uint64_t> ends_at);

    LogParts& log_;
    const Wanted wanted_;
    bool placed_ = false;
    uint64_t generation_ = 0;
    size_t index_ = 0;
    std::shared_ptr<Segment> segment_;
    /// Its indexes, if an index led here, and its sums.
    IndexPin pin_;
    uint64_t position_ = 0;
    /// Of the piece that was read last.
    size_t crc_checked_ = 0;
    Offset floor_{0};
    size_t piece_bytes_ = 0;
    /// Where an index led to; with `doubted_` it is on trial.
    std::optional<OffsetIndex::Entry> entry_;
    bool doubted_ = false;
    /// ... and this one, before it, is where the search began instead.
    std::optional<OffsetIndex::Entry> start_;
};

}  // namespace ottla::storage
