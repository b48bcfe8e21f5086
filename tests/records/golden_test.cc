// SPDX-License-Identifier: Apache-2.0
// Real bytes of the Java client library: read back equal, and where nothing depends on a compressor
// written equal too.
#include <gtest/gtest.h>

#include "records/control.h"
#include "tests/records/golden/java_batches.h"
#include "tests/records/samples.h"

namespace ottla {
namespace {

using samples::from_hex;
using samples::golden_five;
using samples::read_all;

constexpr WallTime kStart{1'700'000'000'000};

TEST(GoldenBatches, EveryCodecReadsBackEqual) {
    Codecs codecs;
    const std::pair<std::string_view, Codec> all[] = {
        {golden::kNone, Codec::none},      {golden::kGzip, Codec::gzip},
        {golden::kSnappy, Codec::snappy},  {golden::kLz4, Codec::lz4},
        {golden::kLz4Level12, Codec::lz4}, {golden::kZstd, Codec::zstd}};
    for (const auto& [hex, codec] : all) {
        Buffer bytes = from_hex(hex);
        EXPECT_EQ(parse_batch(bytes.span())->codec(), codec);
        EXPECT_EQ(read_all(bytes.span(), codecs), golden_five()) << static_cast<int>(codec);
    }
}

TEST(GoldenBatches, ValuesOfSeveralBlocksReadBackEqual) {
    Codecs codecs;
    for (std::string_view hex :
         {golden::kGzipLarge, golden::kSnappyLarge, golden::kLz4Large, golden::kZstdLarge}) {
        auto records = read_all(from_hex(hex).span(), codecs);
        ASSERT_EQ(records.size(), 1U);
        EXPECT_EQ(records[0].value, std::string(100'000, 'x'));
    }
}

TEST(GoldenBatches, WeWriteUncompressedBatchesByteForByteAsJavaDoes) {
    using samples::build;
    BatchOptions producer{.producer_id = ProducerId{4711},
                          .producer_epoch = ProducerEpoch{3},
                          .base_sequence = 2147483645};
    EXPECT_EQ(build(golden_five()), from_hex(golden::kNone));
    EXPECT_EQ(build(golden_five(), producer), from_hex(golden::kIdempotent));
    producer.base_sequence = 17;
    producer.transactional = true;
    EXPECT_EQ(build(golden_five(), producer), from_hex(golden::kTransactional));
    EXPECT_EQ(build(golden_five(), {.timestamp_type = TimestampType::log_append_time,
                                    .log_append_time = WallTime{1'800'000'000'000}}),
              from_hex(golden::kLogAppendTime));
}

TEST(GoldenBatches, ProducerFieldsAreReadWithTheirWrap) {
    Buffer bytes = from_hex(golden::kIdempotent);
    BatchView batch(bytes.span());
    EXPECT_EQ(batch.producer_id(), ProducerId{4711});
    EXPECT_EQ(batch.producer_epoch(), ProducerEpoch{3});
    EXPECT_EQ(batch.base_sequence(), 2147483645);
    EXPECT_EQ(batch.last_sequence(), 1);
    EXPECT_FALSE(batch.is_transactional());
    Buffer transactional = from_hex(golden::kTransactionalZstd);
    EXPECT_TRUE(BatchView(transactional.span()).is_transactional());
}

TEST(GoldenBatches, RecordsOfALogAppendTimeBatchHaveItsTime) {
    Codecs codecs;
    auto records = read_all(from_hex(golden::kLogAppendTime).span(), codecs);
    ASSERT_EQ(records.size(), 5U);
    for (const auto& record : records) EXPECT_EQ(record.timestamp, 1'800'000'000'000);
}

TEST(GoldenBatches, TransactionMarkersAreWrittenByteForByteAsJavaDoes) {
    MarkerOptions options{.producer_id = ProducerId{4711},
                          .producer_epoch = ProducerEpoch{3},
                          .timestamp = kStart,
                          .base_offset = Offset{42},
                          .leader_epoch = LeaderEpoch{7}};
    EXPECT_EQ(build_end_transaction_batch(options, {.committed = true, .coordinator_epoch = 12}),
              from_hex(golden::kEndCommit));
    EXPECT_EQ(build_end_transaction_batch(options, {.committed = false, .coordinator_epoch = 12}),
              from_hex(golden::kEndAbort));
}

TEST(GoldenBatches, LeaderChangeIsReadAndWrittenBackByteForByte) {
    Buffer bytes = from_hex(golden::kLeaderChange);
    BatchView batch(bytes.span());
    EXPECT_TRUE(batch.is_control());
    RecordIterator records(batch, batch.payload());
    Record record;
    ASSERT_TRUE(records.next(record));
    Result<ControlRecord> control = parse_control(record);
    ASSERT_TRUE(control);
    EXPECT_EQ(control->type, ControlType::leader_change);
    EXPECT_EQ(build_control_batch(
                  {.timestamp = kStart, .base_offset = Offset{5}, .leader_epoch = LeaderEpoch{7}},
                  {&*control, 1}),
              bytes);
}

}  // namespace
}  // namespace ottla
