// SPDX-License-Identifier: Apache-2.0
#include "app/configuration.h"

#include <gtest/gtest.h>

namespace ottla::app {
namespace {

TEST(Properties, FollowsJavasRules) {
    auto values = parse_properties(
        "# a comment\n! another\n\nlisteners=PLAINTEXT://:9092\r\n  num.partitions : 3\nlog.dirs "
        "/a,\\\n"
        "    /b\nwith\\=sign=x\\ty\nempty=\n");
    ASSERT_TRUE(values);
    EXPECT_EQ(*values, (KeyValues{{"listeners", "PLAINTEXT://:9092"},
                                  {"num.partitions", "3"},
                                  {"log.dirs", "/a,/b"},
                                  {"with=sign", "x\ty"},
                                  {"empty", ""}}));
}

TEST(Properties, ALineWithoutAKeyIsAnError) { EXPECT_FALSE(parse_properties("=value\n")); }

TEST(Yaml, DottedAndNestedNamesAndListsMeanTheSame) {
    auto values =
        parse_yaml("log.dirs: [/a, /b]\nlog:\n  retention:\n    ms: 5\nnum.partitions: 3\n");
    ASSERT_TRUE(values);
    EXPECT_EQ(
        *values,
        (KeyValues{{"log.dirs", "/a,/b"}, {"log.retention.ms", "5"}, {"num.partitions", "3"}}));
}

TEST(Yaml, BrokenTextNamesItsLineAndNeverThrows) {
    auto broken = parse_yaml("a: 1\nb: [1\nc: {");
    ASSERT_FALSE(broken);
    EXPECT_NE(broken.error().detail.find("line"), std::string::npos);
    EXPECT_FALSE(parse_yaml("- just\n- a list\n"));
    EXPECT_TRUE(parse_yaml("")->empty());
    std::string deep;
    for (int i = 0; i < 40; ++i) deep += std::string(static_cast<size_t>(i), ' ') + "a:\n";
    EXPECT_FALSE(parse_yaml(deep));
}

TEST(Environment, NamesAreTheOfficialImagesAndJvmVariablesAreLeftOut) {
    const KeyValues values = from_environment({{"KAFKA_LOG_DIRS", "/d"},
                                               {"KAFKA_A__B___C", "1"},
                                               {"KAFKA_HEAP_OPTS", "-Xmx1G"},
                                               {"PATH", "/bin"}});
    EXPECT_EQ(values, (KeyValues{{"a_b-c", "1"}, {"log.dirs", "/d"}}));
}

TEST(Configure, LaterSourcesWinAndUnknownKeysNameTheNearest) {
    auto configured = configure({.file_name = "server.properties",
                                 .file_text = "num.partitions=1\nnode.id=5\nlog.segment.byte=7\n",
                                 .environment = {{"KAFKA_NUM_PARTITIONS", "2"}},
                                 .overrides = {"num.partitions=3"}});
    ASSERT_TRUE(configured) << configured.error().detail;
    EXPECT_EQ(configured->settings.number("num.partitions"), 3);
    EXPECT_EQ(configured->settings.number("node.id"), 5);
    ASSERT_EQ(configured->warnings.size(), 1U);
    EXPECT_EQ(configured->warnings[0],
              "server.properties: unknown setting log.segment.byte, ignored (did you mean "
              "log.segment.bytes?)");
}

TEST(Configure, AnInvalidValueSaysWhereItStands) {
    auto bad_file = configure({.file_name = "a.yaml", .file_text = "num.partitions: many\n"});
    ASSERT_FALSE(bad_file);
    EXPECT_EQ(bad_file.error().detail, "a.yaml: num.partitions=many: must be a 32-bit number");
    EXPECT_FALSE(configure({.overrides = {"num.partitions"}}));
    EXPECT_FALSE(configure({.overrides = {"=3"}}));
}

}  // namespace
}  // namespace ottla::app
