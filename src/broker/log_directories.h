// SPDX-License-Identifier: Apache-2.0
// LogDirectories: all entries of log.dirs of a node, on shard 0: locked, formatted if they are new,
// recovered, served, closed. The first one (or metadata.log.dir) also holds the metadata log.
//
// Formatting (DESIGN 9): a node that is the only voter formats itself when nothing was formatted
// yet. The metadata directory gets its meta.properties first and the bootstrap checkpoint of the
// metadata log comes last, so that a crash in between is finished by the next start:
// meta.properties there, no metadata log and no other log. An empty directory beside formatted ones
// is a new disk and is formatted; an empty *metadata* directory beside formatted ones is refused by
// name, since the cluster's metadata would be gone. Errors: locked, corrupt,
// inconsistent_cluster_id, invalid_config, each one sentence for a person.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "broker/node_facts.h"
#include "ottla/ports.h"
#include "storage/log_directory.h"

namespace ottla::broker {

class LogDirectories {
public:
    static Task<Result<std::unique_ptr<LogDirectories>>> open(Ports ports,
                                                              const NodeFacts& facts,
                                                              storage::StorageSettings storage);

    [[nodiscard]] const std::string& cluster_id() const;
    /// `<dir>/__cluster_metadata-0`.
    [[nodiscard]] std::string metadata_log() const;
    [[nodiscard]] Uuid metadata_directory_id() const;
    [[nodiscard]] std::vector<Uuid> directory_ids() const;
    [[nodiscard]] std::vector<storage::ServedDirectory> served() const;
    [[nodiscard]] std::vector<storage::FoundLog> logs() const;
    /// -1 unless every directory was closed cleanly by the same incarnation.
    [[nodiscard]] BrokerEpoch previous_broker_epoch() const;

    /// Everything on disk is in segments, and from here on the directories are not clean.
    Task<Status> recover_and_serve();
    /// Clean stop: `checkpoints` of all shards, one entry a directory in the order of served().
    Task<Status> close(std::vector<std::vector<storage::LogCheckpoint>> checkpoints,
                       BrokerEpoch broker_epoch);

private:
    LogDirectories(Ports ports, const NodeFacts& facts) : ports_(ports), facts_(facts) {}
    Task<Status> open_one(std::string path, storage::StorageSettings storage);
    Task<Status> make_parents(std::string path);
    Task<Status> format_new();
    Task<Status> format_one(storage::LogDirectory& directory, std::string cluster_id);
    Task<Status> format_metadata_log();
    [[nodiscard]] Status check_identity() const;
    Uuid fresh_uuid();

    Ports ports_;
    const NodeFacts& facts_;
    /// The metadata directory first.
    std::vector<std::unique_ptr<storage::LogDirectory>> directories_;
};

}  // namespace ottla::broker
