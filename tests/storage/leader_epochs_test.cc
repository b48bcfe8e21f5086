// SPDX-License-Identifier: Apache-2.0
#include "storage/leader_epochs.h"

#include <gtest/gtest.h>

namespace ottla::storage {
namespace {

LeaderEpochs two_epochs() {
    LeaderEpochs epochs;
    epochs.assign(LeaderEpoch{2}, Offset{10});
    epochs.assign(LeaderEpoch{5}, Offset{30});
    return epochs;
}

TEST(LeaderEpochs, EndOfTheLatestEpochIsTheLogEnd) {
    EXPECT_EQ(two_epochs().end_of(LeaderEpoch{5}, Offset{44}),
              (EpochEnd{LeaderEpoch{5}, Offset{44}}));
}

TEST(LeaderEpochs, EndOfAnEpochBetweenTwoIsTheNextOnesStartUnderTheFloorsNumber) {
    EXPECT_EQ(two_epochs().end_of(LeaderEpoch{3}, Offset{44}),
              (EpochEnd{LeaderEpoch{2}, Offset{30}}));
}

TEST(LeaderEpochs, AnUnknownLargerEpochHasNoEndAndAnOlderOneEndsWhereTheFirstStarts) {
    EXPECT_EQ(two_epochs().end_of(LeaderEpoch{6}, Offset{44}), EpochEnd{});
    EXPECT_EQ(two_epochs().end_of(LeaderEpoch{1}, Offset{44}),
              (EpochEnd{LeaderEpoch{1}, Offset{10}}));
}

TEST(LeaderEpochs, AssignDropsWhatContradictsIt) {
    LeaderEpochs epochs = two_epochs();
    epochs.assign(LeaderEpoch{4}, Offset{25});
    EXPECT_EQ(epochs.entries(), (std::vector<EpochStart>{{LeaderEpoch{2}, Offset{10}},
                                                         {LeaderEpoch{4}, Offset{25}}}));
    epochs.assign(LeaderEpoch{4}, Offset{28});
    EXPECT_EQ(epochs.latest()->start, Offset{25})
        << "the same epoch goes on, it does not start again";
}

TEST(LeaderEpochs, TruncationAtBothEndsKeepsTheCoveringEpoch) {
    LeaderEpochs epochs = two_epochs();
    epochs.truncate_start(Offset{20});
    EXPECT_EQ(epochs.earliest(), (EpochStart{LeaderEpoch{2}, Offset{20}}));
    epochs.truncate_end(Offset{30});
    EXPECT_EQ(epochs.entries().size(), 1U);
    EXPECT_EQ(epochs.epoch_at(Offset{19}), kNoLeaderEpoch);
    EXPECT_EQ(epochs.epoch_at(Offset{29}), LeaderEpoch{2});
}

TEST(LeaderEpochs, CheckpointIsKafkasTextAndComesBack) {
    const LeaderEpochs epochs = two_epochs();
    EXPECT_EQ(epochs.checkpoint(), "0\n2\n2 10\n5 30\n");
    EXPECT_EQ(LeaderEpochs::parse(epochs.checkpoint()), epochs);
}

TEST(LeaderEpochs, ParseRefusesEveryDamagedText) {
    for (const char* bad :
         {"", "1\n0\n", "0\n1\n", "0\n1\n2 10", "0\n2\n5 30\n2 10\n", "0\n0\nx", "0\n-1"}) {
        EXPECT_FALSE(LeaderEpochs::parse(bad)) << bad;
    }
}

}  // namespace
}  // namespace ottla::storage
