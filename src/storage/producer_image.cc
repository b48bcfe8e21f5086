// SPDX-License-Identifier: Apache-2.0
// The whole state of the producers of a log for our catalogue: what Kafka's snapshot leaves out (four
// of five batches of a window, transactions whose marker is not replicated yet) is what a start would
// otherwise have to look up in the records.
//
//   count | count x { id | epoch | coordinator epoch | last timestamp | transaction's first offset or -1 |
//   batches | batches x { last sequence | last offset | offset delta | timestamp } } |
//   unreplicated | unreplicated x { first offset | marker's offset }
//
// Packed (compact_bytes.h); the catalogue's checksum covers it.
#include "storage/compact_bytes.h"
#include "storage/producer_state.h"

namespace ottla::storage {

Buffer ProducerState::image() const {
    CompactWriter out;
    out.count(producers_.size());
    for (const auto& [id, producer] : producers_) {
        out.number(id.value());
        out.number(int64_t{producer.epoch.value()});
        out.number(int64_t{producer.coordinator_epoch});
        out.number(producer.last_timestamp);
        out.number(producer.transaction_start.value_or(kNoOffset));
        out.count(producer.window.batches().size());
        for (const StoredBatch& batch : producer.window.batches()) {
            out.number(int64_t{batch.last_sequence});
            out.number(batch.last_offset);
            out.number(int64_t{batch.offset_delta});
            out.number(batch.timestamp);
        }
    }
    out.count(unreplicated_.size());
    for (const auto& [first, marker] : unreplicated_) {
        out.number(first);
        out.number(marker);
    }
    return out.take();
}

Status ProducerState::load_image(const Buffer& bytes) {
    constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
    constexpr int64_t kMostDelta = std::numeric_limits<int32_t>::max();
    clear();
    CompactReader in(bytes);
    for (size_t left = in.count(); left > 0 && in.is_good(); --left) {
        const ProducerId id{in.number(0, kMost)};
        Producer producer;
        producer.epoch = in.of<ProducerEpoch>();
        producer.coordinator_epoch = static_cast<int32_t>(in.number(-1, kMostDelta));
        producer.last_timestamp = in.of<WallTime>();
        const Offset open{in.number(kNoOffset.value(), kMost)};
        for (int64_t batches = in.number(0, Window::kDepth); batches > 0; --batches) {
            StoredBatch batch;
            batch.last_sequence = static_cast<int32_t>(in.number(-1, kMostDelta));
            batch.last_offset = Offset{in.number(0, kMost)};
            batch.offset_delta = static_cast<int32_t>(in.number(0, kMostDelta));
            batch.timestamp = in.of<WallTime>();
            producer.window.push(batch);
        }
        if (open != kNoOffset) {
            producer.transaction_start = open;
            open_transactions_.emplace(open, id);
        }
        if (in.is_good() && !producers_.emplace(id, producer).second) in.fail();
    }
    for (size_t left = in.count(); left > 0 && in.is_good(); --left) {
        const Offset first{in.number(0, kMost)};
        unreplicated_[first] = Offset{in.number(0, kMost)};
    }
    if (in.is_good() && in.at_end()) return {};
    clear();
    return fail(ErrorCode::corrupt, "the image of a producer state makes no sense");
}

}  // namespace ottla::storage
