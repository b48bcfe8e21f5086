// SPDX-License-Identifier: Apache-2.0
// Task<T>: a lazy coroutine with one awaiter. It starts when awaited, hands control over by symmetric
// transfer, and its frame dies with the Task object: destroying a Task destroys the whole chain under
// it. Frames come from a pool except under sanitizers. Nothing is thrown: a Task that lets an exception
// escape aborts the process.
//
// Coroutines are named functions with parameters by value (or members of objects that outlive them),
// one co_await per statement; never capturing lambdas (docs/adr/0001). A root is started with
// Runtime::spawn, which owns it.
// pure
#pragma once

#include <coroutine>
#include <cstddef>
#include <optional>
#include <utility>

#include "ottla/check.h"

namespace ottla {

/// Memory of coroutine frames (src/base/frame_pool.cc): size classes, one cache per thread.
void* allocate_frame(size_t bytes);
void free_frame(void* frame, size_t bytes) noexcept;

namespace detail {

struct PromiseOfAnyTask {
    std::coroutine_handle<> continuation = std::noop_coroutine();

    static void* operator new(size_t bytes) { return allocate_frame(bytes); }
    static void operator delete(void* frame, size_t bytes) noexcept { free_frame(frame, bytes); }

    struct FinalAwaiter {
        bool await_ready() const noexcept { return false; }
        template <class P>
        std::coroutine_handle<> await_suspend(std::coroutine_handle<P> self) const noexcept {
            return self.promise().continuation;
        }
        void await_resume() const noexcept {}
    };
    std::suspend_always initial_suspend() const noexcept { return {}; }
    FinalAwaiter final_suspend() const noexcept { return {}; }
    [[noreturn]] void unhandled_exception() const noexcept {
        check_failed("no exception leaves a Task", __FILE__, __LINE__, "an exception escaped");
    }
};

}  // namespace detail

template <class T = void>
class [[nodiscard]] Task {
public:
    struct promise_type : detail::PromiseOfAnyTask {
        std::optional<T> value;
        Task get_return_object() { return Task{Handle::from_promise(*this)}; }
        template <class U>
        void return_value(U&& result) {
            value.emplace(std::forward<U>(result));
        }
    };
    using Handle = std::coroutine_handle<promise_type>;

    Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
    Task& operator=(Task&& other) noexcept {
        std::swap(handle_, other.handle_);
        return *this;
    }
    ~Task() {
        if (handle_) handle_.destroy();
    }

    bool await_ready() const noexcept { return false; }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<> waiter) noexcept {
        handle_.promise().continuation = waiter;
        return handle_;
    }
    T await_resume() { return *std::move(handle_.promise().value); }

private:
    explicit Task(Handle handle) : handle_(handle) {}
    Handle handle_;
};

template <>
class [[nodiscard]] Task<void> {
public:
    struct promise_type : detail::PromiseOfAnyTask {
        Task get_return_object() { return Task{Handle::from_promise(*this)}; }
        void return_void() const noexcept {}
    };
    using Handle = std::coroutine_handle<promise_type>;

    Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
    Task& operator=(Task&& other) noexcept {
        std::swap(handle_, other.handle_);
        return *this;
    }
    ~Task() {
        if (handle_) handle_.destroy();
    }

    bool await_ready() const noexcept { return false; }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<> waiter) noexcept {
        handle_.promise().continuation = waiter;
        return handle_;
    }
    void await_resume() const noexcept {}

private:
    explicit Task(Handle handle) : handle_(handle) {}
    Handle handle_;
};

}  // namespace ottla
