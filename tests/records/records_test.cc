// SPDX-License-Identifier: Apache-2.0
#include "records/records.h"

#include <gtest/gtest.h>

#include "tests/records/samples.h"

namespace ottla {
namespace {

using samples::build;
using samples::copy;
using samples::golden_five;
using samples::OwnedRecord;
using samples::read_all;

/// A batch whose payload is given byte by byte.
std::vector<std::byte> batch_with(int32_t count, std::initializer_list<int> payload) {
    std::vector<std::byte> bytes(kBatchHeaderBytes);
    for (int value : payload) bytes.push_back(static_cast<std::byte>(value));
    write_batch_header(bytes, {.last_offset_delta = count - 1, .record_count = count});
    return bytes;
}

Status walk(std::span<const std::byte> bytes) {
    BatchView batch(bytes);
    RecordIterator records(batch, batch.payload());
    Record record;
    while (records.next(record)) {
        for (const RecordHeader& header : record.headers) (void)header;
    }
    return records.finish();
}

TEST(RecordIterator, GivesBackWhatTheBuilderTook) {
    Codecs codecs;
    EXPECT_EQ(read_all(build(golden_five()).span(), codecs), golden_five());
}

TEST(RecordIterator, CountsTheBytesOfEachRecord) {
    Buffer bytes = build(golden_five());
    BatchView batch(bytes.span());
    RecordIterator records(batch, batch.payload());
    Record record;
    size_t sum = 0;
    while (records.next(record)) sum += record.size;
    EXPECT_EQ(sum, batch.payload().size());
}

// body size, attributes, timestamp delta, offset delta, key, value, headers: zigzag, so 1 is -1.
TEST(RecordIterator, TakesTheSmallestRecord) {
    EXPECT_TRUE(walk(batch_with(1, {12, 0, 0, 0, 1, 1, 0})));
}

TEST(RecordIterator, TakesAnyNegativeSizeForNullAsKafkaDoes) {
    auto bytes = batch_with(1, {12, 0, 0, 0, 9, 5, 0});
    BatchView batch(bytes);
    RecordIterator records(batch, batch.payload());
    Record record;
    ASSERT_TRUE(records.next(record));
    EXPECT_FALSE(record.key);
    EXPECT_FALSE(record.value);
    EXPECT_TRUE(records.finish());
}

TEST(RecordIterator, RefusesMalformedRecords) {
    const std::pair<const char*, std::vector<std::byte>> cases[] = {
        {"no bytes at all", batch_with(1, {})},
        {"fewer records than declared", batch_with(2, {12, 0, 0, 0, 1, 1, 0})},
        {"bytes behind the last record", batch_with(1, {12, 0, 0, 0, 1, 1, 0, 0})},
        {"a negative record size", batch_with(1, {11, 0, 0, 0, 1, 1, 0})},
        {"a record larger than the batch", batch_with(1, {14, 0, 0, 0, 1, 1, 0})},
        {"a record longer than its fields", batch_with(1, {14, 0, 0, 0, 1, 1, 0, 0})},
        {"a record shorter than its fields", batch_with(1, {10, 0, 0, 0, 1, 1, 0})},
        {"an empty record", batch_with(1, {0})},
        {"a key that runs over", batch_with(1, {12, 0, 0, 0, 8, 1, 0})},
        {"a value that runs over", batch_with(1, {12, 0, 0, 0, 1, 8, 0})},
        {"a negative header count", batch_with(1, {12, 0, 0, 0, 1, 1, 1})},
        {"more headers than bytes", batch_with(1, {12, 0, 0, 0, 1, 1, 2})},
        {"a header without a key", batch_with(1, {16, 0, 0, 0, 1, 1, 2, 1, 1})},
        {"a header value that runs over", batch_with(1, {16, 0, 0, 0, 1, 1, 2, 0, 8})},
        {"an endless varint", batch_with(1, {255, 255, 255, 255, 255, 255, 0})},
        {"a size of 2^31-1", batch_with(1, {254, 255, 255, 255, 15, 0, 0})},
    };
    for (const auto& [what, bytes] : cases) {
        Status status = walk(bytes);
        ASSERT_FALSE(status) << what;
        EXPECT_EQ(status.error().code, ErrorCode::invalid_record) << what;
    }
}

TEST(RecordIterator, RefusesAHugeCountWithoutTakingMemoryForIt) {
    auto bytes = batch_with(1, {12, 0, 0, 0, 1, 1, 0});
    store_be(bytes.data() + batch_layout::kRecordCount, INT32_MAX);
    EXPECT_FALSE(walk(bytes));
    store_be(bytes.data() + batch_layout::kRecordCount, -1);
    EXPECT_FALSE(walk(bytes));
}

TEST(RecordIterator, SurvivesEveryTruncationAndEveryFlippedByte) {
    const auto bytes = copy(build(golden_five()));
    for (size_t size = kBatchHeaderBytes; size < bytes.size(); ++size) {
        EXPECT_FALSE(walk(std::span(bytes).first(size))) << size;
    }
    for (size_t at = kBatchHeaderBytes; at < bytes.size(); ++at) {
        for (std::byte flip : {std::byte{0x01}, std::byte{0x80}, std::byte{0xff}}) {
            auto damaged = bytes;
            damaged[at] ^= flip;
            (void)walk(damaged);  // either answer is right; ASan watches the reads
        }
    }
}

TEST(RecordIterator, WrapsAbsurdTimestampsInsteadOfOverflowing) {
    Codecs codecs;
    std::vector<OwnedRecord> records{
        {0, INT64_MAX, "a", "b"}, {1, INT64_MIN, "a", "b"}, {2, -5, "a", "b"}};
    EXPECT_EQ(read_all(build(records).span(), codecs), records);
}

TEST(BatchBuilder, KeepsTheFirstOfSeveralLargestTimestamps) {
    Codecs codecs;
    BatchBuilder builder(codecs, {});
    for (int64_t time : {5, 9, 7, 9}) builder.append(WallTime{time}, std::nullopt, as_bytes("v"));
    EXPECT_EQ(builder.count(), 4);
    ASSERT_TRUE(builder.finish());
    EXPECT_EQ(builder.fields().max_timestamp, WallTime{9});
    EXPECT_EQ(builder.fields().base_timestamp, WallTime{5});
    EXPECT_EQ(builder.max_timestamp_delta(), 1);
}

TEST(BatchBuilder, WritesEveryCodecReadably) {
    Codecs codecs;
    for (Codec codec : {Codec::none, Codec::gzip, Codec::snappy, Codec::lz4, Codec::zstd}) {
        Buffer bytes = build(golden_five(), {.compression = {.codec = codec, .level = std::nullopt},
                                             .producer_id = ProducerId{1},
                                             .producer_epoch = ProducerEpoch{2},
                                             .base_sequence = 3});
        BatchView batch(bytes.span());
        EXPECT_EQ(batch.codec(), codec);
        EXPECT_EQ(batch.base_sequence(), 3);
        EXPECT_EQ(read_all(bytes.span(), codecs), golden_five());
    }
}

}  // namespace
}  // namespace ottla
