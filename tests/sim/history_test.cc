// SPDX-License-Identifier: Apache-2.0
// The checker itself: each way to contradict what clients were told is noticed, and nothing else.
#include "tests/sim/history.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ottla::sim {
namespace {

using testing::HasSubstr;

class TheHistory : public testing::Test {
protected:
    TheHistory() {
        for (const uint64_t content : {kFirst, kSecond, kThird}) history_.sent(where_, content);
    }
    static constexpr uint64_t kFirst = 11;
    static constexpr uint64_t kSecond = 22;
    static constexpr uint64_t kThird = 33;

    const Partition where_{.topic = "topic", .index = 0};
    History history_;
};

TEST_F(TheHistory, HoldsWhenEverythingIsAsItWasTold) {
    history_.acknowledged(where_, 0, std::array{kFirst, kSecond});
    history_.exposed(where_, 1, kSecond);
    history_.end_told(where_, 2, history_.told(where_));
    history_.check_whole(where_, std::array{kFirst, kSecond, kThird});
    EXPECT_EQ(history_.failure(), "");
}

TEST_F(TheHistory, ARecordThatChangedItsContentIsNoticed) {
    history_.exposed(where_, 0, kFirst);
    history_.exposed(where_, 0, kSecond);
    EXPECT_THAT(history_.failure(), HasSubstr("another record than before"));
}

TEST_F(TheHistory, ARecordAtTwoOffsetsIsNoticed) {
    history_.exposed(where_, 0, kFirst);
    history_.exposed(where_, 1, kFirst);
    EXPECT_THAT(history_.failure(), HasSubstr("duplicate"));
}

TEST_F(TheHistory, ARecordThatNobodySentIsNoticed) {
    history_.exposed(where_, 0, 99);
    EXPECT_THAT(history_.failure(), HasSubstr("nobody sent"));
}

TEST_F(TheHistory, AnAcknowledgedRecordThatIsGoneIsNoticed) {
    history_.acknowledged(where_, 0, std::array{kFirst, kSecond});
    history_.check_whole(where_, std::array{kFirst});
    EXPECT_THAT(history_.failure(), HasSubstr("1 records are left of 2"));
}

TEST_F(TheHistory, AnEndThatGoesBackIsNoticedButNotALateAnswer) {
    const int64_t asked_first = history_.told(where_);
    history_.end_told(where_, 3, asked_first);
    history_.end_told(where_, 2, asked_first);
    EXPECT_EQ(history_.failure(), "") << "it was asked before 3 was told";
    history_.end_told(where_, 2, history_.told(where_));
    EXPECT_THAT(history_.failure(), HasSubstr("told as 2 after 3"));
}

TEST_F(TheHistory, WithOneWriterAGapAndAChangedOrderAreNoticed) {
    const Partition own{.topic = "own", .index = 0};
    history_.one_writer(own);
    history_.sent(own, kFirst);
    history_.sent(own, kSecond);
    history_.exposed(own, 0, kFirst);
    EXPECT_EQ(history_.failure(), "");
    history_.exposed(own, 2, kSecond);
    EXPECT_THAT(history_.failure(), HasSubstr("sent as number 1"));
}

TEST_F(TheHistory, AProducerIdThatIsGivenTwiceIsNoticed) {
    history_.producer_named(4);
    history_.producer_named(5);
    EXPECT_EQ(history_.failure(), "");
    history_.producer_named(4);
    EXPECT_THAT(history_.failure(), HasSubstr("producer id 4"));
}

}  // namespace
}  // namespace ottla::sim
