// SPDX-License-Identifier: Apache-2.0
// What a cleaning leaves of a batch: Kafka's rules, over one batch at a time in log order.
//
// A record stays if no later one has its key, and it is no tombstone whose time is over. A
// tombstone's time begins when a cleaning first meets it: the batch then gets a delete horizon,
// `delete.retention.ms` ahead, in place of its base timestamp (KIP-534). Data of aborted
// transactions go at once; a transaction's marker goes a horizon after the last of its data did.
// Kept as an empty batch even then: the last batch of each producer that is still active (its
// sequence; of one without data its marker, for the epoch), and the last batch of the cleaning, so
// that no offset is lost. A batch keeps its base and last offset, sequence and epoch.
//
// CleanedTransactions tells aborted data from committed, and collects the index of the new
// segment: the aborted transactions that still have their data behind them in another pass.
// Errors: corrupt_message, invalid_record. pure
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "base/growing_buffer.h"
#include "ottla/result.h"
#include "records/batch.h"
#include "records/records.h"
#include "storage/offset_map.h"
#include "storage/transaction_index.h"

namespace ottla::storage {

class CleanedTransactions {
public:
    /// Those of the next segment, which begins at `from`; one may be told again with a later one.
    void add_aborted(Offset from, const std::vector<AbortedTransaction>& aborted);
    /// Is this data batch part of an aborted transaction?
    bool is_aborted(const BatchView& batch);
    /// A control batch: may its marker go, since nothing of its transaction was met?
    bool may_discard(const BatchView& marker);
    /// Of markers that stay since the last call.
    std::vector<AbortedTransaction> take_kept() { return std::exchange(kept_, {}); }

private:
    struct Open {
        AbortedTransaction transaction;
        bool has_data = false;
    };
    void begin_up_to(Offset offset);

    /// Told already, by their ends.
    std::set<std::pair<Offset, ProducerId>> known_;
    /// Not met yet, by their beginnings.
    std::map<std::pair<Offset, ProducerId>, AbortedTransaction> waiting_;
    std::map<ProducerId, Open> aborting_;
    std::set<ProducerId> committing_;
    std::vector<AbortedTransaction> kept_;
};

/// What the log knows of a producer whose state must outlive the cleaning.
struct LastOfProducer {
    /// Of its last data batch; kNoOffset if it only has a marker.
    Offset last_data = kNoOffset;
    ProducerEpoch epoch = kNoProducerEpoch;
    /// Its last batch lies in the tail, which may be truncated, and nobody knows which one would
    /// be its last then: every one stays, if need be empty.
    bool any = false;
};
using ActiveProducers = std::map<ProducerId, LastOfProducer>;

struct CleaningRules {
    WallTime now;
    int64_t delete_retention_ms = 0;
    /// Offsets from here on are not in the map: their records stay.
    Offset map_end{0};
    /// Where the cleaning ends: the batch that ends there stays, if need be empty.
    Offset end{0};
    size_t max_batch_bytes = 256UZ * 1024 * 1024;
};

class BatchFilter {
public:
    BatchFilter(const OffsetMap& newest,
                const ActiveProducers& producers,
                CleaningRules rules,
                Codecs& codecs)
        : newest_(newest), producers_(producers), rules_(rules), codecs_(codecs) {}

    /// Appends to `out` what stays of `batch`: the batch itself, a smaller one, an empty one or
    /// nothing.
    Status filter(const BatchView& batch, GrowingBuffer& out);
    [[nodiscard]] CleanedTransactions& transactions() { return transactions_; }

private:
    enum class WhenEmpty : uint8_t { keep, drop };
    struct Judgement {
        bool discard_records = false;
        bool marker_of_nothing = false;  ///< nothing of its transaction was met any more
        WhenEmpty when_empty = WhenEmpty::drop;
    };
    struct Kept {
        GrowingBuffer records;
        int32_t count = 0;
        int32_t seen = 0;
        WallTime max_timestamp = kNoTimestamp;
        bool tombstones = false;
    };

    [[nodiscard]] Judgement judge(const BatchView& batch);
    [[nodiscard]] bool is_last_of_producer(const BatchView& batch) const;
    [[nodiscard]] bool stays(const BatchView& batch, const Record& record) const;
    Status keep_records(const BatchView& batch,
                        std::span<const std::byte> plain,
                        std::optional<WallTime> horizon,
                        Kept& kept) const;
    Status write(const BatchView& batch,
                 const Kept& kept,
                 std::optional<WallTime> horizon,
                 GrowingBuffer& out);
    static void write_empty(const BatchView& batch, GrowingBuffer& out);

    const OffsetMap& newest_;
    const ActiveProducers& producers_;
    const CleaningRules rules_;
    Codecs& codecs_;
    CleanedTransactions transactions_;
};

}  // namespace ottla::storage
