// SPDX-License-Identifier: Apache-2.0
#include "io/runtime_loop.h"

#include <sys/eventfd.h>

#include <bit>

namespace ottla::io {

namespace {

constexpr Duration kTick = std::chrono::milliseconds(1);
/// Batches of ready Ops between two looks at the sockets: code that waits for its neighbours gets
/// ahead without a system call each time, and sockets are not forgotten.
constexpr int kBatchesPerTurn = 8;

uint64_t floor_tick(Instant when) { return static_cast<uint64_t>(when.since_start / kTick); }
uint64_t ceil_tick(Instant when) {
    const auto whole = static_cast<uint64_t>(when.since_start / kTick);
    return whole + (when.since_start % kTick == Duration::zero() ? 0 : 1);
}

/// SplitMix64: spreads one seed over the words of a generator's state.
uint64_t spread(uint64_t& seed) {
    seed += 0x9e3779b97f4a7c15U;
    uint64_t word = seed;
    word = (word ^ (word >> 30U)) * 0xbf58476d1ce4e5b9U;
    word = (word ^ (word >> 27U)) * 0x94d049bb133111ebU;
    return word ^ (word >> 31U);
}

}  // namespace

RuntimeLoop::RuntimeLoop(ShardIndex shard, const Shards& shards, Clock::time_point origin,
                         uint64_t seed)
    : shard_(shard), shards_(shards), origin_(origin), stay_(context_.get_executor()),
      bell_(context_) {
    seed += uint64_t{shard.value()} * 0xd1342543de82ef95U;
    for (uint64_t& word : random_state_) word = spread(seed);
    read_clock();
    const int bell = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    CHECK(bell >= 0, "a process has a descriptor for each of its shards");
    asio_error error;
    bell_.assign(bell, error);
    CHECK(!error, "epoll takes a fresh descriptor");
    expect_wake();
}

/// Reading at once finds nothing and leaves the descriptor armed: no system call to arm it.
struct RuntimeLoop::Woken {
    using allocator_type = HandlerAllocator<std::byte>;
    [[nodiscard]] allocator_type get_allocator() const noexcept {
        return allocator_type(self->bell_memory_);
    }
    void operator()(const asio_error& error, size_t) const {
        if (!error) self->expect_wake();
    }
    RuntimeLoop* self;
};

void RuntimeLoop::expect_wake() {
    bell_.async_read_some(asio::buffer(&rings_, sizeof(rings_)), Woken{this});
}

RuntimeLoop::~RuntimeLoop() = default;

void RuntimeLoop::read_clock() { now_ = {Clock::now() - origin_}; }

WallTime RuntimeLoop::wall_time() const {
    const auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
    return WallTime{std::chrono::duration_cast<std::chrono::milliseconds>(since_epoch).count()};
}

uint64_t RuntimeLoop::random() {  // xoshiro256**, Blackman and Vigna 2018.
    auto& s = random_state_;
    const uint64_t result = std::rotl(s[1] * 5, 7) * 9;
    const uint64_t shifted = s[1] << 17U;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = std::rotl(s[3], 45);
    return result;
}

void RuntimeLoop::ready(Op& op) {
    op.mark_ready();
    ready_[filling_].push_back(op);
}

void RuntimeLoop::start_timer(Op& op, Instant deadline) {
    op.begin(*this);
    if (deadline <= now_) {
        ready(op);
    } else if (deadline == kNever) {
        never_.push_back(op);
    } else {
        wheel_.add(op, ceil_tick(deadline));
    }
}

void RuntimeLoop::cancel(Op& op) noexcept {
    op.unlink();
    op.set_error({ErrorCode::cancelled, {}});
    ready(op);
}

void RuntimeLoop::submit(ShardIndex target, Message& message) {
    if (target == shard_) {
        own_messages_.push_back(message);
    } else {
        shards_[target.value()]->deliver(message);
    }
}

void RuntimeLoop::deliver(Message& message) {
    if (mailbox_.push(message)) (void)::eventfd_write(bell_.native_handle(), 1);
}

void RuntimeLoop::step(Duration at_most) {
    wait(at_most);
    read_clock();
    run_turn();
    quiet_.store(!has_roots() && !has_work() && mailbox_.empty(), std::memory_order_release);
}

void RuntimeLoop::run_turn() {
    mailbox_.drain([this](Message& message) { message.run(*this); });
    LinkList<Message> mine;
    mine.splice(own_messages_);
    while (!mine.empty()) mine.pop_front().run(*this);
    wheel_.advance(floor_tick(now_), [this](Op& op) { ready(op); });
    for (int i = 0; i < kBatchesPerTurn && !ready_[filling_].empty(); ++i) run_batch();
}

void RuntimeLoop::run_batch() {
    OpList& batch = ready_[filling_];
    filling_ ^= 1U;
    while (!batch.empty()) batch.pop_front().finish();
}

void RuntimeLoop::wait(Duration at_most) {
    if (!has_work() && mailbox_.prepare_to_sleep()) {
        const uint64_t tick = wheel_.next_tick();
        const bool has_timer = tick != TimerWheel::kNoTick;
        const Instant timer = has_timer ? Instant{kTick * static_cast<int64_t>(tick)} : kNever;
        const Instant limit = at_most == kNever.since_start ? kNever : now_ + at_most;
        const Instant until = std::min(timer, limit);
        if (until == kNever) {
            context_.run_one();
        } else {
            context_.run_one_until(origin_ + until.since_start);
        }
    }
    context_.poll();
}

}  // namespace ottla::io
