// SPDX-License-Identifier: Apache-2.0
#include "ottla/runtime.h"

namespace ottla {

namespace detail {

Root::promise_type::promise_type(Runtime& runtime, Task<>&) { runtime.roots_.push_back(*this); }

namespace {
Root run_root(Runtime&, Task<> task) { co_await std::move(task); }
}  // namespace

}  // namespace detail

void SleepOp::start() { runtime_.start_timer(*this, deadline_); }

void YieldOp::start() { runtime_.ready(*this); }

void Runtime::spawn(Task<> task) { detail::run_root(*this, std::move(task)); }

void Runtime::destroy_roots() {
    while (!roots_.empty()) {
        std::coroutine_handle<detail::Root::promise_type>::from_promise(roots_.front()).destroy();
    }
}

}  // namespace ottla
