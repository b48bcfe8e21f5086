// SPDX-License-Identifier: Apache-2.0
// Recovery: brings segment files to where the journals say that they were. Runs alone, before
// anything is served, over all journals of one directory, whatever number of shards wrote them.
//
// Two passes. First every entry is read and each log instance gets its final shape: which
// truncations cut what, where the last segment ends, whether the log is gone. Then the appends that
// survived are applied. Without the guard only where bytes are missing (end of file, or zeros of
// unsynced sectors) or already equal: any other byte means that somebody wrote here after us (Kafka,
// say), `corrupt`, naming the file. Applying is idempotent: a crash
// in the middle is followed by the same again.
//
// A log that a catalogue knows (known_logs.h) keeps its picture, if nothing in the journal takes back
// or exchanges what the picture shows; `grown` says what the replay put behind it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "ottla/ports.h"
#include "ottla/test_faults.h"
#include "storage/journal_replay.h"
#include "storage/known_logs.h"
#include "storage/log_config.h"
#include "storage/replayed_file.h"

namespace ottla::storage {

/// What a replay found out about one log.
struct ReplayedLog {
    Uuid topic_id;
    /// The journal saw it created: what checkpoint files say of its name is older.
    bool created = false;
    /// What was known of it before, null if nothing; `whole` only if it is still true, `grown` included.
    KnownLogs::Entry known;
    /// Of a picture that is no longer true: the leader epochs below what was cut.
    std::optional<std::vector<EpochStart>> epochs;
    /// kNoOffset: not moved.
    Offset log_start = kNoOffset;
    /// The lowest end of a truncation that `known` does not know: a recovery point above it means bytes
    /// and indexes that are no more.
    std::optional<Offset> cut;
};

class Recovery {
public:
    /// `guarded`: the guard folder was there, so nobody else can have written.
    Recovery(Ports ports,
             std::string directory,
             bool guarded,
             const KnownLogs& known,
             const StorageSettings& settings = {});

    /// What it may keep of the journals in memory.
    [[nodiscard]] static size_t most_held(const StorageSettings& settings);

    /// `names` of the directory. Afterwards every log reads as the journals say, but no power cut must come
    /// without them.
    Task<Status> replay(std::vector<JournalChain> chains, std::vector<DirectoryEntry> names);
    /// All of that is durable: the journals are not needed any more.
    Task<Status> sync();
    /// Null: no journal speaks of it.
    [[nodiscard]] const ReplayedLog* find(const TopicPartition& log) const;
    /// Instances that were deleted.
    [[nodiscard]] const std::set<uint64_t>& gone() const { return gone_; }

private:
    struct Cut {
        uint64_t ordinal = 0;
        uint64_t group = 0;
        Offset end{0};
        Offset segment_base{0};
        /// Segments below it were closed and synced since.
        Offset settled_below{0};
    };
    struct Replaced {
        uint64_t ordinal = 0;
        uint64_t group = 0;
        Offset below{0};
    };
    struct Instance {
        uint64_t journal_id = 0;
        TopicPartition log;
        Uuid topic_id;
        std::string directory_name;
        std::string path;
        /// Its name before a rename, which the disk may still have.
        std::string former_name;
        /// A copy that has not become the log: its files do not count (log_move.h).
        bool copy = false;
        bool created = false;
        bool erasing = false;
        bool erased = false;
        std::vector<Cut> cuts;
        /// Of entries that say that segments were rewritten: everything older leaves them alone.
        std::vector<Replaced> replaced;
        bool placed = false;  ///< segment_base, position: where the log ends
        Offset segment_base{0};
        uint64_t position = 0;
        /// Where each segment ends that the journal saw changing: what lies behind is what a cut
        /// that never reached the disk left there.
        std::map<Offset, uint64_t> ends;
        Offset log_start{-1};
        KnownLogs::Entry known;
        /// `known` has a picture that is still true.
        bool pictured = false;
        // Second pass: bytes that go to one place, as they lie in what was read of the journal.
        Offset run_base{0};
        uint64_t run_position = 0;
        Chain run;
        /// By their bases. They wait for the sweep over all logs (run), as does partition.metadata.
        std::map<Offset, ReplayedFile> files;
        bool metadata_written = false;
    };

    Task<Status> first_pass(size_t index);
    Task<Status> second_pass(size_t index);
    /// Where an entry stands.
    struct Stand {
        uint64_t journal_id = 0;
        uint64_t group = 0;
        uint64_t ordinal = 0;
    };
    Status note(const JournalEntry& entry, const Stand& stand);
    void name_directory(Instance& log, const std::string& name) const;
    void look_up(uint64_t instance, Instance& log);
    void conclude(const Instance& log);
    [[nodiscard]] static bool is_still_true(const Instance& log, const CatalogueEntry& picture);
    [[nodiscard]] static Offset lowest_cut(const Instance& log);
    [[nodiscard]] static Offset first_kept(const Instance& log);
    [[nodiscard]] bool is_outdated(const Instance& log, const std::string& name) const;
    [[nodiscard]] bool survives(const Instance& log,
                                const JournalEntry& entry,
                                uint64_t ordinal) const;
    Task<Status> prepare(Instance& log);
    Task<Status> rename(Instance& log);
    Task<Status> flush_run(Instance& log);
    Task<Status> flush_runs();
    [[nodiscard]] ReplayedFile& file_of(Instance& log, Offset base);
    Task<Status> compare(ReplayedFile& file, uint64_t position, Chain wanted) const;
    Task<Result<bool>> has_already(ReplayedFile& file, uint64_t position, Chain wanted) const;
    Task<Status> look_behind(const Instance& log, ReplayedFile& file, uint64_t position) const;
    [[nodiscard]] static bool has_unknown_files(const Instance& log);
    [[nodiscard]] static bool is_settled(const Instance& log, Offset segment_base);
    Task<Status> finish(Instance& log);
    Task<Status> settle(Instance& log);
    Task<Status> remove_behind(Instance& log);
    [[nodiscard]] static bool was_cut_away(const Instance& log, Offset segment_base);
    Task<Status> end_segment(Instance& log, Offset base, uint64_t position);
    [[nodiscard]] std::string segment_path(const Instance& log,
                                           Offset base,
                                           std::string_view suffix) const;

    Runtime& runtime_;
    FileSystem& files_;
    const std::string directory_;
    const bool guarded_;
    const TestFaults faults_;
    /// Before what was read of the journals is written; nobody else uses that memory yet.
    const size_t most_pending_;
    ReplayDescriptors descriptors_;
    std::vector<JournalChain> chains_;
    std::map<uint64_t, Instance> logs_;
    const KnownLogs& known_;
    std::set<std::string> directories_;
    std::map<TopicPartition, ReplayedLog> replayed_;
    std::set<uint64_t> gone_;
    /// What was read of the journals since all runs were written; it is held by them.
    size_t pending_bytes_ = 0;
};

}  // namespace ottla::storage
