// SPDX-License-Identifier: Apache-2.0
#include "records/batch.h"

#include <gtest/gtest.h>

#include <vector>

#include "records/records.h"

namespace ottla {
namespace {

Buffer batch_of(int records, const BatchOptions& options = {}) {
    Codecs codecs;
    BatchBuilder builder(codecs, options);
    for (int i = 0; i < records; ++i) {
        builder.append(WallTime{1000 + i}, as_bytes("key"), as_bytes("value"));
    }
    return builder.finish().value();
}

std::vector<std::byte> copy(const Buffer& buffer) {
    return {buffer.span().begin(), buffer.span().end()};
}

TEST(BatchView, ReadsEveryHeaderField) {
    Buffer bytes = batch_of(3, {.timestamp_type = TimestampType::log_append_time,
                                .log_append_time = WallTime{5000},
                                .transactional = true,
                                .control = true,
                                .base_offset = Offset{77},
                                .leader_epoch = LeaderEpoch{9},
                                .producer_id = ProducerId{4242},
                                .producer_epoch = ProducerEpoch{3},
                                .base_sequence = 2147483646});
    Result<BatchView> batch = parse_batch(bytes.span());
    ASSERT_TRUE(batch);
    EXPECT_EQ(batch->size(), bytes.size());
    EXPECT_EQ(batch->base_offset(), Offset{77});
    EXPECT_EQ(batch->last_offset_delta(), 2);
    EXPECT_EQ(batch->last_offset(), Offset{79});
    EXPECT_EQ(batch->offset_end(), Offset{80});
    EXPECT_EQ(batch->leader_epoch(), LeaderEpoch{9});
    EXPECT_EQ(batch->codec(), Codec::none);
    EXPECT_EQ(batch->timestamp_type(), TimestampType::log_append_time);
    EXPECT_TRUE(batch->is_transactional());
    EXPECT_TRUE(batch->is_control());
    EXPECT_EQ(batch->delete_horizon(), std::nullopt);
    EXPECT_EQ(batch->base_timestamp(), WallTime{1000});
    EXPECT_EQ(batch->max_timestamp(), WallTime{5000});
    EXPECT_EQ(batch->producer_id(), ProducerId{4242});
    EXPECT_EQ(batch->producer_epoch(), ProducerEpoch{3});
    EXPECT_EQ(batch->base_sequence(), 2147483646);
    EXPECT_EQ(batch->last_sequence(), 0) << "2147483646, 2147483647, 0";
    EXPECT_EQ(batch->record_count(), 3);
    EXPECT_TRUE(check_crc(*batch));
}

TEST(BatchView, DeleteHorizonIsKeptInTheBaseTimestamp) {
    std::vector<std::byte> bytes(kBatchHeaderBytes);
    write_batch_header(bytes, {.delete_horizon = WallTime{123}, .record_count = 0});
    EXPECT_EQ(BatchView(bytes).delete_horizon(), WallTime{123});
    EXPECT_EQ(BatchView(bytes).base_timestamp(), WallTime{123});
}

TEST(ParseBatch, RefusesEveryTruncation) {
    Buffer bytes = batch_of(2);
    for (size_t size = 0; size < bytes.size(); ++size) {
        Result<BatchView> batch = parse_batch(bytes.span().first(size));
        ASSERT_FALSE(batch) << size;
        EXPECT_EQ(batch.error().code, ErrorCode::corrupt_message);
    }
}

TEST(ParseBatch, TellsOldMagicFromNonsense) {
    auto bytes = copy(batch_of(1));
    for (int magic : {0, 1}) {
        bytes[batch_layout::kMagic] = static_cast<std::byte>(magic);
        EXPECT_EQ(parse_batch(bytes).error().code, ErrorCode::unsupported_for_message_format);
    }
    for (int magic : {3, 127, -1}) {
        bytes[batch_layout::kMagic] = static_cast<std::byte>(magic);
        EXPECT_EQ(parse_batch(bytes).error().code, ErrorCode::corrupt_message);
    }
}

TEST(ParseBatch, RefusesLengthsThatCannotBe) {
    auto bytes = copy(batch_of(1));
    for (int32_t length : {-1, 0, 48, INT32_MIN, INT32_MAX}) {
        store_be(bytes.data() + batch_layout::kLength, length);
        EXPECT_EQ(parse_batch(bytes).error().code, ErrorCode::corrupt_message) << length;
    }
}

TEST(BatchCrc, SeesEveryFlippedByteBehindIt) {
    auto bytes = copy(batch_of(2));
    for (size_t at = batch_layout::kCrc; at < bytes.size(); ++at) {
        bytes[at] ^= std::byte{1};
        EXPECT_FALSE(crc_matches(BatchView(bytes))) << at;
        bytes[at] ^= std::byte{1};
    }
    EXPECT_TRUE(crc_matches(BatchView(bytes)));
}

TEST(AssignOffsets, LeavesTheCrcAloneBecauseOffsetsLieOutsideIt) {
    auto bytes = copy(batch_of(3));
    uint32_t crc = BatchView(bytes).stored_crc();
    assign_offsets(bytes, Offset{1'000'000'000'000}, LeaderEpoch{12});
    BatchView batch(bytes);
    EXPECT_EQ(batch.base_offset(), Offset{1'000'000'000'000});
    EXPECT_EQ(batch.last_offset(), Offset{1'000'000'000'002});
    EXPECT_EQ(batch.leader_epoch(), LeaderEpoch{12});
    EXPECT_EQ(batch.stored_crc(), crc);
    EXPECT_TRUE(crc_matches(batch));
}

TEST(AssignOffsets, LogAppendTimeChangesTheTimestampsAndTheCrcWithThem) {
    auto bytes = copy(batch_of(3, {.transactional = true, .producer_id = ProducerId{1}}));
    assign_offsets(bytes, Offset{5}, LeaderEpoch{1},
                   Restamp{TimestampType::log_append_time, WallTime{9999}});
    BatchView batch(bytes);
    EXPECT_EQ(batch.timestamp_type(), TimestampType::log_append_time);
    EXPECT_EQ(batch.max_timestamp(), WallTime{9999});
    EXPECT_EQ(batch.base_timestamp(), WallTime{1000}) << "records keep counting from it";
    EXPECT_TRUE(batch.is_transactional());
    EXPECT_TRUE(crc_matches(batch));
}

TEST(SequenceAfter, WrapsToZeroAndNotToNegative) {
    EXPECT_EQ(sequence_after(0, 5), 5);
    EXPECT_EQ(sequence_after(2147483647, 1), 0);
    EXPECT_EQ(sequence_after(2147483640, 10), 2);
}

class BatchCursorWalk : public testing::Test {
protected:
    BatchCursorWalk() {
        for (int64_t base : {0, 2, 4}) {
            Buffer batch = batch_of(2, {.base_offset = Offset{base}});
            size_ = batch.size();
            bytes_.insert(bytes_.end(), batch.span().begin(), batch.span().end());
        }
    }
    std::vector<std::byte> bytes_;
    size_t size_ = 0;
};

TEST_F(BatchCursorWalk, GivesEachBatchAndThenTheEnd) {
    BatchCursor cursor(bytes_, BatchCursor::Crc::check);
    for (int i = 0; i < 3; ++i) {
        ASSERT_EQ(cursor.next(), BatchStep::batch);
        EXPECT_EQ(cursor.batch().base_offset(), Offset{2 * i});
        EXPECT_EQ(cursor.position(), static_cast<size_t>(i) * size_);
    }
    EXPECT_EQ(cursor.next(), BatchStep::end);
    EXPECT_EQ(cursor.position(), bytes_.size());
    EXPECT_EQ(cursor.next(), BatchStep::end);
}

TEST_F(BatchCursorWalk, IsTornWhereverTheLastBatchIsCut) {
    for (size_t cut = 1; cut < size_; ++cut) {
        BatchCursor cursor(std::span(bytes_).first(2 * size_ + cut));
        ASSERT_EQ(cursor.next(), BatchStep::batch);
        ASSERT_EQ(cursor.next(), BatchStep::batch);
        ASSERT_EQ(cursor.next(), BatchStep::torn) << cut;
        EXPECT_EQ(cursor.position(), 2 * size_);
        EXPECT_EQ(cursor.next(), BatchStep::torn) << "it stays where it is";
    }
}

TEST_F(BatchCursorWalk, StopsAtDamageAndSaysWhat) {
    bytes_[size_ + kBatchHeaderBytes] ^= std::byte{4};
    BatchCursor careful(bytes_, BatchCursor::Crc::check);
    ASSERT_EQ(careful.next(), BatchStep::batch);
    ASSERT_EQ(careful.next(), BatchStep::corrupt);
    EXPECT_EQ(careful.position(), size_);
    EXPECT_NE(careful.error().detail.find("CRC"), std::string::npos);

    BatchCursor quick(bytes_);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(quick.next(), BatchStep::batch);
}

TEST(BatchCursor, ZerosOfAPreallocatedFileAreNoBatch) {
    std::vector<std::byte> zeros(4096);
    BatchCursor cursor(zeros);
    EXPECT_EQ(cursor.next(), BatchStep::corrupt);
    EXPECT_EQ(cursor.position(), 0U);
}

}  // namespace
}  // namespace ottla
