// SPDX-License-Identifier: Apache-2.0
// Op: one thing a coroutine waits for. It lives inside the awaiting frame, so waiting allocates nothing.
//
//   idle --start--> pending --Runtime::ready--> ready --run loop--> done (resumes the waiter)
//
// Rules. Whoever starts an Op keeps it in an intrusive list (or, in production only, inside the kernel)
// and becomes its `owner`. `cancel(op)` asks the owner to complete it with ErrorCode::cancelled; an
// operation that cannot be stopped (a write on its way to the disk) just completes as usual. An Op
// completes exactly once, never inside `start` by resuming: either `complete_inline` (the waiter goes
// on without a pause) or later through `Runtime::ready`. Production never destroys a pending Op;
// simulation does so to kill a process, and `~Op` takes itself out of whatever list it is in.
// Belongs to one shard. DESIGN 4.
// pure
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "ottla/check.h"
#include "ottla/result.h"

namespace ottla {

/// A node of an intrusive list; unlinks itself when it dies.
class Link {
public:
    Link() = default;
    Link(const Link&) = delete;
    Link& operator=(const Link&) = delete;
    ~Link() { unlink(); }
    [[nodiscard]] bool is_linked() const { return next_ != nullptr; }
    void unlink() noexcept {
        if (next_ == nullptr) return;
        prev_->next_ = next_;
        next_->prev_ = prev_;
        prev_ = next_ = nullptr;
    }

private:
    template <class T>
    friend class LinkList;
    Link* prev_ = nullptr;
    Link* next_ = nullptr;
};

/// Intrusive list of T (derived from Link), in order of insertion. Owns nothing.
template <class T>
class LinkList {
public:
    LinkList() { head_.prev_ = head_.next_ = &head_; }
    LinkList(const LinkList&) = delete;
    LinkList& operator=(const LinkList&) = delete;
    ~LinkList() {
        while (!empty()) front().unlink();
        head_.prev_ = head_.next_ = nullptr;
    }
    [[nodiscard]] bool empty() const { return head_.next_ == &head_; }
    T& front() { return static_cast<T&>(*head_.next_); }
    void push_back(T& item) {
        Link& link = item;
        CHECK(!link.is_linked(), "a node is in one list at a time");
        link.prev_ = head_.prev_;
        link.next_ = &head_;
        head_.prev_->next_ = &link;
        head_.prev_ = &link;
    }
    T& pop_front() {
        T& item = front();
        item.unlink();
        return item;
    }
    /// Moves everything of `other` behind what is here, keeping order.
    void splice(LinkList& other) {
        while (!other.empty()) push_back(other.pop_front());
    }
    /// Calls f(T&) for each; f may unlink the item it is given.
    template <class F>
    void for_each(F f) {
        for (Link* at = head_.next_; at != &head_;) {
            Link* after = at->next_;
            f(static_cast<T&>(*at));
            at = after;
        }
    }

private:
    Link head_;
};

class Op;

/// Keeps pending operations and knows how to end one early.
class OpOwner {
public:
    /// Completes `op` with ErrorCode::cancelled (through Runtime::ready), or lets it finish by itself.
    virtual void cancel(Op& op) noexcept = 0;

protected:
    ~OpOwner() = default;
};

class Op : public Link {
public:
    enum class Phase : uint8_t { idle, pending, ready, done };

    Op() = default;
    [[nodiscard]] Phase phase() const { return phase_; }
    [[nodiscard]] bool failed() const { return error_.code != ErrorCode::none; }
    [[nodiscard]] const Error& error() const { return error_; }
    [[nodiscard]] Status status() const { return failed() ? Status(std::unexpected(error_)) : Status(); }

    /// For the starter: the operation is on its way and `owner` answers for it.
    void begin(OpOwner& owner) {
        CHECK(phase_ == Phase::idle, "an Op is started once");
        phase_ = Phase::pending;
        owner_ = &owner;
    }
    /// For the completer, before Runtime::ready or complete_inline.
    void set_error(Error error) { error_ = std::move(error); }
    /// Done already inside `start`: the waiter goes on without a pause.
    void complete_inline() { phase_ = Phase::done; }
    /// For the run loop of a Runtime: `mark_ready` when queued, `finish` when its turn comes.
    void mark_ready() {
        CHECK(phase_ == Phase::pending || phase_ == Phase::idle, "an Op completes once");
        phase_ = Phase::ready;
    }
    void finish() {
        phase_ = Phase::done;
        if (on_done_ != nullptr) {
            on_done_(*this);
        } else {
            waiter_.resume();
        }
    }
    void resume_with(std::coroutine_handle<> waiter) { waiter_ = waiter; }
    /// For combinators (when_any): called instead of resuming a coroutine.
    void on_done(void (*callback)(Op&), void* context) {
        on_done_ = callback;
        context_ = context;
    }
    [[nodiscard]] void* context() const { return context_; }
    uint64_t owner_word = 0;  ///< Scratch of the owner while pending (a timer's tick, a job's address).
    friend void cancel(Op& op) noexcept {
        if (op.phase_ == Phase::pending) op.owner_->cancel(op);
    }

private:
    std::coroutine_handle<> waiter_;
    void (*on_done_)(Op&) = nullptr;
    void* context_ = nullptr;
    OpOwner* owner_ = nullptr;
    Error error_{ErrorCode::none, {}};
    Phase phase_ = Phase::idle;
};

using OpList = LinkList<Op>;

/// Makes a class derived from Op awaitable: it provides `void start()` and `result()`.
template <class Derived>
class Awaitable : public Op {
public:
    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> waiter) {
        resume_with(waiter);
        static_cast<Derived&>(*this).start();
        return phase() != Phase::done;
    }
    auto await_resume() { return static_cast<Derived&>(*this).result(); }
};

}  // namespace ottla
