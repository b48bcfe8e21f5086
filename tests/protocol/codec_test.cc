// SPDX-License-Identifier: Apache-2.0
// What the codec refuses, and what it makes of versions, nulls and tags.
#include "protocol/codec.h"

#include <gtest/gtest.h>

#include "protocol/create_topics.h"
#include "protocol/describe_configs.h"
#include "protocol/fetch.h"
#include "protocol/init_producer_id.h"
#include "protocol/metadata.h"
#include "protocol/metadata_records.h"

namespace ottla::protocol {
namespace {

Buffer bytes_of(std::initializer_list<int> values) {
    std::string text;
    for (const int value : values) text += static_cast<char>(value);
    return Buffer::copy_of(text);
}

std::string reason(const Buffer& body, int16_t version) {
    const auto decoded = decode<MetadataRequest>(body, version);
    return decoded ? "none" : decoded.error().detail;
}

TEST(Codec, MetadataOfAllTopicsIsAnEmptyArrayInVersion0AndNullLater) {
    const MetadataRequest all;  // topics: null
    EXPECT_EQ(encode(0, all).flatten(), bytes_of({0, 0, 0, 0}));
    EXPECT_EQ(encode(1, all).flatten(), bytes_of({0xff, 0xff, 0xff, 0xff}));
    const auto none = decode<MetadataRequest>(bytes_of({0, 0, 0, 0}), 1);
    ASSERT_TRUE(none);
    EXPECT_TRUE(none->topics.has_value());
}

TEST(Codec, NullIsAnErrorInAVersionThatHasNone) {
    EXPECT_EQ(reason(bytes_of({0xff, 0xff, 0xff, 0xff}), 0),
              "MetadataRequest.topics: an array is null that must not be");
    // A topic's name may be null from version 10 on.
    EXPECT_EQ(reason(bytes_of({0, 0, 0, 1, 0xff, 0xff}), 1),
              "MetadataRequest.MetadataRequestTopic.name: a string is null that must not be");
}

TEST(Codec, ArraysAreHeldAgainstWhatTheirElementsTakeAtLeast) {
    // 2,000 topics of at least 18 bytes in version 12 cannot lie in 4,000 bytes.
    Writer out;
    out.unsigned_varint(2001);
    out.raw(as_bytes(std::string(4000, '\0')));
    EXPECT_EQ(reason(out.finish().flatten(), 12),
              "MetadataRequest.topics: an array has more elements than the bytes left can hold");
}

TEST(Codec, ArraysDoNotGrowMemoryFarBeyondTheirMessage) {
    Writer out;
    out.unsigned_varint(2);
    out.int8(2);
    out.string("t", Lengths::compact);
    out.unsigned_varint(900'001);
    out.raw(as_bytes(std::string(900'000, '\1')));  // empty strings
    out.raw(as_bytes(std::string(4, '\0')));
    const auto decoded = decode<DescribeConfigsRequest>(out.finish().flatten(), 4);
    ASSERT_FALSE(decoded);
    EXPECT_NE(decoded.error().detail.find("configurationKeys: the arrays take more memory"),
              std::string::npos)
        << decoded.error().detail;
}

TEST(Codec, ManyShortNamesAreStillAMessage) {
    DescribeConfigsRequest request;
    auto& resource = request.resources.emplace_back();
    resource.configuration_keys.emplace(100'000, "cleanup.policy");
    EXPECT_EQ(decode<DescribeConfigsRequest>(encode(4, request).flatten(), 4), request);
}

TEST(Codec, UnknownTagsAreSkippedAndKnownOnesReadInAnyOrder) {
    FetchRequest request;
    request.cluster_id = "c";
    request.replica_state.replica_id = 7;
    const Chain plain = encode(17, request);
    std::string bytes{plain.flatten().text()};
    // The tags stand at the end: 2, (0, 2, "c"), (1, 13, state). Swap them, an unknown one between.
    constexpr size_t kTagSection = 1 + 4 + 15;
    const std::string tags = bytes.substr(bytes.size() - kTagSection);
    ASSERT_EQ(tags[0], 2);
    bytes.resize(bytes.size() - kTagSection);
    bytes += '\3' + tags.substr(5) + "\x63\x02xy" + tags.substr(1, 4);
    EXPECT_EQ(decode<FetchRequest>(Buffer::copy_of(bytes), 17), request);
}

TEST(Codec, ATagThatIsNotAsLongAsItsValueIsAnError) {
    FetchRequest request;
    request.cluster_id = "c";
    std::string bytes{encode(17, request).flatten().text()};
    ASSERT_EQ(bytes.substr(bytes.size() - 5), std::string("\1\0\2\2c", 5));
    bytes[bytes.size() - 3] = 3;
    bytes += 'd';
    const auto decoded = decode<FetchRequest>(Buffer::copy_of(bytes), 17);
    ASSERT_FALSE(decoded);
    EXPECT_EQ(decoded.error().detail, "FetchRequest.clusterId: a tag's size is not its value's");
}

TEST(Codec, DefaultTagsAreLeftOut) {
    PartitionChangeRecord change;
    change.topic_id = kMetadataTopicId;
    EXPECT_EQ(encoded_size(2, change), 4 + 16 + 1U);
    change.leader = -1;
    EXPECT_EQ(encoded_size(2, change), 4 + 16 + 1 + 6U);
    change.isr.emplace();  // empty is not null here
    EXPECT_EQ(encoded_size(2, change), 4 + 16 + 1 + 6 + 3U);
    EXPECT_EQ(decode<PartitionChangeRecord>(encode(2, change).flatten(), 2), change);
}

TEST(Codec, FieldsOfOtherVersionsAreDefaultAfterDecoding) {
    CreateTopicsResponse response;
    response.topics.emplace_back().num_partitions = 9;  // version 5 and later
    const auto old = decode<CreateTopicsResponse>(encode(4, response).flatten(), 4);
    ASSERT_TRUE(old);
    EXPECT_EQ(old->topics[0].num_partitions, -1);
    EXPECT_EQ(
        decode<CreateTopicsResponse>(encode(5, response).flatten(), 5)->topics[0].num_partitions,
        9);
}

TEST(Codec, UnstableVersionsHaveACodecButAreNotSupported) {
    EXPECT_EQ(InitProducerIdRequest::kMaxVersion, 5);
    EXPECT_EQ(InitProducerIdRequest::kMaxCodecVersion, 6);
    EXPECT_TRUE(decode<InitProducerIdRequest>(encode(6, InitProducerIdRequest{}).flatten(), 6));
}

TEST(Codec, AReusedMessageKeepsNothing) {
    MetadataRequest request;
    request.topics.emplace().emplace_back().name = "old";
    Reader in{bytes_of({0xff, 0xff, 0xff, 0xff})};
    ASSERT_TRUE(decode(in, 1, request));
    EXPECT_FALSE(request.topics.has_value());
}

}  // namespace
}  // namespace ottla::protocol
