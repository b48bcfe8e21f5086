// SPDX-License-Identifier: Apache-2.0
#include "storage/recovery.h"

#include <fmt/format.h>

#include <algorithm>

#include "ottla/fan_out.h"
#include "records/batch.h"
#include "storage/atomic_file.h"
#include "storage/file_names.h"
#include "storage/offset_checkpoint.h"

namespace ottla::storage {
namespace {

constexpr size_t kRunBytes = 4096UZ * 1024;
constexpr uint64_t kLookBytes = 1024ULL * 1024;
constexpr size_t kLogsAtOnce = 16;
constexpr size_t kLeastPending = 8UZ * 1024 * 1024;

/// Where `there` first differs from `wanted` by a byte that was written (not a zero); its size if
/// nowhere.
size_t first_foreign(std::span<const std::byte> there, std::span<const std::byte> wanted) {
    for (size_t i = 0; i < there.size(); ++i) {
        if (there[i] != wanted[i] && there[i] != std::byte{0}) return i;
    }
    return there.size();
}

Status is_one_batch(std::span<const std::byte> bytes) {
    TRY(const BatchView batch, parse_batch(bytes));
    if (batch.size() == bytes.size()) return {};
    return fail(ErrorCode::corrupt, "a journal entry does not hold one batch");
}

Error foreign(const std::string& path, uint64_t position) {
    return {ErrorCode::corrupt,
            fmt::format("{} at {}: other bytes than the journal's: somebody else has written this "
                        "directory since; remove the .ottla-journal-* files to accept that",
                        path, position)};
}

/// Bytes behind the end of a segment that only we write: is there a batch, which the journal has lost, or only
/// a bit that flipped in the segment's reserved room?
bool holds_batch(std::span<const std::byte> bytes) {
    const auto batch = parse_batch(bytes);
    return batch ? crc_matches(*batch) : bytes.size() == kLookBytes;
}

Error forgotten(const std::string& path, uint64_t position) {
    return {ErrorCode::corrupt,
            fmt::format("{} at {}: a batch that the journal does not have: a part of the journal is gone; "
                        "remove the .ottla-journal-* files to go on with what the segments have",
                        path, position)};
}

}  // namespace

Recovery::Recovery(Ports ports,
                   std::string directory,
                   bool guarded,
                   const KnownLogs& known,
                   const StorageSettings& settings)
    : runtime_(ports.runtime),
      files_(ports.files),
      directory_(std::move(directory)),
      guarded_(guarded),
      faults_(settings.faults),
      most_pending_(most_held(settings)),
      descriptors_{.most = settings.open_files * settings.shards},
      known_(known) {}

const ReplayedLog* Recovery::find(const TopicPartition& log) const {
    const auto at = replayed_.find(log);
    return at == replayed_.end() ? nullptr : &at->second;
}

std::string Recovery::segment_path(const Instance& log,
                                   Offset base,
                                   std::string_view suffix) const {
    return join_path(log.path, offset_file_name(base, suffix));
}

size_t Recovery::most_held(const StorageSettings& settings) {
    const size_t unused = settings.chunk_budget_bytes * settings.shards;
    return std::max({settings.replay_bytes, unused, kLeastPending});
}

Task<Status> Recovery::replay(std::vector<JournalChain> chains, std::vector<DirectoryEntry> names) {
    chains_ = std::move(chains);
    for (size_t i = 0; i < chains_.size(); ++i) {
        CO_TRY_STATUS(co_await settle_newest_group(files_, chains_[i]));
        CO_TRY_STATUS(co_await first_pass(i));
    }
    std::vector<Instance*> all;
    for (auto& [instance, log] : logs_) {
        look_up(instance, log);
        all.push_back(&log);
    }
    for (const DirectoryEntry& entry : names) {
        if (entry.is_directory) directories_.insert(entry.name);
    }
    auto preparing = fan_out(runtime_, all.size(), kLogsAtOnce,
                             [this, &all](size_t i) { return prepare(*all[i]); });
    CO_TRY_STATUS(co_await std::move(preparing));
    for (size_t i = 0; i < chains_.size(); ++i) CO_TRY_STATUS(co_await second_pass(i));
    auto finishing = fan_out(runtime_, all.size(), kLogsAtOnce,
                             [this, &all](size_t i) { return finish(*all[i]); });
    CO_TRY_STATUS(co_await std::move(finishing));
    for (const auto& [instance, log] : logs_) conclude(log);
    co_return Status();
}

/// One sweep writes what all logs have, names too; then each file is only asked whether its bytes arrived.
Task<Status> Recovery::sync() {
    std::vector<Instance*> all;
    for (auto& [instance, log] : logs_) all.push_back(&log);
    const Status swept = co_await files_.sync_all(directory_);
    // Whatever the reason: it must not look like one that may be tried again.
    if (!swept) co_return fail(ErrorCode::io_error, swept.error().detail);
    auto settling = fan_out(runtime_, all.size(), kLogsAtOnce,
                            [this, &all](size_t i) { return settle(*all[i]); });
    CO_TRY_STATUS(co_await std::move(settling));
    co_return co_await files_.sync_directory(directory_);
}

Task<Status> Recovery::first_pass(size_t index) {
    JournalChain& chain = chains_[index];
    uint64_t ordinal = 0;
    GroupReader reader(files_, chain);
    for (;;) {
        CO_TRY(const std::optional<Buffer> bytes, co_await reader.next());
        if (!bytes) break;
        EntryCursor entries(bytes->span().subspan(kGroupHeaderBytes));
        for (;;) {
            CO_TRY(const auto entry, entries.next());
            if (!entry) break;
            CO_TRY_STATUS(note(
                *entry, {chain.journal_id, reader.group().header.sequence, ordinal++}));
        }
    }
    co_return Status();
}

Status Recovery::note(const JournalEntry& entry, const Stand& stand) {
    Instance& log = logs_[entry.instance];
    if (entry.kind == EntryKind::declare) {
        log.journal_id = stand.journal_id;
        log.log = entry.log;
        log.topic_id = entry.topic_id;
        name_directory(log, entry.directory_name);
        return {};
    }
    if (log.path.empty()) {
        return fail(ErrorCode::corrupt, "a journal entry of a log that was not declared");
    }
    switch (entry.kind) {
        case EntryKind::create:
            log.created = true;
            log.placed = true;
            log.segment_base = entry.offset;
            log.position = 0;
            log.ends[entry.offset] = 0;
            break;
        case EntryKind::append:
            TRY_STATUS(is_one_batch(entry.batch));
            log.placed = true;
            log.segment_base = entry.segment_base;
            log.position = uint64_t{entry.position} + entry.batch.size();
            log.ends[entry.segment_base] = log.position;
            break;
        case EntryKind::roll:
            log.placed = true;
            log.segment_base = entry.offset;
            log.position = 0;
            log.ends[entry.offset] = 0;
            break;
        case EntryKind::truncate:
            log.cuts.push_back({stand.ordinal, stand.group, entry.offset, entry.segment_base});
            log.placed = true;
            log.segment_base = entry.segment_base;
            log.position = entry.position;
            log.ends.erase(log.ends.upper_bound(entry.segment_base), log.ends.end());
            log.ends[entry.segment_base] = entry.position;
            break;
        case EntryKind::log_start: log.log_start = std::max(log.log_start, entry.offset); break;
        case EntryKind::replaced:
            // What happened to them before is synced: truncations too, names and all. Those above
            // them may still have names that a truncation took away.
            log.replaced.push_back({stand.ordinal, stand.group, entry.offset});
            log.ends.erase(log.ends.begin(), log.ends.lower_bound(entry.offset));
            for (Cut& cut : log.cuts) cut.settled_below = std::max(cut.settled_below, entry.offset);
            break;
        case EntryKind::erase: log.erasing = true; break;
        // The journal may have forgotten the entry before it.
        case EntryKind::erased: log.erasing = log.erased = true; break;
        case EntryKind::rename: name_directory(log, entry.directory_name); break;
        case EntryKind::declare: break;
    }
    return {};
}

void Recovery::name_directory(Instance& log, const std::string& name) const {
    if (name == log.directory_name) return;
    log.former_name = std::exchange(log.directory_name, name);
    log.path = join_path(directory_, name);
    const auto parsed = parse_log_directory(name);
    log.copy = parsed && parsed->kind == LogDirectoryKind::future;
}

bool Recovery::survives(const Instance& log, const JournalEntry& entry, uint64_t ordinal) const {
    const BatchView batch(entry.batch);
    // A checkpoint has synced it where it is.
    if (log.pictured && batch.last_offset() < log.known->recovery_point) return false;
    for (const Cut& cut : log.cuts) {
        if (cut.ordinal > ordinal && batch.last_offset() >= cut.end) return false;
    }
    for (const Replaced& one : log.replaced) {
        if (one.ordinal > ordinal && entry.segment_base < one.below) return false;
    }
    // A segment that retention took away stays away.
    const auto next = log.ends.upper_bound(entry.segment_base);
    return next == log.ends.end() || next->first > log.log_start;
}

Task<Status> Recovery::prepare(Instance& log) {
    if (log.erasing) {
        if (log.erased) co_return Status();
        const std::string gone = join_path(directory_, deleted_directory_name(log.log, 0));
        const Status renamed = co_await files_.rename(log.path, gone);
        if (!renamed && renamed.error().code != ErrorCode::not_found) co_return renamed;
        log.erased = true;
        co_return Status();
    }
    if (!log.placed && log.log_start < Offset{0} && log.former_name.empty()) co_return Status();
    CO_TRY_STATUS(co_await rename(log));
    // That there was a copy is all that the next start wants to know of it.
    if (log.copy && !log.created) co_return Status();
    const bool there = directories_.contains(log.directory_name);
    if (!there && !log.created) {
        co_return fail(ErrorCode::corrupt,
                       log.path + ": the journal has records of this log, but it is not there");
    }
    if (!there) CO_TRY_STATUS(co_await files_.make_directory(log.path));
    if (log.created) {
        Buffer text = Buffer::copy_of(partition_metadata_text(log.topic_id));
        const std::string path = join_path(log.path, kPartitionMetadataFile);
        CO_TRY_STATUS(co_await files_.put(path, text));
        log.metadata_written = true;
    }
    co_return Status();
}

Task<Status> Recovery::rename(Instance& log) {
    if (log.former_name.empty() || !directories_.contains(log.former_name)) co_return Status();
    if (directories_.contains(log.directory_name)) {
        co_return fail(ErrorCode::corrupt,
                       fmt::format("{}: it was to be renamed to {}, which is there too",
                                   join_path(directory_, log.former_name), log.directory_name));
    }
    CO_TRY_STATUS(co_await files_.rename(join_path(directory_, log.former_name), log.path));
    directories_.erase(log.former_name);
    directories_.insert(log.directory_name);
    co_return Status();
}

void Recovery::look_up(uint64_t instance, Instance& log) {
    if (log.erasing || log.copy) gone_.insert(instance);
    if (log.erasing || log.copy || log.path.empty()) return;
    log.known = known_.of_declared({.name = log.log,
                                    .topic_id = log.topic_id,
                                    .instance = instance,
                                    .journal_id = log.journal_id,
                                    .created = log.created});
    log.pictured = guarded_ && log.known && is_still_true(log, *log.known);
}

/// What was done to the log before its picture was taken is in it. Nothing behind may take back or
/// exchange what it shows, and the journal must have all that it shows.
bool Recovery::is_still_true(const Instance& log, const CatalogueEntry& picture) {
    if (!picture.whole) return false;
    const auto later = [&picture](const auto& one) { return one.group >= picture.group; };
    if (std::ranges::any_of(log.cuts, later)) return false;
    if (std::ranges::any_of(log.replaced, later)) return false;
    std::map<Offset, uint64_t> shown;
    for (const SegmentEntry& one : picture.segments) shown[one.base] = one.bytes;
    for (const GrownSegment& one : picture.grown) shown[one.base] = one.bytes;
    const Offset last = shown.rbegin()->first;
    for (const auto& [base, position] : log.ends) {
        if (base < shown.begin()->first) continue;  // Below its log start.
        const auto at = shown.find(base);
        if (at == shown.end() ? base < last : position < at->second) return false;
        if (base < last && position != at->second) return false;
    }
    return !log.placed || log.segment_base >= last;
}

void Recovery::conclude(const Instance& log) {
    if (log.erasing || log.copy || log.path.empty()) return;
    ReplayedLog& found = replayed_[log.log];
    found.topic_id = log.topic_id;
    found.created = log.created;
    found.log_start = log.log_start;
    for (const Cut& one : log.cuts) {
        if (log.pictured) break;
        found.cut = std::min(found.cut.value_or(one.end), one.end);
    }
    if (!log.known) return;
    const Offset cut = lowest_cut(log);
    CatalogueEntry entry = *log.known;
    entry.whole = log.pictured;
    if ((log.known->whole && !log.pictured) || log.known->epochs_known) {
        found.epochs = entry.epochs;
        std::erase_if(*found.epochs, [cut](const EpochStart& one) { return one.start >= cut; });
    }
    std::erase_if(entry.snapshots, [cut](Offset one) { return one > cut; });
    const Offset last = entry.segments.empty() ? Offset{0} : entry.segments.back().base;
    std::map<Offset, uint64_t> grown;
    for (const GrownSegment& one : entry.grown) grown[one.base] = one.bytes;
    for (const auto& [base, position] : log.ends) {
        if (base >= last) grown[base] = position;
    }
    entry.grown.clear();
    for (const auto& [base, bytes] : grown) entry.grown.push_back({base, bytes});
    found.known = std::make_shared<const CatalogueEntry>(std::move(entry));
}

Offset Recovery::lowest_cut(const Instance& log) {
    Offset lowest{INT64_MAX};
    for (const Cut& cut : log.cuts) lowest = std::min(lowest, cut.end);
    return lowest;
}

/// The base of the segment that holds the log's start.
Offset Recovery::first_kept(const Instance& log) {
    const Offset start = std::max(log.log_start, log.known->log_start);
    Offset first = log.known->segments.front().base;
    for (const SegmentEntry& one : log.known->segments) {
        if (one.base <= start) first = std::max(first, one.base);
    }
    for (const GrownSegment& one : log.known->grown) {
        if (one.base <= start) first = std::max(first, one.base);
    }
    for (const auto& [base, position] : log.ends) {
        if (base <= start) first = std::max(first, base);
    }
    return first;
}

/// Of a log with a picture: files that are older than its start, or younger than the picture and
/// will be made again.
bool Recovery::is_outdated(const Instance& log, const std::string& name) const {
    const auto& segments = log.known->segments;
    const Offset first = first_kept(log);
    if (const auto base = parse_offset_file(name, kLogSuffix)) return *base < first;
    if (const auto snapshot = parse_offset_file(name, kSnapshotSuffix)) {
        // Above a cut it may be the one from before, whose name a power cut brought back.
        return *snapshot < first || *snapshot > lowest_cut(log) ||
               !std::ranges::binary_search(log.known->snapshots, *snapshot);
    }
    for (const std::string_view suffix :
         {kOffsetIndexSuffix, kTimeIndexSuffix, kTransactionIndexSuffix}) {
        const auto base = parse_offset_file(name, suffix);
        if (!base) continue;
        const auto shown = std::ranges::find(segments, *base, &SegmentEntry::base);
        if (*base < first || shown == segments.end()) return true;
        return suffix == kTransactionIndexSuffix && !shown->finished;
    }
    return false;
}

Task<Status> Recovery::second_pass(size_t index) {
    uint64_t ordinal = 0;
    GroupReader reader(files_, chains_[index]);
    for (;;) {
        CO_TRY(const std::optional<Buffer> bytes, co_await reader.next());
        if (!bytes) break;
        EntryCursor entries(bytes->span().subspan(kGroupHeaderBytes));
        for (;;) {
            CO_TRY(const auto entry, entries.next());
            if (!entry) break;
            const uint64_t own = ordinal++;
            Instance& log = logs_[entry->instance];
            if (entry->kind != EntryKind::append || log.erased || log.copy) continue;
            if (!survives(log, *entry, own)) continue;
            const bool follows = !log.run.empty() && log.run_base == entry->segment_base &&
                                 log.run_position + log.run.size() == entry->position;
            if (!follows || log.run.size() >= kRunBytes) CO_TRY_STATUS(co_await flush_run(log));
            if (log.run.empty()) {
                log.run_base = entry->segment_base;
                log.run_position = entry->position;
            }
            const auto at = static_cast<size_t>(entry->batch.data() - bytes->data());
            log.run.append(bytes->slice(at, entry->batch.size()));
        }
        reader.let_go();
        pending_bytes_ += bytes->size();
        if (pending_bytes_ >= most_pending_) CO_TRY_STATUS(co_await flush_runs());
    }
    co_return co_await flush_runs();
}

Task<Status> Recovery::flush_runs() {
    std::vector<Instance*> waiting;
    for (auto& [instance, log] : logs_) {
        if (!log.run.empty()) waiting.push_back(&log);
    }
    auto flushing = fan_out(runtime_, waiting.size(), kLogsAtOnce,
                            [this, &waiting](size_t i) { return flush_run(*waiting[i]); });
    CO_TRY_STATUS(co_await std::move(flushing));
    pending_bytes_ = 0;
    co_return Status();
}

ReplayedFile& Recovery::file_of(Instance& log, Offset base) {
    return log.files.try_emplace(base, files_, segment_path(log, base, kLogSuffix), descriptors_)
        .first->second;
}

Task<Status> Recovery::flush_run(Instance& log) {
    if (log.run.empty()) co_return Status();
    ReplayedFile& file = file_of(log, log.run_base);
    CO_TRY_STATUS(co_await file.open());
    Chain wanted = std::exchange(log.run, {});
    if (!guarded_) CO_TRY_STATUS(co_await compare(file, log.run_position, wanted));
    if (faults_.trust_bytes_in_cache) {
        CO_TRY(const bool equal, co_await has_already(file, log.run_position, wanted));
        if (equal) co_return Status();
    }
    // Also where the bytes are equal: a sync that failed in the last life may have left them in the
    // page cache only, and no sync of ours would carry them.
    const uint64_t run_end = log.run_position + wanted.size();
    const auto end = log.ends.find(log.run_base);
    if (end == log.ends.end() || end->second != run_end) {
        CO_TRY_STATUS(co_await file.write(log.run_position, std::move(wanted)));
    } else {
        CO_TRY_STATUS(co_await look_behind(log, file, run_end));
        CO_TRY_STATUS(co_await file.write_end(log.run_position, std::move(wanted)));
    }
    file.rest();
    co_return Status();
}

/// Nothing proves that nobody else has been here: his bytes are not written over.
Task<Status> Recovery::compare(ReplayedFile& file, uint64_t position, Chain wanted) const {
    CO_TRY(const Buffer there, co_await file.read(position, wanted.size()));
    const size_t other = first_foreign(there.span(), wanted.flatten().span());
    if (other == there.size()) co_return Status();
    co_return std::unexpected(foreign(file.path(), position + other));
}

/// The planted bug's question.
Task<Result<bool>> Recovery::has_already(ReplayedFile& file,
                                         uint64_t position,
                                         Chain wanted) const {
    CO_TRY(const Buffer there, co_await file.read(position, wanted.size()));
    co_return there == wanted.flatten();
}

/// Where a segment ends what is behind it has to be explained.
Task<Status> Recovery::look_behind(const Instance& log,
                                   ReplayedFile& file,
                                   uint64_t position) const {
    if (file.size() <= position || (guarded_ && !log.cuts.empty())) co_return Status();
    const uint64_t extra = std::min<uint64_t>(file.size() - position, kLookBytes);
    CO_TRY(const Buffer there, co_await file.read(position, extra));
    const auto is_zero = [](std::byte b) { return b == std::byte{0}; };
    if (std::ranges::all_of(there.span(), is_zero)) co_return Status();
    if (!guarded_) co_return std::unexpected(foreign(file.path(), position));
    if (holds_batch(there.span())) co_return std::unexpected(forgotten(file.path(), position));
    co_return Status();
}

/// With a picture only what is younger than that, or on its way out, can have left a file that nobody
/// knows of.
bool Recovery::has_unknown_files(const Instance& log) {
    if (!log.pictured) return true;
    const bool rolled = log.placed && log.segment_base > log.known->segments.back().base;
    return rolled || !log.cuts.empty() || log.log_start >= Offset{0};
}

/// One that was closed when the picture was taken, and synced, is as it should be.
bool Recovery::is_settled(const Instance& log, Offset segment_base) {
    return log.pictured && log.cuts.empty() && !log.files.contains(segment_base) &&
           segment_base < log.known->segments.back().base;
}

Task<Status> Recovery::finish(Instance& log) {
    CO_TRY_STATUS(co_await flush_run(log));
    const bool moved = log.pictured && log.log_start >= Offset{0};
    if (log.erased || log.copy || (!log.placed && !moved)) co_return Status();
    if (has_unknown_files(log)) CO_TRY_STATUS(co_await remove_behind(log));
    for (auto at = log.ends.begin(); at != log.ends.end(); ++at) {
        if (is_settled(log, at->first)) continue;
        const auto next = std::next(at);
        if (next != log.ends.end() && next->first <= log.log_start) continue;  // Retention took it.
        CO_TRY_STATUS(co_await end_segment(log, at->first, at->second));
    }
    co_return Status();
}

Task<Status> Recovery::settle(Instance& log) {
    if (log.metadata_written) {
        const std::string path = join_path(log.path, kPartitionMetadataFile);
        CO_TRY_STATUS(co_await sync_file(files_, path, SyncBy::sweep));
    }
    for (auto& [base, file] : log.files) CO_TRY_STATUS(co_await file.check());
    log.files.clear();
    co_return Status();
}

/// Behind a truncation every segment is one that the journal saw beginning; any other is a name
/// that the truncation removed and a power cut brought back.
bool Recovery::was_cut_away(const Instance& log, Offset segment_base) {
    if (log.ends.contains(segment_base)) return false;
    return std::any_of(log.cuts.begin(), log.cuts.end(), [&](const Cut& cut) {
        return segment_base > cut.segment_base && segment_base >= cut.settled_below;
    });
}

/// Segments behind the last one, indexes and snapshots that can no longer be trusted.
Task<Status> Recovery::remove_behind(Instance& log) {
    const Offset cut = lowest_cut(log);
    const bool written = log.placed && !log.files.empty();
    const Offset first =
        written ? std::min(log.files.begin()->first, log.segment_base) : log.segment_base;
    CO_TRY(const auto entries, co_await files_.list(log.path));
    for (const DirectoryEntry& entry : entries) {
        if (entry.is_directory) continue;
        const std::string path = join_path(log.path, entry.name);
        bool remove = false;
        if (const auto base = parse_offset_file(entry.name, kLogSuffix)) {
            remove = guarded_ && was_cut_away(log, *base);
            remove = remove || (log.pictured && is_outdated(log, entry.name));
            if (!remove && log.placed && *base > log.segment_base) co_return std::unexpected(foreign(path, 0));
        } else if (log.pictured) {
            remove = is_outdated(log, entry.name);
        } else if (const auto index = parse_offset_file(entry.name, kOffsetIndexSuffix)) {
            remove = *index >= first;
        } else if (const auto times = parse_offset_file(entry.name, kTimeIndexSuffix)) {
            remove = *times >= first;
        } else if (const auto aborted = parse_offset_file(entry.name, kTransactionIndexSuffix)) {
            remove = *aborted >= first;
        } else if (const auto snapshot = parse_offset_file(entry.name, kSnapshotSuffix)) {
            remove = *snapshot > cut;
        }
        if (!remove) continue;
        if (const auto base = parse_offset_file(entry.name, kLogSuffix)) log.files.erase(*base);
        CO_TRY_STATUS(co_await remove_file(files_, path));
    }
    co_return Status();
}

/// A segment ends where the journal says.
Task<Status> Recovery::end_segment(Instance& log, Offset base, uint64_t position) {
    ReplayedFile& file = file_of(log, base);
    CO_TRY_STATUS(co_await file.open());
    if (file.size() < position) {
        co_return fail(ErrorCode::corrupt,
                       fmt::format("{} has {} bytes, the journal begins behind them and ends at "
                                   "{}: bytes that were synced are gone",
                                   file.path(), file.size(), position));
    }
    CO_TRY_STATUS(co_await look_behind(log, file, position));
    CO_TRY_STATUS(co_await file.end_at(position));
    file.rest();
    co_return Status();
}

}  // namespace ottla::storage
