// SPDX-License-Identifier: Apache-2.0
// LogDirectory: one entry of log.dirs as the process sees it, owned by shard 0. It holds `.lock`,
// knows meta.properties, replays what the journals hold that the segments lack, and writes the
// checkpoint files.
//
//   .lock                  POSIX lock, as Kafka takes it
//   meta.properties        version, cluster.id, node.id, directory.id
//   .kafka_cleanshutdown   JSON with the broker epoch; only while nobody runs and all is clean
//   .ottla/                guard, an empty folder on which Kafka refuses to start: from
//                          begin_serving to close. `ottla storage close` replays and removes it
//   .ottla-journal-<s>-<n> journals (journal_format.h); none after a clean stop
//   .ottla-sums            reign and checksums (directory_sums.h)
//   .ottla-catalogue-*     what the journals no longer say (catalogue.h)
//   {recovery-point,log-start,replication,cleaner}-offset-checkpoint
//
// Order of a start: open (lock, read) -> replay -> begin_serving -> logs() opened by their shards, which may
// read -> settle (sync, journals removed) -> their journals begin. Until settle is done all that acknowledged records
// depend on is in the journals of the last life, and a crash is followed by the same start again; so no journal of
// this life may have begun (LogStore::prepare). Of a stop: every LogStore::close -> close. Errors: locked,
// corrupt (names the file), io_error, inconsistent_cluster_id, kafka_storage_error.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "ottla/ports.h"
#include "ottla/result.h"
#include "ottla/task.h"
#include "ottla/types.h"
#include "storage/directory_sums.h"
#include "storage/known_logs.h"
#include "storage/log_config.h"
#include "storage/log_store.h"
#include "storage/meta_properties.h"
#include "storage/offset_checkpoint.h"

namespace ottla::storage {

class Recovery;
struct FoundJournals;

/// What a start after an unclean stop had to do, for the operator.
struct RestartFigures {
    uint64_t journal_bytes = 0;  ///< that had to be replayed
    size_t groups = 0;
    Duration finding{};    ///< journals and catalogues read and judged
    Duration replaying{};  ///< until every log could be read
    Duration settling{};   ///< until the journals were not needed any more
};

class LogDirectory {
public:
    ~LogDirectory();
    /// Makes the directory if it is absent (its parents must exist), locks it, reads
    /// meta.properties and the clean-shutdown file. Changes nothing else.
    static Task<Result<std::unique_ptr<LogDirectory>>> open(Ports ports,
                                                            std::string path,
                                                            StorageSettings settings);

    [[nodiscard]] const std::string& path() const { return path_; }
    /// None: never formatted.
    [[nodiscard]] const std::optional<MetaProperties>& meta() const { return meta_; }
    /// No meta.properties, no log, no journal: free to format.
    [[nodiscard]] bool is_empty() const { return empty_; }
    [[nodiscard]] bool was_clean() const { return clean_; }
    /// Nobody but Ottla has written here since it last began or stopped serving.
    [[nodiscard]] bool was_ours() const { return guarded_ || ours_; }
    /// Where the metadata log in it ended at a clean stop of ours that was the last thing to happen here.
    [[nodiscard]] const std::optional<MetadataEnd>& metadata_end() const { return metadata_end_; }
    /// The broker epoch of the last clean stop (KIP-966); -1 if it was not clean or does not say.
    [[nodiscard]] BrokerEpoch previous_broker_epoch() const { return previous_broker_epoch_; }
    [[nodiscard]] ServedDirectory served() const;
    /// Small files that are not what was written, and what was done about it.
    [[nodiscard]] const std::vector<Damage>& damage() const { return damage_; }

    Task<Status> format(MetaProperties meta);
    /// Replays every journal found, whatever the shard count was, into the segments. A stale journal over
    /// bytes that somebody else wrote is refused by name (corrupt). Without the guard it settles too.
    Task<Status> replay();
    /// What was replayed is synced, what is known of the logs written, then the journals are removed.
    /// no_space: nothing is lost by it; ask again.
    Task<Status> settle();
    /// Both.
    Task<Status> recover();
    [[nodiscard]] const RestartFigures& restart() const { return restart_; }
    /// What is there after replay(), in order of names; without `__cluster_metadata` and
    /// leftovers.
    [[nodiscard]] const std::vector<FoundLog>& logs() const { return logs_; }
    /// Copies that somebody, Kafka perhaps, was making of logs of other directories (log_move.h): to be
    /// begun anew, and then removed.
    [[nodiscard]] const std::vector<FoundCopy>& copies() const { return copies_; }
    /// Between recover() and begin_serving(): this log is in another directory now.
    Task<Status> remove_log(TopicPartition name);
    /// From here on the directory is not clean: guard in place, clean-shutdown file gone, both
    /// synced.
    Task<Status> begin_serving();
    /// Replaces the checkpoint files; `logs` of all shards together.
    Task<Status> write_checkpoints(std::vector<LogCheckpoint> logs);
    /// Clean stop, after every shard's LogStore::close: checkpoints, clean-shutdown file, guard
    /// removed. `metadata`: of the log that was closed here, if one was.
    Task<Status> close(std::vector<LogCheckpoint> logs,
                       BrokerEpoch broker_epoch,
                       std::optional<MetadataEnd> metadata = {});

private:
    LogDirectory(Ports ports, std::string path, StorageSettings settings);
    Task<Status> read_state();
    Task<Status> read_sums(std::string_view meta, std::string_view shutdown);
    Task<Status> write_sums(bool stopped, std::optional<MetadataEnd> metadata = {});
    Task<Result<OffsetCheckpoint>> read_checkpoint(std::string_view name);
    void note_damage(std::string_view name, std::string_view what);
    Task<Status> find_logs(std::vector<DirectoryEntry> entries);
    void note_journals(const FoundJournals& found);
    [[nodiscard]] bool look_up(FoundLog& found, const Recovery& recovery) const;
    Task<Status> read_checkpoints(std::vector<FoundLog*> unknown);
    Task<Status> read_topic_id(FoundLog& found);
    Task<Status> find_copies(std::vector<DirectoryEntry> entries);
    Task<Status> remove_leftovers();
    [[nodiscard]] Status check_journals(const FoundJournals& found) const;
    Task<Status> drop_journals(std::vector<std::string> paths);
    Task<Status> read_catalogues(std::vector<std::string> names);
    static std::vector<std::string> catalogues_among(std::span<const DirectoryEntry> entries);
    Task<Status> write_recovered();
    Task<Status> remove_catalogues(bool recovered_too);
    [[nodiscard]] std::vector<LogCheckpoint> checkpoints_of_found() const;
    [[nodiscard]] std::string file(std::string_view name) const;

    Ports ports_;
    const std::string path_;
    const StorageSettings settings_;
    std::unique_ptr<FileLock> lock_;
    std::optional<MetaProperties> meta_;
    std::vector<FoundLog> logs_;
    std::vector<FoundCopy> copies_;
    DirectorySums sums_;
    std::vector<Damage> damage_;
    /// Journal files that nobody needs.
    std::set<std::string> dropped_;
    KnownLogs known_;
    /// From replay to settle.
    std::unique_ptr<Recovery> recovery_;
    /// What was replayed, and the files of it and of retired ones.
    std::map<ShardIndex, uint64_t> journals_;
    std::vector<std::string> journal_paths_;
    RestartFigures restart_;
    bool swept_ = false;
    BrokerEpoch previous_broker_epoch_{-1};
    bool empty_ = false;
    bool clean_ = false;
    bool guarded_ = false;
    /// Nobody but Ottla has been here since `sums_` were written.
    bool ours_ = false;
    std::optional<MetadataEnd> metadata_end_;
    bool has_cleaner_offsets_ = false;
};

/// What only a log directory has: nobody formats, or closes, a folder for less.
bool tells_of_logs(const DirectoryEntry& entry);

}  // namespace ottla::storage
