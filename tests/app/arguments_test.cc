// SPDX-License-Identifier: Apache-2.0
#include "app/arguments.h"

#include <gtest/gtest.h>

#include "app/output.h"

namespace ottla::app {
namespace {

TEST(Arguments, WordsOptionsAndFlagsAreTakenAndTheRestIsRefusedByName) {
    Arguments arguments(
        {"create", "t", "--partitions", "3", "--config=a=b", "--config", "c=d", "--force"});
    EXPECT_EQ(arguments.word(), "create");
    EXPECT_EQ(arguments.word(), "t");
    EXPECT_EQ(arguments.word(), std::nullopt);
    EXPECT_EQ(arguments.number("--partitions", 1, 9).value(), 3);
    EXPECT_EQ(arguments.options("--config").value(), (std::vector<std::string>{"a=b", "c=d"}));
    const Status unfinished = arguments.finish();
    ASSERT_FALSE(unfinished);
    EXPECT_NE(unfinished.error().detail.find("--force"), std::string::npos);
    EXPECT_TRUE(arguments.flag("--force"));
    EXPECT_TRUE(arguments.finish());
}

TEST(Arguments, AMissingOrUnfitValueIsRefused) {
    EXPECT_FALSE(Arguments({"--partitions"}).number("--partitions", 1, 9));
    EXPECT_FALSE(Arguments({"--partitions", "x"}).number("--partitions", 1, 9));
    EXPECT_FALSE(Arguments({"--partitions", "10"}).number("--partitions", 1, 9));
}

TEST(Output, ATableAlignsColumnsAndJsonIsOneArrayOfObjects) {
    const Rows rows{.columns = {"topic", "log_end"},
                    .rows = {{std::string("a"), int64_t{12}}, {std::string("long"), std::monostate{}}}};
    EXPECT_EQ(render(rows, OutputFormat::table), "TOPIC  LOG END\na      12\nlong   -\n");
    EXPECT_EQ(
        render(rows, OutputFormat::json),
        "[{\"topic\": \"a\", \"log_end\": 12},\n {\"topic\": \"long\", \"log_end\": null}]\n");
}

TEST(Output, JsonStringsEscapeAndReplaceWhatIsNotUtf8) {
    EXPECT_EQ(json_string("a\"\\\n\x01é"), "\"a\\\"\\\\\\n\\u0001é\"");
    EXPECT_EQ(json_string("\xff\xc3(\xed\xa0\x80"), "\"\\ufffd\\ufffd(\\ufffd\\ufffd\\ufffd\"");
}

}  // namespace
}  // namespace ottla::app
