// SPDX-License-Identifier: Apache-2.0
// How coroutines of one shard wait for each other.
//
//   Event          something changed: wakes everybody who waits now; waiters re-check their condition
//   Budget         a bounded amount (bytes in flight); takers wait in order, none overtakes
//   Gate           counts what is inside; close() waits until everybody left and lets nobody in
//   when_any       the first of several Ops; the others are cancelled and have completed on return
//   with_deadline  an Op, or ErrorCode::request_timed_out
//   when_all       several Tasks at once, all results
//
// All of them belong to one shard and allocate nothing while waiting (when_all: one vector).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "ottla/runtime.h"

namespace ottla {

class Event final : public OpOwner {
public:
    explicit Event(Runtime& runtime) : runtime_(runtime) {}

    class WaitOp final : public Awaitable<WaitOp> {
    public:
        explicit WaitOp(Event& event) : event_(event) {}
        void start() {
            begin(event_);
            event_.waiters_.push_back(*this);
        }
        Status result() const { return status(); }

    private:
        Event& event_;
    };

    /// Completes at the next notify_all (not for one in the past).
    WaitOp wait() { return WaitOp{*this}; }
    void notify_all() {
        while (!waiters_.empty()) runtime_.ready(waiters_.pop_front());
    }
    [[nodiscard]] bool has_waiters() const { return !waiters_.empty(); }
    void cancel(Op& op) noexcept override;

private:
    Runtime& runtime_;
    OpList waiters_;
};

/// `take(n)` waits until n units are free and everybody before it was served. A take larger than the
/// whole budget is served when the budget is full, alone, so that it cannot wait for ever.
class Budget final : public OpOwner {
public:
    Budget(Runtime& runtime, int64_t capacity)
        : runtime_(runtime), capacity_(capacity), free_(capacity) {}

    class TakeOp final : public Awaitable<TakeOp> {
    public:
        TakeOp(Budget& budget, int64_t amount) : budget_(budget), amount_(amount) {}
        void start();
        Status result() const { return status(); }

    private:
        friend class Budget;
        Budget& budget_;
        int64_t amount_;
    };

    TakeOp take(int64_t amount) { return {*this, amount}; }
    /// Takes without waiting, or returns false.
    bool try_take(int64_t amount);
    void give_back(int64_t amount);
    [[nodiscard]] int64_t free() const { return free_; }
    [[nodiscard]] int64_t capacity() const { return capacity_; }
    void cancel(Op& op) noexcept override;

private:
    [[nodiscard]] bool fits(int64_t amount) const { return amount <= free_ || free_ == capacity_; }
    void serve();

    Runtime& runtime_;
    int64_t capacity_;
    int64_t free_;
    OpList waiters_;
};

class Gate {
public:
    explicit Gate(Runtime& runtime) : left_(runtime) {}

    /// Inside while it lives. Test it: a closed gate lets nobody in.
    class Pass {
    public:
        Pass() = default;
        Pass(Pass&& other) noexcept : gate_(std::exchange(other.gate_, nullptr)) {}
        Pass& operator=(Pass&& other) noexcept {
            std::swap(gate_, other.gate_);
            return *this;
        }
        ~Pass();
        explicit operator bool() const { return gate_ != nullptr; }

    private:
        friend class Gate;
        explicit Pass(Gate* gate) : gate_(gate) {}
        Gate* gate_ = nullptr;
    };

    Pass enter();
    [[nodiscard]] bool is_closed() const { return closed_; }
    [[nodiscard]] size_t inside() const { return inside_; }
    /// Nobody comes in any more; returns when the last one has left.
    Task<> close();

private:
    Event left_;
    size_t inside_ = 0;
    bool closed_ = false;
};

/// co_await when_any(op, op, ...): the index of the one that finished first. Await it in the same full
/// expression that made the Ops, or keep them as named locals.
template <class... Ops>
class WhenAny {
public:
    explicit WhenAny(Ops&... ops) : ops_(ops...) {}
    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> waiter) {
        waiter_ = waiter;
        pending_ = sizeof...(Ops) + 1;
        start_all(std::index_sequence_for<Ops...>{});
        return --pending_ != 0;
    }
    size_t await_resume() const { return winner_; }

private:
    static constexpr size_t kNone = sizeof...(Ops);

    template <size_t... I>
    void start_all(std::index_sequence<I...>) {
        (start_one(std::get<I>(ops_), I), ...);
    }
    template <class O>
    void start_one(O& op, size_t index) {
        if (winner_ != kNone) {  // An earlier one was done at once: this one never starts.
            --pending_;
            return;
        }
        static_cast<Op&>(op).on_done(&WhenAny::one_done, this);
        op.start();
        if (op.phase() == Op::Phase::done) {
            winner_ = index;
            --pending_;
            cancel_others(op, std::index_sequence_for<Ops...>{});
        }
    }
    static void one_done(Op& op) {
        auto& self = *static_cast<WhenAny*>(op.context());
        if (self.winner_ == kNone) {
            self.winner_ = self.index_of(op, std::index_sequence_for<Ops...>{});
            self.cancel_others(op, std::index_sequence_for<Ops...>{});
        }
        if (--self.pending_ == 0) self.waiter_.resume();
    }
    template <size_t... I>
    size_t index_of(Op& op, std::index_sequence<I...>) {
        size_t found = kNone;
        ((static_cast<Op*>(&std::get<I>(ops_)) == &op ? void(found = I) : void()), ...);
        return found;
    }
    template <size_t... I>
    void cancel_others(Op& winner, std::index_sequence<I...>) {
        auto one = [&winner](Op& op) {
            if (&op != &winner) cancel(op);
        };
        (one(std::get<I>(ops_)), ...);
    }

    std::tuple<Ops&...> ops_;
    std::coroutine_handle<> waiter_;
    size_t pending_ = 0;
    size_t winner_ = kNone;
};

template <class... Ops>
WhenAny<Ops...> when_any(Ops&&... ops) {
    return WhenAny<Ops...>(ops...);
}

/// co_await with_deadline(runtime, op, deadline): the result of `op` (a Result or Status), or
/// request_timed_out; either way `op` has completed.
template <class O>
class WithDeadline {
public:
    WithDeadline(Runtime& runtime, O& op, Instant deadline)
        : op_(op), timer_(runtime, deadline), any_(op, timer_) {}
    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> waiter) { return any_.await_suspend(waiter); }
    auto await_resume() -> decltype(std::declval<O&>().result()) {
        // An op that completed beside the timer keeps what it won (a Budget's units, a read's bytes).
        const bool cut_short = any_.await_resume() == 1 && op_.error().code == ErrorCode::cancelled;
        if (cut_short) return fail(ErrorCode::request_timed_out, "deadline passed");
        return op_.result();
    }

private:
    O& op_;
    SleepOp timer_;
    WhenAny<O, SleepOp> any_;
};

template <class O>
WithDeadline<O> with_deadline(Runtime& runtime, O&& op, Instant deadline) {
    return WithDeadline<O>(runtime, op, deadline);
}

namespace detail {

/// Counts Tasks that run side by side; the last one resumes the waiter.
struct AllDone {
    size_t running = 0;
    std::coroutine_handle<> waiter;
    bool await_ready() const noexcept { return running == 0; }
    void await_suspend(std::coroutine_handle<> handle) { waiter = handle; }
    void await_resume() const noexcept {}
    void one_done() {
        if (--running == 0 && waiter) waiter.resume();
    }
};

template <class T>
Task<> run_into(Task<T> task, std::optional<T>& slot, AllDone& done) {
    slot.emplace(co_await std::move(task));
    done.one_done();
}

}  // namespace detail

/// Runs every task at once, as roots of `runtime`; the results in the order of the tasks.
template <class T>
Task<std::vector<T>> when_all(Runtime& runtime, std::vector<Task<T>> tasks) {
    std::vector<std::optional<T>> slots(tasks.size());
    detail::AllDone done;
    done.running = tasks.size();
    for (size_t i = 0; i < tasks.size(); ++i) {
        runtime.spawn(detail::run_into(std::move(tasks[i]), slots[i], done));
    }
    co_await done;
    std::vector<T> results;
    results.reserve(slots.size());
    for (auto& slot : slots) results.push_back(*std::move(slot));
    co_return results;
}

namespace detail {

template <class T, class Start>
class RemoteCall final : public Message, public Awaitable<RemoteCall<T, Start>>, public OpOwner {
public:
    RemoteCall(Runtime& home, ShardIndex target, Start start)
        : home_(home), target_(target), start_(std::move(start)), reply_(*this) {}
    void start() {
        this->begin(*this);
        home_.submit(target_, *this);
    }
    T result() { return *std::move(value_); }
    void cancel(Op&) noexcept override {}  // It runs to its end on the other shard.

private:
    struct Reply final : Message {
        explicit Reply(RemoteCall& c) : call(c) {}
        void run(Runtime& here) override { here.ready(call); }
        RemoteCall& call;
    };
    void run(Runtime& there) override { there.spawn(serve(*this, there)); }
    static Task<> serve(RemoteCall& call, Runtime& there) {
        Task<T> work = call.start_(there);
        call.value_.emplace(co_await std::move(work));
        there.submit(call.home_.shard(), call.reply_);
    }

    Runtime& home_;
    ShardIndex target_;
    Start start_;
    std::optional<T> value_;
    Reply reply_;
};

}  // namespace detail

/// Runs `start(Runtime& there) -> Task<T>` on shard `target` and brings its result home. On the own
/// shard it runs in place. `start` is a plain callable (not itself a coroutine) and lives here until
/// the answer came; calls to one shard start in the order they were made.
template <class Start>
auto call_on(Runtime& here, ShardIndex target, Start start) -> std::invoke_result_t<Start&, Runtime&> {
    using TaskType = std::invoke_result_t<Start&, Runtime&>;
    using T = decltype(std::declval<TaskType&>().await_resume());
    if (target == here.shard()) {
        TaskType work = start(here);
        co_return co_await std::move(work);
    }
    detail::RemoteCall<T, Start> call(here, target, std::move(start));
    co_return co_await call;
}

}  // namespace ottla
