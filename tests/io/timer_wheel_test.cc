// SPDX-License-Identifier: Apache-2.0
#include "io/timer_wheel.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <vector>

namespace ottla::io {
namespace {

TEST(TimerWheel, FiresInOrderOfTicksAndOfArmingWithinATick) {
    TimerWheel wheel;
    std::vector<Op> ops(6);
    const std::vector<uint64_t> ticks = {70, 3, 5000, 3, 64, 262144};
    for (size_t i = 0; i < ops.size(); ++i) wheel.add(ops[i], ticks[i]);
    std::vector<size_t> fired;
    wheel.advance(300000, [&](Op& op) { fired.push_back(static_cast<size_t>(&op - ops.data())); });
    EXPECT_EQ(fired, (std::vector<size_t>{1, 3, 4, 0, 2, 5}));
    EXPECT_EQ(wheel.next_tick(), TimerWheel::kNoTick);
}

TEST(TimerWheel, NeverFiresEarlyAndNeverForgets) {
    TimerWheel wheel;
    std::multimap<uint64_t, Op*> expected;
    std::vector<std::unique_ptr<Op>> ops;
    uint64_t seed = 42;
    const auto draw = [&seed](uint64_t below) {
        seed = seed * 6364136223846793005U + 1442695040888963407U;
        return (seed >> 33U) % below;
    };
    uint64_t now = 0;
    for (int round = 0; round < 20000; ++round) {
        const uint64_t reach = uint64_t{1} << draw(24);
        const uint64_t tick = now + 1 + draw(reach);
        ops.push_back(std::make_unique<Op>());
        wheel.add(*ops.back(), tick);
        expected.emplace(tick, ops.back().get());
        if (draw(4) == 0) {  // Cancel any one.
            auto victim = expected.lower_bound(now + draw(reach));
            if (victim != expected.end()) {
                victim->second->unlink();
                expected.erase(victim);
            }
        }
        const uint64_t next = wheel.next_tick();
        if (!expected.empty()) EXPECT_LE(next, expected.begin()->first);
        const uint64_t step = draw(300);
        now = step % 2 == 0 && next != TimerWheel::kNoTick ? next : now + step;
        uint64_t last = 0;
        wheel.advance(now, [&](Op& op) {
            ASSERT_FALSE(expected.empty());
            ASSERT_EQ(op.owner_word, expected.begin()->first) << "the earliest goes first";
            ASSERT_LE(op.owner_word, now) << "never early";
            ASSERT_GE(op.owner_word, last);
            last = op.owner_word;
            auto at = expected.lower_bound(op.owner_word);
            while (at->second != &op) ++at;
            expected.erase(at);
        });
        if (!expected.empty()) ASSERT_GT(expected.begin()->first, now) << "due and forgotten";
    }
}

TEST(TimerWheel, AnEntryThatDiesIsForgotten) {
    TimerWheel wheel;
    {
        Op dies;
        wheel.add(dies, 1000);
        EXPECT_NE(wheel.next_tick(), TimerWheel::kNoTick);
    }
    EXPECT_EQ(wheel.next_tick(), TimerWheel::kNoTick);
    wheel.advance(2000, [](Op&) { FAIL(); });
}

TEST(TimerWheel, TheFarFutureIsHeldAndComesOneDay) {
    TimerWheel wheel;
    Op far;
    wheel.add(far, TimerWheel::kNoTick - 5);
    int fired = 0;
    wheel.advance(uint64_t{1} << 41U, [&](Op&) { ++fired; });
    EXPECT_EQ(fired, 0);
    wheel.advance(uint64_t{1} << 42U, [&](Op&) { ++fired; });
    EXPECT_EQ(fired, 1);
}

}  // namespace
}  // namespace ottla::io
