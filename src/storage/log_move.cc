// SPDX-License-Identifier: Apache-2.0
#include "storage/log_move.h"

#include <fmt/format.h>

#include <algorithm>

#include "storage/atomic_file.h"
#include "storage/file_names.h"
#include "storage/moved_logs.h"
#include "storage/shard_directory.h"

namespace ottla::storage {
namespace {

using namespace std::chrono_literals;

/// Of one read and one turn of the run loop.
constexpr size_t kPieceBytes = 256UZ * 1024;
/// Of the copy in the target's journal and not in its segments: beyond, it waits for the flusher.
constexpr uint64_t kMostUnflushed = 4UZ * 1024 * 1024;
/// Where the flusher is behind, others come first for so long; where there is no room, until the next look.
constexpr Duration kGiveWay = 5ms;
/// Appends are not held longer than that before the commit.
constexpr Duration kMostHeld = 1s;

Error not_yet() { return {ErrorCode::would_block, "the copy does not become level"}; }

}  // namespace

// What only a move does to logs.

JournalGroup& LogParts::rename_entry(const std::string& directory_name) {
    declare(kEntryHeaderBytes + 2 + directory_name.size());
    JournalEntry entry;
    entry.kind = EntryKind::rename;
    entry.instance = identity.instance;
    entry.directory_name = directory_name;
    // What is declared behind it has the new name.
    declared_in = 0;
    identity.directory_name = directory_name;
    return home.journal().add_entry(entry);
}

void LogParts::take_name(std::string directory_name) {
    identity.path = join_path(home.path(), directory_name);
    identity.directory_name = std::move(directory_name);
    for (auto& segment : segments) segment->follow_directory(identity.path);
    is_copy = false;
}

void Log::exchange(Log& other) {
    std::swap(parts_, other.parts_);
    parts_->self = this;
    other.parts_->self = &other;
}

LogMove::LogMove(Log& log, std::unique_ptr<Log> copy, NewMove wanted)
    : log_(log),
      copy_(std::move(copy)),
      wanted_(std::move(wanted)),
      source_(log.log_dir()),
      permitted_(wanted_.observer == nullptr),
      changed_(copy_->parts().home.runtime()),
      released_(copy_->parts().home.runtime()) {
    from().moving = this;
    to().observer = this;
}

Runtime& LogMove::runtime() { return to().home.runtime(); }

void LogMove::stop(Stop how) {
    if (stop_ == Stop::no) stop_ = how;
    changed_.notify_all();
}

void LogMove::permit_swap() {
    permitted_ = true;
    changed_.notify_all();
}

void LogMove::log_was_cut(Offset end) {
    if (to().home.settings().faults.copy_ignores_truncation) return;
    cut_ = std::min(cut_.value_or(end), end);
    changed_.notify_all();
}

Status LogMove::may_go_on() {
    if (stop_ != Stop::no) return fail(ErrorCode::cancelled, "the move is not wanted any more");
    TRY_STATUS(from().usable());
    return to().usable();
}

Task<> LogMove::pause(Duration most) {
    auto sleep = runtime().sleep_for(most);
    auto changed = changed_.wait();
    co_await when_any(sleep, changed);
}

Task<Status> LogMove::run() {
    Status done = co_await begin();
    while (done && !swapped_) {
        done = co_await catch_up();
        if (done) done = co_await swap();
        if (done || done.error().code != ErrorCode::would_block) continue;
        // No space, or no quiet moment: it was worth a try.
        done = Status();
        co_await pause(to().home.settings().disk_interval);
    }
    co_return co_await finish(done);
}

/// The journal knows of the copy, and nothing of what an earlier life copied is left.
Task<Status> LogMove::begin() {
    // A swap of the cleaner's that has begun is waited for; no other one begins.
    CO_TRY_STATUS(co_await from().shape.take(1));
    from().shape.give_back(1);
    Journal& journal = to().home.journal();
    CO_TRY_STATUS(co_await journal.wait_durable(journal.newest_group()));
    FileSystem& files = to().home.files();
    for (const std::string& path : wanted_.old_copies) {
        // One that stays is found again by the next start.
        static_cast<void>(co_await remove_log_directory(files, path));
    }
    const std::string own = join_path(target(), log_directory_name(log_.name()));
    const auto taken = co_await files.status(own);
    if (!taken && taken.error().code == ErrorCode::not_found) co_return may_go_on();
    if (!taken) co_return std::unexpected(taken.error());
    co_return fail(ErrorCode::already_exists,
                   own + " is there: a log of that name that this process does not serve");
}

/// Until the copy is nearly level and the swap is permitted.
Task<Status> LogMove::catch_up() {
    for (;;) {
        CO_TRY_STATUS(may_go_on());
        CO_TRY_STATUS(co_await follow());
        const Offset upper = from().durable_end;
        const Offset before = to().log_end;
        if (before < upper) CO_TRY_STATUS(co_await copy_piece(upper));
        const bool near = to().log_end >= upper || exhausted_;
        if (near && !told_ && wanted_.observer != nullptr) {
            told_ = true;
            wanted_.observer->move_caught_up(log_, target());
        }
        if (near && permitted_) co_return Status();
        if (to().log_end == before && near) co_await pause(to().home.settings().disk_interval);
    }
}

/// The log's truncations, its start and its high watermark.
Task<Status> LogMove::follow() {
    while (cut_) {
        const Offset end = *std::exchange(cut_, std::nullopt);
        if (end < to().log_end)
            CO_TRY_STATUS(co_await copy_->truncate_to(std::max(end, to().log_start)));
    }
    const Offset start = std::min(from().log_start, to().durable_end);
    if (start > to().log_start) CO_TRY_STATUS(copy_->delete_before(start));
    copy_->note_high_watermark(std::min(from().high_watermark, to().log_end));
    co_return Status();
}

/// What the flusher has not written yet is bounded, and who appends comes first where room is short.
Task<bool> LogMove::has_room(size_t bytes) {
    ShardDirectory& home = to().home;
    if (home.is_pressed()) co_await pause(kGiveWay);
    const bool behind = to().has_unflushed(
        std::min<uint64_t>(kMostUnflushed, home.settings().chunk_budget_bytes / 4));
    if (behind) {
        home.note_pressure();
        co_await pause(kGiveWay);
        co_return false;
    }
    if (home.has_room_for_copy(bytes)) co_return true;
    co_await pause(kGiveWay);
    co_return false;
}

Task<Status> LogMove::copy_piece(Offset upper) {
    const Offset end = to().log_end;
    const Offset first = std::max(end, from().log_start);
    exhausted_ = first >= upper;
    if (exhausted_) co_return Status();
    const size_t most = std::min(kPieceBytes, to().home.settings().flush_piece_bytes);
    auto slice = log_.read(first, most, upper, true);
    if (!slice && slice.error().code == ErrorCode::would_block) {
        slice = co_await log_.read_cold(first, most, upper, true);
    }
    // Its start or a truncation went past it.
    if (!slice && slice.error().code == ErrorCode::offset_out_of_range) co_return Status();
    if (!slice) co_return std::unexpected(slice.error());
    const size_t bytes = slice->bytes.size();
    exhausted_ = bytes == 0 && !cut_;
    while (bytes > 0) {
        const bool room = co_await has_room(bytes);
        CO_TRY_STATUS(may_go_on());
        // Nothing that was read before a truncation is appended behind it.
        if (cut_ || to().log_end != end) co_return Status();
        if (room) break;
    }
    if (cut_) co_return Status();
    co_return append_all(*slice);
}

Status LogMove::append_all(const LogSlice& slice) {
    for (const Buffer& piece : slice.bytes.pieces()) {
        BatchCursor cursor(piece.span());
        while (cursor.next() == BatchStep::batch) {
            AppendRequest request;
            request.batch = cursor.batch().bytes();
            request.mode = AppendMode::follower;
            const auto appended = copy_->append(request);
            if (appended) continue;
            // The rest with the next piece.
            const ErrorCode why = appended.error().code;
            if (why == ErrorCode::would_block || why == ErrorCode::no_space) return {};
            return std::unexpected(appended.error());
        }
    }
    return {};
}

// The swap.

void LogMove::release() {
    from().appends_wait = holds_ = false;
    released_.notify_all();
}

/// would_block: not now, try again.
Task<Status> LogMove::swap() {
    LogParts& old = from();
    CO_TRY_STATUS(co_await sync_copy());
    CO_TRY_STATUS(co_await old.shape.take(1));
    old.appends_wait = holds_ = true;
    Status ready = co_await level();
    if (ready) ready = co_await settle_copy();
    if (ready) ready = may_go_on();
    if (ready && !is_level()) ready = std::unexpected(not_yet());
    if (ready) ready = co_await commit();
    release();
    old.shape.give_back(1);
    co_return ready;
}

/// So that little is left to be synced while appends wait.
Task<Status> LogMove::sync_copy() {
    LogParts& own = to();
    CO_TRY_STATUS(co_await own.lane.take(1));
    Status done = co_await own.run_lane();
    if (done) done = co_await own.write_small_files();
    if (done) {
        done = co_await own.sync_files(SyncBy::each);
        if (!done) done = fail(ErrorCode::io_error, done.error().detail);
    }
    own.lane.give_back(1);
    if (done) co_return done;
    co_return target_failed(done.error());
}

bool LogMove::is_level() {
    const LogParts& own = from();
    const LogParts& other = to();
    // Behind a truncation that the copy has not followed yet the log may be as long as it was.
    return !cut_ && own.durable_end == own.log_end && other.log_end == own.log_end &&
           other.durable_end == other.log_end && other.log_start == own.log_start;
}

Task<Status> LogMove::level() {
    const Instant deadline = runtime().now() + kMostHeld;
    while (!is_level()) {
        CO_TRY_STATUS(may_go_on());
        if (runtime().now() > deadline) co_return std::unexpected(not_yet());
        CO_TRY_STATUS(co_await follow());
        const Offset before = to().log_end;
        const Offset upper = from().durable_end;
        if (before < upper) CO_TRY_STATUS(co_await copy_piece(upper));
        const bool all_durable = from().durable_end == from().log_end && !cut_;
        // The cleaner left nothing up to there, or the log was emptied.
        if (all_durable && before < upper && exhausted_ && to().home.has_room_for_copy(1))
            to().roll_to(upper);
        if (to().log_end == before && !is_level()) co_await pause(1ms);
    }
    co_return Status();
}

/// Together: a checkpoint's picture of the copy, too, shows producers as they were at its high watermark.
void LogMove::take_over_state() {
    LogParts& own = to();
    own.epochs = from().epochs;
    own.epochs_certain = from().epochs_certain;
    own.epochs_changed = true;
    own.producers = from().producers;
    own.high_watermark = from().high_watermark;
}

/// What no record says is level too, and everything is in synced files: the copy may get another name.
Task<Status> LogMove::settle_copy() {
    LogParts& own = to();
    take_over_state();
    Journal& journal = own.home.journal();
    const bool durable = co_await own.home.becomes_durable(journal.newest_group());
    if (!durable) co_return std::unexpected(not_yet());
    // Behind the move before it, if this process or the one before made that.
    CO_TRY(const uint64_t before,
           co_await count_moves(from().home.files(), from().identity.path, from().home.reign()));
    CO_TRY_STATUS(co_await own.lane.take(1));
    const Status done = co_await settle_files(before + 1);
    own.lane.give_back(1);
    if (done) co_return done;
    co_return target_failed(done.error());
}

Status LogMove::target_failed(const Error& why) {
    if (why.code == ErrorCode::no_space || why.code == ErrorCode::would_block) {
        return std::unexpected(not_yet());
    }
    to().home.fail_with(why);
    return std::unexpected(why);
}

Task<Status> LogMove::settle_files(uint64_t moves) {
    LogParts& own = to();
    FileSystem& files = own.home.files();
    CO_TRY_STATUS(co_await own.run_lane());
    if (own.lane_has_work() || !own.directory_made) co_return std::unexpected(not_yet());
    const bool covered = !own.snapshots.empty() && own.snapshots.back() == own.log_end;
    if (own.log_end > Offset{0} && !covered) {
        own.snapshots.push_back(own.log_end);
        Buffer snapshot = own.producers.snapshot();
        CO_TRY_STATUS(co_await own.write_snapshot(own.log_end, snapshot));
    }
    const Buffer text = Buffer::copy_of(moved_text(own.home.reign(), moves));
    if (!own.home.settings().faults.forget_move_mark) {
        CO_TRY_STATUS(co_await files.put(own.path_of(kMovedFile), text));
        own.unsynced_names.emplace_back(kMovedFile);
    }
    CO_TRY_STATUS(co_await own.write_small_files());
    // A sync that fails is final, also when it is for want of space.
    Status synced = co_await own.sync_files(SyncBy::each);
    if (synced) synced = co_await files.sync_directory(own.home.path());
    if (!synced) synced = fail(ErrorCode::io_error, synced.error().detail);
    co_return synced;
}

/// There is no way back from the entry on.
Task<Status> LogMove::commit() {
    LogParts& own = to();
    JournalGroup& entry = own.rename_entry(log_directory_name(log_.name()));
    Status durable = co_await own.home.journal().wait_durable(entry.sequence);
    if (durable) durable = co_await take_over();
    if (durable) own.home.journal().effect_done(entry);
    change_places();
    co_return durable;
}

/// The folder has the log's name, for certain.
Task<Status> LogMove::take_over() {
    LogParts& own = to();
    FileSystem& files = own.home.files();
    const std::string name = log_directory_name(log_.name());
    const std::string path = join_path(own.home.path(), name);
    CO_TRY_STATUS(co_await own.lane.take(1));
    own.direct.reset();
    Status renamed = co_await files.rename(own.identity.path, path);
    while (!renamed && renamed.error().code == ErrorCode::no_space && !own.home.error() &&
           stop_ == Stop::no) {
        co_await pause(own.home.settings().disk_interval);
        renamed = co_await files.rename(own.identity.path, path);
    }
    if (renamed) own.take_name(name);
    if (renamed) renamed = co_await files.sync_directory(own.home.path());
    own.lane.give_back(1);
    if (!renamed) own.home.fail_with(renamed.error());
    co_return renamed;
}

void LogMove::change_places() {
    LogParts& old = from();
    LogParts& fresh = to();
    LogObserver* const observer = old.observer;
    fresh.observer = observer;
    old.observer = nullptr;
    old.moving = nullptr;
    fresh.is_copy = false;
    // What came while appends were held.
    const Durability durability = old.config.durability;
    fresh.self->configure(old.config);
    fresh.config.durability = durability;
    take_over_state();
    fresh.cleaned = old.cleaned;
    old.appends_wait = false;
    log_.exchange(*copy_);
    swapped_ = true;
    // Waiters of the old instance's shape and users go on with the log.
    if (fresh.home.error()) {
        if (observer != nullptr) observer->log_failed(log_, *fresh.home.error());
        return;
    }
    fresh.home.note_dirty(fresh);
    if (old.log_start > fresh.log_start) static_cast<void>(log_.delete_before(old.log_start));
}

Task<Status> LogMove::erase_copy() {
    FileSystem& files = to().home.files();
    // Readers that are still in what the log was read on; new ones come to where it is.
    if (swapped_) co_await to().users.close();
    CO_TRY(const auto gone, co_await to().erase());
    copy_.reset();
    if (gone) CO_TRY_STATUS(co_await remove_log_directory(files, *gone));
    co_return Status();
}

/// Of the two the one that nobody needs any more goes.
Task<Status> LogMove::finish(Status how) {
    // Whoever finds the copy, Kafka say, finds nothing in it that the log has not.
    if (!swapped_ && stop_ == Stop::leave && from().usable() && to().usable()) {
        static_cast<void>(co_await follow());
    }
    if (!swapped_) {
        from().moving = nullptr;
        to().observer = nullptr;
    }
    // A log whose directory failed keeps its copy for the next start; so does a clean stop.
    const bool stays = !swapped_ && (stop_ == Stop::leave || from().home.error().has_value());
    const bool in_doubt = swapped_ && !how;
    if (stays || in_doubt || to().home.error()) co_return how;
    const Status erased = co_await erase_copy();
    // What it was is in the way of nobody: the next start removes it (moved_logs.h).
    if (!erased && swapped_) co_return Status();
    co_return how;
}

}  // namespace ottla::storage
