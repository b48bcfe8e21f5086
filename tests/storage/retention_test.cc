// SPDX-License-Identifier: Apache-2.0
// The decisions of retention, without a log.
#include "storage/retention.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

namespace ottla::storage {
namespace {

/// Four segments of 100 bytes and 10 records, timestamps 1000, 2000, 3000, 4000.
struct Example {
    std::vector<SegmentFacts> segments{{Offset{0}, 100, WallTime{1000}},
                                       {Offset{10}, 100, WallTime{2000}},
                                       {Offset{20}, 100, WallTime{3000}},
                                       {Offset{30}, 100, WallTime{4000}}};
    LogConfig rules;
    LogFacts log;
    Example() {
        rules.retention_ms = -1;
        rules.retention_bytes = -1;
        log.log_end = log.high_watermark = Offset{40};
        log.now = WallTime{5000};
    }
    RetentionDecision decide() {
        log.segments = segments;
        return decide_retention(rules, log);
    }
    Offset start() { return decide().log_start; }
};

TEST(Retention, WithoutLimitsEverythingStays) {
    Example log;
    EXPECT_EQ(log.decide().segments, 0U);
    EXPECT_EQ(log.start(), Offset{0});
}

TEST(Retention, BySizeTakesSegmentsWithoutWhichEnoughIsLeft) {
    Example log;
    log.rules.retention_bytes = 250;
    EXPECT_EQ(log.start(), Offset{10});
    log.rules.retention_bytes = 200;
    EXPECT_EQ(log.start(), Offset{20});
    log.rules.retention_bytes = 201;
    EXPECT_EQ(log.start(), Offset{10});
    log.rules.retention_bytes = 400;
    EXPECT_EQ(log.start(), Offset{0});
}

TEST(Retention, ByTimeCountsFromTheLargestTimestampOfASegment) {
    Example log;
    log.rules.retention_ms = 2000;
    EXPECT_EQ(log.start(), Offset{20}) << "3000 is exactly 2000 ago: not older";
    log.rules.retention_ms = 1999;
    EXPECT_EQ(log.start(), Offset{30});
}

TEST(Retention, ByTimeStopsAtTheFirstSegmentThatStays) {
    Example log;
    log.segments[0].largest_timestamp = WallTime{4900};
    log.rules.retention_ms = 1000;
    EXPECT_EQ(log.start(), Offset{0});
}

TEST(Retention, AFutureTimestampKeepsItsSegment) {
    Example log;
    log.rules.retention_ms = 0;
    log.segments[1].largest_timestamp = WallTime{std::numeric_limits<int64_t>::max()};
    EXPECT_EQ(log.start(), Offset{10});
    log.segments[1].largest_timestamp = WallTime{5001};
    EXPECT_EQ(log.start(), Offset{10});
    log.segments[1].largest_timestamp = WallTime{5000};
    EXPECT_EQ(log.start(), Offset{10}) << "now is not older than 0 ms";
}

TEST(Retention, NothingAtOrAboveTheHighWatermarkGoes) {
    Example log;
    log.rules.retention_ms = 0;
    log.log.high_watermark = Offset{29};
    EXPECT_EQ(log.start(), Offset{20});
    log.log.high_watermark = Offset{30};
    EXPECT_EQ(log.start(), Offset{30});
}

TEST(Retention, WhenAllIsExpiredTheActiveSegmentIsRolled) {
    Example log;
    log.rules.retention_ms = 100;
    const RetentionDecision all = log.decide();
    EXPECT_TRUE(all.roll);
    EXPECT_EQ(all.log_start, Offset{40});
    log.rules.retention_ms = 1000;
    EXPECT_FALSE(log.decide().roll);
}

TEST(Retention, AnEmptyActiveSegmentStays) {
    Example log;
    log.rules.retention_ms = 0;
    log.segments.push_back({Offset{40}, 0, WallTime{100}});
    const RetentionDecision decision = log.decide();
    EXPECT_FALSE(decision.roll);
    EXPECT_EQ(decision.log_start, Offset{40});
    EXPECT_EQ(decision.segments, 4U);
}

TEST(Retention, SegmentsBelowTheLogStartGoWhateverThePolicy) {
    Example log;
    log.rules.deletes = false;
    log.rules.retention_ms = 0;
    log.log.log_start = Offset{25};
    const RetentionDecision decision = log.decide();
    EXPECT_EQ(decision.segments, 2U);
    EXPECT_EQ(decision.log_start, Offset{25});
    EXPECT_FALSE(decision.roll);
}

TEST(Retention, SizeAndTimeAreForTheDeletePolicyOnly) {
    Example log;
    log.rules.deletes = false;
    log.rules.retention_ms = 0;
    log.rules.retention_bytes = 0;
    EXPECT_EQ(log.decide().segments, 0U);
}

TEST(Retention, BothLimitsCountFromWhatTheOtherLeft) {
    Example log;
    log.rules.retention_bytes = 300;  // The first goes by size,
    log.rules.retention_ms = 2500;    // the second by age.
    EXPECT_EQ(log.start(), Offset{20});
}

}  // namespace
}  // namespace ottla::storage
