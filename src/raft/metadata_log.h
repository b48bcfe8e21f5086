// SPDX-License-Identifier: Apache-2.0
// MetadataLog: `__cluster_metadata-0` on the disk, in Kafka's files, outside the journal
// (DESIGN 7.2): a Kafka controller must be able to take it over even after kill -9.
//
//   <dir>/%020d.log .index .timeindex    segments; indexes come when one is rolled or closed
//   <dir>/%020d-%010d.checkpoint         snapshots; 0-0 is the bootstrap checkpoint
//   <dir>/leader-epoch-checkpoint        epoch and start offset of each leader
//   <dir>/partition.metadata  quorum-state
//
// Invariants: append returns when the batches, the names of their files and the epoch they begin
// are durable; one append at a time; what open() found was synced again before it returned, because
// a killed process leaves bytes that only the page cache knows. A torn tail is cut at open; damage
// before bytes that a later sync proves to be durable is `corrupt`, never cut; what proves that depends
// on who wrote last (LastWriter; the argument stands at proves_damage). After an error of
// append the log is of no use: the owner ends the process (a sync is not retried). Errors: corrupt
// (names file and position), io_error, no_space, not_found (never formatted).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ottla/ports.h"
#include "ottla/result.h"
#include "ottla/task.h"
#include "raft/quorum_state.h"
#include "raft/snapshot.h"
#include "storage/directory_sums.h"
#include "storage/leader_epochs.h"
#include "storage/segment.h"

namespace ottla::raft {

/// Sees what open() finds before a byte of it is changed, and may refuse it.
class LogInspector {
public:
    virtual Status found_snapshot(const Snapshot& snapshot) = 0;
    /// Each batch that the snapshot does not stand for, in order.
    virtual Status found_batch(const BatchView& batch) = 0;

protected:
    ~LogInspector() = default;
};

/// Who may have appended what open() finds at the end.
enum class LastWriter : uint8_t {
    ours,    ///< nobody but this program: the guard stood, or its clean stop is proven
    anybody  ///< perhaps Kafka's controller, which syncs less often
};

class MetadataLog {
public:
    /// `inspector` may be null and is not kept. `known_end`: up to there the log was sound when it was
    /// closed, and nobody wrote since; what is missing or damaged of that is `corrupt` and never cut.
    static Task<Result<std::unique_ptr<MetadataLog>>> open(Ports ports,
                                                           std::string directory,
                                                           storage::SegmentLimits limits,
                                                           LogInspector* inspector = nullptr,
                                                           LastWriter writer = LastWriter::ours,
                                                           std::optional<storage::MetadataEnd> known_end = {});

    /// The newest snapshot, where the rest of the log begins to matter.
    [[nodiscard]] const SnapshotId& snapshot_id() const { return snapshot_id_; }
    [[nodiscard]] const Snapshot& snapshot() const { return snapshot_; }
    /// From the snapshot and the control records of the log.
    [[nodiscard]] const QuorumRecords& quorum() const { return quorum_; }
    /// The log itself holds a voters record.
    [[nodiscard]] bool voters_in_log() const { return voters_in_log_; }
    [[nodiscard]] const std::optional<QuorumState>& quorum_state() const { return quorum_state_; }
    [[nodiscard]] Offset end() const { return end_; }
    [[nodiscard]] LeaderEpoch last_epoch() const;

    /// Written, synced, and every name durable when it returns; the first batch of an epoch before
    /// the next one is written, so that a batch tells that what lies before its epoch was synced.
    Task<Status> append(std::vector<Buffer> batches);
    Task<Status> write_quorum_state(QuorumState state, int16_t kraft_version, VoterSet voters);
    /// Whole batches from the one that holds `from`, about `max_bytes` and at least one, with their
    /// CRCs checked. Nothing at the end of the log.
    Task<Result<std::vector<Buffer>>> read(Offset from, size_t max_bytes);
    /// Clean stop: the indexes of the active segment, synced.
    Task<Status> close();
    /// Where the newest segment ends.
    [[nodiscard]] std::optional<storage::MetadataEnd> file_end() const;

private:
    MetadataLog(Ports ports, std::string directory, storage::SegmentLimits limits);
    Task<Status> load(LogInspector* inspector);
    Task<Status> append_piece(std::vector<Buffer> batches);
    Task<Status> load_snapshot(std::vector<SnapshotId> ids);
    Task<Status> load_segments(std::vector<Offset> bases, LogInspector* inspector);
    Task<Status> load_segment(Offset base, bool last, LogInspector* inspector);
    /// `found`: of the segment with that base.
    [[nodiscard]] Status check_known_end(Offset base, const storage::SegmentEnd& found) const;
    Task<Status> refuse_provable_damage(storage::Segment& segment, storage::SegmentEnd found);
    Task<Status> sync_found();
    Task<Status> note_epochs(std::vector<Buffer> batches);
    Task<Status> roll();
    Task<Status> sync_names();
    [[nodiscard]] std::string file(std::string_view name) const;
    [[nodiscard]] storage::Segment* segment_of(Offset offset) const;

    Ports ports_;
    const std::string directory_;
    const storage::SegmentLimits limits_;
    SnapshotId snapshot_id_;
    Snapshot snapshot_;
    QuorumRecords quorum_;
    bool voters_in_log_ = false;
    std::optional<QuorumState> quorum_state_;
    storage::LeaderEpochs epochs_;
    std::vector<std::unique_ptr<storage::Segment>> segments_;
    Offset end_{0};
    LastWriter last_writer_ = LastWriter::ours;
    std::optional<storage::MetadataEnd> known_end_;
};

}  // namespace ottla::raft
