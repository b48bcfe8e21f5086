// SPDX-License-Identifier: Apache-2.0
#include "broker/log_directories.h"

#include <fmt/format.h>

#include "base/uuid.h"
#include "raft/snapshot.h"
#include "storage/atomic_file.h"
#include "storage/file_names.h"

namespace ottla::broker {

namespace {

constexpr std::string_view kMetadataLog = "__cluster_metadata-0";

/// log.dirs, or log.dir, with the directory of the metadata log in front.
std::vector<std::string> paths_of(const Settings& settings) {
    const bool old_name = !settings.is_set("log.dirs") && settings.is_set("log.dir");
    std::vector<std::string> paths = settings.list(old_name ? "log.dir" : "log.dirs");
    if (const auto metadata = settings.find("metadata.log.dir"); metadata && !metadata->empty()) {
        std::erase(paths, *metadata);
        paths.insert(paths.begin(), *metadata);
    }
    return paths;
}

}  // namespace

Task<Result<std::unique_ptr<LogDirectories>>> LogDirectories::open(
    Ports ports, const NodeFacts& facts, storage::StorageSettings storage) {
    std::unique_ptr<LogDirectories> all(new LogDirectories(ports, facts));
    const std::vector<std::string> paths = paths_of(facts.settings);
    if (paths.empty()) co_return fail(ErrorCode::invalid_config, "log.dirs names no directory");
    for (const std::string& path : paths) CO_TRY_STATUS(co_await all->open_one(path, storage));
    CO_TRY_STATUS(co_await all->format_new());
    CO_TRY_STATUS(all->check_identity());
    co_return all;
}

Task<Status> LogDirectories::open_one(std::string path, storage::StorageSettings storage) {
    CO_TRY_STATUS(co_await make_parents(path));
    auto directory = co_await storage::LogDirectory::open(ports_, path, storage);
    if (!directory) {
        co_return fail(directory.error().code,
                       fmt::format("log directory {}: {}", path, directory.error().detail));
    }
    directories_.push_back(*std::move(directory));
    co_return Status();
}

Task<Status> LogDirectories::make_parents(std::string path) {
    const std::string parent = storage::parent_path(path);
    if (parent == "." || parent.empty() || parent == path) co_return Status();
    const auto there = co_await ports_.files.status(parent);
    if (there) co_return Status();
    CO_TRY_STATUS(co_await make_parents(parent));
    const Status made = co_await ports_.files.make_directory(parent);
    if (!made && made.error().code != ErrorCode::already_exists) {
        co_return fail(made.error().code,
                       fmt::format("cannot make directory {}: {}", parent, made.error().detail));
    }
    co_return co_await ports_.files.sync_directory(storage::parent_path(parent));
}

Uuid LogDirectories::fresh_uuid() {
    const uint64_t high = ports_.runtime.random();
    const uint64_t low = ports_.runtime.random();
    return make_uuid(high, low);
}

Task<Status> LogDirectories::format_new() {
    storage::LogDirectory& metadata = *directories_.front();
    for (const auto& directory : directories_) {
        if (metadata.meta() || !directory->meta()) continue;
        co_return fail(
            ErrorCode::invalid_config,
            fmt::format("{} is formatted, but {}, which should hold the metadata log, is not: "
                        "is a disk missing, or was log.dirs reordered?",
                        directory->path(), metadata.path()));
    }
    std::string cluster_id;
    if (metadata.meta()) {
        cluster_id = metadata.meta()->cluster_id;
    } else {
        cluster_id = to_string(fresh_uuid());
    }
    bool any_log = false;
    for (const auto& directory : directories_) {
        if (!directory->meta()) CO_TRY_STATUS(co_await format_one(*directory, cluster_id));
        CO_TRY(const auto entries, co_await ports_.files.list(directory->path()));
        for (const DirectoryEntry& entry : entries) {
            any_log = any_log || (entry.is_directory && storage::parse_log_directory(entry.name));
        }
    }
    if (!any_log) co_return co_await format_metadata_log();
    const auto found = co_await ports_.files.status(metadata_log());
    if (found) co_return co_await format_metadata_log();
    co_return fail(
        ErrorCode::corrupt,
        fmt::format("{} is missing although there are partitions: is a disk missing, or was "
                    "log.dirs reordered?",
                    metadata_log()));
}

Task<Status> LogDirectories::format_one(storage::LogDirectory& directory, std::string cluster_id) {
    if (!directory.is_empty()) {
        co_return fail(
            ErrorCode::invalid_config,
            fmt::format("{} holds data but no meta.properties: whose is it?", directory.path()));
    }
    const Uuid id = fresh_uuid();
    const storage::MetaProperties meta{cluster_id, facts_.id, id};
    co_return co_await directory.format(meta);
}

/// The bootstrap checkpoint that names this node as the only voter, as `kafka-storage format
/// --standalone` writes it. Nothing to do when the metadata log has a checkpoint or a segment
/// already.
Task<Status> LogDirectories::format_metadata_log() {
    const std::string folder = metadata_log();
    const Status made = co_await ports_.files.make_directory(folder);
    if (!made && made.error().code != ErrorCode::already_exists) co_return made;
    CO_TRY(const auto entries, co_await ports_.files.list(folder));
    for (const DirectoryEntry& entry : entries) {
        const std::string_view name = entry.name;
        if (name.ends_with(".checkpoint") || name.ends_with(".log")) co_return Status();
    }
    raft::Voter self;
    self.key = {facts_.id, metadata_directory_id()};
    self.endpoints.push_back({"CONTROLLER", "localhost", 0});
    raft::SnapshotWriting content;
    content.now = ports_.runtime.wall_time();
    content.kraft_version = raft::kMaxKraftVersion;
    content.voters = raft::VoterSet{{self}};
    const std::string path = fmt::format("{}/{}", folder, raft::snapshot_file_name(content.id));
    CO_TRY_STATUS(
        co_await storage::replace_file(ports_.files, path, raft::encode_snapshot(content)));
    co_return co_await ports_.files.sync_directory(directories_.front()->path());
}

Status LogDirectories::check_identity() const {
    for (const auto& directory : directories_) {
        const storage::MetaProperties& meta = *directory->meta();
        if (meta.cluster_id != cluster_id()) {
            return fail(ErrorCode::inconsistent_cluster_id,
                        fmt::format("{} belongs to cluster {}, {} to {}", directory->path(),
                                    meta.cluster_id, directories_.front()->path(), cluster_id()));
        }
        if (meta.node_id != facts_.id) {
            return fail(ErrorCode::invalid_config,
                        fmt::format("{} belongs to node {}, but node.id is {}", directory->path(),
                                    meta.node_id.value(), facts_.id.value()));
        }
    }
    return {};
}

const std::string& LogDirectories::cluster_id() const {
    return directories_.front()->meta()->cluster_id;
}

std::string LogDirectories::metadata_log() const {
    return fmt::format("{}/{}", directories_.front()->path(), kMetadataLog);
}

Uuid LogDirectories::metadata_directory_id() const {
    return directories_.front()->meta()->directory_id;
}

std::vector<Uuid> LogDirectories::directory_ids() const {
    std::vector<Uuid> ids;
    for (const auto& directory : directories_) ids.push_back(directory->meta()->directory_id);
    return ids;
}

std::vector<storage::ServedDirectory> LogDirectories::served() const {
    std::vector<storage::ServedDirectory> served;
    for (const auto& directory : directories_) served.push_back(directory->served());
    return served;
}

std::vector<storage::FoundLog> LogDirectories::logs() const {
    std::vector<storage::FoundLog> logs;
    for (const auto& directory : directories_) {
        logs.insert(logs.end(), directory->logs().begin(), directory->logs().end());
    }
    return logs;
}

BrokerEpoch LogDirectories::previous_broker_epoch() const {
    const BrokerEpoch first = directories_.front()->previous_broker_epoch();
    for (const auto& directory : directories_) {
        const bool same = directory->was_clean() && directory->previous_broker_epoch() == first;
        if (!same) return BrokerEpoch{-1};
    }
    return first;
}

Task<Status> LogDirectories::recover_and_serve() {
    for (const auto& directory : directories_) CO_TRY_STATUS(co_await directory->recover());
    for (const auto& directory : directories_) CO_TRY_STATUS(co_await directory->begin_serving());
    co_return Status();
}

Task<Status> LogDirectories::close(std::vector<std::vector<storage::LogCheckpoint>> checkpoints,
                                   BrokerEpoch broker_epoch) {
    for (size_t i = 0; i < directories_.size(); ++i) {
        CO_TRY_STATUS(co_await directories_[i]->close(std::move(checkpoints[i]), broker_epoch));
    }
    co_return Status();
}

}  // namespace ottla::broker
