// SPDX-License-Identifier: Apache-2.0
#include "replication/waiters.h"

#include <gtest/gtest.h>

#include "tests/base/manual_runtime.h"

namespace ottla::replication {
namespace {

using namespace std::chrono_literals;

Task<> wait_into(OffsetWaiters& waiters, Offset end, std::vector<std::string>& log) {
    auto wait = waiters.wait(end);
    const Status done = co_await wait;
    log.push_back(std::to_string(end.value()) + (done ? " ok" : " " + done.error().detail));
}

TEST(OffsetWaiters, ReleaseCompletesWhatIsReachedAndKeepsTheRest) {
    test::ManualRuntime runtime;
    OffsetWaiters waiters(runtime);
    std::vector<std::string> log;
    for (const int64_t end : {3, 7, 2}) runtime.spawn(wait_into(waiters, Offset{end}, log));
    waiters.release(Offset{3});
    runtime.run();
    EXPECT_EQ(log, (std::vector<std::string>{"3 ok", "2 ok"}));
    EXPECT_FALSE(waiters.empty());
    waiters.release(Offset{7});
    runtime.run();
    EXPECT_EQ(log.back(), "7 ok");
}

TEST(OffsetWaiters, AnEndThatIsReachedAlreadyDoesNotWait) {
    test::ManualRuntime runtime;
    OffsetWaiters waiters(runtime);
    std::vector<std::string> log;
    waiters.release(Offset{5});
    runtime.spawn(wait_into(waiters, Offset{5}, log));
    EXPECT_EQ(log, (std::vector<std::string>{"5 ok"}));
}

TEST(OffsetWaiters, FailTellsEverybodyWhy) {
    test::ManualRuntime runtime;
    OffsetWaiters waiters(runtime);
    std::vector<std::string> log;
    runtime.spawn(wait_into(waiters, Offset{5}, log));
    waiters.fail({ErrorCode::kafka_storage_error, "the disk is gone"}, Offset{0});
    runtime.run();
    EXPECT_EQ(log, (std::vector<std::string>{"5 the disk is gone"}));
}

TEST(OffsetWaiters, ADeadlineTakesTheWaiterOut) {
    test::ManualRuntime runtime;
    OffsetWaiters waiters(runtime);
    auto wait_timed = [](Runtime& here, OffsetWaiters& on, ErrorCode& out) -> Task<> {
        auto wait = on.wait(Offset{9});
        auto timed = with_deadline(here, wait, here.now() + 1s);
        const Status done = co_await timed;
        out = done ? ErrorCode::none : done.error().code;
    };
    ErrorCode code = ErrorCode::none;
    runtime.spawn(wait_timed(runtime, waiters, code));
    runtime.advance(2s);
    EXPECT_EQ(code, ErrorCode::request_timed_out);
    EXPECT_TRUE(waiters.empty());
}

TEST(FetchWaiter, WakesOnceTheMissingBytesCameFromAnyPartition) {
    test::ManualRuntime runtime;
    FetchWatches first;
    FetchWatches second;
    FetchWaiter waiter(runtime);
    waiter.set_missing(100);
    FetchWatch on_first;
    FetchWatch on_second;
    on_first.waiter = on_second.waiter = &waiter;
    first.add(on_first);
    second.add(on_second);
    first.gained(60);
    EXPECT_FALSE(waiter.is_due());
    second.gained(40);
    EXPECT_TRUE(waiter.is_due());
}

TEST(FetchWaiter, AChangeOfAnotherKindWakesAtOnceAndAWatchLeavesWithItsFrame) {
    test::ManualRuntime runtime;
    FetchWatches watches;
    FetchWaiter waiter(runtime);
    waiter.set_missing(1'000'000);
    {
        FetchWatch gone;
        gone.waiter = &waiter;
        watches.add(gone);
    }
    watches.stir();
    EXPECT_FALSE(waiter.is_due());
    FetchWatch watch;
    watch.waiter = &waiter;
    watches.add(watch);
    watches.stir();
    EXPECT_TRUE(waiter.is_due());
}

}  // namespace
}  // namespace ottla::replication
