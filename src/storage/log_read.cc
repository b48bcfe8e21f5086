// SPDX-License-Identifier: Apache-2.0
// How a log is read: from the hot tail at once, from segment files otherwise, and by timestamp.
#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "records/records.h"
#include "storage/cold_read.h"
#include "storage/log_parts.h"
#include "storage/shard_directory.h"

namespace ottla::storage {
namespace {

constexpr size_t kScanBytes = 1024UZ * 1024;
constexpr size_t kMostDecompressed = 256UZ * 1024 * 1024;
/// Truncations under one read_committed; there is one at a time, by a replica that is told to.
constexpr int kMostLooks = 16;
constexpr Duration kPlantedDelay = std::chrono::milliseconds(20);

}  // namespace

Result<LogSlice> Log::read(Offset from, size_t max_bytes, Offset upper, bool at_least_one) const {
    const LogParts& log = *parts_;
    TRY_STATUS(log.usable());
    if (from < log.log_start || from > log.log_end) {
        return fail(ErrorCode::offset_out_of_range,
                    fmt::format("{}: {} is not in [{}, {}]", path(), from.value(),
                                log.log_start.value(), log.log_end.value()));
    }
    LogSlice slice;
    slice.next = from;
    if (from == log.log_end || from >= upper) return slice;
    const LogTail& tail = log.tail;
    if (tail.empty() || from < tail.front().base) {
        return fail(ErrorCode::would_block, "not in memory");
    }
    const uint64_t first = tail.find(from);
    uint64_t number = first;
    size_t bytes = 0;
    for (; number < tail.end() && tail.at(number).last < upper; ++number) {
        const bool fits = bytes + tail.at(number).bytes <= max_bytes;
        if (!fits && !(at_least_one && number == first)) {
            slice.first_too_large = number == first;
            break;
        }
        bytes += tail.at(number).bytes;
        slice.next = tail.at(number).last + 1;
    }
    slice.bytes = tail.gather(first, number);
    return slice;
}

uint64_t LogParts::readable_end(const Segment& segment) const {
    if (flush_cursor == tail.end()) return segment.size();
    const TailBatch& next = tail.at(flush_cursor);
    if (segment.base() < next.segment_base) return segment.size();
    return segment.base() == next.segment_base ? next.position : 0;
}

Task<Result<LogSlice>> Log::read_cold(Offset from,
                                      size_t max_bytes,
                                      Offset upper,
                                      bool at_least_one) {
    const Gate::Pass pass = parts_->users.enter();
    ColdRead reading(*parts_, {from, upper, max_bytes, at_least_one});
    auto answer = co_await reading.run();
    if (!answer) reading.tell_of(answer.error());
    co_return answer;
}

Task<Result<std::vector<AbortedTransaction>>> Log::aborted_transactions(Offset from, Offset to) {
    LogParts& log = *parts_;
    CO_TRY_STATUS(log.usable());
    const Gate::Pass pass = log.users.enter();
    std::vector<AbortedTransaction> found;
    // A copy: segments come and go while indexes are read.
    const std::vector<std::shared_ptr<Segment>> held(
        log.segments.begin() + static_cast<ptrdiff_t>(log.segment_index(from)), log.segments.end());
    for (const std::shared_ptr<Segment>& segment : held) {
        const auto indexes = co_await log.ensure_indexes(segment);
        // Cut off meanwhile, and what ended there with it. What retention took is an error: who asks
        // has its records already.
        if (!indexes && !log.holds(*segment) && segment->base() >= log.log_end) break;
        if (!indexes) co_return std::unexpected(indexes.error());
        if (!indexes->transactions().collect(from, to, found)) break;
    }
    std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
        return std::tie(a.first, a.last) < std::tie(b.first, b.last);
    });
    co_return found;
}

Task<Result<CommittedSlice>> Log::read_committed(Offset from,
                                                 size_t max_bytes,
                                                 Offset upper,
                                                 bool at_least_one) {
    for (int looks = 1;; ++looks) {
        LogParts& log = *parts_;
        const Gate::Pass pass = log.users.enter();
        auto records = read(from, max_bytes, upper, at_least_one);
        if (!records && records.error().code == ErrorCode::would_block) {
            records = co_await read_cold(from, max_bytes, upper, at_least_one);
        }
        if (!records) co_return std::unexpected(records.error());
        if (records->bytes.empty()) co_return CommittedSlice{*std::move(records), {}};
        // Nobody ran since the read looked at the log's generation, and nobody runs before the list
        // holds its segments: they are the same. A swap or retention does not hurt it from here on, a
        // truncation takes entries out of them.
        const uint64_t generation = log.generation;
        const uint64_t cuts = log.cuts;
        if (log.home.settings().faults.list_aborted_later) {
            static_cast<void>(co_await log.home.runtime().sleep_for(kPlantedDelay));
        }
        auto aborted = co_await aborted_transactions(from, records->next);
        // Its copy in another directory may have taken its place: that one counts for itself.
        const bool moved = parts_.get() != &log;
        if (aborted && cuts == log.cuts && !moved) {
            co_return CommittedSlice{*std::move(records), *std::move(aborted)};
        }
        const bool overtaken = (moved || generation != log.generation) && looks < kMostLooks;
        if (overtaken) continue;
        if (!aborted) co_return std::unexpected(aborted.error());
        co_return fail(ErrorCode::kafka_storage_error,
                       fmt::format("{} is truncated again and again", path()));
    }
}

Task<Result<LogSlice>> LogParts::read_any(Offset from, size_t max_bytes) {
    auto warm = self->read(from, max_bytes, log_end, true);
    if (warm || warm.error().code != ErrorCode::would_block) co_return warm;
    co_return co_await self->read_cold(from, max_bytes, log_end, true);
}

Task<Status> LogParts::visit_batches(Offset from, BatchVisitor& visitor) {
    co_return co_await visit_batches(from, log_end, visitor);
}

Task<Status> LogParts::visit_batches(Offset from, Offset end, BatchVisitor& visitor) {
    while (from < end) {
        const auto slice = co_await read_any(from, kScanBytes);
        if (!slice && slice.error().code == ErrorCode::corrupt && behind_damage(from) > from) {
            from = behind_damage(from);
            continue;
        }
        if (!slice) co_return std::unexpected(slice.error());
        if (slice->bytes.empty()) co_return Status();
        for (const Buffer& piece : slice->bytes.pieces()) {
            BatchCursor cursor(piece.span());
            while (cursor.next() == BatchStep::batch) visitor.visit(cursor.batch(), 0);
        }
        from = slice->next;
    }
    co_return Status();
}

namespace {

/// Stops at the first batch that holds an offset.
class FindBatch final : public BatchVisitor {
public:
    explicit FindBatch(Offset offset) : offset_(offset) {}
    void visit(const BatchView& batch, uint64_t position) override {
        if (found || batch.last_offset() < offset_) return;
        found = true;
        base = batch.base_offset();
        at = position;
    }
    bool found = false;
    Offset base{0};
    uint64_t at = 0;

private:
    Offset offset_;
};

/// The first record of `batch` at or after `at` whose offset is not below `log_start`.
Result<std::optional<TimestampedOffset>> first_record_at(const BatchView& batch,
                                                         WallTime at,
                                                         Offset log_start,
                                                         Codecs& codecs) {
    TRY(const auto plain, codecs.records_of(batch, kMostDecompressed));
    RecordIterator records(batch, plain);
    Record record;
    while (records.next(record)) {
        const Offset offset = batch.base_offset() + record.offset_delta;
        if (record.timestamp >= at && offset >= log_start) {
            return TimestampedOffset{record.timestamp, offset, batch.leader_epoch()};
        }
    }
    TRY_STATUS(records.finish());
    return std::nullopt;
}

}  // namespace

Task<Result<LogParts::Place>> LogParts::locate(Offset offset) {
    if (!tail.empty() && offset >= tail.front().base) {
        const TailBatch& batch = tail.at(tail.find(offset));
        co_return Place{segments[segment_index(batch.segment_base)], batch.position, batch.base};
    }
    // A copy: retention may take segments away meanwhile.
    const std::vector<std::shared_ptr<Segment>> held(
        segments.begin() + static_cast<ptrdiff_t>(segment_index(offset)), segments.end());
    for (const std::shared_ptr<Segment>& segment : held) {
        // From the first unflushed batch on all is in memory, and perhaps no file is there; of that
        // batch a part may be written, as far as its blocks go.
        const bool flushed = flush_cursor == tail.end() ||
                             segment->base() <= tail.at(flush_cursor).segment_base;
        if (!flushed || readable_end(*segment) == 0) continue;
        uint64_t from = 0;
        if (segment == held.front()) {
            CO_TRY(const IndexPin indexes, co_await ensure_indexes(segment));
            from = indexes.offsets().lookup(offset).position;
        }
        const uint64_t sound = readable_end(*segment);
        FindBatch finder(offset);
        CO_TRY(const SegmentEnd end, co_await segment->walk(from, BatchCursor::Crc::check, finder));
        // Who cuts at a place that damage told of may cut away what is sound.
        const bool hurt = end.damage && end.position < sound;
        if (!finder.found && hurt) co_return std::unexpected(*end.damage);
        if (finder.found) co_return Place{segment, finder.at, finder.base};
    }
    // The cleaner left none in the files; perhaps one is only in memory yet.
    const uint64_t number = tail.find(offset);
    if (number == tail.end()) co_return Place{segments.back(), segments.back()->size(), log_end};
    const TailBatch& batch = tail.at(number);
    co_return Place{segments[segment_index(batch.segment_base)], batch.position, batch.base};
}

Task<Result<std::optional<TimestampedOffset>>> Log::offset_for_timestamp(WallTime at) {
    LogParts& log = *parts_;
    CO_TRY_STATUS(log.usable());
    const Gate::Pass pass = log.users.enter();
    Offset from = log.log_start;
    const auto segment = std::find_if(log.segments.begin(), log.segments.end(),
                                      [at](const auto& one) { return one->max_timestamp() >= at; });
    if (segment != log.segments.end()) {
        const std::shared_ptr<Segment> held = *segment;
        const auto indexes = co_await log.ensure_indexes(held);
        if (indexes) {
            const Offset not_before = indexes->times().lookup(at).offset;
            from = std::max(from, indexes->offsets().lookup(not_before).offset);
        } else if (log.holds(*held)) {
            co_return std::unexpected(indexes.error());
        }
        // Else retention took it: from where the log begins now.
        from = std::max(from, log.log_start);
    }
    while (from < log.log_end) {
        CO_TRY(const LogSlice slice, co_await log.read_any(from, kScanBytes));
        for (const Buffer& piece : slice.bytes.pieces()) {
            BatchCursor cursor(piece.span());
            while (cursor.next() == BatchStep::batch) {
                if (cursor.batch().max_timestamp() < at) continue;
                CO_TRY(const auto found,
                       first_record_at(cursor.batch(), at, log.log_start, log.home.codecs()));
                if (found) co_return found;
            }
        }
        if (slice.bytes.empty()) break;
        from = slice.next;
    }
    co_return std::nullopt;
}

Task<Result<std::optional<TimestampedOffset>>> Log::max_timestamp() {
    WallTime largest = kNoTimestamp;
    for (const auto& segment : parts_->segments) {
        largest = std::max(largest, segment->max_timestamp());
    }
    if (largest == kNoTimestamp) co_return std::nullopt;
    co_return co_await offset_for_timestamp(largest);
}

}  // namespace ottla::storage
