// SPDX-License-Identifier: Apache-2.0
#include "protocol/inspect.h"

#include <gtest/gtest.h>

namespace ottla::protocol {
namespace {

bool is_error(const std::string& answer) { return answer.starts_with("error: "); }

TEST(InspectLine, EncodesAgainWhatItDecoded) {
    EXPECT_EQ(inspect_line("request 18 0 ", false), "");
    EXPECT_EQ(inspect_line("request 18 3 036D65 ", false),
              "error: ApiVersionsRequest.clientSoftwareVersion: the bytes end within a varint");
    EXPECT_EQ(inspect_line("request 18 3 036D6502310", false),
              "error: an odd number of hex digits");
    EXPECT_EQ(inspect_line("request 18 3 036D65023100", false), "036d65023100");
    EXPECT_EQ(inspect_line("  response\t0 3 \t0000000000000000\r\n", false), "0000000000000000");
}

TEST(InspectLine, PrintsFieldsByName) {
    EXPECT_EQ(inspect_line("request 18 3 036D65023100", true),
              R"({"clientSoftwareName":"me","clientSoftwareVersion":"1"})");
    EXPECT_EQ(inspect_line("request 3 1 ffffffff", true), R"({"topics":null})");
    EXPECT_EQ(inspect_line("message ResponseHeader 1 0000000700", true), R"({"correlationId":7})");
}

TEST(InspectLine, TextThatIsNotUtf8IsReplacedInJsonAndKeptInBytes) {
    EXPECT_EQ(inspect_line("request 18 3 05ff22c3a9023100", true),
              R"({"clientSoftwareName":"\ufffd\"é","clientSoftwareVersion":"1"})");
    EXPECT_EQ(inspect_line("request 18 3 05ff22c3a9023100", false), "05ff22c3a9023100");
    EXPECT_EQ(inspect_line("request 18 3 02010431c081"
                           "00",
                           true),
              R"({"clientSoftwareName":"\u0001","clientSoftwareVersion":"1\ufffd\ufffd"})");
}

TEST(InspectLine, WhateverItGetsItAnswers) {
    const std::string huge(3'000'001, 'f');
    for (const std::string& line :
         {std::string{}, std::string{"request"}, std::string{"request x 1 00"},
          std::string{"request 99999999999 1 00"}, std::string{"request 4 1 00"},
          std::string{"request 18 99 00"}, std::string{"request 18 -1 00"},
          std::string{"request 18 3 zz"}, std::string{"request 18 0 00"},
          std::string{"answer 18 0 00"}, std::string{"record NoSuchRecord 0 00"},
          std::string{"request 18 0  00 00"}, "request 3 9 " + huge, huge,
          "response 3 0 " + huge + "f", std::string(100, '\0')}) {
        EXPECT_TRUE(is_error(inspect_line(line, false))) << line.substr(0, 60);
        EXPECT_TRUE(is_error(inspect_line(line, true))) << line.substr(0, 60);
    }
}

TEST(InspectLine, BytesBehindTheLastFieldAreAnError) {
    EXPECT_EQ(inspect_line("message ResponseHeader 1 000000070000", false),
              "error: bytes are left behind the last field");
}

}  // namespace
}  // namespace ottla::protocol
