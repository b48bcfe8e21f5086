// SPDX-License-Identifier: Apache-2.0
// The file side of a log: what its lane does (log_parts.h says in which order).
#include <algorithm>

#include "storage/atomic_file.h"
#include "storage/file_names.h"
#include "storage/log_parts.h"
#include "storage/offset_checkpoint.h"
#include "storage/shard_directory.h"

namespace ottla::storage {
namespace {

/// So many index entries of a growing segment, 256 KiB of records or more, are said in each catalogue
/// before they go into their files.
constexpr size_t kIndexTail = 64;

}  // namespace

bool LogParts::lane_has_work(size_t least) const {
    if (!effects.empty()) {
        const FileEffect& next = effects.front();
        if (next.group != nullptr) return next.group->durable;
        return next.after <= home.journal().durable_through();
    }
    return has_unflushed(least);
}

Task<Status> LogParts::run_lane(size_t least) {
    while (!deleted && !home.error() && lane_has_work(least)) {
        if (effects.empty()) {
            CO_TRY_STATUS(co_await flush_piece());
            CO_TRY_STATUS(co_await finish_segments());
            continue;
        }
        FileEffect effect = std::move(effects.front());
        effects.pop_front();
        const Status done = co_await perform(effect);
        if (!done && done.error().code == ErrorCode::no_space) {
            put_back(std::move(effect));
            co_return done;
        }
        // Undone stays counted: the journal must not forget an entry whose effect failed.
        CO_TRY_STATUS(done);
        if (effect.group != nullptr) home.journal().effect_done(*effect.group);
    }
    co_return Status();
}

/// To be done again. A snapshot that a truncation or retention took meanwhile is not wanted.
void LogParts::put_back(FileEffect effect) {
    const bool unwanted = effect.kind == FileEffect::Kind::snapshot &&
                          std::ranges::find(snapshots, effect.offset) == snapshots.end();
    if (!unwanted) effects.push_front(std::move(effect));
}

Task<Status> LogParts::perform(FileEffect& effect) {
    switch (effect.kind) {
        case FileEffect::Kind::make_directory: co_return co_await make_directory();
        case FileEffect::Kind::make_segment: {
            names_changed = true;
            if (!holds(*effect.segment)) co_return Status();  // Truncated away meanwhile.
            auto made = co_await effect.segment->file(true);
            if (!made) co_return std::unexpected(made.error());
            co_return Status();
        }
        case FileEffect::Kind::truncate: co_return co_await truncate_files(effect);
        case FileEffect::Kind::snapshot: {
            const bool again = std::ranges::find(snapshots, effect.offset) != snapshots.end();
            if (!again) snapshots.push_back(effect.offset);
            co_return co_await write_snapshot(effect.offset, effect.bytes);
        }
        case FileEffect::Kind::remove_head: co_return co_await remove_head(effect.offset);
    }
    co_return Status();
}

Task<Status> LogParts::make_directory() {
    const Status made = co_await home.files().make_directory(identity.path);
    if (!made && made.error().code != ErrorCode::already_exists) co_return made;
    parent_changed = true;
    names_changed = true;
    directory_made = true;
    Buffer text = Buffer::copy_of(partition_metadata_text(identity.topic_id));
    unsynced_names.emplace_back(kPartitionMetadataFile);
    const std::string path = path_of(kPartitionMetadataFile);
    const Status written = co_await home.files().put(path, text);
    if (written) home.settled(kDiskCostOfLog);
    co_return written;
}

/// Sums never meet other bytes than theirs, not after a crash either.
Task<Status> LogParts::forget_sums(const Segment& segment) {
    const Status removed = co_await home.files().unlink(sums_path(segment));
    if (removed) co_return co_await home.files().sync_directory(identity.path);
    if (removed.error().code == ErrorCode::not_found) co_return Status();
    co_return removed;
}

Task<Status> LogParts::truncate_files(FileEffect& effect) {
    direct.reset();
    for (auto& segment : effect.removed) CO_TRY_STATUS(co_await segment->remove_files());
    effect.removed.clear();
    names_changed = true;
    for (const Offset at : effect.snapshots) {
        const std::string name = offset_file_name(at, kSnapshotSuffix);
        CO_TRY_STATUS(co_await remove_file(home.files(), path_of(name)));
    }
    effect.snapshots.clear();
    Segment& segment = *effect.segment;
    if (!holds(segment)) co_return Status();  // Truncated again.
    CO_TRY_STATUS(co_await forget_sums(segment));
    CO_TRY(const std::shared_ptr<File> file, co_await segment.file(true));
    CO_TRY(const FileStatus status, co_await home.files().status(segment.log_path()));
    // Bytes of batches that were appended since go there after this, in the same lane.
    if (status.size > effect.position) {
        CO_TRY_STATUS(co_await segment.truncate_file(effect.position));
    }
    co_return Status();
}

Task<Status> LogParts::remove_head(Offset start) {
    // Not log_start: a later entry may have moved that, which no disk holds yet.
    while (segments.size() > 1 && segments[1]->base() <= start) {
        const Segment& head = *segments.front();
        const bool unflushed =
            flush_cursor < tail.end() && tail.at(flush_cursor).segment_base == head.base();
        if (unflushed) break;  // The next one that moves log_start takes it along.
        ++generation;
        const std::shared_ptr<Segment> gone = std::move(segments.front());
        segments.erase(segments.begin());
        size_bytes -= gone->size();
        names_changed = true;
        CO_TRY_STATUS(co_await gone->remove_files());
        const std::string name = offset_file_name(gone->base(), kSnapshotSuffix);
        std::erase(snapshots, gone->base());
        CO_TRY_STATUS(co_await remove_file(home.files(), path_of(name)));
    }
    co_return Status();
}

Task<Status> LogParts::replace_segments(std::vector<std::shared_ptr<Segment>> old,
                                        std::shared_ptr<Segment> fresh) {
    ++generation;
    const auto first = std::find(segments.begin(), segments.end(), old.front());
    const auto last = std::next(std::find(segments.begin(), segments.end(), old.back()));
    CHECK(last != segments.end() && last - first == static_cast<ptrdiff_t>(old.size()),
          "closed neighbours are replaced");
    // Positions in the old files mean nothing any more; its bytes are in the new one.
    while (!tail.empty() && tail.front().segment_base < (*last)->base()) {
        CHECK(tail.begin() < flush_cursor, "only synced segments are replaced");
        tail.pop_front();
    }
    for (const auto& segment : old) size_bytes -= segment->size();
    size_bytes += fresh->size();
    *first = fresh;
    segments.erase(std::next(first), last);
    home.scrubber().note(identity.instance, fresh->base());
    names_changed = true;
    // As at the start of a segment no producer state is kept elsewhere.
    for (size_t i = 1; i < old.size(); ++i) {
        const Offset at = old[i]->base();
        if (std::ranges::find(snapshots, at) == snapshots.end()) continue;
        const std::string name = offset_file_name(at, kSnapshotSuffix);
        const Status removed = co_await remove_file(home.files(), path_of(name));
        // One that stays for want of space stays known: a truncation below it takes it along.
        if (removed) std::erase(snapshots, at);
        if (!removed && removed.error().code != ErrorCode::no_space) co_return removed;
    }
    co_return Status();
}

Task<Status> LogParts::finish_segments() {
    for (size_t i = 0; i + 1 < segments.size(); ++i) {
        Segment& segment = *segments[i];
        if (segment.is_finished()) continue;
        const bool unflushed =
            flush_cursor < tail.end() && tail.at(flush_cursor).segment_base <= segment.base();
        if (unflushed) co_return Status();
        names_changed = true;
        // One that a leap of offsets left empty has no file yet, and its indexes alone are nothing.
        if (segment.size() == 0) {
            CO_TRY([[maybe_unused]] const auto made, co_await segment.file(true));
        }
        CO_TRY_STATUS(co_await segment.write_indexes());
        CO_TRY_STATUS(co_await forget_sums(segment));
        home.scrubber().note(identity.instance, segment.base());
    }
    co_return Status();
}

bool LogParts::has_unsynced() const {
    if (deleted || !directory_made) return false;
    return epochs_changed || names_changed || !unsynced_names.empty() || !swept_names.empty() ||
           std::any_of(segments.begin(), segments.end(), [](const auto& segment) {
               return segment->is_dirty() || segment->names_changed();
           });
}

Task<Status> LogParts::write_small_files() {
    CO_TRY_STATUS(co_await write_epochs());
    if (deleted || !directory_made) co_return Status();
    // A copy: a truncation may take segments away meanwhile.
    const std::shared_ptr<Segment> growing = segments.back();
    // Before it has a file its index has none.
    if (flushed_end > growing->base()) CO_TRY_STATUS(co_await growing->save_new_entries(kIndexTail));
    co_return Status();
}

Task<Status> LogParts::write_epochs() {
    if (deleted || !directory_made || !epochs_changed) co_return Status();
    epochs_changed = false;
    Buffer text = Buffer::copy_of(epochs.checkpoint());
    // What a crash may still take back, a truncation say, is not for the file.
    const bool durable = co_await home.becomes_durable(home.journal().newest_group());
    if (!durable) {
        epochs_changed = true;
        home.note_dirty(*this);
        co_return Status();
    }
    if (deleted) co_return Status();
    epochs_written = true;
    const std::string temporary = std::string(kLeaderEpochFile) + ".tmp";
    unsynced_names.push_back(temporary);
    const Status written = co_await home.files().put(path_of(temporary), text);
    if (!written) epochs_written = false;
    if (!written) epochs_changed = true;
    co_return written;
}

void LogParts::begin_sweep() {
    swept_names.insert(swept_names.end(), unsynced_names.begin(), unsynced_names.end());
    unsynced_names.clear();
    for (const auto& segment : segments) segment->begin_sweep();
}

Task<Status> LogParts::sync_files(SyncBy by) {
    direct.reset();  // An idle log holds no descriptor for what may come.
    if (deleted || !directory_made) co_return Status();
    if (by == SyncBy::each) begin_sweep();
    const std::vector<std::string> names = std::exchange(swept_names, {});
    for (const std::string& name : names) {
        CO_TRY_STATUS(co_await sync_file(home.files(), path_of(name), by));
    }
    if (std::exchange(epochs_written, false)) {
        const std::string path = path_of(kLeaderEpochFile);
        CO_TRY_STATUS(co_await home.files().rename(path + ".tmp", path));
    }
    // A segment that a truncation takes out of the list meanwhile has nothing left to sync.
    const bool active_only = home.settings().faults.sync_active_segment_only;
    for (size_t i = active_only ? segments.size() - 1 : 0; i < segments.size(); ++i) {
        const std::shared_ptr<Segment> segment = segments[i];
        if (!segment->is_dirty()) continue;
        auto syncing = by == SyncBy::sweep ? segment->end_sweep() : segment->sync();
        CO_TRY_STATUS(co_await std::move(syncing));
        keep_indexes(*segment);
    }
    const bool changed =
        names_changed || !names.empty() ||
        std::any_of(segments.begin(), segments.end(),
                    [](const auto& segment) { return segment->names_changed(); });
    names_changed = false;
    for (auto& segment : segments) segment->names_synced();
    if (home.settings().faults.free_journal_before_names) co_return Status();
    if (by == SyncBy::each && changed) {
        CO_TRY_STATUS(co_await home.files().sync_directory(identity.path));
    }
    co_return Status();
}

Task<Status> LogParts::finish() {
    if (deleted) co_return Status();
    CO_TRY_STATUS(co_await run_lane());
    CO_TRY_STATUS(co_await finish_segments());
    // A log that never had a record needs no files: Kafka, too, makes them when it opens the log.
    const bool blank = segments.size() == 1 && log_end == Offset{0} && !active().has_file();
    if (!active().is_finished() && !blank) {
        if (active().size() == 0) {
            CO_TRY([[maybe_unused]] auto file, co_await active().file(true));
        }
        CO_TRY_STATUS(co_await active().write_indexes());
    }
    const Offset covered = snapshots.empty() ? Offset{0} : snapshots.back();
    if (log_end > covered) {
        snapshots.push_back(log_end);
        Buffer bytes = producers.snapshot();
        CO_TRY_STATUS(co_await write_snapshot(log_end, bytes));
    }
    co_return Status();
}

Task<Result<std::optional<std::string>>> LogParts::erase() {
    Journal& journal = home.journal();
    deleted = true;
    JournalGroup& erase = journal_entry(EntryKind::erase, Offset{0});
    if (observer != nullptr) {
        const Error gone{ErrorCode::unknown_topic_or_partition, identity.path + " is deleted"};
        observer->log_failed(*self, gone);
        observer = nullptr;
    }
    co_await users.close();
    CO_TRY_STATUS(co_await journal.wait_durable(erase.sequence));
    // Until then a crash leaves the log as it was, and the catalogue has to know it.
    home.remove(*this);
    // Everybody in front has had it; nobody comes behind.
    CO_TRY_STATUS(co_await lane.take(1));
    drop_unflushed();
    std::string gone =
        join_path(home.path(), deleted_directory_name(identity.name, identity.instance));
    if (directory_made) {
        Status renamed = co_await home.files().rename(identity.path, gone);
        if (!renamed && renamed.error().code == ErrorCode::no_space) {
            // Not even room for a name. In place, then; a crash in the middle does it again.
            renamed = co_await remove_log_directory(home.files(), identity.path);
        }
        if (renamed) {
            const Status synced = co_await home.files().sync_directory(home.path());
            // Final, whatever the reason, as after every failed sync.
            if (!synced) renamed = fail(ErrorCode::io_error, synced.error().detail);
        }
        if (!renamed && renamed.error().code != ErrorCode::not_found) {
            home.fail_with(renamed.error());
            co_return std::unexpected(renamed.error());
        }
    }
    journal.effect_done(erase);
    JournalGroup& erased = journal_entry(EntryKind::erased, Offset{0});
    const uint64_t last = erased.sequence;
    journal.effect_done(erased);
    CO_TRY_STATUS(co_await journal.wait_durable(last));
    if (!directory_made) co_return std::nullopt;
    co_return gone;
}

Task<Status> LogParts::write_snapshot(Offset offset, Buffer bytes) {
    names_changed = true;
    const std::string name = offset_file_name(offset, kSnapshotSuffix);
    unsynced_names.push_back(name);
    co_return co_await home.files().put(path_of(name), bytes);
}

}  // namespace ottla::storage
