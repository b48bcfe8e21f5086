// SPDX-License-Identifier: Apache-2.0
// The names in a log directory, Kafka's and ours: one place that makes and reads them.
//
//   <topic>-<partition>                      a log; with .<32 hex>-delete, -future, -stray behind
//   %020d.log .index .timeindex .txnindex .snapshot    inside it
//   .ottla-journal-<shard>-<n>               beside the logs; .ottla-dropped-<n> is one that is done with
// pure
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "ottla/types.h"

namespace ottla::storage {

inline constexpr std::string_view kLogSuffix = ".log";
inline constexpr std::string_view kOffsetIndexSuffix = ".index";
inline constexpr std::string_view kTimeIndexSuffix = ".timeindex";
inline constexpr std::string_view kTransactionIndexSuffix = ".txnindex";
inline constexpr std::string_view kSnapshotSuffix = ".snapshot";
inline constexpr std::string_view kLeaderEpochFile = "leader-epoch-checkpoint";
inline constexpr std::string_view kPartitionMetadataFile = "partition.metadata";
inline constexpr std::string_view kMetaPropertiesFile = "meta.properties";
inline constexpr std::string_view kCleanShutdownFile = ".kafka_cleanshutdown";
inline constexpr std::string_view kLockFile = ".lock";
inline constexpr std::string_view kGuardFolder = ".ottla";
inline constexpr std::string_view kRecoveryPointFile = "recovery-point-offset-checkpoint";
inline constexpr std::string_view kLogStartFile = "log-start-offset-checkpoint";
inline constexpr std::string_view kHighWatermarkFile = "replication-offset-checkpoint";
inline constexpr std::string_view kCleanerOffsetFile = "cleaner-offset-checkpoint";
/// Of journal files that nobody needs: removed when there is time.
inline constexpr std::string_view kDroppedPrefix = ".ottla-dropped-";
inline constexpr std::string_view kJournalPrefix = ".ottla-journal-";
/// In the folder of a log that came from another directory (moved_logs.h).
inline constexpr std::string_view kMovedFile = ".ottla-moved";
inline constexpr std::string_view kMetadataTopic = "__cluster_metadata";

/// "a" and "b" give "a/b".
std::string join_path(std::string_view directory, std::string_view name);

/// "%020d" and the suffix.
std::string offset_file_name(Offset offset, std::string_view suffix);
/// The offset of a name made so; nothing for any other name.
std::optional<Offset> parse_offset_file(std::string_view name, std::string_view suffix);

std::string log_directory_name(const TopicPartition& log);
enum class LogDirectoryKind : uint8_t { log, deleted, future, stray };
struct LogDirectoryName {
    LogDirectoryKind kind = LogDirectoryKind::log;
    TopicPartition log;
};
/// Nothing for a directory that is not a log's.
std::optional<LogDirectoryName> parse_log_directory(std::string_view name);
/// What a log's directory is renamed to before its files go.
std::string deleted_directory_name(const TopicPartition& log, uint64_t unique);
/// Of a copy that is on its way to take the log's place. Nothing if a file name has no room for it.
std::optional<std::string> future_directory_name(const TopicPartition& log,
                                                 uint64_t unique_high,
                                                 uint64_t unique_low);

std::string journal_file_name(ShardIndex shard, uint64_t number);
struct JournalFileName {
    ShardIndex shard;
    uint64_t number = 0;
};
std::optional<JournalFileName> parse_journal_file(std::string_view name);

}  // namespace ottla::storage
