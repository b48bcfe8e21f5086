// SPDX-License-Identifier: Apache-2.0
// Recovery: brings segment files to where the journals say that they were. Runs alone, before
// anything is served, over all journals of one directory, whatever number of shards wrote them.
//
// Two passes. First every entry is read and each log instance gets its final shape: which
// truncations cut what, where the last segment ends, whether the log is gone. Then the appends that
// survived are applied where bytes are missing (end of file, or zeros of unsynced sectors) or
// already equal. Any other byte means that somebody wrote here after us (Kafka, say): `corrupt`,
// naming the file, unless a truncation in the journal explains it. Applying is idempotent: a crash
// in the middle is followed by the same again.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/growing_buffer.h"
#include "ottla/ports.h"
#include "ottla/test_faults.h"
#include "storage/journal_replay.h"

namespace ottla::storage {

class Recovery {
public:
    /// `guarded`: the guard folder was there, so nobody else can have written.
    Recovery(Ports ports, std::string directory, bool guarded, TestFaults faults = {});

    Task<Status> run(std::vector<JournalChain> chains);
    /// Log starts that the journals know better than the checkpoint file.
    [[nodiscard]] const std::map<TopicPartition, Offset>& log_starts() const { return log_starts_; }
    /// The lowest end of each log that was truncated: a recovery point above it means bytes and
    /// indexes that are no more.
    [[nodiscard]] const std::map<TopicPartition, Offset>& cuts() const { return cuts_; }
    /// Logs that the journals saw created: what checkpoint files say of their names is older.
    [[nodiscard]] const std::set<TopicPartition>& created() const { return created_; }

private:
    struct Cut {
        uint64_t ordinal = 0;
        Offset end{0};
        Offset segment_base{0};
        /// Segments below it were closed and synced since.
        Offset settled_below{0};
    };
    struct Instance {
        TopicPartition log;
        Uuid topic_id;
        std::string path;
        bool created = false;
        bool erasing = false;
        bool erased = false;
        std::vector<Cut> cuts;
        /// Of entries that say that segments were rewritten: everything older leaves them alone.
        std::vector<std::pair<uint64_t, Offset>> replaced;
        bool placed = false;  ///< segment_base, position: where the log ends
        Offset segment_base{0};
        uint64_t position = 0;
        /// Where each segment ends that the journal saw changing: what lies behind is what a cut
        /// that never reached the disk left there.
        std::map<Offset, uint64_t> ends;
        Offset log_start{-1};
        // Second pass: bytes that go to one place.
        Offset run_base{0};
        uint64_t run_position = 0;
        GrowingBuffer run;
        std::set<Offset> touched;
        /// Paths that wait for the sweep over all logs (run).
        std::vector<std::string> unsynced;
    };

    Task<Status> first_pass(JournalChain chain);
    Task<Status> second_pass(JournalChain chain);
    Status note(const JournalEntry& entry, uint64_t ordinal);
    [[nodiscard]] bool survives(const Instance& log,
                                const JournalEntry& entry,
                                uint64_t ordinal) const;
    Task<Status> prepare(Instance& log);
    Task<Status> flush_run(Instance& log);
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
    std::map<uint64_t, Instance> logs_;
    std::map<TopicPartition, Offset> log_starts_;
    std::map<TopicPartition, Offset> cuts_;
    std::set<TopicPartition> created_;
    size_t pending_bytes_ = 0;
};

}  // namespace ottla::storage
