// SPDX-License-Identifier: Apache-2.0
#include "storage/index_cache.h"

#include "storage/log_store.h"
#include "storage/segment.h"

namespace ottla::storage {

IndexCache::IndexCache(size_t most_bytes, StoreObserver* observer)
    : places_(std::make_shared<Places>(most_bytes, observer)) {}

IndexCache::~IndexCache() { places_->observer = nullptr; }

void IndexCache::keep(Segment& segment) {
    KeptIndexes& place = segment.kept_indexes();
    if (place.among_ != places_) {
        place.leave();
        place.among_ = places_;
    }
    segment.trim_indexes();
    place.settle();
}

void IndexCache::Places::recount(size_t before, size_t now) {
    bytes += now;
    bytes -= before;
    if (before != now && observer != nullptr) observer->indexes_take(bytes);
}

void IndexCache::Places::shed() {
    while (bytes > most && !idle.empty()) {
        KeptIndexes& oldest = idle.pop_front();
        if (idle.empty()) {
            // Whoever reads a segment from end to end comes back for it.
            idle.push_back(oldest);
            return;
        }
        oldest.leave();
        oldest.segment_.drop_indexes();
    }
}

void KeptIndexes::pin() {
    ++pins_;
    unlink();
}

void KeptIndexes::unpin() {
    CHECK(pins_ > 0, "a pin is given back once");
    --pins_;
    if (among_ != nullptr) settle();
}

void KeptIndexes::settle() {
    // Held here: those of the last segment may go with their directory.
    const std::shared_ptr<IndexCache::Places> among = among_;
    unlink();
    among->recount(bytes_, segment_.index_bytes());
    bytes_ = segment_.index_bytes();
    if (pins_ == 0 && bytes_ > 0) among->idle.push_back(*this);
    among->shed();
}

void KeptIndexes::leave() {
    unlink();
    const std::shared_ptr<IndexCache::Places> among = std::exchange(among_, nullptr);
    if (among != nullptr) among->recount(std::exchange(bytes_, 0), 0);
}

IndexPin::IndexPin(std::shared_ptr<Segment> segment) : segment_(std::move(segment)) {
    segment_->kept_indexes().pin();
}
IndexPin::~IndexPin() {
    if (segment_ != nullptr) segment_->kept_indexes().unpin();
}

const OffsetIndex& IndexPin::offsets() const { return segment_->offset_index(); }
const TimeIndex& IndexPin::times() const { return segment_->time_index(); }
const TransactionIndex& IndexPin::transactions() const { return segment_->transaction_index(); }

}  // namespace ottla::storage
