// SPDX-License-Identifier: Apache-2.0
#include "raft/format.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/uuid.h"
#include "storage/atomic_file.h"
#include "storage/file_names.h"

namespace ottla::raft {
namespace {

using storage::LogDirectory;

constexpr std::string_view kBootstrapFile = "bootstrap.checkpoint";
constexpr std::string_view kMetadataFolder = "__cluster_metadata-0";
constexpr std::string_view kQuorumStateFile = "quorum-state";
constexpr uint64_t kLargestBootstrap = 1024ULL * 1024;

std::unexpected<Error> refuse(std::string why) {
    return fail(ErrorCode::invalid_argument, std::move(why));
}

Uuid random_uuid(Runtime& runtime) {
    const uint64_t high = runtime.random();
    const uint64_t low = runtime.random();
    return make_uuid(high, low);
}

/// The cluster that the formatted directories and the settings agree on; empty if nothing says one.
Result<std::string> agreed_cluster(const std::vector<LogDirectory*>& directories,
                                   const FormatOptions& options) {
    std::string cluster = options.cluster_id.value_or("");
    std::string source = "cluster.id";
    for (const LogDirectory* directory : directories) {
        const auto& meta = directory->meta();
        if (!meta) continue;
        if (meta->node_id != options.node) {
            return refuse(fmt::format("{} belongs to node {}, this is node {}", directory->path(),
                                      meta->node_id.value(), options.node.value()));
        }
        if (!cluster.empty() && cluster != meta->cluster_id) {
            return fail(ErrorCode::inconsistent_cluster_id,
                        fmt::format("{} belongs to cluster {}, but {} says {}", directory->path(),
                                    meta->cluster_id, source, cluster));
        }
        cluster = meta->cluster_id;
        source = directory->path();
    }
    return cluster;
}

Status check_first_format(const std::vector<LogDirectory*>& directories,
                          const FormatOptions& options) {
    if (options.configured_voters > 1) {
        return refuse(fmt::format("controller.quorum.voters names {} voters; this version of Ottla "
                                  "forms clusters of one voter",
                                  options.configured_voters));
    }
    for (const LogDirectory* directory : directories) {
        if (!directory->is_empty()) {
            return refuse(fmt::format("{} holds logs but no meta.properties: it is not clear which "
                                      "cluster they belong to",
                                      directory->path()));
        }
    }
    return {};
}

Task<Result<bool>> holds_logs(FileSystem& files, std::string path) {
    CO_TRY(const auto entries, co_await files.list(path));
    for (const DirectoryEntry& entry : entries) {
        if (!entry.is_directory || entry.name == kMetadataFolder) continue;
        if (storage::parse_log_directory(entry.name)) co_return true;
    }
    co_return false;
}

/// Was the format of this metadata directory finished?
Task<Result<bool>> holds_metadata(FileSystem& files, std::string folder) {
    const auto entries = co_await files.list(folder);
    if (!entries && entries.error().code == ErrorCode::not_found) co_return false;
    if (!entries) co_return std::unexpected(entries.error());
    for (const DirectoryEntry& entry : *entries) {
        const bool known = parse_snapshot_file(entry.name) || entry.name == kQuorumStateFile ||
                           storage::parse_offset_file(entry.name, storage::kLogSuffix);
        if (known) co_return true;
    }
    co_return false;
}

Task<Status> write_checkpoints(Ports ports, std::string directory, Uuid id, FormatOptions options) {
    SnapshotWriting bootstrap;
    bootstrap.now = ports.runtime.wall_time();
    bootstrap.records = options.features;
    CO_TRY_STATUS(co_await storage::replace_file(ports.files,
                                                 storage::join_path(directory, kBootstrapFile),
                                                 encode_snapshot(bootstrap)));
    const std::string folder = storage::join_path(directory, kMetadataFolder);
    const Status made = co_await ports.files.make_directory(folder);
    if (!made && made.error().code != ErrorCode::already_exists) co_return made;
    CO_TRY_STATUS(co_await ports.files.sync_directory(directory));

    SnapshotWriting first;
    first.now = bootstrap.now;
    first.last_contained_timestamp = bootstrap.now;
    first.kraft_version = kMaxKraftVersion;
    Voter self;
    self.key = {options.node, id};
    self.endpoints = options.controller_endpoints;
    first.voters = VoterSet{{self}};
    co_return co_await storage::replace_file(
        ports.files, storage::join_path(folder, snapshot_file_name(first.id)),
        encode_snapshot(first));
}

Task<Result<std::vector<protocol::MetadataRecord>>> read_bootstrap(FileSystem& files,
                                                                   std::string directory) {
    const std::string path = storage::join_path(directory, kBootstrapFile);
    const auto bytes = co_await storage::read_file(files, path, kLargestBootstrap);
    std::vector<protocol::MetadataRecord> records;
    if (!bytes && bytes.error().code == ErrorCode::not_found) co_return records;
    if (!bytes) co_return std::unexpected(bytes.error());
    auto parsed = parse_snapshot(*bytes);
    if (!parsed) co_return fail(ErrorCode::corrupt, path + ": " + parsed.error().detail);
    co_return std::move(parsed->records);
}

/// meta.properties, and before it the name of the directory itself.
Task<Status> claim(Ports ports, LogDirectory& directory, FormatOptions options) {
    const std::string parent = storage::parent_path(directory.path());
    CO_TRY_STATUS(co_await ports.files.sync_directory(parent));
    storage::MetaProperties meta;
    meta.cluster_id = *options.cluster_id;
    meta.node_id = options.node;
    meta.directory_id = random_uuid(ports.runtime);
    co_return co_await directory.format(meta);
}

/// The metadata directory is formatted: is its log there, or may it be begun?
Task<Result<bool>> must_write_checkpoints(Ports ports,
                                          std::vector<LogDirectory*> directories,
                                          std::string metadata_log) {
    CO_TRY(const bool complete, co_await holds_metadata(ports.files, metadata_log));
    if (complete) co_return false;
    for (const LogDirectory* directory : directories) {
        CO_TRY(const bool data, co_await holds_logs(ports.files, directory->path()));
        if (!data) continue;
        co_return refuse(fmt::format("{} holds no metadata log, but {} holds topics: restore it, "
                                     "or they would be lost",
                                     metadata_log, directory->path()));
    }
    co_return true;
}

}  // namespace

Task<Result<NodeIdentity>> format_if_empty(Ports ports,
                                           std::vector<LogDirectory*> directories,
                                           FormatOptions options) {
    const auto metadata =
        std::ranges::find(directories, options.metadata_dir, &LogDirectory::path);
    if (metadata == directories.end()) {
        co_return refuse(fmt::format("metadata.log.dir {} is not opened", options.metadata_dir));
    }
    LogDirectory& home = **metadata;
    CO_TRY(const std::string cluster, agreed_cluster(directories, options));
    options.cluster_id = cluster.empty() ? to_string(random_uuid(ports.runtime)) : cluster;
    NodeIdentity identity;
    const bool any = std::ranges::any_of(
        directories, [](const LogDirectory* one) { return one->meta().has_value(); });
    if (!any) {
        CO_TRY_STATUS(check_first_format(directories, options));
        CO_TRY_STATUS(co_await claim(ports, home, options));
    } else if (!home.meta()) {
        co_return refuse(fmt::format("{} should hold the metadata log but is not formatted, while "
                                     "other log directories are: restore it or name another "
                                     "metadata.log.dir",
                                     home.path()));
    }
    identity.metadata_log = storage::join_path(home.path(), kMetadataFolder);
    CO_TRY(identity.formatted_now,
           co_await must_write_checkpoints(ports, directories, identity.metadata_log));
    if (identity.formatted_now) {
        CO_TRY_STATUS(co_await write_checkpoints(ports, home.path(), home.meta()->directory_id,
                                                 options));
    }
    for (LogDirectory* directory : directories) {
        if (directory->meta()) continue;
        if (!directory->is_empty()) CO_TRY_STATUS(check_first_format({directory}, options));
        CO_TRY_STATUS(co_await claim(ports, *directory, options));
    }
    identity.cluster_id = *options.cluster_id;
    identity.directory_id = home.meta()->directory_id;
    CO_TRY(identity.bootstrap, co_await read_bootstrap(ports.files, home.path()));
    co_return identity;
}

}  // namespace ottla::raft
