// SPDX-License-Identifier: Apache-2.0
// LogStore: the logs of one shard, over all log directories: their journals, flushers and files.
//
// Life: LogDirectory::open on shard 0 for every directory (lock, replay, reset), settle_moved_logs
// (moved_logs.h) over all of them; then on every
// shard LogStore::open, and open_log for each found log that the shard owns; then requests. Stop:
// close() on every shard, then LogDirectory::close on shard 0 (checkpoints, clean-shutdown file,
// guard). Invariants: names are unique per shard; a create, roll, truncation or deletion is in the
// journal before its file effects; a name that was deleted may be created again only after
// delete_log returned (on any shard); a directory that failed a sync is offline for good and
// nothing in doubt was acknowledged. Errors: already_exists, not_found, kafka_storage_error
// (directory offline), corrupt, io_error.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ottla/ports.h"
#include "ottla/result.h"
#include "ottla/task.h"
#include "ottla/types.h"
#include "records/codec.h"
#include "storage/log.h"
#include "storage/log_config.h"
#include "storage/log_damage.h"

namespace ottla::storage {

struct CatalogueEntry;

/// A log that LogDirectory found on the disk.
struct FoundLog {
    TopicPartition name;
    /// From partition.metadata; zero if there is none.
    Uuid topic_id;
    /// The directory of the log.dirs that holds it.
    std::string log_dir;
    /// From the checkpoint files; kNoOffset if they do not name it.
    Offset recovery_point = kNoOffset;
    Offset log_start = kNoOffset;
    Offset high_watermark = kNoOffset;
    /// Where the cleaner stands.
    Offset cleaned = kNoOffset;
    /// The directory was closed cleanly: files are trusted without a scan.
    bool clean = false;
    /// partition.metadata does not say topic_id: it has to.
    bool rewrite_topic_id = false;
    /// What a catalogue says of it that can be believed, with what a replay put behind it: no file has to
    /// be looked at. Null if there is none.
    std::shared_ptr<const CatalogueEntry> entry;
    /// ... or of its leader epochs, when the picture is no longer true: those that no truncation since took.
    std::optional<std::vector<EpochStart>> epochs;
    /// No crash has left a torn end in its files: what a walk finds is damage, and cuts nothing.
    bool complete = false;
    /// A damaged catalogue knew more of it than any file: every segment is walked.
    bool picture_lost = false;
};

/// A folder with `-future` behind its name.
struct FoundCopy {
    TopicPartition name;
    /// From partition.metadata; zero if there is none, or none that can be read.
    Uuid topic_id;
    std::string log_dir;
    std::string path;
};

struct NewLog {
    TopicPartition name;
    Uuid topic_id;
    std::string log_dir;
    LogConfig config;
    /// Not 0 for a follower that starts behind its leader's log start.
    Offset start{0};
};

/// One directory as LogDirectory opened it; what a shard needs to begin its journal there.
struct ServedDirectory {
    std::string path;
    Uuid directory_id;
    /// Sums of segments count only in the one they were written in (directory_sums.h).
    Uuid reign;
};

/// What the checkpoint files of a directory say about one log.
struct LogCheckpoint {
    TopicPartition name;
    Offset recovery_point{0};
    Offset log_start{0};
    Offset high_watermark{0};
    /// kNoOffset: never cleaned.
    Offset cleaned = kNoOffset;
};

/// What a shard sees of its directories; the broker tells the other shards that one went offline.
class StoreObserver {
public:
    virtual void directory_failed(const std::string& log_dir, const Error& why) = 0;
    /// Appends are refused with no_space (kafka_storage_error to clients) until there is room again.
    virtual void directory_full(const std::string& /*log_dir*/, const Error& /*why*/) {}
    virtual void directory_has_room(const std::string& /*log_dir*/) {}
    /// Flushes there go through the page cache from now on, though they were to go past it; told by
    /// every shard that finds out.
    virtual void directory_is_buffered(const std::string& /*log_dir*/) {}
    virtual void damage_found(const Damage& /*damage*/) {}
    /// Memory that the indexes of closed segments take (index_cache.h).
    virtual void indexes_take(size_t /*bytes*/) {}

protected:
    ~StoreObserver() = default;
};

/// Told, on the log's shard, how a move comes along. It may call back into the LogStore.
class MoveObserver {
public:
    /// The copy has all that the log has. Nothing changes places before permit_swap.
    virtual void move_caught_up(Log& log, const std::string& log_dir) = 0;
    /// Good: the log is in `log_dir` now. `cancelled`: somebody wanted it so. Else what went wrong; the log
    /// is where it was. Not told at a clean stop, nor when the log is deleted.
    virtual void move_ended(Log& log, const std::string& log_dir, const Status& how) = 0;

protected:
    ~MoveObserver() = default;
};

struct NewMove {
    std::string log_dir;
    /// Null: the swap comes as soon as it can.
    MoveObserver* observer = nullptr;
    /// Folders that an earlier life began to copy to; removed when the new copy is known to the journal.
    std::vector<std::string> old_copies;
};

/// One log or copy in a directory, for people who ask what lies there.
struct LogUse {
    TopicPartition name;
    uint64_t bytes = 0;
    /// Offsets that the log has and a copy has not.
    int64_t lag = 0;
    bool is_copy = false;
};

struct DirectoryUse {
    std::string log_dir;
    Uuid directory_id;
    bool is_offline = false;
    /// In order of names, copies behind their logs.
    std::vector<LogUse> logs;
};

struct StoreParts;

class LogStore {
public:
    LogStore(Ports ports, StorageSettings settings, StoreObserver* observer = nullptr);
    ~LogStore();
    LogStore(const LogStore&) = delete;
    LogStore& operator=(const LogStore&) = delete;

    /// Prepares, and begins to write in each directory.
    Task<Status> open(std::vector<ServedDirectory> directories);
    /// Logs can be opened and read. What is appended waits in memory, where `has_room` bounds it, and nothing
    /// is acknowledged: the journals of the last life may still be needed (LogDirectory::settle).
    Task<Status> prepare(std::vector<ServedDirectory> directories);
    /// They are not: this shard's journal begins in that directory, and the flushers start.
    Task<Status> begin_writing(std::string log_dir);
    /// A log that was there: loads ends, epochs and producer state; scans what an unclean stop left
    /// in doubt.
    Task<Result<Log*>> open_log(FoundLog found, LogConfig config);
    /// In the journal when it returns (not yet synced: the first append's group covers it); files
    /// follow.
    Result<Log*> create_log(const NewLog& wanted);
    /// Journal entry, then files; returns when the name is free again. Waiters of the log fail.
    Task<Status> delete_log(Log& log);
    [[nodiscard]] Log* find(const TopicPartition& name) const;

    /// Begins to copy the log to another directory, where it goes on when the copy has everything
    /// (log_move.h). The Log stays the same object. already_exists: it is there or moves already;
    /// not_found: no such directory; kafka_storage_error: one of the two is offline; invalid_argument:
    /// its name is too long for a copy's folder.
    Status move_log(Log& log, NewMove wanted);
    /// Of copies that a start found the one that leads elsewhere is begun anew; the others go.
    Task<Status> resume_move(Log& log,
                             std::vector<FoundCopy> copies,
                             MoveObserver* observer = nullptr);
    /// Where it is being copied to, if it is.
    [[nodiscard]] std::optional<std::string> moves_to(const TopicPartition& name) const;
    /// After move_caught_up.
    void permit_swap(const TopicPartition& name);
    /// Returns when the copy is gone, or, if it was too late for that, when the log has moved.
    Task<> cancel_move(TopicPartition name);
    /// What this shard has where, directories in order of their paths.
    [[nodiscard]] std::vector<DirectoryUse> uses() const;
    /// In order of their names.
    [[nodiscard]] std::vector<Log*> logs() const;

    /// Is there room for an append in this directory, or a reason to refuse it? When not, Log::append
    /// answers would_block.
    [[nodiscard]] bool serves(const std::string& log_dir) const;
    [[nodiscard]] bool has_room(const std::string& log_dir) const;
    /// Returns when there may be room again (ask again), or the directory is offline.
    Task<> wait_for_room(std::string log_dir);

    /// Everything appended so far is in segment files, synced, and the journals start behind it.
    Task<Status> checkpoint();
    /// After checkpoint(), for LogDirectory::write_checkpoints.
    [[nodiscard]] std::vector<LogCheckpoint> checkpoints(const std::string& log_dir) const;
    /// Another shard saw the directory fail.
    void take_offline(const std::string& log_dir, const Error& why);

    /// Clean stop of this shard: flushes, writes snapshots, indexes and epochs, syncs, empties and
    /// removes the journals. Every log is gone when it returns.
    Task<Status> close();

private:
    std::unique_ptr<StoreParts> parts_;
};

}  // namespace ottla::storage
