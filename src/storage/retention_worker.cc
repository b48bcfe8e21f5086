// SPDX-License-Identifier: Apache-2.0
#include "storage/retention_worker.h"

#include <algorithm>
#include <vector>

#include "storage/log_parts.h"
#include "storage/retention.h"
#include "storage/shard_directory.h"

namespace ottla::storage {
namespace {

/// The first look comes soon after a start, as Kafka's does.
constexpr Duration kFirstLook = std::chrono::seconds(30);

}  // namespace

Task<> RetentionWorker::run() {
    const Gate::Pass inside = home_.gate().enter();
    Duration wait = std::min(kFirstLook, home_.settings().retention_check_interval);
    for (;;) {
        const bool goes_on = co_await home_.rest(wait);
        if (!goes_on) co_return;
        co_await check_all();
        wait = home_.settings().retention_check_interval;
    }
}

Task<> RetentionWorker::check_all() {
    for (const uint64_t instance : home_.instances()) {
        LogParts* log = home_.find(instance);
        if (log == nullptr || log->is_copy) continue;
        const Gate::Pass user = log->users.enter();
        if (!user || !log->usable()) continue;
        log->self->expire_producers(home_.runtime().wall_time());
        // A file that cannot be looked at now is looked at next time.
        static_cast<void>(co_await check(*log));
        co_await home_.runtime().yield();
    }
}

Task<Status> RetentionWorker::check(LogParts& log) {
    std::vector<SegmentFacts> facts;
    const uint64_t generation = log.generation;
    // A copy: segments come and go while a file's time is asked for.
    const std::vector<std::shared_ptr<Segment>> held = log.segments;
    for (const auto& segment : held) {
        SegmentFacts fact{segment->base(), segment->size(), segment->max_timestamp()};
        if (fact.bytes > 0 && fact.largest_timestamp < WallTime{0}) {
            CO_TRY(const FileStatus file, co_await home_.files().status(segment->log_path()));
            fact.largest_timestamp = file.modified;
        }
        facts.push_back(fact);
    }
    CO_TRY_STATUS(log.usable());
    if (generation != log.generation) co_return Status();
    LogFacts seen;
    seen.segments = facts;
    seen.log_start = log.log_start;
    seen.log_end = log.log_end;
    seen.high_watermark = std::min(log.high_watermark, log.durable_end);
    seen.now = home_.runtime().wall_time();
    const RetentionDecision decision = decide_retention(log.config, seen);
    if (decision.segments == 0) co_return Status();
    // While a truncation makes the producers anew a roll would keep a snapshot of the old ones.
    if (decision.roll && log.shape.free() == 0) co_return Status();
    if (decision.roll) CO_TRY_STATUS(log.self->roll());
    if (decision.log_start > log.log_start) {
        co_return log.self->delete_before(decision.log_start);
    }
    // Below the log's start already, but they held unflushed bytes when it moved.
    log.release_head();
    co_return Status();
}

}  // namespace ottla::storage
