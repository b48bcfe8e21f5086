// SPDX-License-Identifier: Apache-2.0
// ShardDirectory and free space: who looks at the disk when, and what happens when it is full.
#include <fmt/format.h>

#include "storage/log_parts.h"
#include "storage/shard_directory.h"

namespace ottla::storage {

namespace {

/// Between two looks at the disk, however urgent.
constexpr Duration kLeastBetweenLooks = std::chrono::milliseconds(2);
/// The journal takes large files only where there is room for a few.
constexpr uint64_t kRoomyFiles = 2;

}  // namespace

Error ShardDirectory::full_disk() const {
    return {ErrorCode::no_space,
            fmt::format("{}: the disk is full: {} bytes are free, {} are kept back "
                        "(ottla.disk.reserve.bytes)",
                        served_.path, disk_.free_bytes(), disk_.reserve_bytes())};
}

Task<Status> ShardDirectory::take_space(uint64_t cost) {
    DiskRoom::Answer answer = disk_.ask(cost);
    while (answer == DiskRoom::Answer::wait && !error_ && !gate_.is_closed()) {
        note_pressure();
        CO_TRY_STATUS(co_await room_.wait());
        answer = disk_.ask(cost);
    }
    if (error_) co_return std::unexpected(*error_);
    if (answer == DiskRoom::Answer::full) {
        disk_refused(full_disk());
        co_return std::unexpected(full_disk());
    }
    if (answer == DiskRoom::Answer::wait) co_return fail(ErrorCode::cancelled, "the end comes");
    took(cost);
    co_return Status();
}

Task<Status> ShardDirectory::look_at_space() {
    disk_.begin_sample();
    CO_TRY(const DiskSpace space, co_await files().space(served_.path));
    disk_.end_sample(space.free, space.size);
    journal_.may_grow(disk_.share() > kRoomyFiles * settings_.journal_file_bytes);
    if (!disk_.is_full() && std::exchange(told_full_, false) && observer_ != nullptr) {
        observer_->directory_has_room(served_.path);
    }
    co_return Status();
}

Task<Status> ShardDirectory::begin_writing() {
    if (error_) co_return std::unexpected(*error_);
    const Status opened = co_await journal_.open();
    const bool full = !opened && opened.error().code == ErrorCode::no_space;
    if (!opened && !full) co_return opened;
    if (error_) co_return std::unexpected(*error_);
    if (opened) start_workers();
    if (full) journal_stalled(opened.error());
    if (full) runtime().spawn(begin_when_possible());
    co_return Status();
}

/// Until then it is as full as one that fills up later.
Task<> ShardDirectory::begin_when_possible() {
    const Gate::Pass pass = gate_.enter();
    while (pass) {
        const bool goes_on = co_await rest(settings_.disk_interval);
        if (!goes_on) co_return;
        const Status opened = co_await journal_.open();
        if (error_) co_return;
        if (opened) {
            if (std::exchange(journal_stalled_, false)) disk_.went_on();
            start_workers();
            co_return;
        }
        if (opened.error().code != ErrorCode::no_space) {
            fail_with(opened.error());
            co_return;
        }
        journal_stalled(opened.error());
    }
}

/// Idle shards ask nothing; busy ones once an interval, more often when they promise much.
Task<> ShardDirectory::space_worker() {
    const Gate::Pass pass = gate_.enter();
    while (pass && !error_ && !gate_.is_closed()) {
        if (!disk_.wants_sample()) {
            const Status woken = co_await space_used_.wait();
            if (!woken) co_return;
            continue;
        }
        // Should it fail, what was seen last is all there is; the writes will show.
        static_cast<void>(co_await look_at_space());
        retry_stalled();
        room_.notify_all();
        static_cast<void>(co_await runtime().sleep_for(kLeastBetweenLooks));
        if (disk_.is_sample_urgent() || error_ || gate_.is_closed()) continue;
        auto sleep = runtime().sleep_for(settings_.disk_interval);
        auto urgent = space_urgent_.wait();
        co_await when_any(sleep, urgent);
    }
}

void ShardDirectory::disk_refused(const Error& why) {
    disk_.refused_by_disk();
    space_used_.notify_all();
    if (std::exchange(told_full_, true) || observer_ == nullptr) return;
    observer_->directory_full(served_.path, why);
}

void ShardDirectory::stall(LogParts& log, const Error& why) {
    if (log.deleted) return;
    if (!std::exchange(log.stalled, true)) disk_.stalled();
    stalled_.push_back(log.identity.instance);
    disk_refused(why);
}

void ShardDirectory::retry_stalled() {
    for (const uint64_t instance : std::exchange(stalled_, {})) {
        LogParts* log = find(instance);
        if (log != nullptr) note_work(*log);
    }
}

/// Who waits for what is in doubt is told; it may become durable all the same, as after any error.
void ShardDirectory::journal_stalled(const Error& why) {
    if (!std::exchange(journal_stalled_, true)) disk_.stalled();
    disk_refused(why);
    room_.notify_all();
    for (const uint64_t instance : journal_.in_doubt()) {
        LogParts* log = find(instance);
        if (log == nullptr || log->observer == nullptr) continue;
        log->observer->log_stalled(*log->self, why);
    }
}

}  // namespace ottla::storage
