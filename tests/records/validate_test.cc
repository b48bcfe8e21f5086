// SPDX-License-Identifier: Apache-2.0
// Kafka's rules for what a producer may send (kafka_facts.md, traps 29-33), one test a rule.
#include "records/validate.h"

#include <gtest/gtest.h>

#include <snappy.h>

#include "tests/records/samples.h"

namespace ottla {
namespace {

using samples::build;
using samples::copy;
using samples::golden_five;
using samples::OwnedRecord;
using samples::read_all;
using samples::seal;

constexpr WallTime kNow{1'700'000'001'000};
constexpr Codec kEveryCodec[] = {Codec::none, Codec::gzip, Codec::snappy, Codec::lz4, Codec::zstd};

Compression with(Codec codec) { return {.codec = codec, .level = std::nullopt}; }

class ValidateProduced : public testing::Test {
protected:
    std::expected<ValidatedBatch, Rejection> validate(std::span<const std::byte> bytes) {
        return validate_produced(Buffer::copy_of(bytes), rules_, kNow, codecs_);
    }
    std::expected<ValidatedBatch, Rejection> validate(const Buffer& bytes) {
        return validate_produced(bytes, rules_, kNow, codecs_);
    }
    /// none when the batch is taken.
    ErrorCode verdict(std::span<const std::byte> bytes) {
        auto result = validate(bytes);
        return result ? ErrorCode::none : result.error().error.code;
    }
    /// The batch with one header field changed and the CRC right again.
    template <class T>
    static std::vector<std::byte> changed(const Buffer& batch, size_t at, T value) {
        auto bytes = copy(batch);
        store_be(bytes.data() + at, value);
        seal(bytes);
        return bytes;
    }
    /// What the log does with a result; gives the records that a consumer reads.
    std::vector<OwnedRecord> stored(const ValidatedBatch& result) {
        auto bytes = copy(result.bytes);
        assign_offsets(bytes, Offset{100}, LeaderEpoch{1}, result.restamp);
        header_ = bytes;
        return read_all(bytes, codecs_);
    }
    [[nodiscard]] BatchView header() const { return BatchView(header_); }

    Codecs codecs_;
    ProduceRules rules_;
    std::vector<std::byte> header_;
    Buffer good_ = build(golden_five());
};

TEST_F(ValidateProduced, TheUsualBatchIsTheSameBytesWithoutACopy) {
    for (Codec codec : kEveryCodec) {
        Buffer bytes = build(golden_five(), {.compression = with(codec)});
        auto result = validate(bytes);
        ASSERT_TRUE(result) << static_cast<int>(codec);
        EXPECT_EQ(result->bytes.data(), bytes.data());
        EXPECT_FALSE(result->rebuilt);
        EXPECT_FALSE(result->restamp);
        EXPECT_EQ(result->record_count, 5);
        EXPECT_EQ(result->max_timestamp, WallTime{1'700'000'000'005});
        EXPECT_EQ(result->max_timestamp_delta, 1);
        EXPECT_EQ(stored(*result), golden_five());
    }
}

TEST_F(ValidateProduced, APartitionWithoutABatchIsInvalid) {
    EXPECT_EQ(verdict({}), ErrorCode::invalid_record);
    for (size_t size = 1; size < good_.size(); ++size) {
        EXPECT_EQ(verdict(good_.span().first(size)), ErrorCode::invalid_record) << size;
    }
}

TEST_F(ValidateProduced, TwoBatchesAreInvalid) {
    auto two = copy(good_);
    two.insert(two.end(), good_.span().begin(), good_.span().end());
    EXPECT_EQ(verdict(two), ErrorCode::invalid_record);
}

TEST_F(ValidateProduced, BytesBehindTheBatchThatAreNoBatchAreDropped) {
    auto longer = copy(good_);
    longer.insert(longer.end(), good_.span().begin(), good_.span().begin() + 30);
    auto result = validate(longer);
    ASSERT_TRUE(result);
    EXPECT_EQ(result->bytes, good_);
    longer.resize(good_.size() + 20, std::byte{0});
    store_be<int32_t>(longer.data() + good_.size() + batch_layout::kLength, 0);
    EXPECT_EQ(verdict(longer), ErrorCode::corrupt_message);
}

TEST_F(ValidateProduced, OldMagicIsInvalidAndUnknownMagicCorrupt) {
    auto bytes = copy(good_);
    for (const auto& [magic, code] : {std::pair{0, ErrorCode::invalid_record},
                                      {1, ErrorCode::invalid_record},
                                      {3, ErrorCode::corrupt_message},
                                      {-1, ErrorCode::corrupt_message}}) {
        bytes[batch_layout::kMagic] = static_cast<std::byte>(magic);
        EXPECT_EQ(verdict(bytes), code) << magic;
    }
}

TEST_F(ValidateProduced, LengthsBelowTheHeaderAreCorrupt) {
    auto bytes = copy(good_);
    for (int32_t length : {-1, 0, 13, 14, 48}) {
        store_be(bytes.data() + batch_layout::kLength, length);
        EXPECT_EQ(verdict(bytes), ErrorCode::corrupt_message) << length;
    }
}

TEST_F(ValidateProduced, AFlippedByteUnderTheCrcIsCorruptAndRetriable) {
    auto bytes = copy(good_);
    for (size_t at = batch_layout::kCrc; at < bytes.size(); ++at) {
        bytes[at] ^= std::byte{0x05};
        EXPECT_EQ(verdict(bytes), ErrorCode::corrupt_message) << at;
        bytes[at] ^= std::byte{0x05};
    }
}

TEST_F(ValidateProduced, TheBaseOffsetIsZero) {
    EXPECT_EQ(verdict(build(golden_five(), {.base_offset = Offset{1}}).span()),
              ErrorCode::invalid_record);
}

TEST_F(ValidateProduced, CountAndLastOffsetDeltaAgreeAndArePositive) {
    using namespace batch_layout;
    for (int32_t count : {0, -1, 4, 6, INT32_MAX}) {
        EXPECT_EQ(verdict(changed(good_, kRecordCount, count)), ErrorCode::invalid_record) << count;
    }
    for (int32_t delta : {-1, 3, 5, INT32_MAX}) {
        EXPECT_EQ(verdict(changed(good_, kLastOffsetDelta, delta)), ErrorCode::invalid_record);
    }
}

TEST_F(ValidateProduced, ACountThatTheRecordsDoNotHoldIsInvalidInEveryCodec) {
    for (Codec codec : kEveryCodec) {
        Buffer bytes = build(golden_five(), {.compression = with(codec)});
        for (int32_t count : {4, 6}) {
            auto lying = changed(bytes, batch_layout::kRecordCount, count);
            store_be(lying.data() + batch_layout::kLastOffsetDelta, count - 1);
            seal(lying);
            EXPECT_EQ(verdict(lying), ErrorCode::invalid_record) << static_cast<int>(codec);
        }
    }
}

TEST_F(ValidateProduced, OnlyCoordinatorsWriteControlBatches) {
    Buffer control = build(golden_five(), {.control = true});
    EXPECT_EQ(verdict(control.span()), ErrorCode::invalid_record);
    rules_.origin = AppendOrigin::coordinator;
    EXPECT_EQ(verdict(control.span()), ErrorCode::none);
    rules_.compression = with(Codec::zstd);
    auto result = validate(control);
    ASSERT_TRUE(result);
    EXPECT_FALSE(result->rebuilt) << "control records are not compressed";
}

TEST_F(ValidateProduced, AProducerIdNeedsASequence) {
    EXPECT_EQ(verdict(build(golden_five(), {.producer_id = ProducerId{5}}).span()),
              ErrorCode::invalid_record);
    EXPECT_EQ(
        verdict(build(golden_five(), {.producer_id = ProducerId{5}, .base_sequence = 0}).span()),
        ErrorCode::none);
}

TEST_F(ValidateProduced, ZstdNeedsProduceV7) {
    Buffer zstd = build(golden_five(), {.compression = with(Codec::zstd)});
    EXPECT_EQ(verdict(zstd.span()), ErrorCode::none);
    rules_.zstd_allowed = false;
    EXPECT_EQ(verdict(zstd.span()), ErrorCode::unsupported_compression_type);
}

TEST_F(ValidateProduced, AnUnknownCodecIsUnsupported) {
    for (uint16_t codec = 5; codec <= 7; ++codec) {
        EXPECT_EQ(verdict(changed(good_, batch_layout::kAttributes, codec)),
                  ErrorCode::unsupported_compression_type);
    }
}

TEST_F(ValidateProduced, TheSizeLimitIsForTheBatchAsSent) {
    rules_.max_message_bytes = good_.size();
    EXPECT_EQ(verdict(good_.span()), ErrorCode::none);
    rules_.max_message_bytes = good_.size() - 1;
    EXPECT_EQ(verdict(good_.span()), ErrorCode::message_too_large);
    Buffer smaller = build(golden_five(), {.compression = with(Codec::gzip)});
    ASSERT_LT(smaller.size(), good_.size());
    EXPECT_EQ(verdict(smaller.span()), ErrorCode::none);
    rules_.segment_bytes = smaller.size() - 1;
    EXPECT_EQ(verdict(smaller.span()), ErrorCode::record_list_too_large);
}

TEST_F(ValidateProduced, TheSegmentMustHoldWhatIsStoredAndNotWhatWasSent) {
    rules_.segment_bytes = good_.size() - 1;
    EXPECT_EQ(verdict(good_.span()), ErrorCode::record_list_too_large);
    rules_.compression = with(Codec::gzip);
    EXPECT_EQ(verdict(good_.span()), ErrorCode::none);
}

TEST_F(ValidateProduced, TheSizeLimitHoldsAgainAfterRecompression) {
    Buffer small = build(golden_five(), {.compression = with(Codec::zstd)});
    rules_.max_message_bytes = small.size() + 10;
    rules_.compression = with(Codec::none);
    EXPECT_EQ(verdict(small.span()), ErrorCode::message_too_large);
}

TEST_F(ValidateProduced, TimestampsOutOfBoundsAreListed) {
    rules_.timestamp_before_max_ms = 1000;
    rules_.timestamp_after_max_ms = 50;
    const int64_t now = kNow.value();
    for (Codec codec : kEveryCodec) {
        auto result = validate(build({{0, now - 1001, "k", "too old"},
                                      {1, now - 1000, "k", "just right"},
                                      {2, now + 50, "k", "just right"},
                                      {3, now + 51, "k", "too new"},
                                      {4, -1, "k", "without a time"}},
                                     {.compression = with(codec)}));
        ASSERT_FALSE(result);
        EXPECT_EQ(result.error().error.code, ErrorCode::invalid_timestamp);
        ASSERT_EQ(result.error().records.size(), 2U);
        EXPECT_EQ(result.error().records[0].index, 0);
        EXPECT_EQ(result.error().records[1].index, 3);
    }
}

TEST_F(ValidateProduced, ABatchWithoutTimestampsIsTaken) {
    rules_.timestamp_before_max_ms = 0;
    auto result = validate(build({{0, -1, "k", "v"}, {1, -1, "k", "v"}}));
    ASSERT_TRUE(result);
    EXPECT_EQ(result->max_timestamp, kNoTimestamp);
}

TEST_F(ValidateProduced, AbsurdTimestampsAreRefusedWithoutOverflow) {
    for (int64_t time : {INT64_MIN, INT64_MIN + 1, INT64_MAX}) {
        ErrorCode code = verdict(build({{0, time, "k", "v"}}).span());
        if (time == INT64_MAX) {
            EXPECT_EQ(code, ErrorCode::invalid_timestamp);
        }
    }
}

TEST_F(ValidateProduced, AKeylessRecordOnACompactedTopicIsListed) {
    rules_.compacted = true;
    for (Codec codec : kEveryCodec) {
        auto result = validate(build({{0, kNow.value(), "k", "v"},
                                      {1, kNow.value(), std::nullopt, "v"},
                                      {2, kNow.value(), "", "an empty key is a key"}},
                                     {.compression = with(codec)}));
        ASSERT_FALSE(result);
        EXPECT_EQ(result.error().error.code, ErrorCode::invalid_record);
        ASSERT_EQ(result.error().records.size(), 1U);
        EXPECT_EQ(result.error().records[0].index, 1);
    }
}

TEST_F(ValidateProduced, ABadTimestampOutweighsAMissingKey) {
    rules_.compacted = true;
    auto result = validate(
        build({{0, kNow.value(), std::nullopt, "v"}, {1, kNow.value() + 10'000'000, "k", "v"}}));
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().error.code, ErrorCode::invalid_timestamp);
    EXPECT_EQ(result.error().records.size(), 2U);
}

TEST_F(ValidateProduced, TheListOfRefusedRecordsIsBounded) {
    rules_.compacted = true;
    BatchBuilder builder(codecs_, {});
    for (int i = 0; i < 1500; ++i) builder.append(kNow, std::nullopt, as_bytes("v"));
    auto result = validate(builder.finish().value());
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().records.size(), kMostRecordErrors);
    EXPECT_NE(result.error().error.detail.find("1500"), std::string::npos);
}

TEST_F(ValidateProduced, LogAppendTimeIsStampedForEveryCodec) {
    rules_.timestamp_type = TimestampType::log_append_time;
    rules_.timestamp_before_max_ms = 0;  // does not count for log append time
    for (Codec codec : kEveryCodec) {
        auto result = validate(build(golden_five(), {.compression = with(codec)}));
        ASSERT_TRUE(result);
        EXPECT_FALSE(result->rebuilt);
        EXPECT_EQ(result->restamp, (Restamp{TimestampType::log_append_time, kNow}));
        EXPECT_EQ(result->max_timestamp, kNow);
        for (const OwnedRecord& record : stored(*result)) EXPECT_EQ(record.timestamp, kNow.value());
        EXPECT_EQ(header().timestamp_type(), TimestampType::log_append_time);
    }
}

TEST_F(ValidateProduced, AClientDoesNotSetTheLogAppendTimeBit) {
    Buffer sent = build(
        golden_five(), {.timestamp_type = TimestampType::log_append_time, .log_append_time = kNow});
    rules_.timestamp_type = TimestampType::log_append_time;
    auto result = validate(sent);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().error.code, ErrorCode::invalid_timestamp);
    EXPECT_EQ(result.error().records.size(), 5U);
}

TEST_F(ValidateProduced, OnACreateTimeTopicTheBitIsTakenBackAsKafkaDoes) {
    auto result = validate(build(golden_five(), {.timestamp_type = TimestampType::log_append_time,
                                                 .log_append_time = kNow}));
    ASSERT_TRUE(result);
    EXPECT_EQ(result->restamp, (Restamp{TimestampType::create_time, kNow}));
    EXPECT_EQ(stored(*result), golden_five());
    EXPECT_EQ(header().timestamp_type(), TimestampType::create_time);
}

TEST_F(ValidateProduced, AWrongMaxTimestampIsCorrected) {
    auto lying = changed(good_, batch_layout::kMaxTimestamp, INT64_MAX);
    auto result = validate(lying);
    ASSERT_TRUE(result);
    EXPECT_EQ(stored(*result), golden_five());
    EXPECT_EQ(header().max_timestamp(), WallTime{1'700'000'000'005});
}

TEST_F(ValidateProduced, AnotherCodecIsBuiltWithEverythingElseKept) {
    for (Codec from : kEveryCodec) {
        for (Codec to : kEveryCodec) {
            if (from == to) continue;
            rules_.compression = with(to);
            auto result = validate(build(golden_five(), {.compression = with(from),
                                                         .transactional = true,
                                                         .producer_id = ProducerId{9},
                                                         .producer_epoch = ProducerEpoch{4},
                                                         .base_sequence = 77}));
            ASSERT_TRUE(result);
            EXPECT_TRUE(result->rebuilt);
            EXPECT_EQ(result->max_timestamp, WallTime{1'700'000'000'005});
            EXPECT_EQ(result->max_timestamp_delta, 1);
            EXPECT_EQ(stored(*result), golden_five());
            EXPECT_EQ(header().codec(), to);
            EXPECT_TRUE(header().is_transactional());
            EXPECT_EQ(header().producer_id(), ProducerId{9});
            EXPECT_EQ(header().producer_epoch(), ProducerEpoch{4});
            EXPECT_EQ(header().base_sequence(), 77);
        }
    }
}

TEST_F(ValidateProduced, TheSameCodecAtAnotherLevelIsNotRecompressed) {
    rules_.compression = Compression{.codec = Codec::zstd, .level = 19};
    auto result = validate(build(golden_five(), {.compression = with(Codec::zstd)}));
    ASSERT_TRUE(result);
    EXPECT_FALSE(result->rebuilt);
}

TEST_F(ValidateProduced, RecompressionStampsLogAppendTimeToo) {
    rules_.timestamp_type = TimestampType::log_append_time;
    rules_.compression = with(Codec::lz4);
    auto result = validate(good_);
    ASSERT_TRUE(result);
    EXPECT_TRUE(result->rebuilt);
    for (const OwnedRecord& record : stored(*result)) EXPECT_EQ(record.timestamp, kNow.value());
    EXPECT_EQ(header().max_timestamp(), kNow);
    EXPECT_EQ(header().base_timestamp(), WallTime{1'700'000'000'000})
        << "the producer's times stay";
}

/// Two records whose offset deltas are both 0, as some old clients send them.
std::vector<std::byte> with_unset_inner_offsets(Codec codec) {
    std::string plain("\x0e\0\0\0\2k\1\0\x0e\0\0\0\2l\1\0", 16);
    std::vector<std::byte> bytes(kBatchHeaderBytes);
    if (codec == Codec::snappy) {
        std::string packed;
        snappy::Compress(plain.data(), plain.size(), &packed);
        plain = packed;
    }
    for (char c : plain) bytes.push_back(static_cast<std::byte>(c));
    write_batch_header(bytes, {.codec = codec,
                               .last_offset_delta = 1,
                               .base_timestamp = WallTime{5},
                               .max_timestamp = WallTime{5},
                               .record_count = 2});
    return bytes;
}

TEST_F(ValidateProduced, InnerOffsetsOfOldClientsAreMadeRight) {
    for (Codec codec : {Codec::none, Codec::snappy}) {
        auto result = validate(with_unset_inner_offsets(codec));
        ASSERT_TRUE(result) << result.error().error.detail;
        EXPECT_TRUE(result->rebuilt);
        EXPECT_EQ(stored(*result),
                  (std::vector<OwnedRecord>{{0, 5, "k", std::nullopt}, {1, 5, "l", std::nullopt}}));
        EXPECT_EQ(header().codec(), codec);
    }
}

TEST_F(ValidateProduced, CompressedGarbageUnderAGoodCrcIsInvalid) {
    for (Codec codec : {Codec::gzip, Codec::snappy, Codec::lz4, Codec::zstd}) {
        auto bytes = copy(build(golden_five(), {.compression = with(codec)}));
        for (size_t i = kBatchHeaderBytes; i < bytes.size(); ++i) bytes[i] = std::byte{0xee};
        seal(bytes);
        EXPECT_EQ(verdict(bytes), ErrorCode::invalid_record) << static_cast<int>(codec);
    }
}

TEST_F(ValidateProduced, ABombIsTooLarge) {
    rules_.max_decompressed_bytes = 1 << 20;
    for (Codec codec : {Codec::gzip, Codec::lz4, Codec::zstd}) {
        Buffer bomb = build({{0, kNow.value(), "k", std::string(4 << 20, '\0')}},
                            {.compression = with(codec)});
        EXPECT_EQ(verdict(bomb.span()), ErrorCode::message_too_large);
    }
}

TEST_F(ValidateProduced, FlippedRecordsUnderAGoodCrcNeverCrash) {
    for (Codec codec : kEveryCodec) {
        const auto original = copy(build(golden_five(), {.compression = with(codec)}));
        for (size_t at = batch_layout::kAttributes; at < original.size(); ++at) {
            auto bytes = original;
            bytes[at] ^= std::byte{0x41};
            seal(bytes);
            auto result = validate(bytes);
            if (result) {
                // What is taken is readable, whatever was flipped.
                EXPECT_EQ(stored(*result).size(), 5U) << static_cast<int>(codec) << " at " << at;
            }
        }
    }
}

}  // namespace
}  // namespace ottla
