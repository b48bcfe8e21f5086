// SPDX-License-Identifier: Apache-2.0
#include "storage/log_store.h"

#include <fmt/format.h>

#include <map>

#include "storage/atomic_file.h"
#include "storage/file_names.h"
#include "storage/log_parts.h"
#include "storage/shard_directory.h"

namespace ottla::storage {

struct StoreParts {
    Ports ports;
    StorageSettings settings;
    StoreObserver* observer = nullptr;
    IndexCache index_cache{settings.index_cache_bytes, observer};
    std::map<std::string, std::unique_ptr<ShardDirectory>> directories;
    std::map<TopicPartition, std::unique_ptr<Log>> logs;
    /// What the logs ended at, after close.
    std::map<std::string, std::vector<LogCheckpoint>> closed;

    [[nodiscard]] Result<ShardDirectory*> directory(const std::string& path) const {
        const auto at = directories.find(path);
        if (at == directories.end()) {
            return fail(ErrorCode::not_found, fmt::format("{} is not served", path));
        }
        return at->second.get();
    }
};

namespace {

LogCheckpoint checkpoint_of(const LogParts& log) {
    LogCheckpoint checkpoint;
    checkpoint.name = log.identity.name;
    checkpoint.recovery_point = log.synced_end;
    // Kafka notes only what the first segment's name does not say.
    const bool noted = log.log_start > log.segments.front()->base();
    checkpoint.log_start = noted ? log.log_start : kNoOffset;
    checkpoint.high_watermark = log.high_watermark;
    checkpoint.cleaned = log.cleaned;
    return checkpoint;
}

LogIdentity identity_of(const TopicPartition& name,
                        const Uuid& topic_id,
                        ShardDirectory& directory) {
    LogIdentity identity;
    identity.name = name;
    identity.topic_id = topic_id;
    identity.log_dir = directory.path();
    identity.path = join_path(directory.path(), log_directory_name(name));
    identity.instance = directory.new_instance();
    return identity;
}

}  // namespace

LogStore::LogStore(Ports ports, StorageSettings settings, StoreObserver* observer)
    : parts_(std::make_unique<StoreParts>(ports, settings, observer)) {}
LogStore::~LogStore() = default;

Task<Status> LogStore::open(std::vector<ServedDirectory> directories) {
    CO_TRY_STATUS(co_await prepare(directories));
    for (const ServedDirectory& served : directories) {
        CO_TRY_STATUS(co_await begin_writing(served.path));
    }
    co_return Status();
}

Task<Status> LogStore::begin_writing(std::string log_dir) {
    CO_TRY(ShardDirectory* const home, parts_->directory(log_dir));
    co_return co_await home->begin_writing();
}

Task<Status> LogStore::prepare(std::vector<ServedDirectory> directories) {
    // Nobody can tell which directories are on one disk: they are treated as if all were.
    const uint64_t sharing = uint64_t{parts_->settings.shards} * directories.size();
    for (const ServedDirectory& served : directories) {
        auto directory = std::make_unique<ShardDirectory>(parts_->ports, served, parts_->settings,
                                                          sharing, parts_->observer,
                                                          parts_->index_cache);
        ShardDirectory& opened = *directory;
        parts_->directories.emplace(served.path, std::move(directory));
        CO_TRY_STATUS(co_await opened.open());
    }
    co_return Status();
}

Task<Result<Log*>> LogStore::open_log(FoundLog found, LogConfig config) {
    CO_TRY(ShardDirectory* const home, parts_->directory(found.log_dir));
    if (home->error()) co_return std::unexpected(*home->error());
    if (parts_->logs.contains(found.name)) {
        co_return fail(ErrorCode::already_exists, log_directory_name(found.name));
    }
    auto parts =
        std::make_unique<LogParts>(identity_of(found.name, found.topic_id, *home), config, *home);
    LogParts& own = *parts;
    auto log = std::make_unique<Log>(std::move(parts));
    CO_TRY_STATUS(co_await own.load(found));
    Log* const opened = log.get();
    if (!parts_->logs.emplace(found.name, std::move(log)).second) {
        co_return fail(ErrorCode::already_exists, log_directory_name(found.name));
    }
    home->add(own);
    if (own.epochs_changed || own.names_changed) home->note_dirty(own);
    co_return opened;
}

Result<Log*> LogStore::create_log(const NewLog& wanted) {
    TRY(ShardDirectory* const home, parts_->directory(wanted.log_dir));
    if (home->error()) return std::unexpected(*home->error());
    if (parts_->logs.contains(wanted.name)) {
        return fail(ErrorCode::already_exists, log_directory_name(wanted.name));
    }
    auto parts = std::make_unique<LogParts>(identity_of(wanted.name, wanted.topic_id, *home),
                                            wanted.config, *home);
    LogParts& own = *parts;
    own.directory_made = false;
    for (Offset* end : {&own.log_start, &own.log_end, &own.durable_end, &own.flushed_end,
                        &own.synced_end, &own.checkpoint_end, &own.high_watermark}) {
        *end = wanted.start;
    }
    own.add_segment(wanted.start);
    home->add(own);
    FileEffect effect;
    effect.kind = FileEffect::Kind::make_directory;
    JournalGroup& group = own.journal_entry(EntryKind::create, wanted.start);
    own.mark(group);
    effect.group = &group;
    own.effects.push_back(std::move(effect));
    home->took(kDiskCostOfLog);
    auto log = std::make_unique<Log>(std::move(parts));
    Log* const created = log.get();
    parts_->logs.emplace(wanted.name, std::move(log));
    return created;
}

Task<Status> LogStore::delete_log(Log& log) {
    LogParts& own = log.parts();
    CO_TRY_STATUS(own.usable());
    ShardDirectory& home = own.home;
    Journal& journal = home.journal();
    const TopicPartition name = own.identity.name;
    own.deleted = true;
    JournalGroup& erase = own.journal_entry(EntryKind::erase, Offset{0});
    if (own.observer != nullptr) {
        const Error gone{ErrorCode::unknown_topic_or_partition, own.identity.path + " is deleted"};
        own.observer->log_failed(log, gone);
        own.observer = nullptr;
    }
    co_await own.users.close();
    CO_TRY_STATUS(co_await journal.wait_durable(erase.sequence));
    // Until then a crash leaves the log as it was, and the catalogue has to know it.
    home.remove(own);
    CO_TRY_STATUS(
        co_await own.lane.take(1));  // Everybody in front has had it; nobody comes behind.
    own.drop_unflushed();
    const std::string gone =
        join_path(home.path(), deleted_directory_name(name, own.identity.instance));
    if (own.directory_made) {
        Status renamed = co_await home.files().rename(own.identity.path, gone);
        if (!renamed && renamed.error().code == ErrorCode::no_space) {
            // Not even room for a name. In place, then; a crash in the middle does it again.
            renamed = co_await remove_log_directory(home.files(), own.identity.path);
        }
        if (renamed) {
            const Status synced = co_await home.files().sync_directory(home.path());
            // Final, whatever the reason, as after every failed sync.
            if (!synced) renamed = fail(ErrorCode::io_error, synced.error().detail);
        }
        if (!renamed && renamed.error().code != ErrorCode::not_found) {
            home.fail_with(renamed.error());
            co_return renamed;
        }
    }
    const bool made = own.directory_made;
    journal.effect_done(erase);
    JournalGroup& erased = own.journal_entry(EntryKind::erased, Offset{0});
    const uint64_t last = erased.sequence;
    journal.effect_done(erased);
    CO_TRY_STATUS(co_await journal.wait_durable(last));
    FileSystem& files = home.files();
    parts_->logs.erase(name);
    if (!made) co_return Status();
    co_return co_await remove_log_directory(files, gone);
}

Log* LogStore::find(const TopicPartition& name) const {
    const auto at = parts_->logs.find(name);
    if (at == parts_->logs.end() || at->second->parts().deleted) return nullptr;
    return at->second.get();
}

std::vector<Log*> LogStore::logs() const {
    std::vector<Log*> all;
    for (auto& [name, log] : parts_->logs) {
        if (!log->parts().deleted) all.push_back(log.get());
    }
    return all;
}

bool LogStore::has_room(const std::string& log_dir) const {
    const auto home = parts_->directory(log_dir);
    return !home || (*home)->has_room();
}

Task<> LogStore::wait_for_room(std::string log_dir) {
    const auto home = parts_->directory(log_dir);
    if (home) co_await (*home)->wait_for_room();
}

Task<Status> LogStore::checkpoint() {
    for (auto& [path, directory] : parts_->directories) {
        if (directory->error()) continue;
        CO_TRY_STATUS(co_await directory->checkpoint(true));
    }
    co_return Status();
}

std::vector<LogCheckpoint> LogStore::checkpoints(const std::string& log_dir) const {
    const auto closed = parts_->closed.find(log_dir);
    if (closed != parts_->closed.end()) return closed->second;
    std::vector<LogCheckpoint> all;
    for (auto& [name, log] : parts_->logs) {
        if (log->log_dir() == log_dir) all.push_back(checkpoint_of(log->parts()));
    }
    return all;
}

void LogStore::take_offline(const std::string& log_dir, const Error& why) {
    const auto home = parts_->directory(log_dir);
    if (home) (*home)->fail_with(why);
}

Task<Status> LogStore::close() {
    Status done;
    for (auto& [path, directory] : parts_->directories) {
        const Status closed = co_await directory->close();
        if (!closed && done) done = closed;
        parts_->closed[path] = checkpoints(path);
    }
    parts_->logs.clear();
    co_return done;
}

}  // namespace ottla::storage
