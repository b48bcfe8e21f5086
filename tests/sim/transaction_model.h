// SPDX-License-Identifier: Apache-2.0
// What transactions mean, by a rescan of the records: which batches a read_committed reader is not
// given, where it ends, and the table that the keyed records of a compacted log make. Held against
// what a log's aborted index and last stable offset say. pure
#pragma once

#include <map>
#include <set>
#include <span>
#include <vector>

#include "storage/transaction_index.h"
#include "tests/sim/log_model.h"

namespace ottla::sim {

/// Bases of data batches whose transaction was aborted: by the markers behind them.
std::set<Offset> dropped_by_markers(std::span<const BatchFact> batches);
/// The same as a consumer does it with the aborted transactions that came with the records.
std::set<Offset> dropped_by_index(std::span<const BatchFact> batches,
                                  std::vector<storage::AbortedTransaction> aborted);
/// Bases of data batches of transactions that are still open.
std::set<Offset> still_open(std::span<const BatchFact> batches);

/// Key to content, without `dropped` and open data, of [start, end).
std::map<uint64_t, uint64_t> table_of(const LogState& log, const std::set<Offset>& dropped);

struct StableEnd {
    Offset lowest;
    Offset highest;
};
/// Where read_committed may end. A transaction that began below the log's start may be known from
/// there or from its first record that is left: that is why there are two.
StableEnd stable_end(const LogState& log, Offset high_watermark);

/// The transaction of `producer` that has no marker yet: where it began.
std::optional<Offset> open_transaction(const LogState& log, ProducerId producer);

}  // namespace ottla::sim
