// SPDX-License-Identifier: Apache-2.0
#include "storage/log_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "storage/atomic_file.h"
#include "storage/file_names.h"
#include "storage/log_move.h"
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
    std::map<TopicPartition, std::unique_ptr<LogMove>> moves;
    /// Of moves that ended without erasing: copies for the next start, and what a failed directory has.
    std::vector<std::unique_ptr<Log>> rests;
    Event move_ended{ports.runtime};
    bool closing = false;
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
                        ShardDirectory& directory,
                        std::string directory_name) {
    LogIdentity identity;
    identity.name = name;
    identity.topic_id = topic_id;
    identity.log_dir = directory.path();
    identity.path = join_path(directory.path(), directory_name);
    identity.directory_name = std::move(directory_name);
    identity.instance = directory.new_instance();
    return identity;
}

/// In the journal; its files follow.
std::unique_ptr<Log> make_log(LogIdentity identity,
                              const LogConfig& config,
                              ShardDirectory& home,
                              Offset start) {
    auto parts = std::make_unique<LogParts>(std::move(identity), config, home);
    LogParts& own = *parts;
    own.directory_made = false;
    for (Offset* end : {&own.log_start, &own.log_end, &own.durable_end, &own.flushed_end,
                        &own.synced_end, &own.checkpoint_end, &own.high_watermark}) {
        *end = start;
    }
    own.add_segment(start);
    home.add(own);
    FileEffect effect;
    effect.kind = FileEffect::Kind::make_directory;
    JournalGroup& group = own.journal_entry(EntryKind::create, start);
    own.mark(group);
    effect.group = &group;
    own.effects.push_back(std::move(effect));
    home.took(kDiskCostOfLog);
    return std::make_unique<Log>(std::move(parts));
}

/// The root of one move.
Task<> carry_out(StoreParts& store, LogMove& move) {
    const Status how = co_await move.run();
    const std::unique_ptr<LogMove> held =
        std::move(store.moves.extract(move.log().name()).mapped());
    if (auto rest = held->take_rest()) store.rests.push_back(std::move(rest));
    const bool told = held->observer() != nullptr && !store.closing;
    if (told) held->observer()->move_ended(held->log(), held->target(), how);
    store.move_ended.notify_all();
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
    auto parts = std::make_unique<LogParts>(
        identity_of(found.name, found.topic_id, *home, log_directory_name(found.name)), config,
        *home);
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
    auto log =
        make_log(identity_of(wanted.name, wanted.topic_id, *home, log_directory_name(wanted.name)),
                 wanted.config, *home, wanted.start);
    Log* const created = log.get();
    parts_->logs.emplace(wanted.name, std::move(log));
    return created;
}

Task<Status> LogStore::delete_log(Log& log) {
    const TopicPartition name = log.name();
    co_await cancel_move(name);
    LogParts& own = log.parts();
    CO_TRY_STATUS(own.usable());
    for (const auto& rest : parts_->rests) {
        if (rest->name() != name || rest->parts().is_copy) continue;
        // Without this one nothing would tell the next start that it is not the log.
        co_return fail(ErrorCode::kafka_storage_error,
                       fmt::format("{} has moved from {}, which failed before it could forget it",
                                   own.identity.path, rest->log_dir()));
    }
    FileSystem& files = own.home.files();
    CO_TRY(const auto gone, co_await own.erase());
    parts_->logs.erase(name);
    if (!gone) co_return Status();
    co_return co_await remove_log_directory(files, *gone);
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

// Moves.

Status LogStore::move_log(Log& log, NewMove wanted) {
    LogParts& own = log.parts();
    TRY_STATUS(own.usable());
    TRY(ShardDirectory* const home, parts_->directory(wanted.log_dir));
    if (home->error()) return std::unexpected(*home->error());
    if (parts_->closing) return fail(ErrorCode::cancelled, "the store is closing");
    if (home == &own.home || parts_->moves.contains(log.name())) {
        return fail(ErrorCode::already_exists, own.identity.path + " is there, or moves already");
    }
    const uint64_t high = home->runtime().random();
    const uint64_t low = home->runtime().random();
    auto name = future_directory_name(log.name(), high, low);
    if (!name) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("{}: the name is too long for a copy's folder", own.identity.path));
    }
    // At the segment's base: the first batch may begin below the log's start.
    auto copy = make_log(identity_of(log.name(), own.identity.topic_id, *home, *std::move(name)),
                         own.config, *home, own.segments.front()->base());
    copy->parts().is_copy = true;
    auto made = std::make_unique<LogMove>(log, std::move(copy), std::move(wanted));
    LogMove& move = *made;
    parts_->moves.emplace(log.name(), std::move(made));
    parts_->ports.runtime.spawn(carry_out(*parts_, move));
    return {};
}

Task<Status> LogStore::resume_move(Log& log,
                                   std::vector<FoundCopy> copies,
                                   MoveObserver* observer) {
    NewMove wanted;
    wanted.observer = observer;
    for (const FoundCopy& copy : copies) {
        wanted.old_copies.push_back(copy.path);
        if (wanted.log_dir.empty() && copy.log_dir != log.log_dir()) wanted.log_dir = copy.log_dir;
    }
    if (!wanted.log_dir.empty()) co_return move_log(log, std::move(wanted));
    for (const std::string& path : wanted.old_copies) {
        CO_TRY_STATUS(co_await remove_log_directory(parts_->ports.files, path));
    }
    co_return Status();
}

std::optional<std::string> LogStore::moves_to(const TopicPartition& name) const {
    const auto at = parts_->moves.find(name);
    if (at == parts_->moves.end()) return std::nullopt;
    return at->second->target();
}

void LogStore::permit_swap(const TopicPartition& name) {
    const auto at = parts_->moves.find(name);
    if (at != parts_->moves.end()) at->second->permit_swap();
}

Task<> LogStore::cancel_move(TopicPartition name) {
    while (parts_->moves.contains(name)) {
        parts_->moves.at(name)->stop(LogMove::Stop::cancel);
        const Status woken = co_await parts_->move_ended.wait();
        if (!woken) co_return;
    }
}

std::vector<DirectoryUse> LogStore::uses() const {
    std::vector<DirectoryUse> all;
    std::map<std::string, size_t> places;
    for (const auto& [path, directory] : parts_->directories) {
        places.emplace(path, all.size());
        all.push_back({path, directory->directory_id(), directory->error().has_value(), {}});
    }
    for (const auto& [name, log] : parts_->logs) {
        if (log->parts().deleted) continue;
        all[places.at(log->log_dir())].logs.push_back({name, log->size_bytes()});
        const auto move = parts_->moves.find(name);
        const Log* const copy = move == parts_->moves.end() ? nullptr : move->second->copy();
        if (copy == nullptr) continue;
        const int64_t lag = std::max<int64_t>(log->log_end() - copy->log_end(), 0);
        all[places.at(copy->log_dir())].logs.push_back({name, copy->size_bytes(), lag, true});
    }
    return all;
}

bool LogStore::serves(const std::string& log_dir) const {
    return parts_->directories.contains(log_dir);
}

bool LogStore::has_room(const std::string& log_dir) const {
    for (const auto& [name, move] : parts_->moves) {
        if (move->holds() && move->holds_in() == log_dir) return false;
    }
    const auto home = parts_->directory(log_dir);
    return !home || (*home)->has_room();
}

Task<> LogStore::wait_for_room(std::string log_dir) {
    for (auto at = parts_->moves.begin(); at != parts_->moves.end();) {
        LogMove& move = *at->second;
        if (!move.holds() || move.holds_in() != log_dir) {
            ++at;
            continue;
        }
        const Status woken = co_await move.released().wait();
        if (!woken) co_return;
        at = parts_->moves.begin();
    }
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
    // As Kafka's files have them.
    const auto note_copy = [&all, &log_dir](Log* copy) {
        if (copy == nullptr || !copy->parts().is_copy || copy->log_dir() != log_dir) return;
        all.push_back(checkpoint_of(copy->parts()));
    };
    for (auto& [name, log] : parts_->logs) {
        if (log->log_dir() == log_dir) all.push_back(checkpoint_of(log->parts()));
        const auto move = parts_->moves.find(name);
        if (move != parts_->moves.end()) note_copy(move->second->copy());
    }
    for (const auto& rest : parts_->rests) note_copy(rest.get());
    return all;
}

void LogStore::take_offline(const std::string& log_dir, const Error& why) {
    const auto home = parts_->directory(log_dir);
    if (home) (*home)->fail_with(why);
}

Task<Status> LogStore::close() {
    parts_->closing = true;
    for (auto& [path, directory] : parts_->directories)
        directory->journal().stop_waiting_for_space();
    while (!parts_->moves.empty()) {
        for (auto& [name, move] : parts_->moves) move->stop(LogMove::Stop::leave);
        CO_TRY_STATUS(co_await parts_->move_ended.wait());
    }
    Status done;
    for (auto& [path, directory] : parts_->directories) {
        const Status closed = co_await directory->close();
        if (!closed && done) done = closed;
        parts_->closed[path] = checkpoints(path);
    }
    parts_->logs.clear();
    parts_->rests.clear();
    co_return done;
}

}  // namespace ottla::storage
