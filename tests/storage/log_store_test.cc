// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "storage/file_names.h"
#include "tests/storage/store_bench.h"

namespace ottla::storage::test {
namespace {

using Values = std::vector<std::string>;

TEST(LogStore, AppendedBatchIsReadableAtOnceAndDurableAfterItsGroup) {
    StoreBench bench;
    bench.start();
    Log& log = bench.create("t");
    const auto first = bench.append(log, "one");
    ASSERT_TRUE(first);
    EXPECT_EQ(first->base_offset, Offset{0});
    EXPECT_EQ(log.log_end(), Offset{1});
    EXPECT_EQ(log.durable_end(), Offset{0});
    EXPECT_EQ(bench.values(log), Values{"one"});
    bench.settle(log);
    EXPECT_EQ(log.durable_end(), Offset{1});
}

TEST(LogStore, CleanStopAndStartKeepEverything) {
    StoreBench bench;
    bench.start();
    Log& log = bench.create("t");
    Values wanted;
    for (int i = 0; i < 300; ++i) {
        wanted.push_back(fmt::format("value {}", i));
        ASSERT_TRUE(bench.append(log, wanted.back()));
        if (i % 10 == 0) bench.settle(log);
    }
    bench.clean_stop();
    bench.start();
    ASSERT_NE(bench.find("t"), nullptr);
    EXPECT_TRUE(bench.directory->was_clean());
    EXPECT_EQ(bench.directory->previous_broker_epoch(), BrokerEpoch{77});
    EXPECT_EQ(bench.find("t")->log_end(), Offset{300});
    EXPECT_EQ(bench.values(*bench.find("t")), wanted);
}

TEST(LogStore, AcknowledgedRecordsSurviveAKill) {
    StoreBench bench;
    bench.start();
    Log& log = bench.create("t");
    Values wanted;
    for (int i = 0; i < 100; ++i) {
        wanted.push_back(fmt::format("value {}", i));
        ASSERT_TRUE(bench.append(log, wanted.back()));
    }
    bench.settle(log);
    bench.kill();
    bench.start();
    EXPECT_FALSE(bench.directory->was_clean());
    ASSERT_NE(bench.find("t"), nullptr);
    EXPECT_EQ(bench.values(*bench.find("t")), wanted);
}

}  // namespace
}  // namespace ottla::storage::test
