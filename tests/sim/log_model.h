// SPDX-License-Identifier: Apache-2.0
// What a log must contain, kept outside the process that is killed.
//
// Every change of a log is an entry of one journal, so after any crash the log must be what it was
// behind some prefix of its changes, and the prefix holds at least every change that was known to
// be durable. The model is that list of changes on top of the state that the last start found. pure
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ottla/types.h"

namespace ottla::sim {

struct BatchFact {
    Offset base;
    int32_t records = 0;
    uint64_t content = 0;  ///< hash of the bytes under the CRC
    ProducerId producer = kNoProducer;
    int32_t sequence = -1;
    [[nodiscard]] Offset end() const { return base + records; }
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
};

struct LogChange {
    enum class Kind : uint8_t { create, append, truncate, move_start, remove };
    Kind kind = Kind::append;
    Offset offset;    ///< create: start; truncate, move_start: where
    BatchFact batch;  ///< append
};

class LogModel {
public:
    [[nodiscard]] const LogState& now() const { return now_; }
    /// The index of the change that `change` became.
    size_t add(const LogChange& change);
    /// `change` has been asked for and will be added when it is done; a crash before may find it
    /// done.
    void announce(const LogChange& change) { announced_ = change; }
    /// Change `index` and all before it are durable.
    void durable_through(size_t index);
    /// The log said that its durable end is `end`; what is wrong with that, if anything.
    std::optional<std::string> durable_end_moved(Offset end);
    /// A start found this; what is wrong with that, if anything. The model goes on from here.
    std::optional<std::string> recovered(const LogState& found);
    [[nodiscard]] size_t changes() const { return changes_.size(); }

private:
    static void apply(LogState& state, const LogChange& change);
    [[nodiscard]] bool explains(const LogState& state, size_t done, const LogState& found) const;

    LogState base_;
    std::vector<LogChange> changes_;
    size_t durable_ = 0;  ///< of `changes_`, how many are known to be durable
    std::optional<LogChange> announced_;
    LogState now_;
    Offset told_;  ///< highest durable end since the last truncation
};

}  // namespace ottla::sim
