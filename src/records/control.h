// SPDX-License-Identifier: Apache-2.0
// Control batches: records that the broker writes for itself and clients only skip.
//
//   key    version i16 = 0 | type i16
//   value  end of a transaction (abort, commit): version i16 = 0 | coordinator epoch i32, or more
//          raft (the rest): a message of the protocol schemas, opaque here
//
// A transaction's marker is a batch of its own: control and transactional bits, the producer's id
// and epoch, no sequence, one record. Raft's batches carry no producer (KIP-630, KIP-853). pure
#pragma once

#include <span>

#include "ottla/buffer.h"
#include "records/records.h"

namespace ottla {

enum class ControlType : int16_t {
    abort = 0,
    commit = 1,
    leader_change = 2,
    snapshot_header = 3,
    snapshot_footer = 4,
    kraft_version = 5,
    kraft_voters = 6,
};

struct ControlRecord {
    ControlType type = ControlType::abort;
    std::span<const std::byte> value;
};

/// What a control record says; a type that this version does not know is given as it is, because a
/// reader must skip it and not fail. corrupt_message if the key is no control key.
Result<ControlRecord> parse_control(const Record& record);

/// How a transaction ended, as its coordinator said.
struct EndTransaction {
    bool committed = false;
    int32_t coordinator_epoch = 0;
    bool operator==(const EndTransaction&) const = default;
};

/// corrupt_message unless the record is a well formed abort or commit.
Result<EndTransaction> parse_end_transaction(const ControlRecord& record);

struct MarkerOptions {
    ProducerId producer_id;
    ProducerEpoch producer_epoch;
    WallTime timestamp;
    Offset base_offset{0};
    LeaderEpoch leader_epoch = kNoLeaderEpoch;
};
Buffer build_end_transaction_batch(const MarkerOptions& options, const EndTransaction& end);

struct ControlBatchOptions {
    WallTime timestamp;
    Offset base_offset{0};
    LeaderEpoch leader_epoch = kNoLeaderEpoch;
};
/// One batch of raft control records with these (already encoded) values.
Buffer build_control_batch(const ControlBatchOptions& options,
                           std::span<const ControlRecord> records);

}  // namespace ottla
