// SPDX-License-Identifier: Apache-2.0
#include "replication/waiters.h"

namespace ottla::replication {

void OffsetWaiters::WaitOp::start() {
    begin(waiters_);
    if (end_ <= waiters_.end_) {
        complete_inline();
        return;
    }
    waiters_.ops_.push_back(*this);
}

void OffsetWaiters::release(Offset end) {
    end_ = end;
    ops_.for_each([this](Op& op) {
        if (static_cast<WaitOp&>(op).end_ > end_) return;
        op.unlink();
        runtime_.ready(op);
    });
}

void OffsetWaiters::fail(const Error& why, Offset end) {
    end_ = end;
    while (!ops_.empty()) {
        Op& op = ops_.pop_front();
        op.set_error(why);
        runtime_.ready(op);
    }
}

void OffsetWaiters::cancel(Op& op) noexcept {
    op.unlink();
    op.set_error({ErrorCode::cancelled, {}});
    runtime_.ready(op);
}

void FetchWaiter::gained(size_t bytes) {
    missing_ -= std::min(missing_, bytes);
    if (missing_ == 0) stir();
}

void FetchWaiter::stir() {
    due_ = true;
    wake_.notify_all();
}

}  // namespace ottla::replication
