// SPDX-License-Identifier: Apache-2.0
#include "ottla/sync.h"

#include <gtest/gtest.h>

#include "tests/base/manual_runtime.h"

namespace ottla {
namespace {

using namespace std::chrono_literals;
using test::ManualRuntime;

Task<int> plus_one_later(Runtime& runtime, int value, Duration span) {
    co_await runtime.sleep_for(span);
    co_return value + 1;
}

Task<> store(Runtime& runtime, int value, Duration span, int& out) {
    out = co_await plus_one_later(runtime, value, span);
}

TEST(Task, RunsToItsFirstWaitAtOnceAndFinishesWhenItsTimerFires) {
    ManualRuntime runtime;
    int out = 0;
    runtime.spawn(store(runtime, 41, 10ms, out));
    runtime.advance(9ms);
    EXPECT_EQ(out, 0);
    EXPECT_TRUE(runtime.has_roots());
    runtime.advance(1ms);
    EXPECT_EQ(out, 42);
    EXPECT_FALSE(runtime.has_roots());
}

TEST(Task, DestroyingRootsEndsAWholeChainOfFramesWithoutResumingIt) {
    ManualRuntime runtime;
    int out = 0;
    runtime.spawn(store(runtime, 1, 10ms, out));
    runtime.destroy_roots();
    runtime.advance(1s);
    EXPECT_EQ(out, 0);
}

Task<> wait_for(Event& event, std::string& log, std::string name) {
    co_await event.wait();
    log += name;
}

TEST(Event, WakesEverybodyWhoWaitedAndNobodyWhoComesLater) {
    ManualRuntime runtime;
    Event event(runtime);
    std::string log;
    runtime.spawn(wait_for(event, log, "a"));
    runtime.spawn(wait_for(event, log, "b"));
    event.notify_all();
    runtime.spawn(wait_for(event, log, "late"));
    runtime.run();
    EXPECT_EQ(log, "ab");
    EXPECT_TRUE(event.has_waiters());
}

Task<> wait_until(Runtime& runtime, Event& event, Instant deadline, Status& out) {
    out = co_await with_deadline(runtime, event.wait(), deadline);
}

TEST(WithDeadline, GivesTheResultOrRequestTimedOutAndLeavesNothingBehind) {
    ManualRuntime runtime;
    Event event(runtime);
    Status first = fail(ErrorCode::none);
    runtime.spawn(wait_until(runtime, event, runtime.now() + 5ms, first));
    runtime.advance(5ms);
    ASSERT_FALSE(first);
    EXPECT_EQ(first.error().code, ErrorCode::request_timed_out);
    EXPECT_FALSE(event.has_waiters());

    Status second = fail(ErrorCode::none);
    runtime.spawn(wait_until(runtime, event, runtime.now() + 5ms, second));
    event.notify_all();
    runtime.run();
    EXPECT_TRUE(second);
    EXPECT_FALSE(runtime.has_roots());
}

Task<> race(Event& left, Event& right, size_t& winner) {
    winner = co_await when_any(left.wait(), right.wait());
}

TEST(WhenAny, TheFirstWinsAndTheOtherIsCancelled) {
    ManualRuntime runtime;
    Event left(runtime);
    Event right(runtime);
    size_t winner = 9;
    runtime.spawn(race(left, right, winner));
    right.notify_all();
    runtime.run();
    EXPECT_EQ(winner, 1U);
    EXPECT_FALSE(left.has_waiters());
}

Task<> take_and_log(Budget& budget, int64_t amount, std::string& log) {
    co_await budget.take(amount);
    log += std::to_string(amount) + " ";
}

TEST(Budget, ServesInOrderAndNobodyOvertakes) {
    ManualRuntime runtime;
    Budget budget(runtime, 10);
    std::string log;
    runtime.spawn(take_and_log(budget, 8, log));
    runtime.spawn(take_and_log(budget, 5, log));
    runtime.spawn(take_and_log(budget, 1, log));
    runtime.run();
    EXPECT_EQ(log, "8 ");
    EXPECT_FALSE(budget.try_take(1)) << "a small taker must not overtake the large one";
    budget.give_back(8);
    runtime.run();
    EXPECT_EQ(log, "8 5 1 ");
}

TEST(Budget, ATakeLargerThanTheWholeIsServedAlone) {
    ManualRuntime runtime;
    Budget budget(runtime, 10);
    std::string log;
    runtime.spawn(take_and_log(budget, 25, log));
    EXPECT_EQ(log, "25 ");
    EXPECT_FALSE(budget.try_take(1));
    budget.give_back(25);
    EXPECT_TRUE(budget.try_take(1));
}

Task<> take_until(Runtime& runtime, Budget& budget, int64_t amount, Instant deadline, Status& out) {
    out = co_await with_deadline(runtime, budget.take(amount), deadline);
}

TEST(Budget, ATakeThatTimedOutHoldsNothingAndLetsTheNextOneIn) {
    ManualRuntime runtime;
    Budget budget(runtime, 10);
    std::string log;
    ASSERT_TRUE(budget.try_take(6));
    Status out;
    runtime.spawn(take_until(runtime, budget, 9, runtime.now() + 1ms, out));
    runtime.spawn(take_and_log(budget, 4, log));
    EXPECT_EQ(log, "");
    runtime.advance(2ms);
    EXPECT_FALSE(out);
    EXPECT_EQ(log, "4 ");
}

Task<> stay(Runtime& runtime, Gate& gate, Duration span) {
    Gate::Pass pass = gate.enter();
    co_await runtime.sleep_for(span);
}

Task<> close(Gate& gate, bool& closed) {
    co_await gate.close();
    closed = true;
}

TEST(Gate, CloseWaitsForEverybodyInsideAndLetsNobodyIn) {
    ManualRuntime runtime;
    Gate gate(runtime);
    bool closed = false;
    runtime.spawn(stay(runtime, gate, 5ms));
    runtime.spawn(close(gate, closed));
    EXPECT_FALSE(gate.enter());
    runtime.advance(4ms);
    EXPECT_FALSE(closed);
    runtime.advance(1ms);
    EXPECT_TRUE(closed);
}

Task<> gather(Runtime& runtime, std::vector<int>& out) {
    std::vector<Task<int>> tasks;
    tasks.push_back(plus_one_later(runtime, 1, 30ms));
    tasks.push_back(plus_one_later(runtime, 2, 10ms));
    out = co_await when_all(runtime, std::move(tasks));
}

TEST(WhenAll, RunsSideBySideAndKeepsTheOrderOfResults) {
    ManualRuntime runtime;
    std::vector<int> out;
    runtime.spawn(gather(runtime, out));
    runtime.advance(30ms);
    EXPECT_EQ(out, (std::vector<int>{2, 3}));
}

}  // namespace
}  // namespace ottla
