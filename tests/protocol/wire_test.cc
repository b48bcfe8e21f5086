// SPDX-License-Identifier: Apache-2.0
#include "protocol/wire.h"

#include <gtest/gtest.h>

namespace ottla::protocol {
namespace {

Buffer bytes_of(std::initializer_list<int> values) {
    std::string text;
    for (const int value : values) text += static_cast<char>(value);
    return Buffer::copy_of(text);
}

TEST(Writer, IntegersAreBigEndian) {
    Writer out;
    out.int8(-2);
    out.int16(0x0102);
    out.int32(0x03040506);
    out.int64(-1);
    out.uint16(0xfffe);
    EXPECT_EQ(out.size(), 17U);
    EXPECT_EQ(out.finish().flatten(), bytes_of({0xfe, 1, 2, 3, 4, 5, 6, 255, 255, 255, 255, 255,
                                                255, 255, 255, 255, 0xfe}));
    EXPECT_EQ(out.size(), 0U);
}

TEST(Reader, ReadsWhatTheWriterWrote) {
    Writer out{16};  // small blocks: values cross them
    for (const uint32_t value : {0U, 1U, 127U, 128U, 300U, 0x7fffffffU, 0xffffffffU}) {
        out.unsigned_varint(value);
        out.float64(-1.5);
        out.uuid(kMetadataTopicId);
    }
    Reader in{out.finish().flatten()};
    for (const uint32_t value : {0U, 1U, 127U, 128U, 300U, 0x7fffffffU, 0xffffffffU}) {
        EXPECT_EQ(in.unsigned_varint(), value);
        EXPECT_EQ(in.float64(), -1.5);
        EXPECT_EQ(in.uuid(), kMetadataTopicId);
    }
    EXPECT_TRUE(in.finished());
}

TEST(Reader, StringsHaveBothEncodingsAndNull) {
    for (const Lengths lengths : {Lengths::classic, Lengths::compact}) {
        Writer out;
        out.string("Ottla", lengths);
        out.string("", lengths);
        out.null_string(lengths);
        Reader in{out.finish().flatten()};
        EXPECT_EQ(in.string(lengths), "Ottla");
        EXPECT_EQ(in.nullable_string(lengths), "");
        EXPECT_EQ(in.nullable_string(lengths), std::nullopt);
        EXPECT_TRUE(in.finished());
    }
}

TEST(Reader, NullWhereNoneMayBeIsAnError) {
    Reader in{bytes_of({0xff, 0xff})};
    in.string(Lengths::classic);
    EXPECT_FALSE(in.ok());
    Reader compact{bytes_of({0})};
    compact.bytes(Lengths::compact);
    EXPECT_FALSE(compact.ok());
}

TEST(Reader, FailsOnceAndThenYieldsNothing) {
    Reader in{bytes_of({1, 2})};
    EXPECT_EQ(in.int32(), 0);
    EXPECT_EQ(in.remaining(), 0U);
    EXPECT_EQ(in.int8(), 0);
    in.locate("first");
    in.locate("second");
    EXPECT_EQ(in.status().error().detail, "first: the bytes end too early");
}

TEST(Reader, BytesAreSlicesOfTheInput) {
    Writer out;
    out.bytes(Buffer::copy_of("payload"), Lengths::classic);
    const Buffer input = out.finish().flatten();
    Reader in{input};
    const Buffer payload = in.bytes(Lengths::classic);
    EXPECT_EQ(payload.data(), input.data() + 4);
    Reader borrowed{input.span()};
    const Buffer copy = borrowed.bytes(Lengths::classic);
    EXPECT_NE(copy.data(), input.data() + 4);
    EXPECT_EQ(copy, payload);
}

TEST(Reader, LengthsAreHeldAgainstTheBytesLeftBeforeAnythingIsAllocated) {
    Reader bytes{bytes_of({0x7f, 0xff, 0xff, 0xff, 1})};
    EXPECT_FALSE(bytes.nullable_bytes(Lengths::classic));
    EXPECT_FALSE(bytes.ok());
    Reader array{bytes_of({0, 0, 0, 9, 1, 2})};
    EXPECT_FALSE(array.nullable_array_size(Lengths::classic));
    EXPECT_EQ(array.status().error().detail, "an array has more elements than bytes are left");
    Reader million{
        Buffer::copy_of(std::string("\0\x0f\x42\x41", 4) + std::string(1'100'000, '\0'))};
    EXPECT_EQ(million.array_size(Lengths::classic), 0U);
    EXPECT_EQ(million.status().error().detail, "an array has more than 1000000 elements");
}

TEST(Reader, TagSectionsAreBounded) {
    Writer out;
    out.unsigned_varint(kMaxTags + 1);
    Reader in{out.finish().flatten()};
    in.skip_tags();
    EXPECT_EQ(in.status().error().detail, "more than 10000 tags");
}

TEST(Reader, UnknownTagsAreSkipped) {
    Reader in{bytes_of({2, 0, 1, 77, 5, 2, 88, 99, 42})};
    in.skip_tags();
    EXPECT_EQ(in.int8(), 42);
    EXPECT_TRUE(in.finished());
}

TEST(Reader, VarintsBeyond32BitsAreAnError) {
    Reader longer{bytes_of({0x80, 0x80, 0x80, 0x80, 0x80, 1})};
    longer.unsigned_varint();
    EXPECT_FALSE(longer.ok());
    Reader larger{bytes_of({0xff, 0xff, 0xff, 0xff, 0x1f})};
    larger.unsigned_varint();
    EXPECT_FALSE(larger.ok());
    Reader unfinished{bytes_of({0x80})};
    unfinished.unsigned_varint();
    EXPECT_FALSE(unfinished.ok());
}

TEST(Reader, StringsBeyondTheLimitAreAnError) {
    Writer out;
    out.unsigned_varint(32768 + 1);
    out.raw(as_bytes(std::string(32768, 'x')));
    Reader in{out.finish().flatten()};
    in.string(Lengths::compact);
    EXPECT_EQ(in.status().error().detail, "a string is longer than 32767 bytes");
}

TEST(Writer, SplicesLongPayloadsWithoutACopy) {
    const Buffer payload = Buffer::copy_of(std::string(1000, 'p'));
    Writer out;
    out.int8(1);
    out.bytes(payload, Lengths::classic);
    out.int8(2);
    const Chain chain = out.finish();
    ASSERT_EQ(chain.pieces().size(), 3U);
    EXPECT_EQ(chain.pieces()[1].data(), payload.data());
    EXPECT_EQ(chain.size(), 1 + 4 + 1000 + 1U);
    // What stands before and after lies in one block.
    EXPECT_EQ(chain.pieces()[2].data(), chain.pieces()[0].data() + 5);
}

TEST(Writer, CopiesShortPayloads) {
    Writer out;
    out.bytes(Buffer::copy_of("short"), Lengths::compact);
    EXPECT_EQ(out.finish().pieces().size(), 1U);
}

TEST(Writer, AHoleIsFilledAfterWhatFollowsIt) {
    Writer out{16};
    Writer::Hole hole = out.hole();
    for (int64_t i = 0; i < 10; ++i) out.int64(i);
    hole.fill(static_cast<int32_t>(out.size() - 4));
    Reader in{out.finish().flatten()};
    EXPECT_EQ(in.int32(), 80);
    EXPECT_EQ(in.remaining(), 80U);
}

TEST(Writer, CutsOverlongTextsAtACharacter) {
    std::string text(32766, 'x');
    text += "\xc3\xa9\xc3\xa9";
    Writer out;
    out.string(text, Lengths::compact);
    Reader in{out.finish().flatten()};
    EXPECT_EQ(in.string(Lengths::compact), std::string(32766, 'x'));
    EXPECT_TRUE(in.finished());
}

}  // namespace
}  // namespace ottla::protocol
