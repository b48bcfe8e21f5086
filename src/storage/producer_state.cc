// SPDX-License-Identifier: Apache-2.0
#include "storage/producer_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "base/crc32c.h"
#include "base/endian.h"
#include "ottla/check.h"
#include "records/batch.h"

namespace ottla::storage {

namespace {

constexpr int32_t kMaxSequence = std::numeric_limits<int32_t>::max();
constexpr int16_t kSnapshotVersion = 1;
constexpr size_t kSnapshotHeader = 2 + 4 + 4;
constexpr size_t kSnapshotEntry = 8 + 2 + 4 + 8 + 4 + 8 + 4 + 8;

int32_t sequence_before(int32_t sequence, int32_t count) {
    if (sequence >= count) return sequence - count;
    return kMaxSequence - (count - sequence) + 1;
}

}  // namespace

int32_t ProducerState::StoredBatch::first_sequence() const {
    return sequence_before(last_sequence, offset_delta);
}

void ProducerState::Window::push(StoredBatch batch) {
    if (size_ == kDepth) {
        std::shift_left(batches_.begin(), batches_.end(), 1);
        --size_;
    }
    batches_[size_++] = batch;
}

void ProducerState::Window::insert_older(StoredBatch batch) {
    const auto known = [&batch](const StoredBatch& b) {
        return b.last_offset == batch.last_offset;
    };
    if (empty() || std::ranges::any_of(batches(), known)) return;
    if (batch.last_offset > newest().last_offset) return;
    size_t at = 0;
    while (at < size_ && batches_[at].last_offset < batch.last_offset) ++at;
    if (size_ == kDepth) {
        if (at == 0) return;  // Older than the oldest of five.
        std::shift_left(batches_.begin(), batches_.begin() + static_cast<ptrdiff_t>(at), 1);
        batches_[at - 1] = batch;
        return;
    }
    const auto begin = batches_.begin() + static_cast<ptrdiff_t>(at);
    std::shift_right(begin, batches_.begin() + static_cast<ptrdiff_t>(size_) + 1, 1);
    batches_[at] = batch;
    ++size_;
}

bool ProducerState::Window::operator==(const Window& other) const {
    return std::ranges::equal(batches(), other.batches());
}

Result<std::optional<DuplicateBatch>> ProducerState::check(const ProducerBatch& batch) const {
    if (batch.producer == kNoProducer || faults_.accept_out_of_sequence) return std::nullopt;
    const auto found = producers_.find(batch.producer);
    // Unknown here: expired, or its data was deleted. Any sequence is accepted (trap 35).
    if (found == producers_.end()) return std::nullopt;
    const Producer& producer = found->second;
    if (batch.epoch < producer.epoch) {
        return fail(
            ErrorCode::invalid_producer_epoch,
            fmt::format("producer {} has epoch {}, the batch has {}", batch.producer.value(),
                        producer.epoch.value(), batch.epoch.value()));
    }
    if (batch.epoch > producer.epoch) {
        if (batch.first_sequence == 0 || producer.epoch == kNoProducerEpoch) return std::nullopt;
        return fail(ErrorCode::out_of_order_sequence_number,
                    fmt::format("producer {} starts epoch {} with sequence {}, not 0",
                                batch.producer.value(), batch.epoch.value(), batch.first_sequence));
    }
    for (const StoredBatch& stored : producer.window.batches()) {
        if (stored.first_sequence() == batch.first_sequence &&
            stored.last_sequence == batch.last_sequence) {
            return DuplicateBatch{stored.first_offset(), stored.timestamp};
        }
    }
    if (producer.window.empty()) return std::nullopt;
    const int32_t expected = sequence_after(producer.window.newest().last_sequence, 1);
    if (batch.first_sequence == expected) return std::nullopt;
    return fail(
        ErrorCode::out_of_order_sequence_number,
        fmt::format("producer {} epoch {}: expected sequence {}, the batch has {}",
                    batch.producer.value(), batch.epoch.value(), expected, batch.first_sequence));
}

ProducerState::Producer& ProducerState::producer_at(ProducerId id, ProducerEpoch epoch) {
    Producer& producer = producers_[id];
    if (producer.epoch < epoch) {
        producer.epoch = epoch;
        producer.window.clear();
    }
    return producer;
}

void ProducerState::appended(const ProducerBatch& batch) {
    if (batch.producer == kNoProducer) return;
    Producer& producer = producer_at(batch.producer, batch.epoch);
    producer.window.push(
        {.last_sequence = batch.last_sequence,
         .last_offset = batch.last_offset,
         .offset_delta = static_cast<int32_t>(batch.last_offset - batch.first_offset),
         .timestamp = batch.max_timestamp});
    producer.last_timestamp = batch.max_timestamp;
    if (batch.transactional && !producer.transaction_start) {
        producer.transaction_start = batch.first_offset;
        open_transactions_.emplace(batch.first_offset, batch.producer);
    }
}

CompletedTransaction ProducerState::marker_appended(const ProducerBatch& batch,
                                                    bool aborted,
                                                    int32_t coordinator_epoch) {
    Producer& producer = producer_at(batch.producer, batch.epoch);
    CompletedTransaction done{.producer = batch.producer,
                              .first = producer.transaction_start.value_or(kNoOffset),
                              .last = batch.last_offset,
                              .aborted = aborted};
    if (done.first != kNoOffset) unreplicated_[done.first] = done.last;
    end_transaction(batch.producer, producer);
    producer.coordinator_epoch = coordinator_epoch;
    producer.last_timestamp = batch.max_timestamp;
    return done;
}

void ProducerState::end_transaction(ProducerId id, Producer& producer) {
    if (!producer.transaction_start) return;
    open_transactions_.erase({*producer.transaction_start, id});
    producer.transaction_start.reset();
}

void ProducerState::remember_older(const ProducerBatch& batch) {
    const auto found = producers_.find(batch.producer);
    if (found == producers_.end() || found->second.epoch != batch.epoch || batch.control) return;
    found->second.window.insert_older(
        {.last_sequence = batch.last_sequence,
         .last_offset = batch.last_offset,
         .offset_delta = static_cast<int32_t>(batch.last_offset - batch.first_offset),
         .timestamp = batch.max_timestamp});
}

void ProducerState::expire_before(WallTime oldest) {
    std::erase_if(producers_, [oldest](const auto& entry) {
        return !entry.second.transaction_start && entry.second.last_timestamp < oldest;
    });
}

void ProducerState::forget_transactions_below(Offset start) {
    while (!open_transactions_.empty() && open_transactions_.begin()->first < start) {
        producers_.at(open_transactions_.begin()->second).transaction_start.reset();
        open_transactions_.erase(open_transactions_.begin());
    }
}

void ProducerState::clear() {
    producers_.clear();
    open_transactions_.clear();
    unreplicated_.clear();
}

std::optional<Offset> ProducerState::first_open_transaction() const {
    if (open_transactions_.empty()) return std::nullopt;
    return open_transactions_.begin()->first;
}

std::optional<Offset> ProducerState::first_unstable() const {
    const std::optional<Offset> open = first_open_transaction();
    if (unreplicated_.empty()) return open;
    const Offset ended = unreplicated_.begin()->first;
    return open ? std::min(*open, ended) : ended;
}

void ProducerState::note_high_watermark(Offset high_watermark) {
    std::erase_if(unreplicated_, [high_watermark](const auto& transaction) {
        return transaction.second < high_watermark;
    });
}

bool ProducerState::has_ended_transactions() const {
    return std::ranges::any_of(producers_,
                               [](const auto& one) { return one.second.coordinator_epoch >= 0; });
}

std::vector<ProducerState::LastBatch> ProducerState::last_batches() const {
    std::vector<LastBatch> all;
    all.reserve(producers_.size());
    for (const auto& [id, producer] : producers_) {
        const Offset last = producer.window.empty() ? kNoOffset : producer.window.newest().last_offset;
        all.push_back({id, producer.epoch, last});
    }
    return all;
}

Buffer ProducerState::snapshot() const {
    const size_t size = kSnapshotHeader + producers_.size() * kSnapshotEntry;
    BlockRef block = make_block(size);
    std::byte* at = block->data();
    store_be<int16_t>(at, kSnapshotVersion);
    store_be<int32_t>(at + 6, static_cast<int32_t>(producers_.size()));
    std::byte* entry = at + kSnapshotHeader;
    for (const auto& [id, producer] : producers_) {
        const StoredBatch last = producer.window.empty() ? StoredBatch{.last_offset = kNoOffset}
                                                         : producer.window.newest();
        store_be<int64_t>(entry, id.value());
        store_be<int16_t>(entry + 8, producer.epoch.value());
        store_be<int32_t>(entry + 10, last.last_sequence);
        store_be<int64_t>(entry + 14, last.last_offset.value());
        store_be<int32_t>(entry + 22, last.offset_delta);
        store_be<int64_t>(entry + 26, producer.last_timestamp.value());
        store_be<int32_t>(entry + 34, producer.coordinator_epoch);
        store_be<int64_t>(entry + 38, producer.transaction_start.value_or(kNoOffset).value());
        entry += kSnapshotEntry;
    }
    store_be<uint32_t>(at + 2, crc32c(0, {at + 6, size - 6}));
    return {std::move(block), 0, size};
}

Status ProducerState::load_snapshot(std::span<const std::byte> bytes) {
    if (bytes.size() < kSnapshotHeader)
        return fail(ErrorCode::corrupt, "producer snapshot is too short");
    const std::byte* at = bytes.data();
    if (load_be<int16_t>(at) != kSnapshotVersion) {
        return fail(ErrorCode::corrupt, "producer snapshot has an unknown version");
    }
    if (load_be<uint32_t>(at + 2) != crc32c(0, bytes.subspan(6))) {
        return fail(ErrorCode::corrupt, "producer snapshot has a wrong checksum");
    }
    const int32_t count = load_be<int32_t>(at + 6);
    const size_t room = (bytes.size() - kSnapshotHeader) / kSnapshotEntry;
    if (count < 0 || static_cast<size_t>(count) != room ||
        bytes.size() != kSnapshotHeader + room * kSnapshotEntry) {
        return fail(ErrorCode::corrupt, "producer snapshot has a wrong length");
    }
    clear();
    for (const std::byte* entry = at + kSnapshotHeader; entry != at + bytes.size();
         entry += kSnapshotEntry) {
        const ProducerId id{load_be<int64_t>(entry)};
        Producer& producer = producers_[id];
        producer.epoch = ProducerEpoch{load_be<int16_t>(entry + 8)};
        const Offset last_offset{load_be<int64_t>(entry + 14)};
        producer.last_timestamp = WallTime{load_be<int64_t>(entry + 26)};
        producer.coordinator_epoch = load_be<int32_t>(entry + 34);
        if (last_offset >= Offset{0}) {
            producer.window.push({.last_sequence = load_be<int32_t>(entry + 10),
                                  .last_offset = last_offset,
                                  .offset_delta = load_be<int32_t>(entry + 22),
                                  .timestamp = producer.last_timestamp});
        }
        const Offset transaction{load_be<int64_t>(entry + 38)};
        if (transaction >= Offset{0}) {
            producer.transaction_start = transaction;
            open_transactions_.emplace(transaction, id);
        }
    }
    return {};
}

}  // namespace ottla::storage
