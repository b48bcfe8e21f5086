// SPDX-License-Identifier: Apache-2.0
// How a log is read: from the hot tail at once, from segment files otherwise, and by timestamp.
#include <fmt/format.h>

#include <algorithm>

#include "records/records.h"
#include "storage/log_parts.h"
#include "storage/shard_directory.h"

namespace ottla::storage {
namespace {

/// One read of a segment file; more when a single batch is larger.
constexpr size_t kLeastRead = 64UZ * 1024;
constexpr size_t kMostRead = 8UZ * 1024 * 1024;
constexpr size_t kScanBytes = 1024UZ * 1024;
constexpr size_t kMostDecompressed = 256UZ * 1024 * 1024;

/// What one piece of a segment file has for a reader.
struct Piece {
    size_t begin = 0;  ///< of the wanted batches in the piece
    size_t end = 0;
    Offset next{0};
    bool found = false;      ///< a batch at or behind `from` begins in the piece
    bool stopped = false;    ///< by max_bytes or `upper`, not by the end of the piece
    bool too_large = false;  ///< ... by max_bytes
    size_t needed =
        0;  ///< the first wanted batch is cut: its whole size, 0 if not even that is known
    size_t skipped_end = 0;  ///< where the batches before `from` end
};

struct Wanted {
    Offset from{0};
    Offset upper{0};
    size_t max_bytes = 0;
    bool at_least_one = false;
};

Result<Piece> pick_batches(std::span<const std::byte> bytes, const Wanted& wanted) {
    Piece piece;
    piece.next = wanted.from;
    BatchCursor cursor(bytes);
    BatchStep step = cursor.next();
    for (; step == BatchStep::batch; step = cursor.next()) {
        const BatchView& batch = cursor.batch();
        const size_t end = cursor.position() + batch.size();
        if (batch.last_offset() < wanted.from) {
            piece.skipped_end = piece.begin = piece.end = end;
            continue;
        }
        const bool forced = wanted.at_least_one && !piece.found;
        piece.found = true;
        const bool fits = end - piece.begin <= wanted.max_bytes || forced;
        if (batch.last_offset() >= wanted.upper || !fits) {
            piece.stopped = true;
            piece.too_large = !fits;
            return piece;
        }
        piece.end = end;
        piece.next = batch.offset_end();
    }
    if (step == BatchStep::corrupt) return std::unexpected(cursor.error());
    const auto rest = bytes.subspan(piece.end);
    if (step == BatchStep::torn && !piece.found && rest.size() >= kBatchPrefixBytes) {
        const auto length = load_be<int32_t>(rest.data() + batch_layout::kLength);
        piece.needed = kBatchPrefixBytes + static_cast<size_t>(length);
    }
    return piece;
}

/// `whole`: as many bytes came as were asked for.
Result<Piece> checked(Result<Piece> piece, bool whole, const std::string& path, uint64_t position) {
    if (piece && (whole || piece->found)) return piece;
    const std::string why = piece ? "shorter than its index says" : piece.error().detail;
    return fail(ErrorCode::corrupt, fmt::format("{} at {}: {}", path, position, why));
}

LogSlice slice_of(const Buffer& bytes, const Piece& piece, const Wanted& wanted) {
    LogSlice slice;
    slice.next = piece.next;
    slice.first_too_large = piece.stopped && piece.end == piece.begin && piece.too_large;
    slice.bytes.append(bytes.slice(piece.begin, piece.end - piece.begin));
    if (slice.bytes.empty()) slice.next = wanted.from;
    return slice;
}

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

Task<Status> LogParts::ensure_indexes(std::shared_ptr<Segment> segment) {
    if (!segment->has_indexes()) CO_TRY_STATUS(co_await segment->load_indexes());
    co_return Status();
}

uint64_t LogParts::readable_end(const Segment& segment) const {
    const bool flushing =
        flush_cursor < tail.end() && tail.at(flush_cursor).segment_base == segment.base();
    return flushing ? tail.at(flush_cursor).position : segment.size();
}

Task<Result<LogSlice>> Log::read_cold(Offset from,
                                      size_t max_bytes,
                                      Offset upper,
                                      bool at_least_one) {
    LogParts& log = *parts_;
    const Gate::Pass pass = log.users.enter();
    const Wanted wanted{from, upper, max_bytes, at_least_one};
    std::optional<uint64_t> position;
    size_t index = 0;
    uint64_t generation = log.generation;
    size_t piece_bytes = std::clamp(max_bytes, kLeastRead, kMostRead) + kLeastRead;
    for (;;) {
        // Another look at everything: memory may have caught up, a truncation may have happened.
        auto warm = read(from, max_bytes, upper, at_least_one);
        if (warm || warm.error().code != ErrorCode::would_block) co_return warm;
        if (!position || generation != log.generation) {
            generation = log.generation;
            index = log.segment_index(from);
            CO_TRY_STATUS(co_await LogParts::ensure_indexes(log.segments[index]));
            if (generation != log.generation) continue;
            position = log.segments[index]->offset_index().lookup(from).position;
        }
        const std::shared_ptr<Segment> segment = log.segments[index];
        const uint64_t end = log.readable_end(*segment);
        if (*position >= end) {
            if (index + 1 == log.segments.size()) {
                // The cleaner may have left nothing between `from` and the tail.
                const uint64_t number = log.tail.find(from);
                if (number == log.tail.end()) co_return LogSlice{{}, from, false};
                co_return read(log.tail.at(number).base, max_bytes, upper, at_least_one);
            }
            ++index;
            position = 0;
            continue;
        }
        const size_t length = std::min<uint64_t>(piece_bytes, end - *position);
        auto bytes = co_await segment->read(*position, length);
        if (generation != log.generation) continue;
        if (!bytes) co_return fail(ErrorCode::kafka_storage_error, bytes.error().detail);
        CO_TRY(const Piece piece, checked(pick_batches(bytes->span(), wanted),
                                          bytes->size() == length, segment->log_path(), *position));
        if (piece.found) co_return slice_of(*bytes, piece, wanted);
        if (piece.needed > max_bytes && !at_least_one && piece.skipped_end == 0) {
            co_return LogSlice{{}, from, true};
        }
        // Only batches before `from`, or the wanted one is cut: on from there, with room for it.
        *position += piece.skipped_end;
        if (piece.skipped_end == 0) piece_bytes = std::max(piece.needed, piece_bytes * 2);
    }
}

Task<Result<LogSlice>> LogParts::read_any(Offset from, size_t max_bytes) {
    auto warm = self->read(from, max_bytes, log_end, true);
    if (warm || warm.error().code != ErrorCode::would_block) co_return warm;
    co_return co_await self->read_cold(from, max_bytes, log_end, true);
}

Task<Status> LogParts::visit_batches(Offset from, BatchVisitor& visitor) {
    while (from < log_end) {
        CO_TRY(const LogSlice slice, co_await read_any(from, kScanBytes));
        if (slice.bytes.empty()) co_return Status();
        for (const Buffer& piece : slice.bytes.pieces()) {
            BatchCursor cursor(piece.span());
            while (cursor.next() == BatchStep::batch) visitor.visit(cursor.batch(), 0);
        }
        from = slice.next;
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
        uint64_t from = 0;
        if (segment == held.front()) {
            CO_TRY_STATUS(co_await ensure_indexes(segment));
            from = segment->offset_index().lookup(offset).position;
        }
        FindBatch finder(offset);
        CO_TRY([[maybe_unused]] auto end,
               co_await segment->walk(from, BatchCursor::Crc::skip, finder));
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
        CO_TRY_STATUS(co_await LogParts::ensure_indexes(held));
        const Offset not_before = held->time_index().lookup(at).offset;
        from = std::max(from, held->offset_index().lookup(not_before).offset);
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
