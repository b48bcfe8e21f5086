// SPDX-License-Identifier: Apache-2.0
// Who waits on one partition.
//
//   OffsetWaiters   "when this end reaches x": acks=all and acks=1 produce. The op lives in the
//                   awaiting frame; release() completes every waiter at or below the new end
//   FetchWatch      one partition of a parked fetch; FetchWaiter is that fetch on one shard: it
//                   wakes when the watched partitions gained `missing` bytes together, or when one
//                   changed in a way that the reader must see (leadership, deletion, failure)
//
// Everything is intrusive: waiting allocates nothing but the array of watches. Belongs to one
// shard.
#pragma once

#include <memory>
#include <vector>

#include "ottla/sync.h"

namespace ottla::replication {

class OffsetWaiters final : public OpOwner {
public:
    explicit OffsetWaiters(Runtime& runtime) : runtime_(runtime) {}

    class WaitOp final : public Awaitable<WaitOp> {
    public:
        WaitOp(OffsetWaiters& waiters, Offset end) : waiters_(waiters), end_(end) {}
        void start();
        Status result() const { return status(); }

    private:
        friend class OffsetWaiters;
        OffsetWaiters& waiters_;
        Offset end_;
    };

    /// Completes once the end is at or beyond `end`; at once if it is.
    WaitOp wait(Offset end) { return {*this, end}; }
    /// The end is here now. It may only go back together with fail().
    void release(Offset end);
    /// Everybody who waits is told; `end` is where a new life starts.
    void fail(const Error& why, Offset end);
    [[nodiscard]] bool empty() const { return ops_.empty(); }
    void cancel(Op& op) noexcept override;

private:
    Runtime& runtime_;
    Offset end_{0};
    OpList ops_;
};

class FetchWaiter {
public:
    explicit FetchWaiter(Runtime& runtime) : wake_(runtime) {}

    /// More may be here, or something else happened.
    void gained(size_t bytes);
    void stir();
    [[nodiscard]] bool is_due() const { return due_; }
    void set_missing(size_t bytes) { missing_ = bytes; }
    Event::WaitOp wait() { return wake_.wait(); }

private:
    Event wake_;
    size_t missing_ = 1;
    bool due_ = false;
};

struct FetchWatch : Link {
    FetchWaiter* waiter = nullptr;
};

/// A partition's watches.
class FetchWatches {
public:
    void add(FetchWatch& watch) { watches_.push_back(watch); }
    void gained(size_t bytes) {
        watches_.for_each([bytes](FetchWatch& watch) { watch.waiter->gained(bytes); });
    }
    void stir() {
        watches_.for_each([](FetchWatch& watch) { watch.waiter->stir(); });
    }

private:
    LinkList<FetchWatch> watches_;
};

}  // namespace ottla::replication
