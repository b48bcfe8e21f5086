// SPDX-License-Identifier: Apache-2.0
// RuntimeLoop: the production Runtime, one thread with an epoll reactor.
//
// A step: look at the sockets, blocking until the next timer only when nothing is ready; read the clock;
// run the messages that came, fire the timers that are due; finish the Ops that are ready, in batches
// (what becomes ready meanwhile is the next batch). The timeout of epoll_wait drives the timer
// wheel: no timer descriptor, no system call to arm one. `now` is the same for a whole step.
// Everything but `deliver` and `is_quiet` belongs to the thread that calls `step`.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <vector>

#include "io/asio.h"
#include "io/mailbox.h"
#include "io/timer_wheel.h"
#include "ottla/runtime.h"

namespace ottla::io {

class RuntimeLoop;
/// Every shard of the process, by index; complete before the first `step`.
using Shards = std::vector<RuntimeLoop*>;

class RuntimeLoop final : public Runtime, public OpOwner {
public:
    using Clock = std::chrono::steady_clock;
    /// `origin` is common to the process, so that Instants of its shards compare.
    RuntimeLoop(ShardIndex shard, const Shards& shards, Clock::time_point origin, uint64_t seed);
    ~RuntimeLoop() override;

    Instant now() const override { return now_; }
    WallTime wall_time() const override;
    uint64_t random() override;
    ShardIndex shard() const override { return shard_; }
    uint32_t shard_count() const override { return static_cast<uint32_t>(shards_.size()); }
    void ready(Op& op) override;
    void start_timer(Op& op, Instant deadline) override;
    void submit(ShardIndex target, Message& message) override;
    void cancel(Op& op) noexcept override;

    /// From any thread: `message` runs here in a later turn.
    void deliver(Message& message);
    /// From any thread: at the end of the last step nothing was running or waiting to run here.
    [[nodiscard]] bool is_quiet() const { return quiet_.load(std::memory_order_acquire); }

    /// Waits for something to do, `at_most` so long (kNever's span: without limit); then one turn.
    void step(Duration at_most);
    asio::io_context& context() { return context_; }

private:
    void run_turn();
    void run_batch();
    struct Woken;
    void wait(Duration at_most);
    void expect_wake();
    void read_clock();
    [[nodiscard]] bool has_work() { return !ready_[filling_].empty() || !own_messages_.empty(); }

    const ShardIndex shard_;
    const Shards& shards_;
    const Clock::time_point origin_;
    Instant now_{};
    std::array<uint64_t, 4> random_state_{};
    HandlerMemory bell_memory_;
    asio::io_context context_{1};
    asio::executor_work_guard<asio::io_context::executor_type> stay_;
    /// Rung by whoever finds us asleep. (A post to the context would ring while it holds the context's lock,
    /// and we would wake only to sleep again on that lock.)
    asio::posix::basic_stream_descriptor<asio::io_context::executor_type> bell_;
    uint64_t rings_ = 0;
    Mailbox mailbox_;
    LinkList<Message> own_messages_;
    TimerWheel wheel_;
    OpList never_;
    std::array<OpList, 2> ready_;
    size_t filling_ = 0;
    std::atomic<bool> quiet_{true};
};

}  // namespace ottla::io
