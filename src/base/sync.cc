// SPDX-License-Identifier: Apache-2.0
#include "ottla/sync.h"

namespace ottla {

namespace {
void complete_cancelled(Runtime& runtime, Op& op) {
    op.unlink();
    op.set_error({ErrorCode::cancelled, {}});
    runtime.ready(op);
}
}  // namespace

void Event::cancel(Op& op) noexcept { complete_cancelled(runtime_, op); }

void Budget::TakeOp::start() {
    begin(budget_);
    if (budget_.waiters_.empty() && budget_.fits(amount_)) {
        budget_.free_ -= amount_;
        complete_inline();
        return;
    }
    budget_.waiters_.push_back(*this);
}

bool Budget::try_take(int64_t amount) {
    if (!waiters_.empty() || !fits(amount)) return false;
    free_ -= amount;
    return true;
}

void Budget::give_back(int64_t amount) {
    free_ += amount;
    CHECK(free_ <= capacity_, "more was given back than taken");
    serve();
}

void Budget::serve() {
    while (!waiters_.empty()) {
        auto& next = static_cast<TakeOp&>(waiters_.front());
        if (!fits(next.amount_)) return;
        free_ -= next.amount_;
        next.unlink();
        runtime_.ready(next);
    }
}

void Budget::cancel(Op& op) noexcept {
    complete_cancelled(runtime_, op);
    serve();
}

Gate::Pass::~Pass() {
    if (gate_ == nullptr) return;
    if (--gate_->inside_ == 0 && gate_->closed_) gate_->left_.notify_all();
}

Gate::Pass Gate::enter() {
    if (closed_) return {};
    ++inside_;
    return Pass{this};
}

Task<> Gate::close() {
    closed_ = true;
    while (inside_ != 0) co_await left_.wait();
}

}  // namespace ottla
