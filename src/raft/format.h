// SPDX-License-Identifier: Apache-2.0
// The first start of a cluster of one: what `kafka-storage format --standalone` does, done by the node
// itself when it is the only voter and every log directory is empty.
//
//   <dir>/meta.properties                        cluster.id, node.id, directory.id (every directory)
//   <metadata dir>/bootstrap.checkpoint          the feature levels that the first leader writes
//   <metadata dir>/__cluster_metadata-0/0-0.checkpoint   kraft.version 1 and the voter: this node
//
// In this order for the metadata directory, then the others, each file durable before the next: a
// crash anywhere leaves something that the next start recognises and completes. An empty directory
// that was added to a formatted node joins it.
// Refused, each with one clear sentence: several voters; directories of two clusters or nodes; a
// metadata directory that is empty or lost its log while others hold data; data without
// meta.properties. Errors: invalid_argument, inconsistent_cluster_id, and those of the file system.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ottla/ports.h"
#include "ottla/result.h"
#include "ottla/task.h"
#include "raft/snapshot.h"
#include "storage/log_directory.h"

namespace ottla::raft {

struct FormatOptions {
    /// Which of the directories holds the metadata log (metadata.log.dir, else the first).
    std::string metadata_dir;
    BrokerId node = kNoBroker;
    /// As configured; else the one that is found, else a random one.
    std::optional<std::string> cluster_id;
    /// Entries of controller.quorum.voters; 0 when it is not set.
    size_t configured_voters = 0;
    /// Where this node's controller listeners are: part of its entry in the voter set.
    std::vector<VoterEndpoint> controller_endpoints;
    /// FeatureLevel records of a new cluster, metadata.version first.
    std::vector<VersionedRecord> features;
};

/// What a formatted node knows about itself.
struct NodeIdentity {
    std::string cluster_id;
    /// Of the metadata directory: with the node's id the key of the voter.
    Uuid directory_id;
    /// `<metadata dir>/__cluster_metadata-0`.
    std::string metadata_log;
    /// From bootstrap.checkpoint; empty if there is none.
    std::vector<protocol::MetadataRecord> bootstrap;
    bool formatted_now = false;
};

/// `directories`: all log.dirs, opened and locked, before anything else was done with them.
Task<Result<NodeIdentity>> format_if_empty(Ports ports,
                                           std::vector<storage::LogDirectory*> directories,
                                           FormatOptions options);

}  // namespace ottla::raft
