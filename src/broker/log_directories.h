// SPDX-License-Identifier: Apache-2.0
// LogDirectories: all entries of log.dirs of a node, on shard 0: locked, formatted if they are new
// (raft/format.h), recovered, served, closed. The first one (or metadata.log.dir) also holds the
// metadata log. Errors: locked, corrupt, inconsistent_cluster_id, invalid_argument, each one sentence
// for a person.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "broker/node_facts.h"
#include "ottla/ports.h"
#include "raft/format.h"
#include "raft/metadata_log.h"
#include "storage/log_directory.h"

namespace ottla::broker {

class LogDirectories {
public:
    static Task<Result<std::unique_ptr<LogDirectories>>> open(Ports ports,
                                                              const NodeFacts& facts,
                                                              storage::StorageSettings storage);

    /// Where this node's controller is reached: in its entry of the voter set, in its registration.
    [[nodiscard]] static std::vector<raft::VoterEndpoint> controller_endpoints(
        const Settings& settings);

    /// Cluster, metadata directory and what its bootstrap checkpoint says.
    [[nodiscard]] const raft::NodeIdentity& identity() const { return identity_; }
    /// Of the metadata log. To be asked before recover_and_serve.
    [[nodiscard]] raft::LastWriter last_writer() const;
    [[nodiscard]] std::optional<storage::MetadataEnd> metadata_end() const;
    [[nodiscard]] std::vector<Uuid> directory_ids() const;
    [[nodiscard]] std::vector<storage::ServedDirectory> served() const;
    [[nodiscard]] std::vector<storage::FoundLog> logs() const;
    [[nodiscard]] std::vector<storage::FoundCopy> copies() const;
    /// -1 unless every directory was closed cleanly by the same incarnation.
    [[nodiscard]] BrokerEpoch previous_broker_epoch() const;

    /// Every log can be read, and from here on the directories are not clean.
    Task<Status> replay_and_serve();
    /// Of one of served(): what was replayed there is synced, the journals of the last life are gone.
    Task<Status> settle(size_t index);
    [[nodiscard]] const storage::RestartFigures& restart(size_t index) const {
        return directories_[index]->restart();
    }
    /// What was wrong with small files, a line each.
    [[nodiscard]] std::vector<std::string> damage() const;
    /// Clean stop: `checkpoints` of all shards, one entry a directory in the order of served().
    /// `metadata`: where the metadata log was closed, if it was.
    Task<Status> close(std::vector<std::vector<storage::LogCheckpoint>> checkpoints,
                       BrokerEpoch broker_epoch,
                       std::optional<storage::MetadataEnd> metadata);

private:
    LogDirectories(Ports ports, const NodeFacts& facts) : ports_(ports), facts_(facts) {}
    Task<Status> open_one(std::string path, storage::StorageSettings storage);
    Task<Status> make_parents(std::string path);
    Task<Status> format();
    [[nodiscard]] Status check_nodes() const;

    Ports ports_;
    const NodeFacts& facts_;
    /// The metadata directory first.
    std::vector<std::unique_ptr<storage::LogDirectory>> directories_;
    raft::NodeIdentity identity_;
};

}  // namespace ottla::broker
