// SPDX-License-Identifier: Apache-2.0
// How each verb of the `ottla` program is called: what `ottla VERB --help` prints, and what a verb that
// was called wrongly complains with, so that both say the same.
// pure
#pragma once

#include <string_view>

namespace ottla::app {

inline constexpr std::string_view kStartUsage =
    "usage: ottla start [FILE] [--override key=value]...";
inline constexpr std::string_view kTopicUsage =
    "usage: ottla topic create NAME [--partitions N] [--replication-factor N] "
    "[--config key=value]... [--if-not-exists] | list | describe [NAME]... | delete NAME...";
inline constexpr std::string_view kProduceUsage =
    "usage: ottla produce TOPIC [--partition N] [--key-separator TEXT] [--compression CODEC]";
inline constexpr std::string_view kConsumeUsage =
    "usage: ottla consume TOPIC [--from-beginning] [--max-messages N] [--idle-ms N] [--keys]";
inline constexpr std::string_view kStorageUsage = "usage: ottla storage close DIR...";
inline constexpr std::string_view kInspectUsage =
    "usage: ottla inspect [segment|index|timeindex|txnindex|journal|snapshot|checkpoint|"
    "quorum-state|metadata|sums] FILE|FOLDER... [--records] [--entries] [--output table|json]\n"
    "       ottla inspect message [--output json] < lines";
inline constexpr std::string_view kConfigUsage = "usage: ottla config document";

}  // namespace ottla::app
