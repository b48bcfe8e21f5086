// SPDX-License-Identifier: Apache-2.0
#include "ottla/settings.h"

#include <gtest/gtest.h>

namespace ottla {
namespace {

using Source = Settings::Source;

TEST(SettingTables, AreSortedWithoutDoublesAndEveryDefaultFitsItsOwnBounds) {
    const auto check = [](const auto& rows) {
        std::string_view last;
        for (const Setting& row : rows) {
            EXPECT_LT(last, row.name);
            last = row.name;
            if (row.default_value) {
                EXPECT_TRUE(check_value(row, *row.default_value)) << row.name;
            }
        }
    };
    check(broker_settings());
    check(topic_settings());
    EXPECT_EQ(topic_settings().size(), 36U) << "Kafka 4.4 has 36 topic settings";
}

TEST(SettingTables, EverySynonymNamesRowsThatExist) {
    for (const Setting& row : topic_settings()) {
        for (const std::string_view synonym : broker_synonyms(row.name)) {
            EXPECT_NE(find_broker_setting(synonym), nullptr) << synonym;
        }
    }
}

TEST(Settings, AValueOutsideTypeOrBoundsIsRefusedInOneClearSentence) {
    Settings settings;
    auto wrong_type = settings.set("num.partitions", "many", Source::file);
    ASSERT_FALSE(wrong_type);
    EXPECT_EQ(wrong_type.error().detail, "num.partitions=many: must be a 32-bit number");
    auto too_small = settings.set("log.segment.bytes", "100", Source::file);
    ASSERT_FALSE(too_small);
    EXPECT_EQ(too_small.error().detail, "log.segment.bytes=100: must be within 1048576..");
    EXPECT_FALSE(settings.set("compression.type", "rar", Source::file));
    EXPECT_FALSE(settings.set("auto.create.topics.enable", "yes", Source::file));
    EXPECT_TRUE(settings.set("compression.gzip.level", "-1", Source::file));
    EXPECT_FALSE(settings.set("compression.gzip.level", "0", Source::file));
}

TEST(Settings, CompactionMustNotBeDueBeforeItIsAllowed) {
    Settings settings;
    EXPECT_TRUE(check_topic_overrides(settings, {{"min.compaction.lag.ms", "5"}}));
    EXPECT_TRUE(check_topic_overrides(
        settings, {{"min.compaction.lag.ms", "5"}, {"max.compaction.lag.ms", "5"}}));
    ASSERT_TRUE(settings.set("log.cleaner.max.compaction.lag.ms", "4", Source::file));
    const Status status = check_topic_overrides(settings, {{"min.compaction.lag.ms", "5"}});
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, ErrorCode::invalid_config);
}

TEST(Settings, AnUnknownNameIsNotFoundAndTheNearestOneIsNamed) {
    Settings settings;
    auto unknown = settings.set("log.segment.byte", "1048576", Source::file);
    ASSERT_FALSE(unknown);
    EXPECT_EQ(unknown.error().code, ErrorCode::not_found);
    EXPECT_EQ(nearest_broker_setting("log.segment.byte"), "log.segment.bytes");
    EXPECT_EQ(nearest_broker_setting("zzzz"), "");
}

TEST(Settings, TheCommandLineWinsOverTheEnvironmentAndThatOverTheFile) {
    Settings settings;
    ASSERT_TRUE(settings.set("num.partitions", "3", Source::command_line));
    ASSERT_TRUE(settings.set("num.partitions", "2", Source::environment));
    ASSERT_TRUE(settings.set("num.partitions", "1", Source::file));
    EXPECT_EQ(settings.number("num.partitions"), 3);
}

TEST(Settings, ATopicSettingFallsBackThroughSynonymsToTheDefault) {
    Settings settings;
    EXPECT_EQ(settings.topic_default("retention.ms"), "604800000");
    ASSERT_TRUE(settings.set("log.retention.hours", "2", Source::file));
    EXPECT_EQ(settings.topic_default("retention.ms"), "7200000");
    ASSERT_TRUE(settings.set("log.retention.minutes", "3", Source::file));
    EXPECT_EQ(settings.topic_default("retention.ms"), "180000");
    EXPECT_EQ(settings.topic_default_source("retention.ms"), "log.retention.minutes");
    ASSERT_TRUE(settings.set("log.retention.ms", "-1", Source::file));
    EXPECT_EQ(topic_number(settings, {}, "retention.ms"), -1);
    EXPECT_EQ(topic_number(settings, {{"retention.ms", "5"}}, "retention.ms"), 5);
}

TEST(Settings, AHugeNumberOfHoursDoesNotOverflow) {
    Settings settings;
    ASSERT_TRUE(settings.set("log.retention.hours", "2147483647", Source::file));
    EXPECT_EQ(settings.topic_default("retention.ms"), "7730941129200000");
}

TEST(Settings, TopicOverridesAreCheckedByNameAndValue) {
    EXPECT_TRUE(check_topic_setting("cleanup.policy", "compact,delete"));
    EXPECT_TRUE(check_topic_setting("cleanup.policy", "")) << "empty is legal since 4.2 (KIP-1161)";
    EXPECT_FALSE(check_topic_setting("cleanup.policy", "compact,shred"));
    EXPECT_FALSE(check_topic_setting("no.such.setting", "1"));
}

}  // namespace
}  // namespace ottla
