// SPDX-License-Identifier: Apache-2.0
#include "broker/log_directories.h"

#include <fmt/format.h>

#include "metadata/delta.h"
#include "storage/atomic_file.h"
#include "storage/moved_logs.h"

namespace ottla::broker {

namespace {

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

/// Apache Kafka refuses a directory with a folder in it that is no partition, so none may lie in
/// another; and one that is named twice would find its own lock.
Status check_paths(std::vector<std::string> paths) {
    for (std::string& path : paths) {
        while (path.size() > 1 && path.ends_with('/')) path.pop_back();
    }
    for (size_t i = 0; i < paths.size(); ++i) {
        for (size_t k = 0; k < paths.size(); ++k) {
            if (i == k) continue;
            if (paths[i] == paths[k]) {
                return fail(ErrorCode::invalid_config,
                            fmt::format("log.dirs names {} twice", paths[i]));
            }
            if (paths[i].starts_with(paths[k] == "/" ? paths[k] : paths[k] + "/")) {
                return fail(ErrorCode::invalid_config,
                            fmt::format("log directory {} lies in log directory {}: neither we nor "
                                        "Apache Kafka have other folders in one",
                                        paths[i], paths[k]));
            }
        }
    }
    return {};
}

}  // namespace

Task<Result<std::unique_ptr<LogDirectories>>> LogDirectories::open(
    Ports ports, const NodeFacts& facts, storage::StorageSettings storage) {
    std::unique_ptr<LogDirectories> all(new LogDirectories(ports, facts));
    const std::vector<std::string> paths = paths_of(facts.settings);
    if (paths.empty()) co_return fail(ErrorCode::invalid_config, "log.dirs names no directory");
    CO_TRY_STATUS(check_paths(paths));
    for (const std::string& path : paths) CO_TRY_STATUS(co_await all->open_one(path, storage));
    CO_TRY_STATUS(co_await all->format());
    co_return all;
}

/// Nobody calls it yet; other tools read it.
std::vector<raft::VoterEndpoint> LogDirectories::controller_endpoints(const Settings& settings) {
    std::vector<raft::VoterEndpoint> endpoints;
    const auto names = settings.list("controller.listener.names");
    const auto listeners = parse_listeners(settings.text("listeners"));
    for (const ListenerConfig& one : listeners.value_or(std::vector<ListenerConfig>{})) {
        if (std::ranges::find(names, one.name) == names.end()) continue;
        endpoints.push_back({one.name, one.host.empty() ? "localhost" : one.host, one.port});
    }
    if (endpoints.empty()) endpoints.push_back({"CONTROLLER", "localhost", 9093});
    return endpoints;
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

Task<Status> LogDirectories::format() {
    raft::FormatOptions options;
    options.metadata_dir = directories_.front()->path();
    options.node = facts_.id;
    options.configured_voters = facts_.settings.list("controller.quorum.voters").size();
    options.controller_endpoints = controller_endpoints(facts_.settings);
    protocol::FeatureLevelRecord level;
    level.name = "metadata.version";
    level.feature_level = metadata::kNewClusterMetadataVersion;
    options.features.push_back({level, 0});
    std::vector<storage::LogDirectory*> directories;
    for (const auto& directory : directories_) directories.push_back(directory.get());
    auto formatting = raft::format_if_empty(ports_, std::move(directories), std::move(options));
    CO_TRY(identity_, co_await std::move(formatting));
    co_return check_nodes();
}

Status LogDirectories::check_nodes() const {
    for (const auto& directory : directories_) {
        const BrokerId owner = directory->meta()->node_id;
        if (owner == facts_.id) continue;
        return fail(ErrorCode::invalid_config,
                    fmt::format("{} belongs to node {}, but node.id is {}", directory->path(),
                                owner.value(), facts_.id.value()));
    }
    return {};
}

raft::LastWriter LogDirectories::last_writer() const {
    return directories_.front()->was_ours() ? raft::LastWriter::ours : raft::LastWriter::anybody;
}

std::optional<storage::MetadataEnd> LogDirectories::metadata_end() const {
    return directories_.front()->metadata_end();
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

std::vector<storage::FoundCopy> LogDirectories::copies() const {
    std::vector<storage::FoundCopy> copies;
    for (const auto& directory : directories_) {
        copies.insert(copies.end(), directory->copies().begin(), directory->copies().end());
    }
    return copies;
}

BrokerEpoch LogDirectories::previous_broker_epoch() const {
    const BrokerEpoch first = directories_.front()->previous_broker_epoch();
    for (const auto& directory : directories_) {
        const bool same = directory->was_clean() && directory->previous_broker_epoch() == first;
        if (!same) return BrokerEpoch{-1};
    }
    return first;
}

Task<Status> LogDirectories::replay_and_serve() {
    for (const auto& directory : directories_) CO_TRY_STATUS(co_await directory->replay());
    std::vector<storage::LogDirectory*> all;
    for (const auto& directory : directories_) all.push_back(directory.get());
    CO_TRY_STATUS(co_await storage::settle_moved_logs(ports_.files, std::move(all)));
    for (const auto& directory : directories_) CO_TRY_STATUS(co_await directory->begin_serving());
    co_return Status();
}

Task<Status> LogDirectories::settle(size_t index) {
    co_return co_await directories_[index]->settle();
}

std::vector<std::string> LogDirectories::damage() const {
    std::vector<std::string> lines;
    for (const auto& directory : directories_) {
        for (const storage::Damage& one : directory->damage()) lines.push_back(one.what);
    }
    return lines;
}

Task<Status> LogDirectories::close(std::vector<std::vector<storage::LogCheckpoint>> checkpoints,
                                   BrokerEpoch broker_epoch,
                                   std::optional<storage::MetadataEnd> metadata) {
    for (size_t i = 0; i < directories_.size(); ++i) {
        const auto held = i == 0 ? metadata : std::nullopt;
        CO_TRY_STATUS(co_await directories_[i]->close(std::move(checkpoints[i]), broker_epoch, held));
    }
    co_return Status();
}

}  // namespace ottla::broker
