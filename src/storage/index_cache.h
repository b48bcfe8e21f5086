// SPDX-License-Identifier: Apache-2.0
// IndexCache: how much memory the indexes (and sums) of closed segments may take on one shard. Whoever
// needs them loads them and holds an IndexPin; when they are more than the bound, those that were
// unused longest are dropped (Segment::drop_indexes) and read from their files again when somebody
// needs them.
//
// Invariant: an IndexPin holds them in memory, across awaits too; without one they may be gone after
// any await. Never dropped: what is pinned, a segment that grows (its log says who is closed: `keep`; a
// truncation that opens one again takes it out), what is not written and synced yet, a segment whose
// files are gone or another one's (its readers could not load them again), and the one that was used
// last. They are trimmed as they come in, so that what is counted is what is held: the capacity of a
// vector cannot be asked, since builds differ in it. Hence `bytes` is at most the bound, what is
// pinned, and one segment's. Belongs to one shard.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>

#include "ottla/op.h"

namespace ottla::storage {

class KeptIndexes;
class OffsetIndex;
class Segment;
class StoreObserver;
class TimeIndex;
class TransactionIndex;

class IndexCache {
public:
    /// `observer` is told how much they take.
    explicit IndexCache(size_t most_bytes, StoreObserver* observer = nullptr);
    ~IndexCache();
    IndexCache(const IndexCache&) = delete;
    IndexCache& operator=(const IndexCache&) = delete;

    [[nodiscard]] size_t most() const { return places_->most; }
    [[nodiscard]] size_t bytes() const { return places_->bytes; }
    /// `segment` is closed: from here on its indexes may be dropped. Counts as a use, drops others'.
    void keep(Segment& segment);

private:
    friend class KeptIndexes;
    /// Shared with the segments: whoever still reads one may outlive its directory.
    struct Places {
        void recount(size_t before, size_t now);
        void shed();

        const size_t most;
        StoreObserver* observer = nullptr;
        size_t bytes = 0;
        /// Those that nobody pins, the longest unused first.
        LinkList<KeptIndexes> idle;
    };

    std::shared_ptr<Places> places_;
};

/// A segment's place among them.
class KeptIndexes : public Link {
public:
    explicit KeptIndexes(Segment& whose) : segment_(whose) {}
    ~KeptIndexes() { leave(); }

    void pin();
    void unpin();
    [[nodiscard]] bool is_pinned() const { return pins_ > 0; }
    /// They are gone, or not to be dropped any more.
    void leave();

private:
    friend class IndexCache;
    /// Counts them anew; the last to go from here on.
    void settle();

    Segment& segment_;
    std::shared_ptr<IndexCache::Places> among_;
    size_t bytes_ = 0;
    size_t pins_ = 0;
};

/// As long as there is one of a segment its indexes stay in memory, once they are there.
class IndexPin {
public:
    IndexPin() = default;
    explicit IndexPin(std::shared_ptr<Segment> segment);
    IndexPin(IndexPin&& other) noexcept : segment_(std::exchange(other.segment_, nullptr)) {}
    IndexPin& operator=(IndexPin&& other) noexcept {
        std::swap(segment_, other.segment_);
        return *this;
    }
    ~IndexPin();

    [[nodiscard]] const OffsetIndex& offsets() const;
    [[nodiscard]] const TimeIndex& times() const;
    [[nodiscard]] const TransactionIndex& transactions() const;

private:
    std::shared_ptr<Segment> segment_;
};

}  // namespace ottla::storage
