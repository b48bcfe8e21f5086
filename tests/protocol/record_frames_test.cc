// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "protocol/coordinator_record.h"
#include "protocol/group_records.h"
#include "protocol/metadata_frame.h"

namespace ottla::protocol {
namespace {

Buffer bytes_of(std::initializer_list<int> values) {
    std::string text;
    for (const int value : values) text += static_cast<char>(value);
    return Buffer::copy_of(text);
}

TEST(MetadataFrame, EveryTypeComesBack) {
    const auto comes_back = []<class R>(const R& record) {
        for (int16_t version = R::kMinVersion; version <= R::kMaxVersion; ++version) {
            auto framed = decode_metadata_record(encode_metadata_record(record, version));
            ASSERT_TRUE(framed) << framed.error().detail;
            EXPECT_EQ(framed->version, version);
            EXPECT_EQ(name_of(framed->record), R::kName);
            EXPECT_TRUE(std::holds_alternative<R>(framed->record));
        }
    };
    [&]<size_t... I>(std::index_sequence<I...>) {
        (comes_back(std::variant_alternative_t<I, MetadataRecord>{}), ...);
    }(std::make_index_sequence<std::variant_size_v<MetadataRecord>>{});
}

TEST(MetadataFrame, HasKafkasBytes) {
    TopicRecord topic;
    topic.name = "t";
    topic.topic_id = kMetadataTopicId;
    const Buffer expected =
        bytes_of({1, 2, 0, 2, 't', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0});
    EXPECT_EQ(encode_metadata_record(topic, 0), expected);
    const auto framed = decode_metadata_record(expected);
    ASSERT_TRUE(framed);
    EXPECT_EQ(std::get<TopicRecord>(framed->record), topic);
}

TEST(MetadataFrame, ATypeVersionOrFrameOfANewerKafkaIsNamed) {
    EXPECT_EQ(decode_metadata_record(bytes_of({2, 2, 0})).error().code,
              ErrorCode::unsupported_version);
    EXPECT_EQ(decode_metadata_record(bytes_of({1, 99, 0})).error().detail,
              "no metadata record has type 99");
    EXPECT_EQ(decode_metadata_record(bytes_of({1, 2, 9})).error().detail,
              "TopicRecord has no version 9");
    EXPECT_EQ(decode_metadata_record(bytes_of({1, 2, 0xff, 0xff, 0x7f})).error().code,
              ErrorCode::malformed);
    EXPECT_EQ(decode_metadata_record(bytes_of({1, 20, 0, 0, 7})).error().code,
              ErrorCode::malformed);
    EXPECT_EQ(decode_metadata_record(Buffer{}).error().code, ErrorCode::malformed);
}

TEST(CoordinatorRecord, KeysBeginWithTheirTypeAndValuesWithTheirVersion) {
    OffsetCommitKey key;
    key.group = "g";
    key.topic = "t";
    key.partition = 3;
    const Buffer bytes = encode_record_key(key);
    EXPECT_EQ(bytes, bytes_of({0, 1, 0, 1, 'g', 0, 1, 't', 0, 0, 0, 3}));
    EXPECT_EQ(record_type(bytes), 1);
    EXPECT_EQ(decode_record_key<OffsetCommitKey>(bytes), key);
    EXPECT_FALSE(decode_record_key<GroupMetadataKey>(bytes));

    OffsetCommitValue value;
    value.offset = 42;
    value.metadata = "m";
    for (int16_t version = 0; version <= OffsetCommitValue::kMaxVersion; ++version) {
        const auto again =
            decode_record_value<OffsetCommitValue>(encode_record_value(version, value));
        ASSERT_TRUE(again);
        EXPECT_EQ(again->version, version);
        EXPECT_EQ(again->value.offset, 42);
    }
    EXPECT_EQ(decode_record_value<OffsetCommitValue>(bytes_of({0, 9})).error().code,
              ErrorCode::unsupported_version);
}

TEST(CoordinatorRecord, ANullTagOfAClassicMemberIsNotItsAbsence) {
    // Kafka's generator gives this one field a default that is not null: absent means "empty".
    ConsumerGroupMemberMetadataValue value;
    EXPECT_TRUE(value.classic_member_metadata.has_value());
    value.classic_member_metadata.reset();
    const Buffer bytes = encode_record_value(0, value);
    const auto again = decode_record_value<ConsumerGroupMemberMetadataValue>(bytes);
    ASSERT_TRUE(again);
    EXPECT_FALSE(again->value.classic_member_metadata.has_value());
    EXPECT_EQ(again->value, value);
}

TEST(MetadataFrame, TellsTypesThatItCanReadFromThoseItCannot) {
    const Buffer known = encode_metadata_record(NoOpRecord{}, 0);
    EXPECT_EQ(metadata_record_type(known.span()).value_or(-1), NoOpRecord::kRecordType);
    const auto refused = [](std::initializer_list<int> frame) {
        return metadata_record_type(bytes_of(frame).span()).error().code;
    };
    EXPECT_EQ(refused({1, 30, 0, 0}), ErrorCode::unsupported_version) << "no such type";
    EXPECT_EQ(refused({1, 20, 1, 0}), ErrorCode::unsupported_version) << "no such version";
    EXPECT_EQ(refused({2, 20, 0, 0}), ErrorCode::unsupported_version) << "no such frame";
    EXPECT_EQ(refused({1}), ErrorCode::malformed);
}

}  // namespace
}  // namespace ottla::protocol
