// SPDX-License-Identifier: Apache-2.0
#include "records/codec.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/records/samples.h"

namespace ottla {
namespace {

constexpr size_t kPlenty = 1 << 26;
constexpr Codec kCompressing[] = {Codec::gzip, Codec::snappy, Codec::lz4, Codec::zstd};

std::string noise(size_t size) {
    std::string text;
    uint32_t x = 99;
    while (text.size() < size) {
        x = x * 1664525U + 1013904223U;
        text.push_back(static_cast<char>(x >> 24));
    }
    return text;
}

Buffer packed(Codecs& codecs, Codec codec, std::string_view plain, std::optional<int> level = {}) {
    GrowingBuffer out;
    EXPECT_TRUE(codecs.compress({codec, level}, as_bytes(plain), out));
    return out.take();
}

Result<std::string> unpacked(Codecs& codecs,
                             Codec codec,
                             std::span<const std::byte> bytes,
                             size_t bound = kPlenty) {
    GrowingBuffer out;
    TRY_STATUS(codecs.decompress(codec, bytes, bound, out));
    return std::string(as_text(out.span()));
}

TEST(Codecs, RoundTripAtEverySizeClassWithOneObject) {
    Codecs codecs;
    for (size_t size : {0UZ, 1UZ, 100UZ, 32'768UZ, 65'536UZ, 65'537UZ, 3'000'000UZ}) {
        for (const std::string& text : {noise(size), std::string(size, 'x')}) {
            for (Codec codec : kCompressing) {
                Buffer bytes = packed(codecs, codec, text);
                Result<std::string> back = unpacked(codecs, codec, bytes.span());
                ASSERT_TRUE(back) << static_cast<int>(codec) << " " << size;
                ASSERT_TRUE(*back == text) << static_cast<int>(codec) << " " << size;
            }
        }
    }
}

TEST(Codecs, TakeEveryLevelAndClampTheRest) {
    Codecs codecs;
    const std::string text = noise(2000) + std::string(2000, 'y');
    for (Codec codec : kCompressing) {
        for (int level : {-200'000, -1, 0, 1, 3, 9, 12, 17, 22, 1000}) {
            Buffer bytes = packed(codecs, codec, text, level);
            EXPECT_EQ(unpacked(codecs, codec, bytes.span()), text) << level;
        }
    }
}

TEST(Codecs, AppendBehindWhatIsThere) {
    Codecs codecs;
    for (Codec codec : kCompressing) {
        Buffer bytes = packed(codecs, codec, "tail");
        GrowingBuffer out;
        out.append(as_bytes("head-"));
        ASSERT_TRUE(codecs.decompress(codec, bytes.span(), 4, out));
        EXPECT_EQ(as_text(out.span()), "head-tail");
    }
}

TEST(Codecs, HoldTheBoundExactly) {
    Codecs codecs;
    const std::string text(200'000, 'z');
    for (Codec codec : kCompressing) {
        Buffer bytes = packed(codecs, codec, text);
        EXPECT_TRUE(unpacked(codecs, codec, bytes.span(), text.size()));
        Result<std::string> over = unpacked(codecs, codec, bytes.span(), text.size() - 1);
        ASSERT_FALSE(over);
        EXPECT_EQ(over.error().code, ErrorCode::message_too_large) << static_cast<int>(codec);
    }
}

TEST(Codecs, ABombCostsItsBoundAndNotItsSize) {
    Codecs codecs;
    Buffer bomb = packed(codecs, Codec::zstd, std::string(64 << 20, '\0'));
    EXPECT_LT(bomb.size(), 10'000U);
    GrowingBuffer out;
    EXPECT_FALSE(codecs.decompress(Codec::zstd, bomb.span(), 1 << 20, out));
    EXPECT_LE(out.capacity(), 4U << 20);
}

TEST(Codecs, ASnappyBlockThatLiesAboutItsSizeTakesNoMemory) {
    Codecs codecs;
    // A claim of 256 MiB in front of a literal of five bytes.
    const std::string lie("\x80\x80\x80\x80\x01\x10hello", 11);
    GrowingBuffer out;
    Status status = codecs.decompress(Codec::snappy, as_bytes(lie), 1UZ << 30, out);
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, ErrorCode::corrupt_message);
    EXPECT_LE(out.capacity(), 4096U);
}

TEST(Codecs, SnappyIsWrittenFramedAndReadRawToo) {
    Codecs codecs;
    Buffer framed = packed(codecs, Codec::snappy, "hello");
    EXPECT_TRUE(framed.text().starts_with(
        std::string_view("\x82SNAPPY\0\0\0\0\1\0\0\0\1\0\0\0\x07\x05\x10hello", 27)));
    EXPECT_EQ(unpacked(codecs, Codec::snappy, as_bytes("\x05\x10hello")), "hello");
    std::string twice = std::string(framed.text()) + std::string(framed.text());
    EXPECT_EQ(unpacked(codecs, Codec::snappy, as_bytes(twice)), "hellohello");
}

TEST(Codecs, Lz4FramesAreAsKafkasReaderWantsThem) {
    Codecs codecs;
    Buffer frame = packed(codecs, Codec::lz4, noise(100'000));
    ASSERT_GT(frame.size(), 7U);
    EXPECT_EQ(frame.slice(0, 4).text(), "\x04\x22\x4d\x18");
    EXPECT_EQ(frame.span()[4], std::byte{0x60}) << "version 1, independent blocks, nothing else";
    EXPECT_EQ(frame.span()[5], std::byte{0x40}) << "blocks of 64 KiB";
    auto linked = samples::copy(frame);
    linked[4] = std::byte{0x40};
    EXPECT_FALSE(unpacked(codecs, Codec::lz4, linked));
}

TEST(Codecs, FramesInARowAreReadAsOne) {
    Codecs codecs;
    for (Codec codec : {Codec::gzip, Codec::zstd}) {
        std::string twice(packed(codecs, codec, "one ").text());
        twice += packed(codecs, codec, "two").text();
        EXPECT_EQ(unpacked(codecs, codec, as_bytes(twice)), "one two");
    }
}

TEST(Codecs, RefuseEveryTruncationAndKeepWorkingAfterwards) {
    Codecs codecs;
    const std::string text = noise(300) + std::string(300, 'q');
    for (Codec codec : kCompressing) {
        Buffer bytes = packed(codecs, codec, text);
        for (size_t size = 0; size < bytes.size(); ++size) {
            Result<std::string> cut = unpacked(codecs, codec, bytes.span().first(size));
            EXPECT_FALSE(cut && *cut == text) << static_cast<int>(codec) << " at " << size;
        }
        EXPECT_EQ(unpacked(codecs, codec, bytes.span()), text);
    }
}

TEST(Codecs, SurviveEveryFlippedByte) {
    Codecs codecs;
    const std::string text = noise(100) + std::string(200, 'q');
    for (Codec codec : kCompressing) {
        Buffer bytes = packed(codecs, codec, text);
        for (size_t at = 0; at < bytes.size(); ++at) {
            for (int bit = 0; bit < 8; ++bit) {
                auto damaged = samples::copy(bytes);
                damaged[at] ^= static_cast<std::byte>(1 << bit);
                Result<std::string> read = unpacked(codecs, codec, damaged, 1 << 20);
                if (!read) continue;
                EXPECT_LE(read->size(), 1U << 20);
            }
        }
        EXPECT_EQ(unpacked(codecs, codec, bytes.span()), text);
    }
}

TEST(Codecs, AnUnknownCodecIsAnError) {
    Codecs codecs;
    GrowingBuffer out;
    EXPECT_EQ(codecs.decompress(static_cast<Codec>(5), {}, 10, out).error().code,
              ErrorCode::unsupported_compression_type);
    EXPECT_EQ(codecs.compress({static_cast<Codec>(7), {}}, {}, out).error().code,
              ErrorCode::unsupported_compression_type);
}

TEST(Codecs, AHugeBatchDoesNotStayInTheScratchMemory) {
    Codecs codecs;
    const auto batch_of = [](size_t size) {
        return samples::build({{0, 1, "k", std::string(size, 'x')}},
                              {.compression = {.codec = Codec::zstd, .level = std::nullopt}});
    };
    Buffer huge = batch_of(8 << 20);
    Buffer small = batch_of(100);
    auto first = codecs.records_of(BatchView(huge.span()), kPlenty);
    ASSERT_TRUE(first);
    EXPECT_GT(first->size(), 8U << 20);
    auto second = codecs.records_of(BatchView(small.span()), kPlenty);
    ASSERT_TRUE(second);
    EXPECT_LT(second->size(), 200U);
    const std::byte* at = second->data();
    EXPECT_EQ(codecs.records_of(BatchView(small.span()), kPlenty)->data(), at) << "reused";
}

}  // namespace
}  // namespace ottla
