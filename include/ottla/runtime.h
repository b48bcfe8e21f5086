// SPDX-License-Identifier: Apache-2.0
// Runtime: one shard's world - its clock, its randomness, its run queue, its way to other shards.
// Implemented twice: src/io (a thread with an epoll loop) and tests/sim (an event heap).
//
// Contract. All calls come from the shard's own thread. `now` is monotonic and does not change within
// one turn of the run loop; `wall_time` may step. `ready` resumes an Op in a later turn, in order of the
// calls (the simulator may shuffle what is ready at one instant, so code may rely on order only where a
// header says so). Messages from one shard to another arrive in the order of `submit`.
// The Runtime owns every spawned root. Production ends a root only by letting it finish (cancel its
// operations, drain its Gate); simulation kills a process with `destroy_roots`, so no destructor may do I/O.
#pragma once

#include <coroutine>
#include <cstdint>

#include "ottla/op.h"
#include "ottla/task.h"
#include "ottla/types.h"

namespace ottla {

class Runtime;

/// Work for another shard; the node lives with the sender (usually in an awaiting frame) until it ran.
class Message : public Link {
public:
    /// Runs on the target shard. May spawn, must not block.
    virtual void run(Runtime& here) = 0;

    Message* next_in_mailbox = nullptr;

protected:
    ~Message() = default;
};

namespace detail {

/// The frame of a spawned root: starts at once, destroys itself at its end.
struct Root {
    struct promise_type : Link {
        promise_type(Runtime& runtime, Task<>& task);
        Root get_return_object() const noexcept { return {}; }
        std::suspend_never initial_suspend() const noexcept { return {}; }
        std::suspend_never final_suspend() const noexcept { return {}; }
        void return_void() const noexcept {}
        [[noreturn]] void unhandled_exception() const noexcept {
            check_failed("no exception leaves a root", __FILE__, __LINE__, "an exception escaped");
        }
        static void* operator new(size_t bytes) { return allocate_frame(bytes); }
        static void operator delete(void* frame, size_t bytes) noexcept { free_frame(frame, bytes); }
    };
};

}  // namespace detail

/// `co_await runtime.sleep_until(t)`: ErrorCode::none when the time came, cancelled when ended early.
class SleepOp final : public Awaitable<SleepOp> {
public:
    SleepOp(Runtime& runtime, Instant deadline) : runtime_(runtime), deadline_(deadline) {}
    void start();
    Status result() const { return status(); }
    [[nodiscard]] Instant deadline() const { return deadline_; }

private:
    Runtime& runtime_;
    Instant deadline_;
};

/// `co_await runtime.yield()`: lets everything that is ready go first.
class YieldOp final : public Awaitable<YieldOp> {
public:
    explicit YieldOp(Runtime& runtime) : runtime_(runtime) {}
    void start();
    void result() const {}

private:
    Runtime& runtime_;
};

class Runtime {
public:
    virtual ~Runtime() = default;

    virtual Instant now() const = 0;
    virtual WallTime wall_time() const = 0;
    /// 64 uniform bits from the process's seed. One draw per statement (argument order is unspecified).
    virtual uint64_t random() = 0;

    virtual ShardIndex shard() const = 0;
    virtual uint32_t shard_count() const = 0;

    /// Queues a completed Op; it finishes in a later turn.
    virtual void ready(Op& op) = 0;
    /// Completes `op` at `deadline` (at once in the next turn when that is past; never for kNever).
    /// The granularity is a millisecond, never early.
    virtual void start_timer(Op& op, Instant deadline) = 0;
    /// Runs `message` on another shard (or this one), in a later turn. Bounded only by the callers.
    virtual void submit(ShardIndex target, Message& message) = 0;

    SleepOp sleep_until(Instant deadline) { return {*this, deadline}; }
    SleepOp sleep_for(Duration span) { return {*this, now() + span}; }
    YieldOp yield() { return YieldOp{*this}; }

    /// Starts a root: runs at once until its first wait; the Runtime owns it until it ends.
    void spawn(Task<> task);
    [[nodiscard]] bool has_roots() const { return !roots_.empty(); }
    /// Simulation only: the process is gone. Destroys every root, oldest first.
    void destroy_roots();

private:
    friend struct detail::Root::promise_type;
    LinkList<detail::Root::promise_type> roots_;
};

}  // namespace ottla
