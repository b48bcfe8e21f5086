// SPDX-License-Identifier: Apache-2.0
#include "storage/log_cleaner.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>

#include "records/records.h"
#include "storage/atomic_file.h"
#include "storage/log_parts.h"
#include "storage/segment_swap.h"
#include "storage/shard_directory.h"

namespace ottla::storage {
namespace {

constexpr size_t kTurnBytes = 64UZ * 1024;
/// Looked at before others get their turn.
constexpr size_t kLogsInTurn = 256;
constexpr size_t kMostDecompressed = 256UZ * 1024 * 1024;

CleanerFacts facts_of(const LogParts& log, std::vector<CleanerSegment>& segments) {
    for (const auto& segment : log.segments) {
        CleanerSegment fact;
        fact.base = segment->base();
        fact.bytes = segment->size();
        fact.offset_index_bytes = segment->offset_index_bytes();
        fact.time_index_bytes = segment->time_index_bytes();
        fact.largest_timestamp = segment->max_timestamp();
        fact.first_timestamp = segment->first_timestamp();
        segments.push_back(fact);
    }
    CleanerFacts facts;
    facts.segments = segments;
    facts.log_start = log.log_start;
    facts.log_end = log.log_end;
    facts.last_stable = log.self->last_stable_offset();
    facts.synced_end = log.synced_end;
    facts.cleaned = log.cleaned;
    facts.now = log.home.runtime().wall_time();
    return facts;
}

/// Of producers whose last batch is not below `end` the last one that is: should a crash or a
/// truncation take the tail, that is what their state is made of. `below` knows the dirty part.
ActiveProducers active_producers(const LogParts& log,
                                 Offset end,
                                 const std::map<ProducerId, Offset>& below) {
    ActiveProducers active;
    for (const auto& last : log.producers.last_batches()) {
        LastOfProducer& own = active[last.producer];
        own = {last.last_data, last.epoch};
        if (last.last_data < end) continue;
        const auto stable = below.find(last.producer);
        own.any = stable == below.end();
        if (!own.any) own.last_data = stable->second;
    }
    return active;
}

Error given_up(const LogParts& log) {
    return {ErrorCode::cancelled, fmt::format("{}: the cleaning was given up", log.identity.path)};
}

}  // namespace

/// One cleaning of one log.
struct LogCleaner::Cleaning {
    Cleaning(LogParts& cleaned_log, CleaningPlan what, OffsetMap keys)
        : log(cleaned_log), plan(what), newest(std::move(keys)), held(cleaned_log.segments) {}

    LogParts& log;
    CleaningPlan plan;
    OffsetMap newest;
    CleanedTransactions seen;
    /// Behind the last batch whose keys are in the map.
    Offset end{0};
    bool full = false;
    /// As they were when it began.
    std::vector<std::shared_ptr<Segment>> held;
    std::vector<uint64_t> sizes;
    /// The last data batch of each producer in what the first pass read.
    std::map<ProducerId, Offset> last_data;
    ActiveProducers producers;
    std::optional<BatchFilter> filter;
    GrowingBuffer out;
    bool changed = false;
    /// Of the segment that is being made.
    std::optional<HeadSummer> heads;
};

Task<> LogCleaner::run() {
    const Gate::Pass inside = home_.gate().enter();
    for (;;) {
        const bool goes_on = co_await home_.rest(home_.settings().cleaner_backoff);
        if (!goes_on) co_return;
        resting_.clear();
        bool more = home_.settings().cleaner_enabled;
        while (more && !home_.error() && !home_.gate().is_closed()) {
            more = co_await clean_dirtiest();
        }
    }
}

Task<bool> LogCleaner::clean_dirtiest() {
    LogParts* dirtiest = nullptr;
    CleaningPlan best;
    std::optional<uint64_t> chosen;
    size_t looked_at = 0;
    for (const uint64_t instance : home_.instances()) {
        if (++looked_at % kLogsInTurn == 0) {
            co_await home_.runtime().yield();
            dirtiest = chosen ? home_.find(*chosen) : nullptr;
        }
        LogParts* log = home_.find(instance);
        const bool moves = log != nullptr && (log->is_copy || log->moving != nullptr);
        if (log == nullptr || moves || !log->config.compacts || log->uncleanable) continue;
        if (!log->usable()) continue;
        std::vector<CleanerSegment> segments;
        const CleanerFacts facts = facts_of(*log, segments);
        const CleaningPlan plan = plan_cleaning(log->config, facts);
        const bool better = dirtiest == nullptr || plan.dirty_millionths > best.dirty_millionths;
        if (!plan.due || !better || resting_.contains(instance)) continue;
        dirtiest = log;
        chosen = instance;
        best = plan;
    }
    if (dirtiest == nullptr) co_return false;
    const Gate::Pass user = dirtiest->users.enter();
    if (!user) co_return false;
    const Status done = co_await clean(*dirtiest, best);
    if (done) co_return true;
    resting_.insert(dirtiest->identity.instance);
    const ErrorCode why = done.error().code;
    const bool may_get_better = why == ErrorCode::cancelled || why == ErrorCode::no_space ||
                                why == ErrorCode::offset_out_of_range;  // Retention was quicker.
    if (!may_get_better) dirtiest->uncleanable = done.error();
    co_return true;
}

Task<Status> LogCleaner::give_way(LogParts& log, size_t bytes) {
    co_await home_.runtime().yield();
    const uint64_t most = home_.settings().cleaner_bytes_per_second;
    if (bytes > 0 && most != std::numeric_limits<uint64_t>::max()) co_await slow_down(bytes);
    const bool ends =
        home_.error() || home_.gate().is_closed() || log.deleted || log.moving != nullptr;
    if (ends) co_return std::unexpected(given_up(log));
    co_return Status();
}

Task<> LogCleaner::slow_down(size_t bytes) {
    const uint64_t most = std::max<uint64_t>(home_.settings().cleaner_bytes_per_second, 1);
    const uint64_t microseconds = static_cast<uint64_t>(bytes) * 1'000'000 / most;
    static_cast<void>(co_await home_.rest(std::chrono::microseconds(microseconds)));
}

Task<Status> LogCleaner::clean(LogParts& log, CleaningPlan plan) {
    KeyHash secret;
    secret.high = home_.runtime().random();
    secret.low = home_.runtime().random();
    Cleaning cleaning(log, plan, OffsetMap(home_.settings().cleaner_map_bytes, secret));
    for (const auto& segment : cleaning.held) cleaning.sizes.push_back(segment->size());
    std::vector<CleanerSegment> segments;
    static_cast<void>(facts_of(log, segments));
    cleaning.end = plan.first_dirty;
    CO_TRY_STATUS(co_await log.remove_leftovers());
    CO_TRY_STATUS(co_await read_keys(cleaning));
    if (cleaning.end <= plan.first_dirty) {
        co_return fail(ErrorCode::no_space,
                       fmt::format("{}: the map is too small for one batch", log.identity.path));
    }
    cleaning.producers = active_producers(log, cleaning.end, cleaning.last_data);
    CleaningRules rules;
    rules.now = home_.runtime().wall_time();
    rules.delete_retention_ms = log.config.delete_retention_ms;
    rules.map_end = rules.end = cleaning.end;
    cleaning.filter.emplace(cleaning.newest, cleaning.producers, rules, home_.codecs());
    const std::vector<SegmentGroup> groups =
        group_segments(log.config, segments, cleaning.end, plan.first_uncleanable);
    for (const SegmentGroup& group : groups) CO_TRY_STATUS(co_await rewrite(cleaning, group));
    log.cleaned = cleaning.end;
    home_.note_dirty(log);
    co_return Status();
}

// First pass.

Task<Status> LogCleaner::read_keys(Cleaning& cleaning) {
    LogParts& log = cleaning.log;
    const size_t piece = home_.settings().cleaner_io_bytes;
    for (size_t i = log.segment_index(cleaning.plan.first_dirty); i < cleaning.held.size(); ++i) {
        const std::shared_ptr<Segment> segment = cleaning.held[i];
        if (segment->base() >= cleaning.plan.first_uncleanable || cleaning.full) break;
        const Offset upper = cleaning.held[i + 1]->base();
        CO_TRY(const auto aborted, co_await log.self->aborted_transactions(segment->base(), upper));
        cleaning.seen.add_aborted(segment->base(), aborted);
        SegmentReader reader(log, segment, cleaning.sizes[i], upper, piece);
        // To the segment's end, full or not: only there the reader knows that all of it was right.
        for (;;) {
            CO_TRY(const Buffer bytes, co_await reader.next());
            if (bytes.empty()) break;
            BatchCursor cursor(bytes.span());
            size_t turn = 0;
            while (!cleaning.full && cursor.next() == BatchStep::batch) {
                CO_TRY_STATUS(note_keys(cleaning, cursor.batch()));
                turn += cursor.batch().size();
                if (turn < kTurnBytes) continue;
                turn = 0;
                CO_TRY_STATUS(co_await give_way(log, 0));
            }
            CO_TRY_STATUS(co_await give_way(log, bytes.size()));
        }
        if (!cleaning.full) cleaning.end = std::max(cleaning.end, upper);
    }
    cleaning.end = std::min(cleaning.end, cleaning.plan.first_uncleanable);
    co_return Status();
}

Status LogCleaner::note_keys(Cleaning& cleaning, const BatchView& batch) {
    bool skipped = true;
    if (batch.is_control()) {
        static_cast<void>(cleaning.seen.may_discard(batch));
    } else {
        skipped = cleaning.seen.is_aborted(batch);
    }
    if (!skipped && batch.last_offset() >= cleaning.plan.first_dirty && batch.record_count() > 0) {
        TRY(const auto plain, home_.codecs().records_of(batch, kMostDecompressed));
        RecordIterator records(batch, plain);
        Record record;
        while (records.next(record)) {
            const Offset offset = batch.base_offset() + record.offset_delta;
            if (!record.key || offset < cleaning.plan.first_dirty) continue;
            if (cleaning.newest.put(*record.key, offset)) continue;
            // Its batch stays outside; a key that is in the map already was met again here.
            cleaning.full = true;
            return {};
        }
        TRY_STATUS(records.finish());
    }
    if (batch.has_producer() && !batch.is_control()) {
        cleaning.last_data[batch.producer_id()] = batch.last_offset();
    }
    cleaning.end = std::max(cleaning.end, batch.offset_end());
    return {};
}

// Second pass.

Task<Status> LogCleaner::rewrite(Cleaning& cleaning, SegmentGroup group) {
    LogParts& log = cleaning.log;
    const Offset base = cleaning.held[group.first]->base();
    auto fresh = std::make_shared<Segment>(home_.files(), log.identity.path, base, log.limits(),
                                           home_.runtime().wall_time(), &home_.open_files());
    fresh->set_extension(std::string(kCleanedSuffix));
    cleaning.heads.emplace(base);
    cleaning.changed = group.last - group.first > 1;
    Status written;
    for (size_t i = group.first; i < group.last && written; ++i) {
        const Offset from = cleaning.held[i]->base();
        const Offset upper = cleaning.held[i + 1]->base();
        const auto aborted = co_await log.self->aborted_transactions(from, upper);
        if (!aborted) co_return std::unexpected(aborted.error());
        cleaning.filter->transactions().add_aborted(from, *aborted);
        SegmentReader reader(log, cleaning.held[i], cleaning.held[i]->size(), upper,
                             home_.settings().cleaner_io_bytes);
        written = co_await copy(cleaning, std::move(reader), *fresh);
    }
    if (written) written = co_await write_out(cleaning, *fresh);
    if (written && cleaning.changed) {
        auto made = co_await fresh->file(true);
        if (!made) written = std::unexpected(made.error());
        if (written) written = co_await fresh->write_indexes();
        const bool synced_first = !home_.settings().faults.swap_before_sync;
        if (written && synced_first) written = co_await fresh->sync();
        if (written) written = co_await home_.files().sync_directory(log.identity.path);
        if (written) {
            const Status swapped = co_await swap_in(cleaning, group, fresh);
            if (swapped) co_return Status();
            written = swapped;
        }
    }
    cleaning.out.release();
    // A failed directory keeps what it has: its names are nobody's business any more.
    if (!home_.error()) CO_TRY_STATUS(co_await fresh->remove_files());
    co_return written;
}

Task<Status> LogCleaner::copy(Cleaning& cleaning, SegmentReader from, Segment& to) {
    const size_t piece = home_.settings().cleaner_io_bytes;
    for (;;) {
        CO_TRY(const Buffer bytes, co_await from.next());
        if (bytes.empty()) co_return Status();
        BatchCursor cursor(bytes.span());
        size_t turn = 0;
        while (cursor.next() == BatchStep::batch) {
            const size_t before = cleaning.out.size();
            CO_TRY_STATUS(cleaning.filter->filter(cursor.batch(), cleaning.out));
            const bool same = cleaning.out.size() - before == cursor.batch().size() &&
                              std::equal(cursor.batch().bytes().begin(),
                                         cursor.batch().bytes().end(),
                                         cleaning.out.data() + before);
            cleaning.changed = cleaning.changed || !same;
            for (const AbortedTransaction& kept : cleaning.filter->transactions().take_kept()) {
                to.note_aborted(kept);
            }
            if (cleaning.out.size() >= piece) CO_TRY_STATUS(co_await write_out(cleaning, to));
            turn += cursor.batch().size();
            if (turn < kTurnBytes) continue;
            turn = 0;
            CO_TRY_STATUS(co_await give_way(cleaning.log, 0));
        }
        CO_TRY_STATUS(co_await give_way(cleaning.log, bytes.size()));
    }
}

Task<Status> LogCleaner::write_out(Cleaning& cleaning, Segment& to) {
    if (cleaning.out.size() == 0) co_return Status();
    const size_t size = cleaning.out.size();
    const Buffer bytes = cleaning.out.take();
    const uint64_t position = to.size();
    BatchCursor cursor(bytes.span());
    while (cursor.next() == BatchStep::batch) {
        to.note_append(cursor.batch());
        cleaning.heads->note(cursor.batch());
    }
    Chain chain(bytes);
    CO_TRY_STATUS(co_await home_.take_space(disk_cost(size)));
    const Status written = co_await to.write(position, std::move(chain));
    home_.settled(disk_cost(size));
    CO_TRY_STATUS(written);
    co_return co_await give_way(cleaning.log, size);
}

bool LogCleaner::still_there(const Cleaning& cleaning, SegmentGroup group) {
    const LogParts& log = cleaning.log;
    if (!log.usable()) return false;
    for (size_t i = group.first; i < group.last; ++i) {
        const Segment& segment = *cleaning.held[i];
        if (!log.holds(segment) || segment.size() != cleaning.sizes[i]) return false;
        // The entry will say that everything that happened to it is synced, truncations too.
        if (segment.is_dirty()) return false;
    }
    const bool cut_waits = std::ranges::any_of(log.effects, [](const FileEffect& effect) {
        return effect.kind == FileEffect::Kind::truncate;
    });
    if (cut_waits) return false;
    // Closed and synced still: nobody has truncated the log down to here.
    return log.segments.back()->base() > cleaning.held[group.last - 1]->base() &&
           cleaning.held[group.last]->base() <= log.synced_end;
}

Task<Status> LogCleaner::swap_in(Cleaning& cleaning,
                                 SegmentGroup group,
                                 std::shared_ptr<Segment> fresh) {
    LogParts& log = cleaning.log;
    // Their readers need them still when other files have the names.
    std::vector<IndexPin> pins;
    for (size_t i = group.first; i < group.last; ++i) {
        CO_TRY(IndexPin pin, co_await log.ensure_indexes(cleaning.held[i]));
        pins.push_back(std::move(pin));
    }
    CO_TRY_STATUS(co_await log.shape.take(1));
    Status done = co_await log.lane.take(1);
    if (done) {
        done = co_await put_in_place(cleaning, group, std::move(fresh));
        log.lane.give_back(1);
    }
    log.shape.give_back(1);
    co_return done;
}

/// Without them the scrubber makes them, and knows less.
Task<> LogCleaner::write_sums(Cleaning& cleaning, Segment& fresh) {
    SegmentSums sums;
    sums.reign = home_.reign();
    sums.base = fresh.base();
    sums.log_bytes = fresh.size();
    sums.has_gaps = cleaning.heads->has_gaps();
    sums.first_crc = cleaning.heads->first_crc();
    sums.chunks = cleaning.heads->finish();
    sums.offsets = sum_of(fresh.offset_index().bytes().span());
    sums.times = sum_of(fresh.time_index().bytes().span());
    sums.transactions = sum_of(fresh.transaction_index().bytes().span());
    if (sums.log_bytes == 0) co_return;
    const std::string path = cleaning.log.sums_path(fresh);
    const Status written = co_await write_file(home_.files(), path, sums_bytes(sums));
    if (!written) co_return;
    cleaning.log.names_changed = true;
    if (sums.has_gaps) fresh.take_sums(std::make_shared<const SegmentSums>(std::move(sums)));
}

Task<Status> LogCleaner::put_in_place(Cleaning& cleaning,
                                      SegmentGroup group,
                                      std::shared_ptr<Segment> fresh) {
    LogParts& log = cleaning.log;
    if (log.moving != nullptr || !still_there(cleaning, group))
        co_return std::unexpected(given_up(log));
    JournalGroup& entry =
        log.journal_entry(EntryKind::replaced, cleaning.held[group.last]->base());
    log.mark(entry);
    log.swapping = true;
    CO_TRY_STATUS(co_await home_.journal().wait_durable(entry.sequence));
    const auto first = cleaning.held.begin() + static_cast<ptrdiff_t>(group.first);
    const auto last = cleaning.held.begin() + static_cast<ptrdiff_t>(group.last);
    auto swapping = swap_segments(home_.files(), log.identity.path, {first, last}, fresh);
    const Status swapped = co_await std::move(swapping);
    if (!swapped) {
        // Half done: only a start can tell what is where.
        home_.fail_with(swapped.error());
        co_return swapped;
    }
    // Before anybody reads it: what it was made of can be compared with nothing any more.
    co_await write_sums(cleaning, *fresh);
    const Status replaced = co_await log.replace_segments({first, last}, fresh);
    if (!replaced) {
        // Its files are the log's now: whoever called must not remove them.
        home_.fail_with(replaced.error());
        co_return replaced;
    }
    log.swapping = false;
    log.keep_indexes(*fresh);
    ++swaps_;
    home_.journal().effect_done(entry);
    co_return Status();
}

}  // namespace ottla::storage
