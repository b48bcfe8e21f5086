// SPDX-License-Identifier: Apache-2.0
#include "protocol/frame.h"

#include <gtest/gtest.h>

#include "protocol/api_versions.h"
#include "protocol/fetch.h"
#include "protocol/metadata.h"
#include "protocol/produce.h"
#include "protocol/sasl_handshake.h"

namespace ottla::protocol {
namespace {

std::string framed(std::string_view body) {
    Writer out;
    out.int32(static_cast<int32_t>(body.size()));
    out.raw(as_bytes(body));
    return std::string{out.finish().flatten().text()};
}

TEST(FrameReader, AWholeFrameIsASliceOfTheReadBuffer) {
    const Buffer lent = Buffer::copy_of(framed("first") + framed("second"));
    FrameReader reader{100};
    std::vector<Buffer> frames;
    ASSERT_TRUE(reader.feed(lent, frames));
    ASSERT_EQ(frames.size(), 2U);
    EXPECT_EQ(frames[0].data(), lent.data() + 4);
    EXPECT_EQ(frames[0].text(), "first");
    EXPECT_EQ(frames[1].text(), "second");
    EXPECT_EQ(reader.pending(), 0U);
    EXPECT_TRUE(reader.destination().empty());
}

TEST(FrameReader, FramesComeOutEqualHoweverTheStreamIsCut) {
    const std::string stream =
        framed("one") + framed("") + framed(std::string(50, 'x')) + framed("4");
    for (size_t piece = 1; piece <= stream.size(); ++piece) {
        FrameReader reader{100};
        std::vector<Buffer> frames;
        for (size_t at = 0; at < stream.size(); at += piece) {
            ASSERT_TRUE(reader.feed(Buffer::copy_of(stream.substr(at, piece)), frames));
        }
        ASSERT_EQ(frames.size(), 4U) << piece;
        EXPECT_EQ(frames[0].text(), "one");
        EXPECT_TRUE(frames[1].empty());
        EXPECT_EQ(frames[2].text(), std::string(50, 'x'));
        EXPECT_EQ(frames[3].text(), "4");
    }
}

TEST(FrameReader, ThePartialFrameOffersItsRestAsDestination) {
    const std::string stream = framed("a longer frame");
    FrameReader reader{100};
    std::vector<Buffer> frames;
    ASSERT_TRUE(reader.feed(Buffer::copy_of(stream.substr(0, 8)), frames));
    EXPECT_EQ(reader.pending(), 4U);
    const auto rest = reader.destination();
    ASSERT_EQ(rest.size(), 10U);
    std::memcpy(rest.data(), stream.data() + 8, 10);
    reader.filled(10, frames);
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_EQ(frames[0].text(), "a longer frame");
}

TEST(FrameReader, NegativeAndOversizedLengthsFailForGood) {
    for (const std::string_view prefix :
         {std::string_view{"\xff\xff\xff\xff"}, std::string_view{"\0\0\0\x65", 4},
          std::string_view{"\x7f\xff\xff\xff"}}) {
        FrameReader reader{100};
        std::vector<Buffer> frames;
        EXPECT_FALSE(reader.feed(Buffer::copy_of(prefix), frames));
        EXPECT_FALSE(reader.feed(Buffer::copy_of(framed("fine")), frames));
        EXPECT_TRUE(frames.empty());
    }
}

TEST(FrameReader, AClaimedLengthAloneAllocatesAtMostAMebibyte) {
    FrameReader reader{100 * 1024 * 1024};
    std::vector<Buffer> frames;
    ASSERT_TRUE(reader.feed(Buffer::copy_of(std::string_view{"\x05\0\0\0", 4}), frames));
    EXPECT_EQ(reader.destination().size(), 1024U * 1024);
    const std::string body(5 << 24, 'z');
    for (size_t at = 0; at < body.size(); at += 3'000'000) {
        ASSERT_TRUE(reader.feed(Buffer::copy_of(body.substr(at, 3'000'000)), frames));
    }
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_EQ(frames[0].text(), body);
}

TEST(RequestHeader, TheClientIdKeepsItsClassicLengthInHeader2) {
    FetchRequest fetch;
    const Buffer frame = request_frame(7, "me", 12, fetch).flatten();
    const std::string_view expected{"\0\x01\0\x0c\0\0\0\x07\0\x02me\0", 13};
    EXPECT_EQ(frame.text().substr(4, expected.size()), expected);
    Reader in{frame.slice(4, frame.size() - 4)};
    const auto header = decode_request_header(in);
    ASSERT_TRUE(header);
    EXPECT_EQ(header->client_id, "me");
    EXPECT_EQ(header->correlation_id, 7);
    FetchRequest again;
    ASSERT_TRUE(decode(in, header->request_api_version, again));
    EXPECT_TRUE(in.finished());
    EXPECT_EQ(again, fetch);
}

TEST(RequestHeader, AnUnknownVersionOfAKnownApiStillHasAHeader) {
    // Key 18 version 99, correlation 5, no client id, no tags: what a client from the future sends.
    Reader in{Buffer::copy_of(std::string_view{"\0\x12\0\x63\0\0\0\x05\xff\xff\0", 11})};
    const auto header = decode_request_header(in);
    ASSERT_TRUE(header);
    EXPECT_EQ(header->correlation_id, 5);
    EXPECT_FALSE(is_supported(header->request_api_key, header->request_api_version));
}

TEST(RequestHeader, UnknownKeysAndTornHeadersAreErrors) {
    Reader unknown{Buffer::copy_of(std::string_view{"\x03\xe7\0\0\0\0\0\x05\xff\xff", 10})};
    EXPECT_EQ(decode_request_header(unknown).error().code, ErrorCode::unsupported_version);
    Reader retired{Buffer::copy_of(std::string_view{"\0\x07\0\0\0\0\0\x05\xff\xff", 10})};
    EXPECT_EQ(decode_request_header(retired).error().code, ErrorCode::unsupported_version);
    Reader torn{Buffer::copy_of(std::string_view{"\0\x12\0\x03\0\0", 6})};
    EXPECT_EQ(decode_request_header(torn).error().code, ErrorCode::malformed);
}

TEST(ResponseHeader, ApiVersionsAnswersInHeader0AtEveryVersion) {
    const ApiRow& api = *find_api(18);
    for (int16_t version = 0; version <= 5; ++version) {
        EXPECT_EQ(response_header_version(api, version), 0);
        EXPECT_EQ(request_header_version(api, version), version >= 3 ? 2 : 1);
    }
    ApiVersionsResponse answer;
    answer.error_code = 35;
    const Buffer frame = response_frame(9, 3, answer).flatten();
    EXPECT_EQ(frame.text().substr(4, 6), std::string_view("\0\0\0\x09\0\x23", 6));
}

TEST(ResponseHeader, SaslHandshakeIsNeverFlexible) {
    const ApiRow& api = *find_api(17);
    EXPECT_EQ(request_header_version(api, 1), 1);
    EXPECT_EQ(response_header_version(api, 1), 0);
}

TEST(ResponseHeader, FlexibleAnswersCarryATagSection) {
    const Buffer frame = response_frame(9, 9, MetadataResponse{}).flatten();
    Reader in{frame.slice(4, frame.size() - 4)};
    EXPECT_EQ(decode_response_header(in, ApiKey::metadata, 9), 9);
    EXPECT_EQ(in.position(), 5U);
}

TEST(ResponseFrame, FetchedRecordsLeaveWithoutACopy) {
    const Buffer first = Buffer::copy_of(std::string(700, 'a'));
    const Buffer second = Buffer::copy_of(std::string(900, 'b'));
    FetchResponse response;
    auto& partition = response.responses.emplace_back().partitions.emplace_back();
    partition.records.emplace(first);
    partition.records->append(second);
    const Chain frame = response_frame(1, 17, response);
    ASSERT_EQ(frame.pieces().size(), 4U);
    EXPECT_EQ(frame.pieces()[1].data(), first.data());
    EXPECT_EQ(frame.pieces()[2].data(), second.data());
    Reader in{frame.flatten()};
    EXPECT_EQ(static_cast<size_t>(in.int32()), frame.size() - 4);
    ASSERT_TRUE(decode_response_header(in, ApiKey::fetch, 17));
    FetchResponse again;
    ASSERT_TRUE(decode(in, 17, again));
    EXPECT_EQ(again, response);
    EXPECT_EQ(again.responses[0].partitions[0].records->pieces().size(), 1U);
}

TEST(ProduceRequest, RecordsAreASliceOfTheReceivedFrame) {
    ProduceRequest produce;
    auto& topic = produce.topic_data.emplace_back();
    topic.name = "t";
    topic.partition_data.emplace_back().records = Buffer::copy_of("a batch");
    const Buffer body = encode(9, produce).flatten();
    auto again = decode<ProduceRequest>(body, 9);
    ASSERT_TRUE(again);
    EXPECT_EQ(again->topic_data[0].partition_data[0].records->block().get(), body.block().get());
    EXPECT_EQ(*again, produce);
}

}  // namespace
}  // namespace ottla::protocol
