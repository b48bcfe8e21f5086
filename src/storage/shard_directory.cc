// SPDX-License-Identifier: Apache-2.0
#include "storage/shard_directory.h"

#include <algorithm>

#include "ottla/fan_out.h"
#include "storage/atomic_file.h"
#include "storage/catalogue.h"
#include "storage/file_names.h"
#include "storage/log_parts.h"

namespace ottla::storage {

namespace {

/// Of a checkpoint or a clean stop: what each takes is a row of short waits for the I/O threads.
constexpr size_t kLogsAtOnce = 8;
/// Of a catalogue, before others have a turn: some 0.1 ms.
constexpr size_t kEntriesInATurn = 128;

/// A sync that failed is not tried again, also when it is for want of space.
Status final_status(Status done) {
    if (done || done.error().code != ErrorCode::no_space) return done;
    return fail(ErrorCode::io_error, done.error().detail);
}

}  // namespace

ShardDirectory::ShardDirectory(Ports ports,
                               ServedDirectory served,
                               const StorageSettings& settings,
                               uint64_t sharing,
                               StoreObserver* observer,
                               IndexCache& index_cache)
    : ports_(ports),
      served_(std::move(served)),
      settings_(settings),
      observer_(observer),
      journal_(ports.runtime, ports.files, {served_.path, served_.directory_id}, settings_, *this),
      disk_(settings.disk_reserve_bytes, sharing),
      open_files_(settings.open_files),
      index_cache_(index_cache),
      work_(ports.runtime),
      room_(ports.runtime),
      hurry_(ports.runtime),
      leaving_(ports.runtime),
      space_used_(ports.runtime),
      space_urgent_(ports.runtime),
      checkpoint_turn_(ports.runtime, 1),
      gate_(ports.runtime),
      retention_(*this),
      cleaner_(*this),
      scrubber_(*this) {}

Task<Status> ShardDirectory::open() {
    CO_TRY_STATUS(co_await look_at_space());
    // Until then nothing replaces a catalogue of the last life.
    CHECK(checkpoint_turn_.try_take(1), "nobody makes a checkpoint yet");
    co_return Status();
}

void ShardDirectory::start_workers() {
    writing_ = true;
    checkpoint_turn_.give_back(1);
    for (size_t i = 0; i < settings_.flush_lanes; ++i) runtime().spawn(flush_worker());
    runtime().spawn(checkpoint_worker());
    runtime().spawn(retention_.run());
    runtime().spawn(cleaner_.run());
    runtime().spawn(scrubber_.run());
    runtime().spawn(space_worker());
}

void ShardDirectory::add(LogParts& log) {
    logs_[log.identity.instance] = &log;
    catalogue_outdated_ = true;
}
void ShardDirectory::remove(LogParts& log) {
    catalogue_outdated_ = true;
    logs_.erase(log.identity.instance);
    if (std::exchange(log.stalled, false)) disk_.went_on();
}

LogParts* ShardDirectory::find(uint64_t instance) const {
    auto at = logs_.find(instance);
    return at == logs_.end() ? nullptr : at->second;
}

std::vector<uint64_t> ShardDirectory::instances() const {
    std::vector<uint64_t> all;
    all.reserve(logs_.size());
    for (const auto& [instance, log] : logs_) all.push_back(instance);
    return all;
}

Task<bool> ShardDirectory::rest(Duration span) {
    if (error_ || gate_.is_closed()) co_return false;
    auto sleep = runtime().sleep_for(span);
    auto leaving = leaving_.wait();
    co_await when_any(sleep, leaving);
    co_return !error_ && !gate_.is_closed();
}

void ShardDirectory::fail_with(const Error& why) {
    if (error_) return;
    error_ = Error{ErrorCode::kafka_storage_error, why.detail};
    if (!std::exchange(writing_, true)) checkpoint_turn_.give_back(1);
    journal_.fail_with(*error_);
    for (auto& [instance, log] : logs_) {
        if (log->observer != nullptr) log->observer->log_failed(*log->self, *error_);
    }
    if (observer_ != nullptr) observer_->directory_failed(served_.path, *error_);
    for (Event* event : {&work_, &room_, &hurry_, &leaving_, &space_used_, &space_urgent_}) {
        event->notify_all();
    }
}

void ShardDirectory::found_no_direct() {
    if (!std::exchange(takes_direct_, false)) return;
    if (observer_ != nullptr) observer_->directory_is_buffered(served_.path);
}

void ShardDirectory::report(const Damage& damage) {
    switch (damage.kind) {
        case Damage::Kind::batch: ++damage_counts_.batches; break;
        case Damage::Kind::index: ++damage_counts_.indexes; break;
        case Damage::Kind::state: ++damage_counts_.states; break;
        case Damage::Kind::file: ++damage_counts_.files; break;
    }
    if (observer_ != nullptr) observer_->damage_found(damage);
}

// Room.

bool ShardDirectory::is_pressed() const {
    return pressed_ || journal_.undone_bytes() * 2 > settings_.chunk_budget_bytes ||
           journal_.wants_checkpoint();
}

ShardDirectory::Room ShardDirectory::admits(size_t bytes, uint64_t cost) {
    const size_t wanted = std::max(refused_bytes_, bytes);
    const uint64_t wanted_cost = std::max(refused_cost_, cost);
    const DiskRoom::Answer disk = disk_.ask(wanted_cost);
    if (disk == DiskRoom::Answer::full) {
        refused_bytes_ = 0;
        refused_cost_ = 0;
        disk_refused(full_disk());
        return Room::disk_full;
    }
    if (disk == DiskRoom::Answer::admitted && journal_.fits(wanted)) {
        refused_bytes_ = 0;
        refused_cost_ = 0;
        return Room::yes;
    }
    refused_bytes_ = wanted;
    refused_cost_ = wanted_cost;
    note_pressure();
    return Room::wait;
}

bool ShardDirectory::has_room_for_copy(size_t bytes) {
    const size_t wanted = std::max(refused_bytes_, bytes);
    const DiskRoom::Answer disk = disk_.ask(std::max(refused_cost_, disk_cost(bytes)));
    if (disk == DiskRoom::Answer::admitted) return journal_.fits(wanted);
    if (disk == DiskRoom::Answer::full) disk_refused(full_disk());
    note_pressure();
    return false;
}

bool ShardDirectory::has_room() {
    if (error_) return true;
    const DiskRoom::Answer disk = disk_.ask(refused_cost_);
    if (disk == DiskRoom::Answer::wait) return false;
    return disk == DiskRoom::Answer::full || journal_.fits(refused_bytes_);
}

void ShardDirectory::took(uint64_t cost) {
    disk_.took(cost);
    space_used_.notify_all();
    if (disk_.is_sample_urgent()) space_urgent_.notify_all();
}

void ShardDirectory::note_pressure() {
    pressed_ = true;
    work_.notify_all();
    if (journal_.wants_checkpoint()) hurry_.notify_all();
    if (!disk_.is_sample_urgent()) return;
    // The worker may be idle: what was owed when it last looked is settled since.
    space_used_.notify_all();
    space_urgent_.notify_all();
}

Task<> ShardDirectory::wait_for_room() {
    while (!has_room()) {
        note_pressure();
        const Status woken = co_await room_.wait();
        if (!woken) co_return;
    }
    refused_bytes_ = 0;
    refused_cost_ = 0;
}

// The journal's news.

bool ShardDirectory::acts_when_written(const JournalGroup& group) const {
    return std::ranges::any_of(group.marks, [this](const GroupMark& mark) {
        const LogParts* log = find(mark.instance);
        return log != nullptr && log->config.durability == Durability::relaxed;
    });
}

void ShardDirectory::group_written(const JournalGroup& group) {
    for (const GroupMark& mark : group.marks) {
        LogParts* log = find(mark.instance);
        if (log == nullptr) continue;
        const bool relaxed = log->config.durability == Durability::relaxed;
        if (relaxed || settings_.faults.relax_whole_group) log->advance_durable(mark.end);
    }
}

void ShardDirectory::group_durable(const JournalGroup& group) {
    appended_since_tick_ = true;
    if (std::exchange(journal_stalled_, false)) disk_.went_on();
    // By index: an observer may append, which marks a later group, never this one.
    for (size_t i = 0; i < group.marks.size(); ++i) {
        LogParts* log = find(group.marks[i].instance);
        if (log == nullptr) continue;
        log->advance_durable(group.marks[i].end);
        note_work(*log);
    }
    room_.notify_all();
    // Whoever sleeps until a flush is due looks again, before appends have to be pushed back.
    if (is_pressed()) work_.notify_all();
    if (journal_.wants_checkpoint()) hurry_.notify_all();
}

void ShardDirectory::chunk_evicted(uint64_t instance, const Chunk& chunk) {
    LogParts* log = find(instance);
    if (log != nullptr) log->forget_chunk(chunk);
}

// Flusher.

void ShardDirectory::note_work(LogParts& log) {
    if (log.deleted) return;
    if (writes_direct() && !log.ready && log.has_unflushed(settings_.flush_piece_bytes)) {
        log.ready = true;
        ready_.push_back(log.identity.instance);
        work_.notify_all();
    }
    if (std::exchange(log.queued, true)) return;
    queue_.push_back({log.identity.instance, runtime().now() + settings_.flush_delay});
    // Else somebody sleeps until the front is due, which comes first.
    if (queue_.size() == 1) work_.notify_all();
}

void ShardDirectory::note_dirty(LogParts& log) {
    if (log.dirty || log.deleted) return;
    log.dirty = true;
    dirty_.push_back(log.identity.instance);
}

/// Who has waited long enough comes first, so that whole pieces of others hold nobody up.
std::optional<ShardDirectory::FlushTurn> ShardDirectory::next_turn() {
    const bool due = !queue_.empty() && queue_.front().due <= runtime().now();
    if (!due && !ready_.empty()) {
        const uint64_t instance = ready_.front();
        ready_.pop_front();
        return FlushTurn{instance, FlushDepth::pieces};
    }
    if (queue_.empty() || (!due && !is_pressed())) return std::nullopt;
    const uint64_t instance = queue_.front().instance;
    queue_.pop_front();
    return FlushTurn{instance, due ? FlushDepth::everything : FlushDepth::large};
}

Task<> ShardDirectory::flush_worker() {
    const Gate::Pass pass = gate_.enter();
    while (pass && !error_ && !gate_.is_closed()) {
        if (queue_.empty() && ready_.empty()) {
            const Status woken = co_await work_.wait();
            if (!woken) co_return;
            continue;
        }
        // Where no log has anything to sync a checkpoint gives back nothing: files of one that is
        // being deleted or cleaned.
        if (open_files_.is_full() && (syncing_ || !dirty_.empty())) {
            hurry_.notify_all();
            const Status synced = co_await room_.wait();
            if (!synced) co_return;
            continue;
        }
        const std::optional<FlushTurn> turn = next_turn();
        if (!turn) {
            auto sleep = runtime().sleep_until(queue_.front().due);
            auto woken = work_.wait();
            co_await when_any(sleep, woken);
            continue;
        }
        const Status done = co_await flush_log(*turn);
        if (!done && done.error().code != ErrorCode::no_space) fail_with(done.error());
        pressed_ = false;
        room_.notify_all();
    }
}

Task<Status> ShardDirectory::flush_log(FlushTurn turn) {
    LogParts* log = find(turn.instance);
    if (log == nullptr) co_return Status();
    bool& waiting = turn.depth == FlushDepth::pieces ? log->ready : log->queued;
    waiting = false;
    // A log that is deleted meanwhile stays until everybody ahead of its deletion has had the lane.
    CO_TRY_STATUS(co_await log->lane.take(1));
    // Before and behind: a checkpoint that begins meanwhile counts the effects that are done, so it
    // has to sync them (it waits for the lane); what comes after is for the next one.
    note_dirty(*log);
    size_t least = 0;
    if (turn.depth == FlushDepth::pieces) least = settings_.flush_piece_bytes;
    if (turn.depth == FlushDepth::large && writes_direct() &&
        log->lane_has_work(settings_.direct_least_bytes)) {
        least = settings_.direct_least_bytes;
    }
    const Status done = co_await log->run_lane(least);
    note_dirty(*log);
    log->lane.give_back(1);
    if (open_files_.is_crowded()) hurry_.notify_all();
    if (done && least > 0 && log->lane_has_work()) note_work(*log);
    if (!done && done.error().code == ErrorCode::no_space) {
        stall(*log, done.error());
    } else if (done && std::exchange(log->stalled, false)) {
        disk_.went_on();
    }
    co_return done;
}

/// The caller has the checkpoint's turn: files that have to be synced on the way are.
Task<Status> ShardDirectory::flush_all() {
    CO_TRY_STATUS(co_await journal_.wait_durable(journal_.newest_group()));
    std::vector<uint64_t> instances;
    for (auto& [instance, log] : logs_) {
        if (log->lane_has_work() || log->lane.free() == 0) instances.push_back(instance);
    }
    Status all;
    for (size_t done = 0; done < instances.size();) {
        if (open_files_.is_crowded()) CO_TRY_STATUS(co_await sync_dirty());
        const size_t piece =
            std::min(std::max<size_t>(open_files_.most() / 4, 1), instances.size() - done);
        auto each = [this, &instances, &all, done](size_t i) {
            return flush_one_of_all(instances[done + i], all);
        };
        auto flushing = fan_out(runtime(), piece, settings_.flush_lanes, each);
        CO_TRY_STATUS(co_await std::move(flushing));
        done += piece;
    }
    co_return all;
}

/// A full disk keeps one log from being flushed, not the others.
Task<Status> ShardDirectory::flush_one_of_all(uint64_t instance, Status& all) {
    const Status done = co_await flush_log({instance, FlushDepth::everything});
    if (!done && done.error().code == ErrorCode::no_space) {
        all = done;
        co_return Status();
    }
    co_return done;
}

// Checkpoint.

Task<> ShardDirectory::checkpoint_worker() {
    const Gate::Pass pass = gate_.enter();
    while (pass && !error_ && !gate_.is_closed()) {
        auto sleep = runtime().sleep_for(settings_.checkpoint_interval);
        auto hurry = hurry_.wait();
        co_await when_any(sleep, hurry);
        if (error_ || gate_.is_closed()) co_return;
        if (!appended_since_tick_ && dirty_.empty()) journal_.trim();
        appended_since_tick_ = false;
        const bool full = journal_.wants_checkpoint();
        const Status done = co_await checkpoint(full);
        if (!done && done.error().code != ErrorCode::no_space) fail_with(done.error());
        // Whoever is pressed asks for the next one at once: not on a full disk.
        if (!done) (void)co_await rest(settings_.disk_interval);
        room_.notify_all();
    }
}

Task<Status> ShardDirectory::checkpoint(bool all) {
    if (error_) co_return std::unexpected(*error_);
    CO_TRY_STATUS(co_await checkpoint_turn_.take(1));
    Status flushed;
    if (all) flushed = co_await flush_all();
    Status done = flushed;
    if ((done || done.error().code == ErrorCode::no_space) && !error_) {
        const uint64_t through = journal_.effects_done_through();
        // Whatever the journal forgets has to be in a catalogue, a deletion too.
        if (through != forgotten_through_) catalogue_outdated_ = true;
        done = co_await sync_dirty();
        if (done && catalogue_outdated_) done = co_await write_catalogue();
        const bool late = settings_.faults.count_flushes_during_sync;
        if (done) journal_.synced_through(late ? journal_.effects_done_through() : through);
        if (done) forgotten_through_ = through;
    }
    if (!done && done.error().code == ErrorCode::no_space) {
        disk_refused(done.error());
    } else if (!done) {
        // Whoever asked: after a failed sync the next one proves nothing.
        fail_with(done.error());
    }
    checkpoint_turn_.give_back(1);
    if (done && error_) done = std::unexpected(*error_);
    if (done && !flushed) done = flushed;
    co_return done;
}

Task<Status> ShardDirectory::sync_dirty() {
    const std::vector<uint64_t> instances = std::exchange(dirty_, {});
    for (const uint64_t instance : instances) {
        LogParts* log = find(instance);
        if (log == nullptr) continue;
        log->dirty = false;
        log->checkpoint_end = log->flushed_end;
    }
    syncing_ = true;
    const Status done = co_await sync_logs(instances);
    syncing_ = false;
    if (!done) dirty_again(instances);
    catalogue_outdated_ = catalogue_outdated_ || !instances.empty();
    co_return done;
}

/// The next checkpoint writes what this one could not, though it finds their files synced.
void ShardDirectory::dirty_again(const std::vector<uint64_t>& instances) {
    for (const uint64_t instance : instances) {
        LogParts* log = find(instance);
        if (log == nullptr) continue;
        log->parent_changed = true;
        note_dirty(*log);
    }
}

/// What one checkpoint found unsynced.
struct ShardDirectory::Unsynced {
    size_t logs = 0;
    bool parent = false;
};

Task<Status> ShardDirectory::sync_logs(std::vector<uint64_t> instances) {
    Unsynced found;
    auto prepare = [this, &instances, &found](size_t i) {
        return prepare_sync(instances[i], found);
    };
    auto preparing = fan_out(runtime(), instances.size(), kLogsAtOnce, prepare);
    CO_TRY_STATUS(co_await std::move(preparing));
    // Of many logs the file system writes everything in one sweep. Then each file is only asked whether
    // its bytes arrived, without a way to the disk; a second sweep takes the names.
    const bool sweep = found.logs > settings_.sync_all_above;
    if (sweep) CO_TRY_STATUS(final_status(co_await files().sync_all(served_.path)));
    // A planted bug believes the sweep.
    if (!sweep || !settings_.faults.believe_sync_all) {
        const SyncBy by = sweep ? SyncBy::sweep : SyncBy::each;
        auto sync = [this, &instances, by](size_t i) { return sync_log(instances[i], by); };
        auto syncing = fan_out(runtime(), instances.size(), kLogsAtOnce, sync);
        CO_TRY_STATUS(co_await std::move(syncing));
    }
    if (sweep) {
        CO_TRY_STATUS(final_status(co_await files().sync_all(served_.path)));
    } else if (found.parent) {
        CO_TRY_STATUS(final_status(co_await files().sync_directory(served_.path)));
    }
    if (error_) co_return std::unexpected(*error_);
    for (const uint64_t instance : instances) {
        LogParts* log = find(instance);
        if (log != nullptr) log->synced_end = std::max(log->synced_end, log->checkpoint_end);
    }
    co_return Status();
}

Task<Status> ShardDirectory::prepare_sync(uint64_t instance, Unsynced& found) {
    LogParts* log = find(instance);
    if (log == nullptr) co_return Status();
    CO_TRY_STATUS(co_await log->lane.take(1));
    found.parent = found.parent || log->parent_changed;
    log->parent_changed = false;
    found.logs += log->has_unsynced() ? 1 : 0;
    const Status written = co_await log->write_small_files();
    log->begin_sweep();
    log->lane.give_back(1);
    co_return written;
}

Task<Status> ShardDirectory::sync_log(uint64_t instance, SyncBy by) {
    LogParts* log = find(instance);
    if (log == nullptr || !log->has_unsynced()) co_return Status();
    CO_TRY_STATUS(co_await log->lane.take(1));
    const Status synced = co_await log->sync_files(by);
    log->lane.give_back(1);
    co_return final_status(synced);
}

/// What the journal may forget after this checkpoint. It may be younger than that, so it must not be
/// seen before the journal has all that it says.
Task<Status> ShardDirectory::write_catalogue() {
    catalogue_outdated_ = false;
    CatalogueWriter writer(served_.directory_id, journal_.id());
    size_t noted = 0;
    for (const uint64_t instance : instances()) {
        if (const LogParts* log = find(instance); log != nullptr) writer.add(log->entry());
        if (++noted % kEntriesInATurn == 0) co_await runtime().yield();
    }
    Buffer bytes = writer.finish();
    const bool durable = co_await becomes_durable(journal_.newest_group());
    if (!durable) {
        // A full disk. Without pictures it is true whatever the journal loses.
        CatalogueWriter basic(served_.directory_id, journal_.id());
        for (const auto& [instance, log] : logs_) basic.add(log->basic_entry());
        bytes = basic.finish();
    }
    if (error_) co_return std::unexpected(*error_);
    const std::string path = join_path(served_.path, catalogue_file_name(runtime().shard()));
    const Status written = co_await replace_file(files(), path, bytes);
    if (!written) catalogue_outdated_ = true;
    co_return written;
}

Task<bool> ShardDirectory::becomes_durable(uint64_t group) {
    while (journal_.durable_through() < group && !error_) {
        if (journal_stalled_) co_return false;
        const Status woken = co_await room_.wait();
        if (!woken) co_return false;
    }
    co_return !error_;
}

Task<Status> ShardDirectory::close() {
    if (!writing_) fail_with({ErrorCode::no_space, served_.path + ": its journal never began"});
    journal_.stop_waiting_for_space();
    Status done = co_await checkpoint(true);
    // The workers end before their events and lanes do; an offline directory just lets go.
    auto closing = gate_.close();
    work_.notify_all();
    hurry_.notify_all();
    leaving_.notify_all();
    room_.notify_all();
    space_used_.notify_all();
    space_urgent_.notify_all();
    co_await std::move(closing);
    if (done) {
        // What a crash leaves of the last snapshots has to be known.
        for (auto& [instance, log] : logs_) log->ending = true;
        done = co_await write_catalogue();
    }
    if (done) done = co_await finish_logs();
    if (done) done = co_await write_catalogue();
    if (!done) fail_with(done.error());
    const Status journal_closed = co_await journal_.close();
    if (done && !journal_closed) done = journal_closed;
    co_return done;
}

/// In pieces, and those that left many open files dirty are synced before the next one opens more.
Task<Status> ShardDirectory::finish_logs() {
    const std::vector<uint64_t> all = instances();
    const size_t piece = std::max<size_t>(open_files_.most() / 4, 1);
    std::vector<uint64_t> finished;
    for (size_t done = 0; done < all.size(); done += piece) {
        const std::span<const uint64_t> next =
            std::span(all).subspan(done, std::min(piece, all.size() - done));
        auto finish = [this, next](size_t i) { return finish_log(next[i]); };
        auto finishing = fan_out(runtime(), next.size(), kLogsAtOnce, finish);
        CO_TRY_STATUS(co_await std::move(finishing));
        finished.insert(finished.end(), next.begin(), next.end());
        const bool last = done + piece >= all.size();
        if (!last && !open_files_.is_crowded()) continue;
        CO_TRY_STATUS(co_await sync_logs(std::exchange(finished, {})));
    }
    co_return Status();
}

Task<Status> ShardDirectory::finish_log(uint64_t instance) {
    LogParts* log = find(instance);
    if (log == nullptr) co_return Status();
    CO_TRY_STATUS(co_await log->finish());
    log->checkpoint_end = log->flushed_end;
    co_return Status();
}

}  // namespace ottla::storage
