// SPDX-License-Identifier: Apache-2.0
// LogMoves: moves of a shard's logs between directories (storage/log_move.h) as clients ask for them, and
// what the metadata says of them (KIP-113, KIP-858).
//
// When a copy has everything, the controller is told that the replica is assigned to the other directory; only
// when that is committed the copy may take the log's place, so that the assigned directory always has the
// log or a copy of it. A move that ends otherwise assigns the old one again. Belongs to one shard.
#pragma once

#include <string>
#include <vector>

#include "broker/placement.h"
#include "ottla/result.h"
#include "ottla/task.h"
#include "storage/log_store.h"

namespace ottla::broker {

class Shard;

class LogMoves final : public storage::MoveObserver {
public:
    explicit LogMoves(Shard& shard) : shard_(shard) {}

    /// Kafka's answer to an AlterReplicaLogDirs for a partition of this shard: a move to another
    /// directory ends first, one to where the log is means that it stays.
    Task<ErrorCode> alter(PartitionKey key, std::string log_dir);
    /// Copies that a start found of this log.
    Task<> resume(storage::Log& log, std::vector<storage::FoundCopy> copies);

    void move_caught_up(storage::Log& log, const std::string& log_dir) override;
    void move_ended(storage::Log& log, const std::string& log_dir, const Status& how) override;

private:
    Task<> assign_and_permit(TopicPartition name, PartitionKey key, std::string log_dir);
    Task<> assign(PartitionKey key, std::string log_dir);

    Shard& shard_;
};

}  // namespace ottla::broker
