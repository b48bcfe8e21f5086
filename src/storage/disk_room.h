// SPDX-License-Identifier: Apache-2.0
// DiskRoom: whether the disk of a log directory has room for another append, as one shard sees it.
// An acknowledged batch must never meet a full disk on its way from the journal into its segment,
// so it is admitted only against space that was seen free.
//
//   free at the last sample | reserve | what this shard owes and may still promise | the other
//                                       shards' equal shares |
//
// owed: cost of what is in the journal and was not in a segment file when the sample began, and of
// what came since. Invariants: owed + the next append <= share = (free - reserve) / shards; between
// two samples at most `pace` is promised, so that shards which look at different times overshoot by
// a fraction of the reserve. `full` begins with a refusal, or with a write that the disk refused,
// and ends with a sample that shows an eighth of the reserve more (else every freed block would be
// one log line) while no log is stalled.
//
// What the reserve is for, and never asked about here: journal entries of deletions, truncations and
// creations, the few small files the journal then makes do with, checkpoints and snapshots, new
// partitions' files, the metadata log, and what other programs write between two samples.
// pure
#pragma once

#include <cstdint>
#include <optional>

#include "ottla/types.h"

namespace ottla::storage {

/// What `bytes` of records take from the disk at most: whole blocks, and their index entries. Of records
/// whose blocks are the file's already (preallocate) only the latter.
[[nodiscard]] uint64_t disk_cost(size_t bytes, bool reserved = false);
/// What a new log takes: its directory and the small files in it.
inline constexpr uint64_t kDiskCostOfLog = 12ULL * 1024;
inline constexpr uint64_t kMostReserve = 256ULL * 1024 * 1024;

class DiskRoom {
public:
    /// No reserve named: an eighth of the disk, at most kMostReserve. `sharing`: how many shards
    /// write to the disk, this one included.
    DiskRoom(std::optional<uint64_t> reserve_bytes, uint64_t sharing);

    enum class Answer : uint8_t {
        admitted,  ///< call `took`
        wait,      ///< a flush or a fresh sample may change the answer: one is wanted
        full,
    };
    /// About an append that costs `cost`.
    Answer ask(uint64_t cost);
    void took(uint64_t cost);
    /// Nobody needs this, and it is no more than half of what is left: it may be taken unasked.
    [[nodiscard]] bool spares(uint64_t cost) const;
    /// What was taken is in its file, or will never be.
    void settled(uint64_t cost);

    /// A look at the disk begins, and has seen `free_bytes` of `size`.
    void begin_sample();
    void end_sample(uint64_t free_bytes, uint64_t size);
    /// Something was promised since the last one, or waits for the next.
    [[nodiscard]] bool wants_sample() const { return waiting_ || full_ || taken_ != sample_taken_; }
    /// ... and it should not wait its usual time.
    [[nodiscard]] bool is_sample_urgent() const {
        return waiting_ || taken_ - sample_taken_ > pace_ / 2;
    }

    /// The disk refused bytes that it should have had room for: somebody else took it.
    void refused_by_disk() { full_ = true; }
    /// Logs whose files wait for space.
    void stalled() { ++stalled_; }
    void went_on() { --stalled_; }

    [[nodiscard]] bool is_full() const { return full_; }
    [[nodiscard]] uint64_t free_bytes() const { return free_; }
    [[nodiscard]] uint64_t reserve_bytes() const { return reserve_; }
    /// Space beyond the reserve, for one shard.
    [[nodiscard]] uint64_t share() const { return share_; }
    /// Taken and not settled.
    [[nodiscard]] uint64_t unsettled() const { return taken_ - settled_; }

private:
    const bool by_size_;
    uint64_t reserve_;
    const uint64_t sharing_;
    uint64_t free_ = 0;
    uint64_t share_ = 0;
    uint64_t pace_ = 0;
    // Running sums, so that a sample knows what it cannot have seen.
    uint64_t taken_ = 0;
    uint64_t settled_ = 0;
    uint64_t sample_taken_ = 0;
    uint64_t sample_settled_ = 0;
    uint64_t begun_taken_ = 0;
    uint64_t begun_settled_ = 0;
    uint64_t refused_ = 0;
    uint64_t stalled_ = 0;
    bool waiting_ = false;
    bool full_ = false;
};

}  // namespace ottla::storage
