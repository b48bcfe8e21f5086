// SPDX-License-Identifier: Apache-2.0
#include "storage/producer_state.h"

#include <gtest/gtest.h>

#include <limits>

#include "records/batch.h"

namespace ottla::storage {
namespace {

constexpr int32_t kMax = std::numeric_limits<int32_t>::max();

ProducerBatch batch(int32_t first_sequence,
                    int32_t count,
                    int64_t first_offset,
                    int16_t epoch = 0) {
    return {.producer = ProducerId{7},
            .epoch = ProducerEpoch{epoch},
            .first_sequence = first_sequence,
            .last_sequence = sequence_after(first_sequence, count - 1),
            .first_offset = Offset{first_offset},
            .last_offset = Offset{first_offset + count - 1},
            .max_timestamp = WallTime{1000 + first_offset}};
}

/// Six batches of ten records: sequences and offsets 0..59.
ProducerState sixty_records() {
    ProducerState state;
    for (int32_t i = 0; i < 6; ++i) state.appended(batch(i * 10, 10, i * 10));
    return state;
}

TEST(ProducerState, ARetryOfOneOfTheLastFiveBatchesIsAnsweredWithItsOriginalOffset) {
    const ProducerState state = sixty_records();
    for (int32_t i = 1; i < 6; ++i) {
        auto verdict = state.check(batch(i * 10, 10, 999));
        ASSERT_TRUE(verdict && *verdict) << i;
        EXPECT_EQ((*verdict)->first_offset, Offset{i * 10});
        EXPECT_EQ((*verdict)->timestamp, WallTime{1000 + i * 10});
    }
}

TEST(ProducerState, AnOlderDuplicateAndAGapAreOutOfOrder) {
    const ProducerState state = sixty_records();
    for (const int32_t sequence : {0, 61, 55}) {
        auto verdict = state.check(batch(sequence, 10, 0));
        ASSERT_FALSE(verdict) << sequence;
        EXPECT_EQ(verdict.error().code, ErrorCode::out_of_order_sequence_number);
    }
    EXPECT_EQ(state.check(batch(60, 10, 0)), std::nullopt);
}

TEST(ProducerState, SequencesWrapToZeroAfterTheLargest) {
    EXPECT_EQ(sequence_after(kMax, 1), 0);
    EXPECT_EQ(sequence_after(kMax - 1, 4), 2);
    ProducerState state;
    state.appended(batch(kMax - 1, 4, 0));
    EXPECT_EQ(state.check(batch(2, 1, 0)), std::nullopt);
    auto again = state.check(batch(kMax - 1, 4, 50));
    ASSERT_TRUE(again && *again);
    EXPECT_EQ((*again)->first_offset, Offset{0});
}

TEST(ProducerState, ANewEpochStartsAtZeroAndAnOldOneIsFenced) {
    ProducerState state = sixty_records();
    EXPECT_EQ(state.check(batch(60, 1, 0, 1)).error().code,
              ErrorCode::out_of_order_sequence_number);
    EXPECT_EQ(state.check(batch(0, 1, 0, 1)), std::nullopt);
    state.appended(batch(0, 1, 60, 1));
    EXPECT_EQ(state.check(batch(60, 1, 0, 0)).error().code, ErrorCode::invalid_producer_epoch);
}

TEST(ProducerState, AnUnknownProducerMayStartAnywhere) {
    EXPECT_EQ(ProducerState{}.check(batch(1234, 1, 0)), std::nullopt);
}

TEST(ProducerState, SnapshotKeepsOneBatchAndOlderOnesCompleteTheWindow) {
    const ProducerState before = sixty_records();
    ProducerState after;
    ASSERT_TRUE(after.load_snapshot(before.snapshot().span()));
    EXPECT_FALSE(after.check(batch(40, 10, 0))) << "the snapshot alone knows the last batch only";
    for (int32_t i = 0; i < 6; ++i) after.remember_older(batch(i * 10, 10, i * 10));
    EXPECT_EQ(after, before);
    ASSERT_TRUE(after.load_snapshot(before.snapshot().span()));
    for (int32_t i = 5; i >= 0; --i) after.remember_older(batch(i * 10, 10, i * 10));
    EXPECT_EQ(after, before) << "in whatever order they come";
}

TEST(ProducerState, SnapshotHasKafkasLayout) {
    ProducerState state;
    state.appended(batch(0, 3, 100));
    const Buffer bytes = state.snapshot();
    ASSERT_EQ(bytes.size(), 10U + 46U);
    const std::string_view entries = bytes.text().substr(6);
    EXPECT_EQ(entries, std::string_view("\0\0\0\1"
                                        "\0\0\0\0\0\0\0\7"
                                        "\0\0"
                                        "\0\0\0\2"
                                        "\0\0\0\0\0\0\0\x66"
                                        "\0\0\0\2"
                                        "\0\0\0\0\0\0\x04\x4c"
                                        "\xff\xff\xff\xff"
                                        "\xff\xff\xff\xff\xff\xff\xff\xff",
                                        50));
}

TEST(ProducerState, EveryFlippedBitAndEveryTruncationOfASnapshotIsCorrupt) {
    const Buffer good = sixty_records().snapshot();
    for (size_t bit = 0; bit < good.size() * 8; ++bit) {
        std::vector<std::byte> bad(good.span().begin(), good.span().end());
        bad[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
        EXPECT_FALSE(ProducerState{}.load_snapshot(bad)) << bit;
    }
    for (size_t size = 0; size < good.size(); ++size) {
        EXPECT_FALSE(ProducerState{}.load_snapshot(good.span().first(size))) << size;
    }
}

TEST(ProducerState, AMarkerEndsTheTransactionAndMovesTheFirstOpenOne) {
    ProducerState state;
    ProducerBatch data = batch(0, 5, 100);
    data.transactional = true;
    state.appended(data);
    EXPECT_EQ(state.first_open_transaction(), Offset{100});
    ProducerBatch marker = batch(-1, 1, 105);
    marker.control = marker.transactional = true;
    const CompletedTransaction done = state.marker_appended(marker, true, 3);
    EXPECT_EQ(done.first, Offset{100});
    EXPECT_EQ(done.last, Offset{105});
    EXPECT_EQ(state.first_open_transaction(), std::nullopt);
    EXPECT_EQ(state.marker_appended(marker, true, 3).first, kNoOffset)
        << "no data, nothing to index";
}

TEST(ProducerState, ExpiryForgetsTheSilentButNotAnOpenTransaction) {
    ProducerState state = sixty_records();
    ProducerBatch open = batch(0, 1, 70);
    open.producer = ProducerId{8};
    open.transactional = true;
    state.appended(open);
    state.expire_before(WallTime{5000});
    EXPECT_EQ(state.size(), 1U);
    EXPECT_EQ(state.check(batch(777, 1, 0)), std::nullopt) << "forgotten: any sequence goes";
}

}  // namespace
}  // namespace ottla::storage
