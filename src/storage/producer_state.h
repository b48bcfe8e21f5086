// SPDX-License-Identifier: Apache-2.0
// What one partition knows of the producers that wrote to it: the sequence check of idempotent
// producers (KIP-98, KIP-360), the five last batches of each for recognising a retry, and open
// transactions. Fed with batch headers in log order; the same feeding rebuilds it after a restart.
//
// Invariants: a producer's window holds at most five batches in offset order, all of its current
// epoch, with consecutive sequences (2^31-1 is followed by 0); the epoch never goes back. Producers
// are kept ordered by id, so that a snapshot of equal state has equal bytes.
//
// Snapshot (Kafka's `%020d.snapshot`, version 1; big-endian, one batch a producer):
//
//   version i16 = 1 | crc u32 (CRC-32C of all that follows) | count i32 |
//   count x { producer id i64 | epoch i16 | last sequence i32 | last offset i64 | offset delta i32
//   |
//             timestamp i64 | coordinator epoch i32 | current transaction's first offset i64 (-1
//             none) }
//
// pure
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "ottla/buffer.h"
#include "ottla/result.h"
#include "ottla/test_faults.h"
#include "ottla/types.h"

namespace ottla::storage {

/// The header fields of one stored batch that producer state depends on.
struct ProducerBatch {
    ProducerId producer = kNoProducer;
    ProducerEpoch epoch = kNoProducerEpoch;
    int32_t first_sequence = -1;
    int32_t last_sequence = -1;
    Offset first_offset{};
    Offset last_offset{};
    WallTime max_timestamp = kNoTimestamp;
    bool transactional = false;
    bool control = false;
};

/// A batch that is stored already: what a retry is answered with (trap 34).
struct DuplicateBatch {
    Offset first_offset;
    WallTime timestamp;
};

/// A transaction that a marker ended. `first` is kNoOffset when it held no data here (trap 79).
struct CompletedTransaction {
    ProducerId producer;
    Offset first;
    Offset last;
    bool aborted;
};

class ProducerState {
public:
    explicit ProducerState(TestFaults faults = {}) : faults_(faults) {}

    /// May a client append this batch? Nothing: append. A DuplicateBatch: answer with that, append
    /// nothing. Errors: out_of_order_sequence_number, invalid_producer_epoch (traps 34, 35).
    /// Batches without a producer id are always fine.
    Result<std::optional<DuplicateBatch>> check(const ProducerBatch& batch) const;

    /// A data batch entered the log (checked before, or replicated, or replayed).
    void appended(const ProducerBatch& batch);
    /// An end-transaction marker entered the log.
    CompletedTransaction marker_appended(const ProducerBatch& batch,
                                         bool aborted,
                                         int32_t coordinator_epoch);
    /// A snapshot keeps one batch a producer: gives back an older one of its epoch (any order), so
    /// that the window is five deep again. Batches of unknown producers or other epochs are
    /// ignored.
    void remember_older(const ProducerBatch& batch);

    /// Forgets producers silent since before `oldest` (producer.id.expiration.ms), unless a
    /// transaction of theirs is open.
    void expire_before(WallTime oldest);
    void clear();
    /// Forgets open transactions that began below `start`: their markers may lie there too.
    void forget_transactions_below(Offset start);

    /// First offset of the oldest open transaction.
    [[nodiscard]] std::optional<Offset> first_open_transaction() const;
    /// First offset of the oldest transaction that is open, or whose marker is not replicated yet:
    /// until then it may be open again. The last stable offset may not pass it.
    [[nodiscard]] std::optional<Offset> first_unstable() const;
    /// Markers below it are replicated.
    void note_high_watermark(Offset high_watermark);

    /// Did any of these producers ever end a transaction here?
    [[nodiscard]] bool has_ended_transactions() const;

    /// What a cleaning has to keep for each producer: the last offset of its last data batch
    /// (kNoOffset: none) and its epoch.
    struct LastBatch {
        ProducerId producer;
        ProducerEpoch epoch;
        Offset last_data;
    };
    [[nodiscard]] std::vector<LastBatch> last_batches() const;
    [[nodiscard]] size_t size() const { return producers_.size(); }

    [[nodiscard]] Buffer snapshot() const;
    /// Replaces everything. `corrupt` on a wrong checksum, length or version; then nothing changed.
    Status load_snapshot(std::span<const std::byte> bytes);

    /// Everything, packed for the catalogue (producer_image.cc).
    [[nodiscard]] Buffer image() const;
    /// Replaces everything. `corrupt`: empty then.
    Status load_image(const Buffer& bytes);

    bool operator==(const ProducerState& other) const { return producers_ == other.producers_; }

private:
    struct StoredBatch {
        int32_t last_sequence = -1;
        Offset last_offset{};
        int32_t offset_delta = 0;
        WallTime timestamp = kNoTimestamp;
        bool operator==(const StoredBatch&) const = default;
        [[nodiscard]] Offset first_offset() const { return last_offset - offset_delta; }
        [[nodiscard]] int32_t first_sequence() const;
    };
    /// At most five, oldest first.
    class Window {
    public:
        static constexpr size_t kDepth = 5;
        void push(StoredBatch batch);
        void insert_older(StoredBatch batch);
        void clear() { size_ = 0; }
        [[nodiscard]] bool empty() const { return size_ == 0; }
        [[nodiscard]] const StoredBatch& newest() const { return batches_[size_ - 1]; }
        [[nodiscard]] std::span<const StoredBatch> batches() const {
            return {batches_.data(), size_};
        }
        bool operator==(const Window& other) const;

    private:
        std::array<StoredBatch, kDepth> batches_;
        size_t size_ = 0;
    };
    struct Producer {
        ProducerEpoch epoch = kNoProducerEpoch;
        Window window;
        int32_t coordinator_epoch = -1;
        WallTime last_timestamp = kNoTimestamp;
        std::optional<Offset> transaction_start;
        bool operator==(const Producer&) const = default;
    };

    Producer& producer_at(ProducerId id, ProducerEpoch epoch);
    void end_transaction(ProducerId id, Producer& producer);

    TestFaults faults_;
    std::map<ProducerId, Producer> producers_;
    std::set<std::pair<Offset, ProducerId>> open_transactions_;
    /// Ended, but the marker is not below the high watermark: first offset, marker.
    std::map<Offset, Offset> unreplicated_;
};

}  // namespace ottla::storage
