// SPDX-License-Identifier: Apache-2.0
// A Runtime for unit tests of code that waits: time moves only when the test says so, one shard.
#pragma once

#include <map>

#include "ottla/runtime.h"

namespace ottla::test {

class ManualRuntime final : public Runtime, public OpOwner {
public:
    ~ManualRuntime() override { destroy_roots(); }
    Instant now() const override { return now_; }
    WallTime wall_time() const override {
        return WallTime{std::chrono::duration_cast<std::chrono::milliseconds>(now_.since_start).count()};
    }
    uint64_t random() override {
        seed_ = seed_ * 6364136223846793005U + 1442695040888963407U;
        return seed_ ^ (seed_ >> 33U);
    }
    ShardIndex shard() const override { return ShardIndex{0}; }
    uint32_t shard_count() const override { return 1; }
    void ready(Op& op) override {
        op.mark_ready();
        run_queue_.push_back(op);
    }
    void start_timer(Op& op, Instant deadline) override {
        op.begin(*this);
        timers_[{deadline, ++sequence_}].push_back(op);
    }
    void submit(ShardIndex, Message& message) override { messages_.push_back(message); }
    void cancel(Op& op) noexcept override {
        op.unlink();
        op.set_error({ErrorCode::cancelled, {}});
        ready(op);
    }

    /// Runs what is ready until nothing is.
    void run() {
        while (!run_queue_.empty() || !messages_.empty()) {
            if (!run_queue_.empty()) run_queue_.pop_front().finish();
            if (!messages_.empty()) messages_.pop_front().run(*this);
        }
    }
    /// Moves time, firing timers in order, and runs.
    void advance(Duration span) {
        const Instant until = now_ + span;
        run();
        while (!timers_.empty() && timers_.begin()->first.first <= until) {
            auto node = timers_.begin();
            now_ = std::max(now_, node->first.first);
            if (!node->second.empty()) ready(node->second.pop_front());
            timers_.erase(node);
            run();
        }
        now_ = until;
    }

private:
    Instant now_{};
    uint64_t seed_ = 1;
    uint64_t sequence_ = 0;
    OpList run_queue_;
    LinkList<Message> messages_;
    std::map<std::pair<Instant, uint64_t>, OpList> timers_;
};

}  // namespace ottla::test
