// SPDX-License-Identifier: Apache-2.0
// Properties that hold for every message at every version.
#include <gtest/gtest.h>

#include <fmt/format.h>

#include "protocol/api_table.h"
#include "protocol/message.h"
#include "tests/protocol/fill.h"

namespace ottla::protocol {
namespace {

template <class Visitor>
void for_each_version(Visitor visit) {
    for (const MessageRow& row : all_messages()) {
        for (int16_t version = row.min_version; version <= row.max_version; ++version) {
            SCOPED_TRACE(fmt::format("{} v{}", row.name, version));
            visit(row, version);
        }
    }
}

Buffer filled_bytes(const MessageRow& row, int16_t version) {
    AnyMessage message{row};
    fill(message, version);
    return message.encode(version).flatten();
}

Buffer with_byte(const Buffer& bytes, size_t at, uint8_t mask) {
    std::string text{bytes.text()};
    text[at] = static_cast<char>(static_cast<uint8_t>(text[at]) ^ mask);
    return Buffer::copy_of(text);
}

TEST(Messages, AllApisAndRecordsAreThere) {
    EXPECT_EQ(all_apis().size(), 91U);
    EXPECT_EQ(all_messages().size(), 91U * 2 + 27 + 44 + 2 + 4 + 6 + 1 + 2 + 2 + 1);
    for (const ApiRow& api : all_apis()) {
        EXPECT_NE(find_message(MessageKind::request, static_cast<int16_t>(api.key)), nullptr);
        EXPECT_NE(find_message(MessageKind::response, static_cast<int16_t>(api.key)), nullptr);
    }
}

TEST(Messages, FilledOnesComeBackEqual) {
    for_each_version([](const MessageRow& row, int16_t version) {
        AnyMessage message{row};
        fill(message, version);
        const Chain bytes = message.encode(version);
        EXPECT_EQ(message.size(version), bytes.size());
        auto again = AnyMessage::decode(row, version, bytes.flatten());
        ASSERT_TRUE(again) << again.error().detail;
        EXPECT_EQ(again->json(version), message.json(version));
        EXPECT_EQ(again->encode(version), bytes);
    });
}

TEST(Messages, DefaultOnesComeBackEqual) {
    for_each_version([](const MessageRow& row, int16_t version) {
        const AnyMessage message{row};
        const Chain bytes = message.encode(version);
        EXPECT_EQ(message.size(version), bytes.size());
        auto again = AnyMessage::decode(row, version, bytes.flatten());
        ASSERT_TRUE(again) << again.error().detail;
        EXPECT_EQ(again->encode(version), bytes);
    });
}

TEST(Messages, EveryTruncationIsAnError) {
    for_each_version([](const MessageRow& row, int16_t version) {
        const Buffer bytes = filled_bytes(row, version);
        for (size_t size = 0; size < bytes.size(); ++size) {
            // A copy of exactly that size: a read past it is seen by AddressSanitizer.
            const Buffer cut = Buffer::copy_of(bytes.slice(0, size).span());
            ASSERT_FALSE(AnyMessage::decode(row, version, cut)) << size;
        }
    });
}

TEST(Messages, BytesLeftBehindAreAnError) {
    for_each_version([](const MessageRow& row, int16_t version) {
        std::string bytes{filled_bytes(row, version).text()};
        bytes += '\1';
        EXPECT_FALSE(AnyMessage::decode(row, version, Buffer::copy_of(bytes)));
    });
}

TEST(Messages, AFlippedByteNeverCrashesAndWhatDecodesEncodes) {
    for_each_version([](const MessageRow& row, int16_t version) {
        const Buffer bytes = filled_bytes(row, version);
        for (size_t at = 0; at < bytes.size(); ++at) {
            for (const uint8_t mask : {uint8_t{0x01}, uint8_t{0x80}, uint8_t{0xff}}) {
                const auto message = AnyMessage::decode(row, version, with_byte(bytes, at, mask));
                if (message) EXPECT_EQ(message->encode(version).size(), message->size(version));
            }
        }
    });
}

TEST(Messages, VersionsOutsideTheTableAreRefused) {
    for (const MessageRow& row : all_messages()) {
        for (const int version : {row.min_version - 1, row.max_version + 1, -32768, 32767}) {
            const auto message = AnyMessage::decode(row, static_cast<int16_t>(version), Buffer{});
            ASSERT_FALSE(message);
            EXPECT_EQ(message.error().code, ErrorCode::unsupported_version) << row.name;
        }
    }
}

}  // namespace
}  // namespace ottla::protocol
