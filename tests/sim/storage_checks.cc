// SPDX-License-Identifier: Apache-2.0
// What a LogDriver reads, and holds against the model.
#include <fmt/format.h>

#include <algorithm>

#include "records/control.h"
#include "records/records.h"
#include "tests/sim/storage_driver.h"
#include "tests/sim/transaction_model.h"

namespace ottla::sim {

namespace {

constexpr size_t kWholeReadBytes = 20'000;

BatchFact::Kind kind_of(const BatchView& batch) {
    if (!batch.is_transactional()) return BatchFact::Kind::plain;
    if (!batch.is_control()) return BatchFact::Kind::transactional;
    RecordIterator records(batch, batch.payload());
    Record record;
    // A cleaning may leave a marker without its record, when nothing of its transaction is left.
    if (batch.record_count() == 0 || !records.next(record)) return BatchFact::Kind::commit;
    const auto control = parse_control(record);
    const bool aborted = control && control->type == ControlType::abort;
    return aborted ? BatchFact::Kind::abort : BatchFact::Kind::commit;
}

}  // namespace

BatchFact LogDriver::fact_of(const BatchView& batch, Offset base) const {
    const auto covered = batch.bytes().subspan(batch_layout::kAttributes);
    BatchFact fact{.base = base,
                   .records = batch.last_offset_delta() + 1,
                   .content = hash_of(covered),
                   .producer = batch.producer_id(),
                   .sequence = batch.base_sequence(),
                   .kind = kind_of(batch)};
    if (!tested_.config.compacts || batch.is_control()) return fact;
    RecordIterator records(batch, batch.payload());
    Record record;
    while (records.next(record)) {
        RecordFact one{.offset = base + record.offset_delta};
        if (record.key) one.key = hash_of(*record.key);
        one.tombstone = !record.value.has_value();
        if (record.value) one.content = hash_of(*record.value);
        fact.keyed.push_back(one);
    }
    return fact;
}

Task<Result<LogState>> LogDriver::read_all() {
    LogState found{.exists = true,
                   .start = log_->log_start(),
                   .end = log_->log_end(),
                   .batches = {}};
    read_epochs_.clear();
    read_dropped_.clear();
    read_times_.clear();
    Offset at = found.start;
    while (at < found.end) {
        auto reading = log_->read_committed(at, kWholeReadBytes, found.end, true);
        CO_TRY(const storage::CommittedSlice slice, co_await std::move(reading));
        const Buffer bytes = slice.records.bytes.flatten();
        BatchCursor cursor(bytes.span(), BatchCursor::Crc::check);
        BatchStep step = cursor.next();
        const auto before = static_cast<ptrdiff_t>(found.batches.size());
        for (; step == BatchStep::batch; step = cursor.next()) {
            found.batches.push_back(fact_of(cursor.batch(), cursor.batch().base_offset()));
            const bool empty = cursor.batch().record_count() == 0;
            read_times_.push_back(empty ? kNoTimestamp : cursor.batch().max_timestamp());
            read_epochs_.push_back({cursor.batch().leader_epoch(), cursor.batch().base_offset()});
        }
        if (step != BatchStep::end) {
            // A reader is told by the checksum, as Kafka's readers are.
            co_return fail(ErrorCode::corrupt, fmt::format("{}: {}", log_->path(),
                                                           "the checksum of a batch is wrong"));
        }
        // As a consumer does it: each answer with the list that came with it.
        const std::span answer(found.batches.begin() + before, found.batches.end());
        read_dropped_.merge(dropped_by_index(answer, slice.aborted));
        // A cleaner may have left nothing up to the end.
        if (bytes.empty() && tested_.config.compacts) break;
        if (slice.records.next <= at)
            co_return fail(ErrorCode::corrupt, "a read that goes nowhere");
        at = slice.records.next;
    }
    co_return found;
}

void LogDriver::note_found(const LogState& found) const {
    if (!world_.world.verbose()) return;
    static constexpr std::array kWords = {"", " in a transaction", " commits", " aborts"};
    std::string text = fmt::format("{}: found {}:", tested_.name, found.describe());
    for (const BatchFact& batch : found.batches) {
        text += fmt::format(" {}..{} of {}{};", batch.base.value(), batch.end().value(),
                            batch.producer.value(), kWords[static_cast<size_t>(batch.kind)]);
    }
    world_.world.note(text);
}

Task<Status> LogDriver::check_recovered() {
    LogState found;
    if (log_ != nullptr) {
        auto whole = co_await read_all();
        while (!whole && was_overtaken(whole.error())) whole = co_await read_all();
        if (!whole && world_.is_hurt(log_->path())) co_return co_await check_around_damage();
        if (!whole) co_return std::unexpected(whole.error());
        found = *std::move(whole);
    }
    note_found(found);
    tested_.truncated = false;
    const auto wrong = tested_.model.recovered(found);
    if (wrong) failed("after a start: " + *wrong);
    if (wrong || log_ == nullptr) co_return Status{};
    if (tested_.is_retained()) tested_.model.start_may_reach(log_->noted_high_watermark());
    follow_retention();
    check_epochs();
    check_stable_end();
    check_transactions(found);
    if (world_.damaged) co_return co_await check_lookups(found);
    co_return Status{};
}

/// What the log tells followers of its epochs is what its batches say.
void LogDriver::check_epochs() {
    for (const storage::EpochStart& batch : read_epochs_) {
        const LeaderEpoch told = log_->epoch_at(batch.start);
        // Retention goes on meanwhile.
        if (told == batch.epoch || batch.start < log_->log_start()) continue;
        return failed(fmt::format("the batch at {} has leader epoch {}, the log says {}",
                                  batch.start.value(), batch.epoch.value(), told.value()));
    }
}

void LogDriver::check_stable_end() {
    const Offset high_watermark = log_->noted_high_watermark();
    StableEnd wanted = stable_end(tested_.model.now(), high_watermark);
    // A cleaner may have taken everything of a transaction whose marker a start calls unreplicated.
    if (tested_.config.compacts) wanted.highest = high_watermark;
    const Offset stable = log_->last_stable_offset();
    if (stable >= wanted.lowest && stable <= wanted.highest) return;
    failed(fmt::format("the last stable offset is {}, the records say {} to {} (high watermark {})",
                       stable.value(), wanted.lowest.value(), wanted.highest.value(),
                       high_watermark.value()));
}

/// The same batches are for a read_committed reader, whether it asks the index or the markers.
void LogDriver::check_transactions(const LogState& found) {
    const LogState& wanted = tested_.model.now();
    if (tested_.config.compacts) {
        const auto wrong = wanted.cannot_become(found);
        if (wrong) failed("compacted: " + *wrong);
        if (table_of(found, read_dropped_) !=
            table_of(wanted, dropped_by_markers(wanted.batches))) {
            failed("a read_committed consumer makes another table than was written");
        }
        return;
    }
    const std::set<Offset> by_markers = dropped_by_markers(wanted.batches);
    for (const BatchFact& batch : found.batches) {
        const bool dropped = read_dropped_.contains(batch.base);
        if (dropped == by_markers.contains(batch.base)) continue;
        failed(fmt::format("the batch at {} of producer {} is {}aborted, says the index",
                           batch.base.value(), batch.producer.value(), dropped ? "" : "not "));
        return;
    }
}

Task<> LogDriver::read_as_consumer() {
    check_stable_end();
    const auto found = co_await read_all();
    if (!found) {
        if (!was_overtaken(found.error())) is_fatal(found.error(), "read");
        co_return;
    }
    follow_retention();
    LogState readable = *found;
    readable.start = std::max(readable.start, tested_.model.now().start);
    if (!tested_.config.compacts && !tested_.model.now().reads_like(readable)) {
        failed(fmt::format("read {} where {} is", readable.describe(),
                           tested_.model.now().describe()));
        co_return;
    }
    check_transactions(readable);
}

Task<> LogDriver::read_something() {
    const LogState& now = tested_.model.now();
    const uint64_t span = static_cast<uint64_t>(now.end - now.start);
    const Offset from = now.start + static_cast<int64_t>(tested_.random.between(0, span));
    const size_t most = tested_.random.between(1, 9000);
    std::map<Offset, BatchFact> written;
    for (auto batch = now.batches.rbegin(); batch != now.batches.rend(); ++batch) {
        if (batch->end() <= from) break;
        written.emplace(batch->base, *batch);
    }
    auto slice = log_->read(from, most, now.end, true);
    if (!slice && slice.error().code == ErrorCode::would_block) {
        slice = co_await log_->read_cold(from, most, now.end, true);
    }
    if (!slice) {
        if (!was_overtaken(slice.error())) is_fatal(slice.error(), "read");
        co_return;
    }
    const Buffer bytes = slice->bytes.flatten();
    BatchCursor cursor(bytes.span(), BatchCursor::Crc::check);
    auto expected = written.begin();
    const bool cleaned = tested_.config.compacts;
    if (bytes.empty() && expected != written.end() && !cleaned) {
        failed(fmt::format("nothing at {} of {}", from.value(), now.describe()));
    }
    for (BatchStep step = cursor.next(); step == BatchStep::batch; step = cursor.next()) {
        const BatchFact fact = fact_of(cursor.batch(), cursor.batch().base_offset());
        const auto known = cleaned ? written.find(fact.base) : expected;
        const bool right = known != written.end() &&
                           (fact == known->second ||
                            (cleaned && std::ranges::includes(known->second.keyed, fact.keyed, {},
                                                              &RecordFact::offset,
                                                              &RecordFact::offset)));
        if (!right) {
            failed(fmt::format("read another batch at {} than was written", fact.base.value()));
            co_return;
        }
        if (!cleaned) ++expected;
    }
}

}  // namespace ottla::sim
