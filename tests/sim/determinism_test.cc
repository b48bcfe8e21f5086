// SPDX-License-Identifier: Apache-2.0
// The simulator itself: one seed is one run, in every build; a process may die at every event.
#include <gtest/gtest.h>

#include "tests/sim/echo_world.h"

namespace ottla::sim {
namespace {

constexpr Duration kLongEnough = std::chrono::seconds(120);

uint64_t hash_of_run(uint64_t seed) {
    EchoWorld echo({.seed = seed, .calls = 40});
    echo.world.network().faults.reset = 5'000;
    EXPECT_TRUE(echo.run_to_end(kLongEnough));
    return echo.world.trace_hash();
}

TEST(Determinism, OneSeedIsOneRunAndAnotherSeedIsAnother) {
    const uint64_t first = hash_of_run(11);
    EXPECT_EQ(first, hash_of_run(11));
    EXPECT_NE(first, hash_of_run(12));
}

TEST(Determinism, TheRunIsTheSameInEveryBuild) {
    // The number is what -O1, -O2, ASan and other allocators all give; it changes when the
    // simulator or the echo program changes, and then all builds must agree on the new one.
    EXPECT_EQ(hash_of_run(2026), 2305726986976060882U);
}

TEST(EchoUnderFaults, WhatWasAnsweredSurvivesDeathAtEveryEvent) {
    const EchoOptions options{.seed = 5, .clients = 5, .calls = 8};
    EchoWorld whole(options);
    ASSERT_TRUE(whole.run_to_end(kLongEnough));
    const uint64_t events = whole.world.events();
    ASSERT_GT(events, 200U);
#ifdef OTTLA_SANITIZED
    const uint64_t stride = 7;
#else
    const uint64_t stride = 1;
#endif
    for (uint64_t strike = 0; strike < events; strike += stride) {
        EchoWorld echo(options);
        ASSERT_EQ(echo.world.run_events(strike), strike);
        if (strike % 2 == 0) {
            echo.server.kill();
        } else {
            echo.machine.power_cut();
        }
        echo.start_server();
        ASSERT_TRUE(echo.run_to_end(kLongEnough)) << "died before event " << strike;
        ASSERT_EQ(echo.answered.size(), 40U);
        echo.machine.power_cut();
        ASSERT_TRUE(echo.missing().empty())
            << "died before event " << strike << ", lost: " << echo.missing().front();
    }
}

TEST(EchoUnderFaults, PartitionsAndPausesOnlyDelay) {
    for (uint64_t seed = 0; seed < 10; ++seed) {
        EchoWorld echo({.seed = seed});
        Network& network = echo.world.network();
        echo.world.run_events(150);
        network.block("server", "client-0");
        network.block_both("server", "client-1");
        echo.world.run_for(std::chrono::seconds(2));
        network.heal_all();
        echo.server.pause();
        echo.world.run_for(std::chrono::seconds(1));
        echo.server.resume();
        ASSERT_TRUE(echo.run_to_end(kLongEnough));
        echo.machine.power_cut();
        EXPECT_TRUE(echo.missing().empty());
    }
}

}  // namespace
}  // namespace ottla::sim
