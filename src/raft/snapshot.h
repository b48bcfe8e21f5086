// SPDX-License-Identifier: Apache-2.0
// A snapshot of the metadata log as Kafka stores it, `%020d-%010d.checkpoint` (end offset, epoch):
//
//   control batch   SnapshotHeader [KRaftVersion KRaftVoters]
//   data batches    metadata records
//   control batch   SnapshotFooter
//
// The one at offset 0, epoch 0 is the bootstrap checkpoint that `kafka-storage format --standalone`
// makes: it names the voters and holds no data. `bootstrap.checkpoint`, beside the partition
// folders, has the same shape without voters: its data are the feature levels that the first leader
// writes.
// Errors: corrupt.
// pure
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ottla/buffer.h"
#include "ottla/result.h"
#include "ottla/types.h"
#include "protocol/metadata_records.h"
#include "raft/voters.h"
#include "records/batch.h"

namespace ottla::raft {

/// What a snapshot stands for: everything before `end`, whose last record was of `epoch`.
struct SnapshotId {
    Offset end{0};
    LeaderEpoch epoch{0};
    auto operator<=>(const SnapshotId&) const = default;
};
std::string snapshot_file_name(const SnapshotId& id);
/// Nothing for any other name.
std::optional<SnapshotId> parse_snapshot_file(std::string_view name);

struct Snapshot {
    WallTime last_contained_timestamp{0};
    std::optional<int16_t> kraft_version;
    std::optional<VoterSet> voters;
    std::vector<protocol::MetadataRecord> records;
};

/// One record and the version it is written in.
struct VersionedRecord {
    protocol::MetadataRecord record;
    int16_t version = 0;
};

/// One batch for the metadata log.
Buffer encode_batch(Offset base,
                    LeaderEpoch epoch,
                    WallTime timestamp,
                    const std::vector<VersionedRecord>& records);
/// The metadata records of a data batch, plain or compressed.
Result<std::vector<protocol::MetadataRecord>> decode_batch(const BatchView& batch);

struct SnapshotWriting {
    SnapshotId id;
    WallTime now{0};
    WallTime last_contained_timestamp{0};
    std::optional<int16_t> kraft_version;
    std::optional<VoterSet> voters;
    std::vector<VersionedRecord> records;
};
Buffer encode_snapshot(const SnapshotWriting& content);
Result<Snapshot> parse_snapshot(const Buffer& bytes);

/// What the control batches of the log and of snapshots say about the quorum.
struct QuorumRecords {
    std::optional<int16_t> kraft_version;
    std::optional<VoterSet> voters;
    /// Takes in one control batch; newer ones win.
    Status read(const BatchView& batch);
};

}  // namespace ottla::raft
