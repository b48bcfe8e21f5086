// SPDX-License-Identifier: Apache-2.0
// Mailbox: how a shard is given work by other threads. Any thread pushes, one drains; the nodes are the
// senders' own (Message::next_in_mailbox), so nothing is allocated and nothing is locked.
//
// A stack of messages behind one atomic word. Draining takes the whole stack and turns it round, hence
// messages of one sender run in the order they were pushed. Before its thread blocks it puts a mark
// into the empty word; whoever pushes onto the mark must wake it. So a busy shard is never woken, and
// a sleeping one exactly once, without a second atomic and its fences.
#pragma once

#include <atomic>
#include <utility>

#include "ottla/runtime.h"

namespace ottla::io {

class Mailbox {
public:
    Mailbox() = default;
    Mailbox(const Mailbox&) = delete;
    Mailbox& operator=(const Mailbox&) = delete;

    /// From any thread. True: the owner sleeps and it is the caller's part to wake it.
    [[nodiscard]] bool push(Message& message) noexcept {
        Message* top = top_.load(std::memory_order_relaxed);
        do {
            message.next_in_mailbox = top == &asleep_ ? nullptr : top;
        } while (!top_.compare_exchange_weak(top, &message, std::memory_order_acq_rel,
                                             std::memory_order_relaxed));
        return top == &asleep_;
    }

    /// Owner. Calls f(Message&) for what has come; a message may be gone when f returns.
    template <class F>
    void drain(F f) {
        if (top_.load(std::memory_order_relaxed) == nullptr) return;
        Message* taken = top_.exchange(nullptr, std::memory_order_acq_rel);
        if (taken == &asleep_) return;
        Message* oldest = nullptr;
        while (taken != nullptr) {
            Message* next = std::exchange(taken->next_in_mailbox, oldest);
            oldest = std::exchange(taken, next);
        }
        while (oldest != nullptr) {
            Message& message = *std::exchange(oldest, oldest->next_in_mailbox);
            f(message);
        }
    }

    /// Owner. False: something is there, do not block. `drain` takes the mark away.
    [[nodiscard]] bool prepare_to_sleep() noexcept {
        Message* top = nullptr;
        if (top_.compare_exchange_strong(top, &asleep_, std::memory_order_acq_rel)) return true;
        return top == &asleep_;
    }

    [[nodiscard]] bool empty() const noexcept {
        const Message* top = top_.load(std::memory_order_acquire);
        return top == nullptr || top == &asleep_;
    }

private:
    struct Mark final : Message {
        void run(Runtime&) override {}
    };
    Mark asleep_;
    std::atomic<Message*> top_{nullptr};
};

}  // namespace ottla::io
