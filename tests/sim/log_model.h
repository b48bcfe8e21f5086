// SPDX-License-Identifier: Apache-2.0
// What a log must contain, kept outside the process that is killed.
//
// Every change of a log is an entry of one journal, so after any crash the log must be what it was
// behind some prefix of its changes, and the prefix holds at least every change that was known to
// be durable. The model is that list of changes on top of the state that the last start found.
// What was acknowledged when it was written (a relaxed log) outlives the process, not the machine.
// Two things happen without being asked for: retention moves the start (no further than it may),
// and a cleaner leaves out records of a compacted log (never one that a reader would miss). pure
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ottla/types.h"

namespace ottla::sim {

/// One record of a compacted log.
struct RecordFact {
    Offset offset;
    uint64_t key = 0;      ///< hash
    uint64_t content = 0;  ///< hash of the value
    bool tombstone = false;
    bool operator==(const RecordFact&) const = default;
};

struct BatchFact {
    enum class Kind : uint8_t { plain, transactional, commit, abort };
    Offset base;
    int32_t records = 0;   ///< offsets that it takes
    uint64_t content = 0;  ///< hash of the bytes under the CRC
    ProducerId producer = kNoProducer;
    int32_t sequence = -1;
    Kind kind = Kind::plain;
    std::vector<RecordFact> keyed{};  ///< of compacted logs only

    [[nodiscard]] Offset end() const { return base + records; }
    [[nodiscard]] bool is_marker() const { return kind == Kind::commit || kind == Kind::abort; }
    bool operator==(const BatchFact&) const = default;
};

struct LogState {
    bool exists = false;
    Offset start;
    Offset end;
    std::vector<BatchFact> batches;  ///< also those below `start`, as far as known
    [[nodiscard]] std::string describe() const;
    /// The same for a reader: start, end and every batch that holds an offset from start on.
    [[nodiscard]] bool reads_like(const LogState& other) const;
    /// May a cleaner have made `cleaned` of this? Else why not.
    [[nodiscard]] std::optional<std::string> cannot_become(const LogState& cleaned) const;
};

struct LogChange {
    enum class Kind : uint8_t { create, append, truncate, move_start, remove };
    Kind kind = Kind::append;
    Offset offset;    ///< create: start; truncate, move_start: where
    BatchFact batch;  ///< append
};

class LogModel {
public:
    explicit LogModel(bool compacted = false) : compacted_(compacted) {}

    [[nodiscard]] const LogState& now() const { return now_; }
    /// The index of the change that `change` became.
    size_t add(const LogChange& change);
    /// `change` has been asked for and will be added when it is done; a crash before may find it
    /// done.
    void announce(const LogChange& change) { announced_ = change; }
    /// It was refused.
    void withdraw() { announced_.reset(); }
    /// Retention may have moved the start up to there, and nobody has looked yet.
    void start_may_reach(Offset limit) { start_limit_ = std::max(start_limit_, limit); }
    /// Change `index` and all before it are durable.
    void durable_through(size_t index);
    /// The log said that its durable end is `end`; what is wrong with that, if anything. Not `synced`:
    /// that is written, no more.
    std::optional<std::string> durable_end_moved(Offset end, bool synced = true);
    /// How many changes a kill must not take back.
    [[nodiscard]] size_t acknowledged() const { return std::max(durable_, acknowledged_); }
    /// The first `count` changes are synced.
    void synced(size_t count) { durable_ = std::max(durable_, count); }
    /// The power went, or the disk failed, before the next start: what is only written may be gone.
    void lose_unsynced() { unsynced_lost_ = true; }
    /// A start found this; what is wrong with that, if anything. The model goes on from here.
    std::optional<std::string> recovered(const LogState& found);
    /// A start found this, in which reads of one place fail by name: is the rest what it has to be? What
    /// is wrong, if anything. The model stays as it is, for a start without the damage.
    [[nodiscard]] std::optional<std::string> is_explained_with_a_hole(const LogState& found) const;
    [[nodiscard]] size_t changes() const { return changes_.size(); }

private:
    static void apply(LogState& state, const LogChange& change);
    [[nodiscard]] bool is_alike(const LogState& wanted, const LogState& found) const;
    [[nodiscard]] bool has_all_but_one(const LogState& wanted, const LogState& found) const;
    [[nodiscard]] bool explains(const LogState& state, size_t done, const LogState& found) const;

    const bool compacted_;
    LogState base_;
    std::vector<LogChange> changes_;
    size_t durable_ = 0;       ///< of `changes_`, how many are known to be synced
    size_t acknowledged_ = 0;  ///< ... and to be written
    bool unsynced_lost_ = false;
    std::optional<LogChange> announced_;
    LogState now_;
    Offset told_;  ///< highest durable end since the last truncation
    Offset start_limit_{-1};
};

}  // namespace ottla::sim
