// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <unistd.h>

#include <csignal>
#include <set>
#include <vector>

#include "tests/io/with_backend.h"

namespace ottla::io::test {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

struct SleepLog {
    std::vector<int> order;
    size_t early = 0;
};

Task<> sleep_and_note(Runtime& runtime, int id, Instant until, SleepLog& log) {
    (void)co_await runtime.sleep_until(until);
    if (runtime.now() < until) ++log.early;
    log.order.push_back(id);
}

Task<int> sleeps_in_order(Runtime& runtime) {
    SleepLog log;
    const Instant start = runtime.now();
    runtime.spawn(sleep_and_note(runtime, 3, start + milliseconds(30), log));
    runtime.spawn(sleep_and_note(runtime, 1, start + microseconds(1500), log));
    runtime.spawn(sleep_and_note(runtime, 2, start + milliseconds(12), log));
    runtime.spawn(sleep_and_note(runtime, 0, Instant{}, log));
    (void)co_await runtime.sleep_until(start + milliseconds(40));
    EXPECT_EQ(log.order, (std::vector<int>{0, 1, 2, 3}));
    EXPECT_EQ(log.early, 0U);
    co_return 0;
}

TEST(RuntimeLoop, SleepsEndInOrderAndNeverEarly) {
    Process process;
    process.run(sleeps_in_order(process.on(0).runtime));
}

Task<> sleep_for_ever(Runtime& runtime, SleepOp& op, Status& ended) {
    ended = co_await op;
    (void)runtime;
}

Task<int> cancels_a_sleep(Runtime& runtime) {
    for (const Instant deadline : {kNever, runtime.now() + std::chrono::hours(1)}) {
        SleepOp op(runtime, deadline);
        Status ended;
        runtime.spawn(sleep_for_ever(runtime, op, ended));
        cancel(op);
        cancel(op);  // It is on its way already: nothing happens twice.
        co_await runtime.yield();
        EXPECT_FALSE(ended.has_value());
        if (!ended) EXPECT_EQ(ended.error().code, ErrorCode::cancelled);
    }
    co_return 0;
}

TEST(RuntimeLoop, ACancelledSleepEndsAtOnceEvenOneWithoutEnd) {
    Process process;
    process.run(cancels_a_sleep(process.on(0).runtime));
}

Task<> note_turn(Runtime& runtime, int id, std::vector<int>& order) {
    co_await runtime.yield();
    order.push_back(id);
    co_await runtime.yield();
    order.push_back(id + 10);
}

Task<int> readies_in_order(Runtime& runtime) {
    std::vector<int> order;
    for (int i = 0; i < 3; ++i) runtime.spawn(note_turn(runtime, i, order));
    co_await runtime.yield();
    co_await runtime.yield();
    co_await runtime.yield();
    EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 10, 11, 12}));
    co_return 0;
}

TEST(RuntimeLoop, WhatIsReadyRunsInOrderAndWhatBecomesReadyRunsInTheNextBatch) {
    Process process;
    process.run(readies_in_order(process.on(0).runtime));
}

/// Belongs to shard 1: what came there, from whom, in order.
struct Arrivals {
    std::vector<std::vector<int>> from;
};

Task<int> arrive(Runtime& there, Arrivals& arrivals, uint32_t sender, int number) {
    EXPECT_EQ(there.shard(), ShardIndex{1});
    arrivals.from[sender].push_back(number);
    co_return number * 2;
}

struct Visit {
    Arrivals& arrivals;
    uint32_t sender;
    int number;
    Task<int> operator()(Runtime& there) const { return arrive(there, arrivals, sender, number); }
};

Task<> visit_once(Runtime& here, Visit visit, int& sum) {
    const int doubled = co_await call_on(here, ShardIndex{1}, visit);
    EXPECT_EQ(doubled, visit.number * 2);
    sum += doubled;
}

constexpr int kBurst = 16;
constexpr int kRounds = 200;

/// Bursts of calls in flight at once, so that batches are drained.
Task<int> visit_often(Runtime& here, Arrivals& arrivals) {
    int sum = 0;
    for (int round = 0; round < kRounds; ++round) {
        for (int i = 0; i < kBurst; ++i) {
            here.spawn(visit_once(here, {arrivals, here.shard().value(), round * kBurst + i}, sum));
        }
        while (sum != (round + 1) * kBurst * ((round + 1) * kBurst - 1)) co_await here.yield();
    }
    co_return 0;
}

struct VisitFromThere {
    Arrivals& arrivals;
    Task<int> operator()(Runtime& there) const { return visit_often(there, arrivals); }
};

Task<int> two_shards_visit_a_third(Runtime& runtime) {
    Arrivals arrivals;
    arrivals.from.resize(3);
    std::vector<Task<int>> tasks;
    tasks.push_back(visit_often(runtime, arrivals));
    tasks.push_back(call_on(runtime, ShardIndex{2}, VisitFromThere{arrivals}));
    (void)co_await when_all(runtime, std::move(tasks));
    std::vector<int> expected(kBurst * kRounds);
    for (size_t i = 0; i < expected.size(); ++i) expected[i] = static_cast<int>(i);
    EXPECT_EQ(arrivals.from[0], expected);
    EXPECT_EQ(arrivals.from[2], expected);
    co_return 0;
}

TEST(RuntimeLoop, CallsFromTwoShardsToAThirdArriveInTheOrderOfEachSender) {
    Process process(3);
    process.run(two_shards_visit_a_third(process.on(0).runtime));
}

struct BackAndForth {
    Runtime& home;
    int left;
    Task<int> operator()(Runtime& there) const;
};

Task<int> ping_pong(Runtime& here, Runtime& other, int left) {
    if (left == 0) co_return 0;
    const int hops = co_await call_on(here, other.shard(), BackAndForth{here, left - 1});
    co_return hops + 1;
}

Task<int> BackAndForth::operator()(Runtime& there) const { return ping_pong(there, home, left); }

Task<int> deep_ping_pong(Runtime& runtime, Runtime& other) {
    const int hops = co_await ping_pong(runtime, other, 500);
    EXPECT_EQ(hops, 500);
    co_return 0;
}

TEST(RuntimeLoop, CallsNestedAcrossTwoShardsComeHome) {
    Process process(2);
    process.run(deep_ping_pong(process.on(0).runtime, process.on(1).runtime));
}

Task<int> return_seven() { co_return 7; }

TEST(RuntimeLoop, RunReturnsWhatMainReturns) {
    Backend backend({.shards = 4});
    EXPECT_EQ(backend.run(return_seven()), 7);
}

TEST(RuntimeLoop, RandomnessFollowsTheSeedAndDiffersBetweenShards) {
    std::set<uint64_t> seen;
    for (int again = 0; again < 2; ++again) {
        Backend backend({.shards = 2, .seed = 99});
        for (const uint32_t shard : {0U, 1U}) {
            Runtime& runtime = backend.ports(ShardIndex{shard}).runtime;
            for (int i = 0; i < 100; ++i) seen.insert(runtime.random());
        }
    }
    EXPECT_EQ(seen.size(), 200U);
}

Task<> never_ends(Runtime& runtime) { (void)co_await runtime.sleep_until(kNever); }

Task<int> leaves_a_root(Runtime& runtime) {
    runtime.spawn(never_ends(runtime));
    co_return 0;
}

TEST(RuntimeLoop, ARootThatNeverEndsIsReportedAndDoesNotHoldTheProcess) {
    std::vector<std::string> warnings;
    Backend backend({.stop_grace = milliseconds(5),
                     .warn = [&](const std::string& line) { warnings.push_back(line); }});
    Runtime& runtime = backend.ports(ShardIndex{0}).runtime;
    EXPECT_EQ(backend.run(leaves_a_root(runtime)), 0);
    ASSERT_EQ(warnings.size(), 1U);
    EXPECT_NE(warnings[0].find("shard 0"), std::string::npos);
    runtime.destroy_roots();
}

Task<int> takes_signals(Backend& backend, Runtime& runtime) {
    auto cut = backend.wait_for_signal();
    const auto none = co_await with_deadline(runtime, cut, runtime.now() + milliseconds(2));
    EXPECT_FALSE(none.has_value());
    ::kill(::getpid(), SIGTERM);
    const auto first = co_await backend.wait_for_signal();
    ::raise(SIGINT);
    const auto second = co_await backend.wait_for_signal();
    EXPECT_EQ(first.value_or(0), SIGTERM);
    EXPECT_EQ(second.value_or(0), SIGINT);
    co_return 0;
}

TEST(RuntimeLoop, SignalsAreAwaited) {
    Process process(2);
    process.run(takes_signals(process.backend, process.on(0).runtime));
}

}  // namespace
}  // namespace ottla::io::test
