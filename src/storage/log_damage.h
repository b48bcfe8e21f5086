// SPDX-License-Identifier: Apache-2.0
// What a log knows of damage in its files, and how it gets past it.
//
// A damaged range begins where a batch should be and is not sound, and ends where the next sound one
// begins: at the length that the damaged one states, if a sound one lies there, else at the first
// place in the file where one does. It is noted once (observer, counters); readers of offsets inside
// get an error, everybody else goes on. A note dies with its segment.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "ottla/buffer.h"
#include "ottla/result.h"
#include "ottla/task.h"
#include "ottla/types.h"
#include "storage/piece_check.h"

namespace ottla::storage {

class Segment;
struct LogParts;

/// Something in a file that is not what was written there.
struct Damage {
    enum class Kind : uint8_t {
        batch,  ///< records are lost here
        index,  ///< built anew from the log
        state,  ///< a snapshot or checkpoint: built anew, or done without
        file,   ///< cannot be read at all: gone, not ours to read, on a failing disk
    };
    Kind kind = Kind::batch;
    std::string path;
    uint64_t position = 0;
    /// What it is, and what was done about it.
    std::string what;
};

/// How much of it was found since the start.
struct DamageCounts {
    uint64_t batches = 0;
    uint64_t indexes = 0;
    uint64_t states = 0;
    uint64_t files = 0;
};

/// Where a reader met it.
struct FoundDamage {
    uint64_t position = 0;
    /// Where it ends, if that is known.
    std::optional<uint64_t> ends_at;
    /// Behind the batch before it.
    Offset floor{0};
    /// Every record of the segment is below it.
    Offset limit{0};
    std::string why;
};

struct DamagedRange {
    std::weak_ptr<Segment> segment;
    std::string path;
    uint64_t position = 0;
    uint64_t resume = 0;
    Offset first{0};
    Offset end{0};
    std::string why;

    [[nodiscard]] Error error() const;
};

/// The sound batches of a closed segment, or of the part of an open one below `end`, a piece at a
/// time. Notes damage and passes over it.
class SoundWalk {
public:
    static constexpr size_t kWalkPiece = 512UZ * 1024;

    SoundWalk(LogParts& log,
              std::shared_ptr<Segment> segment,
              uint64_t end,
              Offset limit,
              size_t piece_bytes = kWalkPiece);

    /// Nothing at the end.
    Task<Result<Buffer>> next();
    /// Where the piece that came last began.
    [[nodiscard]] uint64_t position() const { return position_; }
    /// Behind the last record of what came so far.
    [[nodiscard]] Offset offset() const { return floor_; }
    /// Behind the last sound batch, and where the file is damaged up to its end.
    [[nodiscard]] Offset last_sound() const { return last_sound_; }
    [[nodiscard]] std::optional<uint64_t> damaged_tail() const { return damaged_tail_; }
    [[nodiscard]] bool met_damage() const { return met_damage_; }

private:
    LogParts& log_;
    std::shared_ptr<Segment> segment_;
    const uint64_t end_;
    const Offset limit_;
    const size_t piece_bytes_;
    uint64_t position_ = 0;
    uint64_t next_position_ = 0;
    Offset floor_{0};
    Offset last_sound_{0};
    std::optional<uint64_t> damaged_tail_;
    bool met_damage_ = false;
};

/// Where the next sound batch behind the damage begins, and its first offset; the end and the limit if
/// there is none.
struct Resumption {
    uint64_t position = 0;
    Offset offset{0};
};
Task<Result<Resumption>> find_sound(LogParts& log,
                                    std::shared_ptr<Segment> segment,
                                    FoundDamage found,
                                    PieceRules rules);

}  // namespace ottla::storage
