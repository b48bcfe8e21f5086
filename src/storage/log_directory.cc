// SPDX-License-Identifier: Apache-2.0
#include "storage/log_directory.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <map>
#include <set>
#include <tuple>

#include "base/uuid.h"
#include "ottla/fan_out.h"
#include "storage/atomic_file.h"
#include "storage/catalogue.h"
#include "storage/file_names.h"
#include "storage/journal_replay.h"
#include "storage/offset_checkpoint.h"
#include "storage/recovery.h"

namespace ottla::storage {
namespace {

constexpr uint64_t kMostProperties = 64ULL * 1024;
constexpr uint64_t kMostCheckpoint = 256ULL * 1024 * 1024;
constexpr size_t kFilesAtOnce = 16;
constexpr uint64_t kMuchSpace = 1024ULL * 1024 * 1024;

std::string clean_shutdown_text(BrokerEpoch epoch) {
    return fmt::format("{{\"version\":0,\"brokerEpoch\":{}}}", epoch.value());
}

BrokerEpoch parse_clean_shutdown(std::string_view text) {
    constexpr std::string_view kKey = "\"brokerEpoch\"";
    const size_t at = text.find(kKey);
    if (at == std::string_view::npos) return BrokerEpoch{-1};
    text.remove_prefix(at + kKey.size());
    while (!text.empty() && (text.front() == ' ' || text.front() == ':')) text.remove_prefix(1);
    int64_t epoch = -1;
    std::from_chars(text.data(), text.data() + text.size(), epoch);
    return BrokerEpoch{epoch};
}

/// The next start tries again.
Task<> remove_files(FileSystem& files, std::vector<std::string> paths) {
    for (const std::string& path : paths) std::ignore = co_await remove_file(files, path);
}

Offset value_of(const OffsetCheckpoint& entries, const TopicPartition& log) {
    const auto at = entries.find(log);
    return at == entries.end() ? kNoOffset : at->second;
}

}  // namespace

bool tells_of_logs(const DirectoryEntry& entry) {
    const bool log = entry.is_directory && parse_log_directory(entry.name).has_value();
    return log || entry.name == kMetaPropertiesFile || parse_journal_file(entry.name).has_value();
}

LogDirectory::LogDirectory(Ports ports, std::string path, StorageSettings settings)
    : ports_(ports), path_(std::move(path)), settings_(settings) {}
LogDirectory::~LogDirectory() = default;

std::string LogDirectory::file(std::string_view name) const { return join_path(path_, name); }

ServedDirectory LogDirectory::served() const {
    return {path_, meta_ ? meta_->directory_id : Uuid{}, sums_.reign};
}

Task<Result<std::unique_ptr<LogDirectory>>> LogDirectory::open(Ports ports,
                                                               std::string path,
                                                               StorageSettings settings) {
    const Status made = co_await ports.files.make_directory(path);
    if (!made && made.error().code != ErrorCode::already_exists) {
        co_return std::unexpected(made.error());
    }
    std::unique_ptr<LogDirectory> directory(new LogDirectory(ports, std::move(path), settings));
    auto lock = co_await ports.files.lock(directory->file(kLockFile));
    if (!lock && lock.error().code == ErrorCode::locked) {
        co_return fail(ErrorCode::locked, fmt::format("in use: {}", lock.error().detail));
    }
    if (!lock) co_return std::unexpected(lock.error());
    directory->lock_ = *std::move(lock);
    CO_TRY_STATUS(co_await directory->read_state());
    co_return directory;
}

Task<Status> LogDirectory::read_state() {
    const auto properties =
        co_await read_file(ports_.files, file(kMetaPropertiesFile), kMostProperties);
    if (properties) {
        auto parsed = parse_meta_properties(properties->text());
        if (!parsed) {
            co_return fail(ErrorCode::corrupt, fmt::format("{}: {}", path_, parsed.error().detail));
        }
        meta_ = *std::move(parsed);
    } else if (properties.error().code != ErrorCode::not_found) {
        co_return std::unexpected(properties.error());
    }
    const auto shutdown =
        co_await read_file(ports_.files, file(kCleanShutdownFile), kMostProperties);
    clean_ = shutdown.has_value();
    if (clean_) previous_broker_epoch_ = parse_clean_shutdown(shutdown->text());
    CO_TRY(const auto entries, co_await ports_.files.list(path_));
    for (const DirectoryEntry& entry : entries) {
        guarded_ = guarded_ || (entry.is_directory && entry.name == kGuardFolder);
    }
    empty_ = std::ranges::none_of(entries, tells_of_logs);
    const auto text_of = [](const Result<Buffer>& read) { return read ? read->text() : ""; };
    co_return co_await read_sums(text_of(properties), text_of(shutdown));
}

void LogDirectory::note_damage(std::string_view name, std::string_view what) {
    const std::string path = file(name);
    damage_.push_back({Damage::Kind::state, path, 0, fmt::format("{}: {}", path, what)});
}

Task<Status> LogDirectory::read_sums(std::string_view meta, std::string_view shutdown) {
    const auto text = co_await read_file(ports_.files, file(kDirectorySumsFile), kMostProperties);
    auto parsed = text ? parse_directory_sums(text->text()) : fail(ErrorCode::not_found);
    if (text && !parsed) note_damage(kDirectorySumsFile, parsed.error().detail);
    if (parsed && clean_ && !guarded_ && parsed->stopped) {
        CO_TRY(const FileStatus stop, co_await ports_.files.status(file(kCleanShutdownFile)));
        ours_ = stop.modified == *parsed->stopped && parsed->agrees(kCleanShutdownFile, shutdown);
        if (ours_) metadata_end_ = parsed->metadata;
    }
    ours_ = parsed && (ours_ || guarded_);
    if (ours_) {
        sums_ = *std::move(parsed);
    } else {
        const uint64_t high = ports_.runtime.random();
        const uint64_t low = ports_.runtime.random();
        sums_.reign = make_uuid(high, low);
    }
    if (sums_.agrees(kMetaPropertiesFile, meta)) co_return Status();
    co_return fail(ErrorCode::corrupt,
                   fmt::format("{}: it is not what was written there (checksum in {}): damaged, or "
                               "edited by hand; remove {} to accept it as it is",
                               file(kMetaPropertiesFile), kDirectorySumsFile,
                               file(kDirectorySumsFile)));
}

/// Of the checkpoint files as they are now; `stopped`: after the clean-shutdown file.
Task<Status> LogDirectory::write_sums(bool stopped, std::optional<MetadataEnd> metadata) {
    DirectorySums sums;
    sums.reign = sums_.reign;
    sums.metadata = metadata;
    std::vector<std::string> names{std::string(kMetaPropertiesFile)};
    if (stopped) {
        CO_TRY(const auto entries, co_await ports_.files.list(path_));
        names = catalogues_among(entries);
        for (const std::string_view name : {kMetaPropertiesFile, kRecoveryPointFile, kLogStartFile,
                                            kHighWatermarkFile, kCleanerOffsetFile, kCleanShutdownFile}) {
            names.emplace_back(name);
        }
    }
    for (const std::string& name : names) {
        const auto text = co_await read_file(ports_.files, file(name), kMostCheckpoint);
        if (text) sums.files.emplace(name, sum_of(text->span()));
    }
    if (stopped) {
        CO_TRY(const FileStatus stop, co_await ports_.files.status(file(kCleanShutdownFile)));
        sums.stopped = stop.modified;
    }
    Buffer text = Buffer::copy_of(to_text(sums));
    co_return co_await replace_file(ports_.files, file(kDirectorySumsFile), text);
}

/// A missing file is an empty one, and so is a damaged one: what they say can be found again.
Task<Result<OffsetCheckpoint>> LogDirectory::read_checkpoint(std::string_view name) {
    const auto text = co_await read_file(ports_.files, file(name), kMostCheckpoint);
    if (!text && text.error().code == ErrorCode::not_found) co_return OffsetCheckpoint{};
    if (!text) co_return std::unexpected(text.error());
    auto parsed = parse_offset_checkpoint(text->text());
    const bool agrees = !clean_ || sums_.agrees(name, text->text());
    if (parsed && agrees) co_return *std::move(parsed);
    if (clean_) {
        note_damage(name, parsed ? "it is not what was written there; done without"
                                 : parsed.error().detail + "; done without");
    }
    co_return OffsetCheckpoint{};
}

Task<Status> LogDirectory::format(MetaProperties meta) {
    CHECK(empty_, "only an empty directory is formatted");
    // Made here, or by a process that ended before it came to this.
    CO_TRY_STATUS(co_await ports_.files.sync_directory(parent_path(path_)));
    meta_ = meta;
    empty_ = false;
    Buffer text = Buffer::copy_of(to_text(meta));
    co_return co_await replace_file(ports_.files, file(kMetaPropertiesFile), text);
}

Task<Status> LogDirectory::recover() {
    CO_TRY_STATUS(co_await replay());
    co_return co_await settle();
}

Task<Status> LogDirectory::replay() {
    const Instant began = ports_.runtime.now();
    CO_TRY(const auto names, co_await ports_.files.list(path_));
    JournalSearch search{.directory = path_,
                         .directory_id = served().directory_id,
                         .names = names,
                         .most_held = Recovery::most_held(settings_),
                         .faults = settings_.faults};
    CO_TRY(FoundJournals found, co_await find_journals(ports_, std::move(search)));
    clean_ = clean_ && !guarded_ && found.chains.empty();
    CO_TRY_STATUS(co_await read_catalogues(catalogues_among(names)));
    CO_TRY_STATUS(check_journals(found));
    restart_.finding = ports_.runtime.now() - began;
    recovery_ = std::make_unique<Recovery>(ports_, path_, guarded_, known_, settings_);
    note_journals(found);
    if (!found.chains.empty()) {
        CO_TRY_STATUS(co_await recovery_->replay(std::move(found.chains), names));
    }
    if (!clean_) previous_broker_epoch_ = BrokerEpoch{-1};
    CO_TRY(const auto entries, co_await ports_.files.list(path_));
    CO_TRY_STATUS(co_await find_logs(entries));
    CO_TRY_STATUS(co_await find_copies(entries));
    restart_.replaying = ports_.runtime.now() - began - restart_.finding;
    // Without the guard what opens the logs may cut what the journals would bring again.
    if (!guarded_) CO_TRY_STATUS(co_await settle());
    co_return Status();
}

void LogDirectory::note_journals(const FoundJournals& found) {
    journal_paths_ = found.paths;
    for (const JournalChain& chain : found.chains) {
        journals_[chain.shard] = chain.journal_id;
        restart_.groups += chain.groups.size();
        for (const ReplayGroup& group : chain.groups) {
            restart_.journal_bytes += group.header.blocks_bytes();
        }
    }
}

Task<Status> LogDirectory::settle() {
    if (recovery_ == nullptr) co_return Status();
    const Instant began = ports_.runtime.now();
    const bool early = settings_.faults.drop_journals_before_sweep;
    if (!journals_.empty() && !early && !swept_) CO_TRY_STATUS(co_await recovery_->sync());
    swept_ = true;
    CO_TRY_STATUS(co_await remove_leftovers());
    // First what was learnt is where it stays, then what told it goes.
    const bool known = guarded_ || !known_.is_empty();
    if (known) {
        CO_TRY_STATUS(co_await write_recovered());
    } else if (!journals_.empty()) {
        CO_TRY_STATUS(co_await write_checkpoints(checkpoints_of_found()));
    }
    CO_TRY_STATUS(co_await remove_catalogues(!known));
    // From here on a crash may leave any subset of the files: they count as applied.
    for (const auto& [shard, journal_id] : journals_) {
        CO_TRY_STATUS(co_await retire_journal(ports_.files, path_, shard, journal_id));
    }
    CO_TRY_STATUS(co_await drop_journals(std::exchange(journal_paths_, {})));
    CO_TRY_STATUS(co_await remove_retired_markers(ports_.files, path_));
    recovery_.reset();
    known_ = KnownLogs();
    restart_.settling = ports_.runtime.now() - began;
    co_return Status();
}

/// A file of a journal that is missing, or has become zeros, is one that was never used, as far as the rest of the
/// journal can tell; the catalogue knows better. A stop that was cut off has retired markers.
Status LogDirectory::check_journals(const FoundJournals& found) const {
    if (!guarded_) return {};
    std::map<uint64_t, uint64_t> newest;
    for (const JournalChain& chain : found.chains) {
        newest[chain.journal_id] = chain.groups.back().header.sequence;
    }
    for (const uint64_t id : found.retired) newest[id] = std::numeric_limits<uint64_t>::max();
    const auto shortened = known_.find_shortened(newest);
    if (!shortened) return {};
    const std::string there = shortened->end == 0 ? std::string("nothing of it is there")
                                                  : fmt::format("it ends at {}", shortened->end);
    return fail(ErrorCode::corrupt,
                fmt::format("{}*: journal {:016x} had group {} when its catalogue was written, and {}: "
                            "records that were acknowledged are missing; put its files back, or remove {}* "
                            "to go on with what the segments have",
                            file(kJournalPrefix), shortened->journal_id, shortened->group, there,
                            file(kCataloguePrefix)));
}

/// Their blocks are freed behind the start (5 to 20 ms a file), unless somebody may need them.
Task<Status> LogDirectory::drop_journals(std::vector<std::string> paths) {
    uint64_t bytes = 0;
    for (std::string& path : paths) {
        CO_TRY(const FileStatus status, co_await ports_.files.status(path));
        bytes += status.size;
        const std::string dropped = file(fmt::format("{}{}", kDroppedPrefix, dropped_.size()));
        const Status renamed = co_await ports_.files.rename(path, dropped);
        if (renamed) dropped_.insert(dropped);
        // A new name may want space that there is not.
        if (!renamed) CO_TRY_STATUS(co_await remove_file(ports_.files, path));
    }
    CO_TRY_STATUS(co_await ports_.files.sync_directory(path_));
    if (dropped_.empty()) co_return Status();
    CO_TRY(const DiskSpace space, co_await ports_.files.space(path_));
    std::vector<std::string> all(dropped_.begin(), dropped_.end());
    dropped_.clear();
    auto removing = remove_files(ports_.files, std::move(all));
    if (space.free < kMuchSpace + bytes) {
        co_await std::move(removing);
    } else {
        ports_.runtime.spawn(std::move(removing));
    }
    co_return Status();
}

/// Without a proof that nobody else has been here they are worth nothing: the guard folder after a crash,
/// after a clean stop the sums of that stop, which name them all.
Task<Status> LogDirectory::read_catalogues(std::vector<std::string> names) {
    known_ = KnownLogs(settings_.faults);
    if (!guarded_ && !ours_) co_return Status();
    const auto is_catalogue = [](const auto& sum) { return sum.first.starts_with(kCataloguePrefix); };
    const auto summed = std::ranges::count_if(sums_.files, is_catalogue);
    if (!guarded_ && std::cmp_not_equal(summed, names.size())) co_return Status();
    for (const std::string& name : names) {
        CO_TRY(const Buffer bytes, co_await read_file(ports_.files, file(name), kMostCheckpoint));
        auto parsed = parse_catalogue(bytes);
        const bool said = guarded_ || (sums_.files.contains(name) && sums_.agrees(name, bytes.text()));
        if (parsed && said && parsed->directory_id == served().directory_id) {
            if (parsed->damage) note_damage(name, *parsed->damage + "; its logs are read");
            known_.add(*std::move(parsed));
            continue;
        }
        note_damage(name, parsed ? "it is not what was written there; done without"
                                 : parsed.error().detail + "; done without");
        // After a clean stop the files are as good as they.
        known_ = KnownLogs(settings_.faults);
        if (guarded_) known_.give_up();
        co_return Status();
    }
    co_return Status();
}

std::vector<std::string> LogDirectory::catalogues_among(std::span<const DirectoryEntry> entries) {
    std::vector<std::string> names;
    for (const DirectoryEntry& entry : entries) {
        const bool one = entry.name.starts_with(kCataloguePrefix) && !entry.name.ends_with(".tmp");
        if (one && !entry.is_directory) names.push_back(entry.name);
    }
    std::ranges::sort(names);
    return names;
}

/// The catalogues and journals of the last life in one: it speaks for every log until a shard does, and
/// for those that nobody opens.
Task<Status> LogDirectory::write_recovered() {
    std::set<uint64_t> replaced = known_.journals();
    for (const auto& [shard, journal_id] : journals_) replaced.insert(journal_id);
    CatalogueWriter writer(served().directory_id, 0, {replaced.begin(), replaced.end()});
    for (const FoundLog& log : logs_) {
        CatalogueEntry entry;
        if (log.entry) entry = *log.entry;
        if (!log.entry && log.epochs) {
            entry.epochs_known = true;
            entry.epochs = *log.epochs;
        }
        entry.complete = log.complete;
        entry.picture_lost = log.picture_lost;
        entry.name = log.name;
        entry.topic_id = log.topic_id;
        entry.recovery_point = log.recovery_point;
        entry.log_start = log.log_start;
        entry.high_watermark = log.high_watermark;
        entry.cleaned = log.cleaned;
        entry.instance = entry.group = 0;
        writer.add(entry);
    }
    Buffer bytes = writer.finish();
    co_return co_await replace_file(ports_.files, file(kRecoveredCatalogue), bytes);
}

/// Those of shards, and what a crash left of one that was being written.
Task<Status> LogDirectory::remove_catalogues(bool recovered_too) {
    CO_TRY(const auto entries, co_await ports_.files.list(path_));
    bool removed = false;
    for (const DirectoryEntry& entry : entries) {
        if (entry.is_directory || !entry.name.starts_with(kCataloguePrefix)) continue;
        if (!recovered_too && entry.name == kRecoveredCatalogue) continue;
        removed = true;
        CO_TRY_STATUS(co_await remove_file(ports_.files, file(entry.name)));
    }
    if (removed) CO_TRY_STATUS(co_await ports_.files.sync_directory(path_));
    co_return Status();
}

std::vector<LogCheckpoint> LogDirectory::checkpoints_of_found() const {
    std::vector<LogCheckpoint> all;
    for (const FoundLog& log : logs_) {
        LogCheckpoint checkpoint;
        checkpoint.name = log.name;
        checkpoint.recovery_point = std::max(log.recovery_point, Offset{0});
        checkpoint.log_start = log.log_start;
        checkpoint.high_watermark = std::max(log.high_watermark, Offset{0});
        checkpoint.cleaned = log.cleaned;
        all.push_back(std::move(checkpoint));
    }
    return all;
}

/// Directories of deleted logs whose files a crash left.
Task<Status> LogDirectory::remove_leftovers() {
    CO_TRY(const auto entries, co_await ports_.files.list(path_));
    for (const DirectoryEntry& entry : entries) {
        if (entry.name.starts_with(kDroppedPrefix)) dropped_.insert(file(entry.name));
        const auto name = entry.is_directory ? parse_log_directory(entry.name) : std::nullopt;
        if (!name || name->kind != LogDirectoryKind::deleted) continue;
        CO_TRY_STATUS(co_await remove_log_directory(ports_.files, file(entry.name)));
    }
    co_return Status();
}

Task<Status> LogDirectory::find_logs(std::vector<DirectoryEntry> entries) {
    const Recovery& recovery = *recovery_;
    logs_.clear();
    for (const DirectoryEntry& entry : entries) {
        if (!entry.is_directory) continue;
        const auto name = parse_log_directory(entry.name);
        if (!name || name->kind != LogDirectoryKind::log || name->log.topic == kMetadataTopic) {
            continue;
        }
        FoundLog found;
        found.name = name->log;
        found.log_dir = path_;
        found.clean = clean_;
        logs_.push_back(std::move(found));
    }
    std::sort(logs_.begin(), logs_.end(),
              [](const FoundLog& a, const FoundLog& b) { return a.name < b.name; });
    std::vector<FoundLog*> unknown;
    for (FoundLog& log : logs_) {
        if (!look_up(log, recovery)) unknown.push_back(&log);
    }
    if (!unknown.empty()) CO_TRY_STATUS(co_await read_checkpoints(std::move(unknown)));
    for (FoundLog& log : logs_) {
        const ReplayedLog* const replayed = recovery.find(log.name);
        if (replayed == nullptr) continue;
        log.log_start = std::max(log.log_start, replayed->log_start);
        if (!replayed->cut) continue;
        log.recovery_point = std::min(log.recovery_point, *replayed->cut);
        log.cleaned = std::min(log.cleaned, *replayed->cut);
    }
    co_return Status();
}

/// What catalogue and journal say of it; false: neither does.
bool LogDirectory::look_up(FoundLog& found, const Recovery& recovery) const {
    const ReplayedLog* const replayed = recovery.find(found.name);
    const auto known =
        replayed != nullptr ? replayed->known : known_.of_quiet(found.name, recovery.gone());
    // The journal has entries of a log from when it was opened on.
    found.complete = guarded_ && (replayed != nullptr || (known != nullptr && known->complete));
    if (known == nullptr) {
        const bool created = replayed != nullptr && replayed->created;
        if (created) found.topic_id = replayed->topic_id;
        return created;
    }
    found.topic_id = known->topic_id;
    found.recovery_point = known->recovery_point;
    found.log_start = known->log_start;
    found.high_watermark = known->high_watermark;
    found.cleaned = known->cleaned;
    found.picture_lost = known->picture_lost;
    if (known->whole) found.entry = known;
    if (replayed != nullptr) found.epochs = replayed->epochs;
    if (replayed == nullptr && known->epochs_known) found.epochs = known->epochs;
    return true;
}

Task<Status> LogDirectory::read_checkpoints(std::vector<FoundLog*> unknown) {
    CO_TRY(const auto points, co_await read_checkpoint(kRecoveryPointFile));
    CO_TRY(const auto starts, co_await read_checkpoint(kLogStartFile));
    CO_TRY(const auto watermarks, co_await read_checkpoint(kHighWatermarkFile));
    CO_TRY(const auto cleaned, co_await read_checkpoint(kCleanerOffsetFile));
    has_cleaner_offsets_ = has_cleaner_offsets_ || !cleaned.empty();
    for (FoundLog* const found : unknown) {
        // Without the catalogue nobody knows of truncations since: nothing is below a recovery point.
        if (!known_.is_damaged()) found->recovery_point = value_of(points, found->name);
        found->log_start = value_of(starts, found->name);
        found->high_watermark = value_of(watermarks, found->name);
        found->cleaned = known_.is_damaged() ? kNoOffset : value_of(cleaned, found->name);
    }
    auto each = [this, &unknown](size_t i) { return read_topic_id(*unknown[i]); };
    auto reading = fan_out(ports_.runtime, unknown.size(), kFilesAtOnce, each);
    co_return co_await std::move(reading);
}

Task<Status> LogDirectory::read_topic_id(FoundLog& found) {
    const std::string metadata =
        join_path(file(log_directory_name(found.name)), kPartitionMetadataFile);
    const auto text = co_await read_file(ports_.files, metadata, kMostProperties);
    if (!text && text.error().code == ErrorCode::not_found) co_return Status();  // Before Kafka 2.8.
    if (!text) co_return std::unexpected(text.error());
    const auto id = parse_partition_metadata(text->text());
    if (!id && clean_) {
        damage_.push_back({Damage::Kind::state, metadata, 0,
                           fmt::format("{}: {}; the log is that of the topic of its name", metadata,
                                       id.error().detail)});
    }
    found.topic_id = id.value_or(Uuid{});
    co_return Status();
}

Task<Status> LogDirectory::find_copies(std::vector<DirectoryEntry> entries) {
    copies_.clear();
    for (const DirectoryEntry& entry : entries) {
        const auto name = entry.is_directory ? parse_log_directory(entry.name) : std::nullopt;
        if (!name || name->kind != LogDirectoryKind::future) continue;
        FoundCopy copy{name->log, {}, path_, file(entry.name)};
        const std::string metadata = join_path(copy.path, kPartitionMetadataFile);
        const auto text = co_await read_file(ports_.files, metadata, kMostProperties);
        if (text) copy.topic_id = parse_partition_metadata(text->text()).value_or(Uuid{});
        copies_.push_back(std::move(copy));
    }
    co_return Status();
}

Task<Status> LogDirectory::remove_log(TopicPartition name) {
    const std::string gone = file(deleted_directory_name(name, 0));
    CO_TRY_STATUS(co_await ports_.files.rename(file(log_directory_name(name)), gone));
    CO_TRY_STATUS(co_await ports_.files.sync_directory(path_));
    std::erase_if(logs_, [&name](const FoundLog& log) { return log.name == name; });
    co_return co_await remove_log_directory(ports_.files, gone);
}

Task<Status> LogDirectory::begin_serving() {
    const Status made = co_await ports_.files.make_directory(file(kGuardFolder));
    if (!made && made.error().code != ErrorCode::already_exists) co_return made;
    guarded_ = true;
    CO_TRY_STATUS(co_await ports_.files.sync_directory(path_));
    // A reign is known before anything is written in it.
    if (!ours_) CO_TRY_STATUS(co_await write_sums(false));
    CO_TRY_STATUS(co_await remove_file(ports_.files, file(kCleanShutdownFile)));
    co_return co_await ports_.files.sync_directory(path_);
}

Task<Status> LogDirectory::write_checkpoints(std::vector<LogCheckpoint> logs) {
    OffsetCheckpoint points;
    OffsetCheckpoint starts;
    OffsetCheckpoint watermarks;
    OffsetCheckpoint cleaned;
    for (const LogCheckpoint& log : logs) {
        points[log.name] = log.recovery_point;
        if (log.log_start != kNoOffset) starts[log.name] = log.log_start;
        watermarks[log.name] = log.high_watermark;
        if (log.cleaned != kNoOffset) cleaned[log.name] = log.cleaned;
    }
    Buffer text = Buffer::copy_of(to_text(points));
    CO_TRY_STATUS(co_await replace_file(ports_.files, file(kRecoveryPointFile), text));
    text = Buffer::copy_of(to_text(starts));
    CO_TRY_STATUS(co_await replace_file(ports_.files, file(kLogStartFile), text));
    text = Buffer::copy_of(to_text(watermarks));
    CO_TRY_STATUS(co_await replace_file(ports_.files, file(kHighWatermarkFile), text));
    has_cleaner_offsets_ = has_cleaner_offsets_ || !cleaned.empty();
    if (!has_cleaner_offsets_) co_return Status();
    text = Buffer::copy_of(to_text(cleaned));
    co_return co_await replace_file(ports_.files, file(kCleanerOffsetFile), text);
}

Task<Status> LogDirectory::close(std::vector<LogCheckpoint> logs,
                                 BrokerEpoch broker_epoch,
                                 std::optional<MetadataEnd> metadata) {
    CO_TRY_STATUS(co_await write_checkpoints(std::move(logs)));
    // The journals are gone for certain before anything says that this was a clean stop.
    CO_TRY_STATUS(co_await remove_file(ports_.files, file(kRecoveredCatalogue)));
    CO_TRY_STATUS(co_await ports_.files.sync_directory(path_));
    Buffer text = Buffer::copy_of(clean_shutdown_text(broker_epoch));
    CO_TRY_STATUS(co_await replace_file(ports_.files, file(kCleanShutdownFile), text));
    CO_TRY_STATUS(co_await write_sums(true, metadata));
    const Status removed = co_await ports_.files.remove_directory(file(kGuardFolder));
    if (!removed && removed.error().code != ErrorCode::not_found) co_return removed;
    CO_TRY_STATUS(co_await ports_.files.sync_directory(path_));
    // As long as there is the guard they say why there are no journals.
    co_return co_await remove_retired_markers(ports_.files, path_);
}

}  // namespace ottla::storage
