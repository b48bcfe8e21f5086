// SPDX-License-Identifier: Apache-2.0
#include "client/client.h"

#include <gtest/gtest.h>

#include "client/producer.h"

namespace ottla::client {
namespace {

/// Values of the Java client's murmur2, sign bit masked.
TEST(PartitionOfKey, IsWhatJavasDefaultPartitionerChooses) {
    constexpr int32_t kMany = 2147483647;
    EXPECT_EQ(partition_of_key("21", kMany), -973932308 & 0x7fffffff);
    EXPECT_EQ(partition_of_key("foobar", kMany), -790332482 & 0x7fffffff);
    EXPECT_EQ(partition_of_key("a-little-bit-long-string", kMany), -985981536 & 0x7fffffff);
    EXPECT_EQ(partition_of_key("abc", kMany), 479470107);
    EXPECT_EQ(partition_of_key("abc", 10), 7);
}

TEST(ParseBootstrap, TakesHostsPortsAndBracketedAddresses) {
    const auto endpoints = parse_bootstrap("localhost, broker:1234,[::1]:9, [fe80::1]");
    ASSERT_TRUE(endpoints);
    EXPECT_EQ(*endpoints,
              (std::vector<Endpoint>{
                  {"localhost", 9092}, {"broker", 1234}, {"::1", 9}, {"fe80::1", 9092}}));
}

TEST(ParseBootstrap, RefusesWhatIsNotHostAndPort) {
    for (const char* bad :
         {"", ",", ":9092", "host:", "host:x", "host:70000", "[::1", "[::1]x", "h:1x"}) {
        EXPECT_FALSE(parse_bootstrap(bad)) << bad;
    }
}

}  // namespace
}  // namespace ottla::client
