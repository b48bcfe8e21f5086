// SPDX-License-Identifier: Apache-2.0
#include "storage/segment.h"

#include <fmt/format.h>

#include <algorithm>

#include "storage/atomic_file.h"
#include "storage/file_names.h"
#include "storage/piece_check.h"

namespace ottla::storage {
namespace {

constexpr size_t kWalkPiece = 1024UZ * 1024;
/// From here on a read takes whole blocks.
constexpr size_t kLeastBlocks = 64UZ * 1024;
/// What a shard copies out of the page cache itself; more of it is for the I/O threads.
constexpr size_t kMostInline = 256UZ * 1024;

/// Memory for a read. A large one takes whole blocks of the file into aligned memory, so that it can go
/// past the page cache.
struct ReadPlace {
    BlockRef block;
    size_t begin = 0;  ///< in the block, of what was asked for
    size_t lead = 0;   ///< before it, up to where a block of the file begins
    size_t whole = 0;  ///< with what comes before and behind
};

ReadPlace place_for(FileSystem& files, uint64_t position, size_t length) {
    ReadPlace place;
    place.whole = length;
    if (length < kLeastBlocks) {
        place.block = make_block(length);
        return place;
    }
    place.lead = position % kDirectAlignment;
    const size_t over = (place.lead + length) % kDirectAlignment;
    place.whole += place.lead + (over == 0 ? 0 : kDirectAlignment - over);
    // Aligned by hand: glibc maps and unmaps an aligned block of this size each time, 250 page faults.
    place.block = files.read_block(place.whole + kDirectAlignment);
    const size_t misaligned = reinterpret_cast<uintptr_t>(place.block->data()) % kDirectAlignment;
    place.begin = place.lead + (misaligned == 0 ? 0 : kDirectAlignment - misaligned);
    return place;
}

}  // namespace

Segment::Segment(FileSystem& files,
                 std::string directory,
                 Offset base,
                 SegmentLimits limits,
                 WallTime created,
                 OpenFiles* open_files)
    : files_(files),
      directory_(std::move(directory)),
      base_(base),
      limits_(limits),
      created_(created),
      offsets_(base, limits.index_bytes),
      times_(base, limits.index_bytes),
      offset_of_max_timestamp_(base),
      file_(open_files) {}

std::string Segment::path(std::string_view suffix) const {
    return join_path(directory_, offset_file_name(base_, suffix)) + extension_;
}
std::string Segment::log_path() const { return path(kLogSuffix); }

/// Each covers more than an interval, but for a final one of the times.
uint64_t Segment::most_index_entries() const {
    const auto interval = static_cast<uint64_t>(std::max<int64_t>(limits_.index_interval_bytes, 1));
    return size_ / interval + 1;
}
uint64_t Segment::offset_index_bytes() const {
    const uint64_t dropped = in_files_.offsets > 0 ? in_files_.offsets : most_index_entries();
    return (indexes_loaded_ ? offsets_.size() : dropped) * OffsetIndex::kEntryBytes;
}
uint64_t Segment::time_index_bytes() const {
    const uint64_t dropped = in_files_.times > 0 ? in_files_.times : most_index_entries();
    return (indexes_loaded_ ? times_.size() : dropped) * TimeIndex::kEntryBytes;
}
void Segment::trim_indexes() {
    offsets_.trim();
    times_.trim();
    transactions_.trim();
}
size_t Segment::index_bytes() const {
    const size_t of_sums =
        sums_ == nullptr ? 0 : sizeof(SegmentSums) + sums_->chunks.size() * sizeof(HeadChunk);
    return offsets_.memory_bytes() + times_.memory_bytes() + transactions_.memory_bytes() + of_sums;
}

void Segment::note_append(const BatchView& batch) {
    CHECK(indexes_loaded_, "a segment whose indexes are dropped does not grow");
    if (!first_timestamp_) first_timestamp_ = batch.max_timestamp();
    if (batch.max_timestamp() > max_timestamp_) {
        max_timestamp_ = batch.max_timestamp();
        offset_of_max_timestamp_ = batch.last_offset();
    }
    if (bytes_since_index_entry_ > limits_.index_interval_bytes) {
        offsets_.append(batch.last_offset(), size_);
        times_.maybe_append(max_timestamp_, offset_of_max_timestamp_);
        bytes_since_index_entry_ = 0;
    }
    bytes_since_index_entry_ += static_cast<int64_t>(batch.size());
    size_ += batch.size();
    finished_ = false;
}

void Segment::note_found(const BatchView& batch, uint64_t position) {
    CHECK(position >= size_, "batches are found in order");
    size_ = position;
    note_append(batch);
}

bool Segment::must_roll(size_t bytes, Offset last, WallTime timestamp, WallTime now) const {
    if (static_cast<int64_t>(size_) > limits_.segment_bytes - static_cast<int64_t>(bytes)) {
        return size_ > 0;
    }
    // Time as the records tell it, as Kafka waits: the wall clock only when the first had none.
    const bool by_records = first_timestamp_ && first_timestamp_->value() >= 0;
    const int64_t waited =
        by_records ? timestamp.value() - first_timestamp_->value() : now.value() - created_.value();
    if (size_ > 0 && waited > limits_.segment_ms - limits_.jitter_ms) return true;
    return offsets_.is_full() || times_.is_full() || last - base_ > INT32_MAX;
}

void Segment::note_truncate(Offset offset, uint64_t position) {
    CHECK(position <= size_, "a truncation goes back");
    CHECK(indexes_loaded_, "indexes are there when they are cut");
    kept_indexes_.leave();  // It grows again.
    offsets_.truncate_to(offset);
    times_.truncate_to(offset);
    transactions_.truncate_to(offset);
    ++index_cuts_;
    if (offsets_.size() < in_files_.offsets || times_.size() < in_files_.times) {
        in_files_ = synced_in_files_ = {};
    }
    size_ = position;
    bytes_since_index_entry_ = 0;
    max_timestamp_ = times_.last().timestamp;
    offset_of_max_timestamp_ = times_.last().offset;
    if (position == 0) first_timestamp_.reset();
    // The lane cuts the file, with what is reserved behind.
    reserved_ = 0;
    finished_ = false;
    sums_.reset();
    sums_were_sought_ = false;
}

void Segment::clear_indexes() {
    offsets_.clear();
    times_.clear();
    transactions_.clear();
}

void Segment::reset_notes() {
    kept_indexes_.leave();
    clear_indexes();
    lacks_transactions_ = false;
    ++index_cuts_;
    in_files_ = synced_in_files_ = {};
    has_tail_ = false;
    reserved_ = 0;
    size_ = 0;
    bytes_since_index_entry_ = 0;
    max_timestamp_ = kNoTimestamp;
    offset_of_max_timestamp_ = base_;
    first_timestamp_.reset();
    indexes_loaded_ = true;
    finished_ = false;
}

Task<Result<std::shared_ptr<File>>> Segment::file(bool create) {
    if (file_.is_open()) co_return file_.use();
    if (gone_) co_return fail(ErrorCode::not_found, log_path());
    OpenOptions options;
    options.write = true;
    auto opened = co_await files_.open(log_path(), options);
    if (!opened && create && opened.error().code == ErrorCode::not_found) {
        options.create = true;
        auto created = co_await files_.open(log_path(), options);
        opened = std::move(created);
        names_changed_ = true;
        made_ = opened.has_value();
        file_.note_dirty();
    }
    // Somebody may have been quicker; also before a swap took the name and holds the file open.
    if (file_.is_open()) co_return file_.use();
    if (!opened) co_return std::unexpected(opened.error());
    // Another segment may have taken over the name meanwhile.
    if (gone_) co_return fail(ErrorCode::not_found, log_path());
    has_file_ = true;
    file_.keep(*std::move(opened));
    co_return file_.use();
}

Task<Status> Segment::write(uint64_t position, Chain bytes) {
    CO_TRY(const std::shared_ptr<File> target, co_await file(true));
    file_.note_dirty();
    const auto written = co_await target->write(position, std::move(bytes));
    file_.note_dirty();  // A sync that began meanwhile does not cover it.
    if (!written) co_return std::unexpected(written.error());
    co_return Status();
}

Task<Status> Segment::write_direct(std::shared_ptr<File> direct, uint64_t position, Chain bytes) {
    // The descriptor that the next sync uses stays open, as for any other write.
    CO_TRY([[maybe_unused]] const auto kept, co_await file(true));
    file_.note_dirty();
    const auto written = co_await direct->write_staged(position, std::move(bytes));
    file_.note_dirty();
    if (!written) co_return std::unexpected(written.error());
    co_return Status();
}

Task<Status> Segment::truncate_file(uint64_t size) {
    CO_TRY(const std::shared_ptr<File> target, co_await file(true));
    file_.note_dirty();
    const auto done = co_await target->truncate(size);
    file_.note_dirty();
    if (!done) co_return std::unexpected(done.error());
    reserved_ = 0;
    has_tail_ = false;
    co_return Status();
}

Task<Status> Segment::reserve(uint64_t bytes) {
    CO_TRY(const std::shared_ptr<File> target, co_await file(true));
    const uint64_t cuts = index_cuts_;
    has_tail_ = true;
    file_.note_dirty();
    const auto done = co_await target->allocate(0, bytes);
    file_.note_dirty();
    // What a truncation in memory cuts is cut from the file too, later.
    if (done && cuts == index_cuts_) reserved_ = bytes;
    if (!done && done.error().code == ErrorCode::io_error) co_return std::unexpected(done.error());
    if (!done) co_return co_await truncate_file(0);
    co_return Status();
}

Task<Status> Segment::trim() {
    if (!has_tail_) co_return Status();
    co_return co_await truncate_file(size_);
}

Task<Status> Segment::write_indexes() {
    CO_TRY_STATUS(co_await trim());
    times_.maybe_append(max_timestamp_, offset_of_max_timestamp_);
    const uint64_t covered = size_;
    CO_TRY_STATUS(co_await write_index_entries());
    CO_TRY_STATUS(co_await write_transactions());
    note_indexes_written();
    finished_ = covered == size_;
    co_return Status();
}

/// Kafka makes the file only for a segment that has aborted transactions.
Task<Status> Segment::write_transactions() {
    if (transactions_.empty()) {
        if (transaction_file_ || transaction_file_may_exist_) {
            CO_TRY_STATUS(co_await remove_file(files_, path(kTransactionIndexSuffix)));
        }
        transaction_file_ = transaction_file_may_exist_ = false;
        co_return Status();
    }
    transaction_file_ = true;
    Buffer bytes = transactions_.bytes();
    co_return co_await files_.put(path(kTransactionIndexSuffix), bytes);
}

Task<Status> Segment::save_transactions() {
    CO_TRY_STATUS(co_await write_transactions());
    if (transaction_file_) {
        CO_TRY_STATUS(co_await sync_file(files_, path(kTransactionIndexSuffix)));
    }
    co_return Status();
}

Task<Status> Segment::sync() {
    if (file_.is_dirty()) {
        CO_TRY(const std::shared_ptr<File> target, co_await file(true));
        file_.note_synced();
        const auto synced = co_await target->sync();
        if (!synced) co_return std::unexpected(synced.error());
    }
    if (!indexes_dirty_) co_return Status();
    co_return co_await sync_indexes(SyncBy::each, in_files_, index_cuts_);
}

void Segment::begin_sweep() {
    file_.begin_sweep();
    swept_indexes_.reset();
    if (!indexes_dirty_) return;
    swept_indexes_ = in_files_;
    swept_cuts_ = index_cuts_;
}

/// As in `sync`, by the descriptor that wrote: it was told what failed since.
Task<Status> Segment::end_sweep() {
    if (file_.is_swept()) {
        CO_TRY(const std::shared_ptr<File> target, co_await file(true));
        file_.note_swept();
        const auto arrived = co_await target->check();
        if (!arrived) co_return std::unexpected(arrived.error());
    }
    if (!swept_indexes_) co_return Status();
    const IndexFiles covered = *std::exchange(swept_indexes_, std::nullopt);
    co_return co_await sync_indexes(SyncBy::sweep, covered, swept_cuts_);
}

Task<Status> Segment::sync_indexes(SyncBy by, IndexFiles covered, uint64_t cuts) {
    indexes_dirty_ = false;
    indexes_in_doubt_ = true;
    CO_TRY_STATUS(co_await sync_file(files_, path(kOffsetIndexSuffix), by));
    CO_TRY_STATUS(co_await sync_file(files_, path(kTimeIndexSuffix), by));
    if (transaction_file_) {
        CO_TRY_STATUS(co_await sync_file(files_, path(kTransactionIndexSuffix), by));
    }
    indexes_in_doubt_ = false;
    if (cuts == index_cuts_) synced_in_files_ = covered;
    co_return Status();
}

void Segment::note_indexes_written() {
    indexes_dirty_ = true;
    swept_indexes_.reset();
}

Task<Result<Buffer>> Segment::read(uint64_t position,
                                   size_t length,
                                   std::shared_ptr<CrcWalk> walk) {
    CO_TRY(const std::shared_ptr<File> source, co_await file(false));
    const ReadPlace place = place_for(files_, position, length);
    if (length <= kMostInline) {
        auto cached = source->read_cached(position, {place.block->data() + place.begin, length});
        if (cached) co_return Buffer{place.block, place.begin, *cached};
        if (cached.error().code != ErrorCode::would_block)
            co_return std::unexpected(cached.error());
    }
    if (walk) walk->expect(place.lead, length);
    auto reading = source->read(position - place.lead, place.whole, place.block,
                                place.begin - place.lead, std::move(walk));
    CO_TRY(const size_t got, co_await reading);
    const size_t wanted = std::clamp(got, place.lead, place.lead + length) - place.lead;
    co_return Buffer{place.block, place.begin, wanted};
}

Task<Result<SegmentEnd>> Segment::walk(uint64_t from,
                                       BatchCursor::Crc crc,
                                       BatchVisitor& visitor,
                                       uint64_t limit) {
    SegmentEnd end{from, base_, std::nullopt};
    size_t piece = kWalkPiece;
    for (;;) {
        // Nothing is asked for in vain: what is little and cached is read on the spot.
        const size_t wanted = std::min<uint64_t>(piece, limit - std::min(limit, end.position));
        if (wanted == 0) co_return end;
        CO_TRY(const Buffer bytes, co_await read(end.position, wanted));
        if (bytes.empty()) co_return end;
        BatchCursor cursor(bytes.span(), crc);
        const uint64_t start = end.position;
        BatchStep step = cursor.next();
        for (; step == BatchStep::batch; step = cursor.next()) {
            visitor.visit(cursor.batch(), start + cursor.position());
            end.offset = cursor.batch().offset_end();
            end.position = start + cursor.position() + cursor.batch().size();
        }
        if (step == BatchStep::end) {
            piece = kWalkPiece;
            continue;
        }
        const bool whole_file = bytes.size() < wanted || start + bytes.size() == limit;
        if (step == BatchStep::torn && !whole_file) {
            // The piece ends inside a batch: from its start again, with room for all of it.
            const std::span<const std::byte> rest = bytes.span().subspan(end.position - start);
            if (rest.size() >= kBatchPrefixBytes && end.position == start) {
                const auto length = load_be<int32_t>(rest.data() + batch_layout::kLength);
                const uint64_t needed = kBatchPrefixBytes + static_cast<uint64_t>(length);
                if (needed > piece && needed <= kLargestBatch) {
                    piece = needed;
                    continue;
                }
            } else {
                piece = kWalkPiece;
                continue;
            }
        }
        const std::string why = step == BatchStep::torn ? "a torn batch" : cursor.error().detail;
        end.damage =
            Error{ErrorCode::corrupt, fmt::format("{} at {}: {}", log_path(), end.position, why)};
        co_return end;
    }
}

Task<Status> Segment::load() {
    reset_notes();
    CO_TRY(const FileStatus status, co_await files_.status(log_path()));
    size_ = status.size;
    indexes_loaded_ = false;
    CO_TRY_STATUS(co_await load_indexes());
    max_timestamp_ = times_.last().timestamp;
    offset_of_max_timestamp_ = times_.last().offset;
    finished_ = true;
    if (size_ >= kBatchHeaderBytes) {
        CO_TRY(const Buffer head, co_await read(0, kBatchHeaderBytes));
        if (head.size() == kBatchHeaderBytes) {
            first_timestamp_ =
                WallTime{load_be<int64_t>(head.data() + batch_layout::kMaxTimestamp)};
        }
    }
    co_return Status();
}

Task<Status> Segment::load_indexes(std::optional<SegmentSums> sums) {
    const uint64_t most = static_cast<uint64_t>(limits_.index_bytes) + TimeIndex::kEntryBytes;
    while (!indexes_loaded_) {
        const uint64_t cuts = index_cuts_;
        // Kafka preallocates segment.index.bytes and trims on close: a larger file is not ours to
        // read.
        CO_TRY(const Buffer offsets, co_await read_file(files_, path(kOffsetIndexSuffix), most));
        CO_TRY(const Buffer times, co_await read_file(files_, path(kTimeIndexSuffix), most));
        Buffer aborted;
        if (transaction_file_) {
            const std::string name = path(kTransactionIndexSuffix);
            auto read = co_await read_file(files_, name, kMostTransactionBytes);
            if (!read) co_return std::unexpected(read.error());
            aborted = *std::move(read);
        }
        // Somebody may have been quicker, and a truncation may have cut what he loaded.
        if (indexes_loaded_ || cuts != index_cuts_) continue;
        Status fits = offsets_.load(offsets.span(), size_);
        if (fits) fits = times_.load(times.span());
        if (fits) fits = transactions_.load(aborted.span(), base_);
        const bool summed = !sums || (sums->offsets == sum_of(offsets.span()) &&
                                      sums->times == sum_of(times.span()) &&
                                      sums->transactions == sum_of(aborted.span()));
        if (fits && !summed) fits = fail(ErrorCode::corrupt, "they are not those of its sums");
        if (!fits) {
            clear_indexes();
            co_return fits;
        }
        // Only now: whoever sees them sees all of them.
        indexes_loaded_ = true;
        in_files_ = synced_in_files_ = index_files_of(offsets_, times_);
    }
    co_return Status();
}

void Segment::drop_indexes() {
    const bool in_files = finished_ && !indexes_dirty_ && !indexes_in_doubt_ && !gone_;
    if (!in_files || lacks_transactions_ || kept_indexes_.is_pinned()) return;
    kept_indexes_.leave();
    clear_indexes();
    indexes_loaded_ = false;
    // Others were found wrong, or are on their way out: that has to stay known.
    if (sums_ == nullptr || !sums_->has_gaps) return;
    sums_.reset();
    sums_were_sought_ = false;
}

void Segment::adopt_indexes(Segment& scratch, uint64_t covered, Offset covered_end, bool closed) {
    kept_indexes_.leave();  // Until they are written.
    scratch.times_.maybe_append(scratch.max_timestamp_, scratch.offset_of_max_timestamp_);
    if (scratch.max_timestamp_ > max_timestamp_ || closed) {
        max_timestamp_ = scratch.max_timestamp_;
        offset_of_max_timestamp_ = scratch.offset_of_max_timestamp_;
    }
    first_timestamp_ = scratch.first_timestamp_;
    // What was appended while the file was walked.
    for (size_t i = 0; !closed && i < offsets_.size(); ++i) {
        const OffsetIndex::Entry entry = offsets_.entry(i);
        if (entry.position >= covered) scratch.offsets_.append(entry.offset, entry.position);
    }
    for (size_t i = 0; !closed && i < times_.size(); ++i) {
        const TimeIndex::Entry entry = times_.entry(i);
        if (entry.offset >= covered_end) scratch.times_.maybe_append(entry.timestamp, entry.offset);
    }
    offsets_ = std::move(scratch.offsets_);
    times_ = std::move(scratch.times_);
    ++index_cuts_;
    in_files_ = synced_in_files_ = {};
    finished_ = false;
    if (!closed) return;
    transactions_ = std::move(scratch.transactions_);
    indexes_loaded_ = true;
}

/// Notes what a walk sees and passes it on.
class SegmentBuilder final : public BatchVisitor {
public:
    SegmentBuilder(Segment& segment, BatchVisitor* next) : segment_(segment), next_(next) {}
    void visit(const BatchView& batch, uint64_t position) override {
        segment_.note_append(batch);
        if (next_ != nullptr) next_->visit(batch, position);
    }

private:
    Segment& segment_;
    BatchVisitor* next_;
};

Task<Result<bool>> Segment::has_zeros_only(uint64_t from) {
    for (;;) {
        CO_TRY(const Buffer bytes, co_await read(from, kWalkPiece));
        if (bytes.empty()) co_return true;
        const auto is_zero = [](std::byte one) { return one == std::byte{0}; };
        if (!std::ranges::all_of(bytes.span(), is_zero)) co_return false;
        from += bytes.size();
    }
}

Task<Result<SegmentEnd>> Segment::recover(BatchVisitor* visitor, Offset keep_below, Offset filled) {
    reset_notes();
    lacks_transactions_ = true;
    SegmentBuilder builder(*this, visitor);
    CO_TRY(const FileStatus status, co_await files_.status(log_path()));
    CO_TRY(SegmentEnd end, co_await walk(0, BatchCursor::Crc::check, builder));
    bool torn = end.position < status.size && end.offset >= keep_below;
    if (end.damage && end.offset >= filled) {
        CO_TRY(const bool unused, co_await has_zeros_only(end.position));
        if (unused) end.damage.reset();
        torn = torn || unused;
    }
    if (torn) CO_TRY_STATUS(co_await truncate_file(end.position));
    size_ = torn ? end.position : status.size;
    co_return end;
}

Task<Result<SegmentEnd>> Segment::catch_up(BatchVisitor* visitor, uint64_t end) {
    SegmentBuilder builder(*this, visitor);
    co_return co_await walk(size_, BatchCursor::Crc::check, builder, end);
}

Task<Status> Segment::remove_files() {
    gone_ = true;
    file_.release();
    kept_indexes_.leave();
    CO_TRY_STATUS(co_await remove_file(files_, path(kOffsetIndexSuffix)));
    CO_TRY_STATUS(co_await remove_file(files_, path(kTimeIndexSuffix)));
    CO_TRY_STATUS(co_await remove_file(files_, path(kTransactionIndexSuffix)));
    CO_TRY_STATUS(co_await remove_file(files_, path(kSumsSuffix)));
    CO_TRY_STATUS(co_await remove_file(files_, path(kLogSuffix)));
    co_return Status();
}

}  // namespace ottla::storage
