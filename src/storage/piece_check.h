// SPDX-License-Identifier: Apache-2.0
// What was read from a segment file is looked at before anybody sees it: the CRC of every batch, and
// what that does not cover, by what surrounds it.
//
//   base offset   not below the end of the batch before, last record below the batch behind; where
//                 an index led, the last record is the one that the index names
//   length        leads to the next batch: a wrong one fails the CRC
//   leader epoch  the one that the log knows for the offset, or one that may stand between those of
//                 its neighbours
//   magic         2
//
// In a log without gaps that finds any flipped bit. Gaps (compaction) leave a base offset some
// freedom; the sums of the segment (segment_sums.h) take it away. A batch behind a gap counts only
// when what follows it was seen too. No false alarm: whatever Kafka or Ottla wrote passes.
// pure
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "ottla/types.h"
#include "records/batch.h"
#include "storage/leader_epochs.h"

namespace ottla::storage {

/// A batch length beyond it is damage, not a batch: more than a frame can carry.
inline constexpr uint64_t kLargestBatch = 256ULL * 1024 * 1024;

/// What is known of the place where a piece of a segment begins.
struct PieceRules {
    /// Behind the batch before the piece; the segment's base at its beginning, and where an index
    /// led.
    Offset floor{0};
    /// Every record of the segment is below it: the base of the next one, or the log's end.
    Offset limit{0};
    /// From the beginning of the piece to where the file may be read.
    uint64_t room = 0;
    const LeaderEpochs* epochs = nullptr;
    /// So many bytes from the beginning of the piece are whole batches whose CRCs were found right.
    size_t crc_checked = 0;
    /// Sums vouch for what the CRCs do not cover.
    bool heads_are_right = false;
    /// What an index says: the batch at `at` ends with `last`, or, as Kafka wrote it until 4.0, one of
    /// those that were appended with it.
    struct Landmark {
        size_t at = 0;
        Offset last{0};
    };
    std::optional<Landmark> landmark;
    /// The batch at the beginning of the piece ends with it, as an index says.
    std::optional<Offset> first_last;
};

struct PieceVerdict {
    /// So many bytes from the front are whole, sound batches.
    size_t sound = 0;
    /// Behind the last of them.
    Offset next{0};
    /// What lies behind them is no sound batch, because ...
    std::optional<std::string> damage;
    /// ... and this is known: it ends so many bytes from the front.
    std::optional<size_t> damage_end;
    /// What lies behind them needs so many bytes in one piece; 0 if nothing does.
    size_t needed = 0;
    /// The batch that was cut, if its header is there, ends with this offset.
    std::optional<Offset> cut_last;
    /// A sound batch was met where the landmark is, and it is the one ...
    bool landed = false;
    /// ... or one with which a search for the landmark's offset may begin.
    bool led_right = false;
};

PieceVerdict check_piece(std::span<const std::byte> bytes, const PieceRules& rules);

/// May a batch with these first bytes stand in `room` bytes between `floor` and `limit`? Its whole
/// size.
Result<size_t> check_head(std::span<const std::byte> head, const PieceRules& rules);

}  // namespace ottla::storage
