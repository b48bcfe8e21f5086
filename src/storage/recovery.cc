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

constexpr size_t kRunBytes = 1024UZ * 1024;
constexpr size_t kLogsAtOnce = 16;
constexpr size_t kMostPending = 32UZ * 1024 * 1024;

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

}  // namespace

Recovery::Recovery(Ports ports, std::string directory, bool guarded, TestFaults faults)
    : runtime_(ports.runtime), files_(ports.files), directory_(std::move(directory)),
      guarded_(guarded), faults_(faults) {}

std::string Recovery::segment_path(const Instance& log,
                                   Offset base,
                                   std::string_view suffix) const {
    return join_path(log.path, offset_file_name(base, suffix));
}

Task<Status> Recovery::run(std::vector<JournalChain> chains) {
    for (const JournalChain& chain : chains) {
        CO_TRY_STATUS(co_await settle_newest_group(files_, chain));
        CO_TRY_STATUS(co_await first_pass(chain));
    }
    for (auto& [instance, log] : logs_) CO_TRY_STATUS(co_await prepare(log));
    for (const JournalChain& chain : chains) CO_TRY_STATUS(co_await second_pass(chain));
    std::vector<Instance*> all;
    for (auto& [instance, log] : logs_) all.push_back(&log);
    auto finishing = fan_out(runtime_, all.size(), kLogsAtOnce,
                             [this, &all](size_t i) { return finish(*all[i]); });
    CO_TRY_STATUS(co_await std::move(finishing));
    // One sweep writes what all logs have; then each file is only asked whether its bytes arrived.
    CO_TRY_STATUS(co_await files_.sync_all(directory_));
    auto settling = fan_out(runtime_, all.size(), kLogsAtOnce,
                            [this, &all](size_t i) { return settle(*all[i]); });
    CO_TRY_STATUS(co_await std::move(settling));
    co_return co_await files_.sync_directory(directory_);
}

Task<Status> Recovery::first_pass(JournalChain chain) {
    uint64_t ordinal = 0;
    for (const ReplayGroup& group : chain.groups) {
        const std::string path = chain.paths[group.file];
        CO_TRY(const Buffer bytes, co_await read_group(files_, path, group));
        EntryCursor entries(bytes.span().subspan(kGroupHeaderBytes));
        for (;;) {
            CO_TRY(const auto entry, entries.next());
            if (!entry) break;
            CO_TRY_STATUS(note(*entry, ordinal++));
        }
    }
    co_return Status();
}

Status Recovery::note(const JournalEntry& entry, uint64_t ordinal) {
    Instance& log = logs_[entry.instance];
    if (entry.kind == EntryKind::declare) {
        log.log = entry.log;
        log.topic_id = entry.topic_id;
        log.path = join_path(directory_, entry.directory_name);
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
            log.cuts.push_back({ordinal, entry.offset, entry.segment_base});
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
            log.replaced.emplace_back(ordinal, entry.offset);
            log.ends.erase(log.ends.begin(), log.ends.lower_bound(entry.offset));
            for (Cut& cut : log.cuts) cut.settled_below = std::max(cut.settled_below, entry.offset);
            break;
        case EntryKind::erase: log.erasing = true; break;
        case EntryKind::erased: log.erased = true; break;
        case EntryKind::declare: break;
    }
    return {};
}

bool Recovery::survives(const Instance& log, const JournalEntry& entry, uint64_t ordinal) const {
    const BatchView batch(entry.batch);
    for (const Cut& cut : log.cuts) {
        if (cut.ordinal > ordinal && batch.last_offset() >= cut.end) return false;
    }
    for (const auto& [when, below] : log.replaced) {
        if (when > ordinal && entry.segment_base < below) return false;
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
    if (!log.placed && log.log_start < Offset{0}) co_return Status();
    auto listed = co_await files_.list(log.path);
    if (!listed && listed.error().code == ErrorCode::not_found && log.created) {
        CO_TRY_STATUS(co_await files_.make_directory(log.path));
        listed = std::vector<DirectoryEntry>{};
    }
    if (!listed) {
        co_return fail(ErrorCode::corrupt,
                       fmt::format("{}: the journal has records of this log, but its directory "
                                   "cannot be read: {}",
                                   log.path, listed.error().detail));
    }
    if (log.created) {
        created_.insert(log.log);
        Buffer text = Buffer::copy_of(partition_metadata_text(log.topic_id));
        const std::string path = join_path(log.path, kPartitionMetadataFile);
        CO_TRY_STATUS(co_await write_file(files_, path, text, false));
        log.unsynced.push_back(path);
    }
    if (log.log_start >= Offset{0}) log_starts_[log.log] = log.log_start;
    for (const Cut& cut : log.cuts) {
        const auto at = cuts_.try_emplace(log.log, cut.end).first;
        at->second = std::min(at->second, cut.end);
    }
    co_return Status();
}

Task<Status> Recovery::second_pass(JournalChain chain) {
    uint64_t ordinal = 0;
    for (const ReplayGroup& group : chain.groups) {
        const std::string path = chain.paths[group.file];
        CO_TRY(const Buffer bytes, co_await read_group(files_, path, group));
        EntryCursor entries(bytes.span().subspan(kGroupHeaderBytes));
        for (;;) {
            CO_TRY(const auto entry, entries.next());
            if (!entry) break;
            const uint64_t own = ordinal++;
            Instance& log = logs_[entry->instance];
            if (entry->kind != EntryKind::append || log.erased) continue;
            if (!survives(log, *entry, own)) continue;
            const bool follows = log.run.size() > 0 && log.run_base == entry->segment_base &&
                                 log.run_position + log.run.size() == entry->position;
            if (!follows || log.run.size() >= kRunBytes) CO_TRY_STATUS(co_await flush_run(log));
            if (log.run.size() == 0) {
                log.run_base = entry->segment_base;
                log.run_position = entry->position;
            }
            log.run.append(entry->batch);
            pending_bytes_ += entry->batch.size();
        }
        if (pending_bytes_ < kMostPending) continue;
        for (auto& [instance, log] : logs_) CO_TRY_STATUS(co_await flush_run(log));
    }
    co_return Status();
}

Task<Status> Recovery::flush_run(Instance& log) {
    if (log.run.size() == 0) co_return Status();
    const std::string path = segment_path(log, log.run_base, kLogSuffix);
    log.touched.insert(log.run_base);
    OpenOptions options;
    options.write = true;
    options.create = true;
    CO_TRY(const auto file, co_await files_.open(path, options));
    const Buffer wanted = log.run.take();
    pending_bytes_ -= wanted.size();
    BlockRef block = make_block(wanted.size());
    CO_TRY(const size_t got, co_await file->read(log.run_position, wanted.size(), block));
    const std::span<const std::byte> there{block->data(), got};
    const size_t other = first_foreign(there, wanted.span());
    if (other < there.size() && (log.cuts.empty() || !guarded_)) {
        co_return std::unexpected(foreign(path, log.run_position + other));
    }
    const bool equal = there.size() == wanted.size() && other == there.size() &&
                       std::equal(there.begin(), there.end(), wanted.span().begin());
    if (faults_.trust_bytes_in_cache && equal) co_return Status();
    // Also where the bytes are equal: a sync that failed in the last life may have left them in the
    // page cache only, and no sync of ours would carry them.
    Chain bytes(wanted);
    CO_TRY([[maybe_unused]] size_t written,
           co_await file->write(log.run_position, std::move(bytes)));
    co_return Status();
}

Task<Status> Recovery::finish(Instance& log) {
    CO_TRY_STATUS(co_await flush_run(log));
    if (log.erased || !log.placed) co_return Status();
    CO_TRY_STATUS(co_await remove_behind(log));
    for (auto at = log.ends.begin(); at != log.ends.end(); ++at) {
        const auto next = std::next(at);
        if (next != log.ends.end() && next->first <= log.log_start) continue;  // Retention took it.
        CO_TRY_STATUS(co_await end_segment(log, at->first, at->second));
    }
    co_return Status();
}

Task<Status> Recovery::settle(Instance& log) {
    if (log.unsynced.empty()) co_return Status();
    for (const std::string& path : log.unsynced) CO_TRY_STATUS(co_await sync_file(files_, path));
    log.unsynced.clear();
    co_return co_await files_.sync_directory(log.path);
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
    Offset cut{INT64_MAX};
    for (const Cut& one : log.cuts) cut = std::min(cut, one.end);
    const Offset first =
        log.touched.empty() ? log.segment_base : std::min(*log.touched.begin(), log.segment_base);
    CO_TRY(const auto entries, co_await files_.list(log.path));
    for (const DirectoryEntry& entry : entries) {
        const std::string path = join_path(log.path, entry.name);
        bool remove = false;
        if (const auto base = parse_offset_file(entry.name, kLogSuffix)) {
            remove = guarded_ && was_cut_away(log, *base);
            if (!remove && *base > log.segment_base) co_return std::unexpected(foreign(path, 0));
        } else if (const auto index = parse_offset_file(entry.name, kOffsetIndexSuffix)) {
            remove = *index >= first;
        } else if (const auto times = parse_offset_file(entry.name, kTimeIndexSuffix)) {
            remove = *times >= first;
        } else if (const auto aborted = parse_offset_file(entry.name, kTransactionIndexSuffix)) {
            remove = *aborted >= first;
        } else if (const auto snapshot = parse_offset_file(entry.name, kSnapshotSuffix)) {
            remove = *snapshot > cut;
        }
        if (remove) CO_TRY_STATUS(co_await remove_file(files_, path));
    }
    co_return Status();
}

/// A segment ends where the journal says.
Task<Status> Recovery::end_segment(Instance& log, Offset base, uint64_t position) {
    const std::string path = segment_path(log, base, kLogSuffix);
    OpenOptions options;
    options.write = true;
    options.create = true;
    CO_TRY(const auto file, co_await files_.open(path, options));
    CO_TRY(const FileStatus status, co_await files_.status(path));
    if (status.size < position) {
        co_return fail(ErrorCode::corrupt,
                       fmt::format("{} has {} bytes, the journal begins behind them and ends at "
                                   "{}: bytes that were synced are gone",
                                   path, status.size, position));
    }
    if (status.size > position) {
        const uint64_t extra = std::min<uint64_t>(status.size - position, kRunBytes);
        BlockRef block = make_block(extra);
        CO_TRY(const size_t got, co_await file->read(position, extra, block));
        const auto written = std::find_if(block->data(), block->data() + got,
                                          [](std::byte b) { return b != std::byte{0}; });
        const bool zeros = written == block->data() + got;
        if (!zeros && (log.cuts.empty() || !guarded_)) {
            co_return std::unexpected(foreign(path, position));
        }
    }
    log.unsynced.push_back(path);
    co_return co_await resize_anew(*file, position);
}

}  // namespace ottla::storage
