// SPDX-License-Identifier: Apache-2.0
#include "storage/cold_read.h"

#include <fmt/format.h>

#include <algorithm>

#include "storage/log_damage.h"
#include "storage/shard_directory.h"

namespace ottla::storage {
namespace {

/// One read of a segment file; more when a single batch is larger.
constexpr size_t kLeastRead = 64UZ * 1024;
constexpr size_t kMostRead = 8UZ * 1024 * 1024;

/// What one piece of sound batches has for a reader.
struct Piece {
    size_t begin = 0;  ///< of the wanted batches in the piece
    size_t end = 0;
    Offset next{0};
    bool found = false;      ///< a batch at or behind `from` is in the piece
    bool too_large = false;  ///< the first of them, for max_bytes
};

Piece pick_batches(std::span<const std::byte> bytes, const Wanted& wanted) {
    Piece piece;
    piece.next = wanted.from;
    BatchCursor cursor(bytes);
    while (cursor.next() == BatchStep::batch) {
        const BatchView& batch = cursor.batch();
        const size_t end = cursor.position() + batch.size();
        if (batch.last_offset() < wanted.from) {
            piece.begin = piece.end = end;
            continue;
        }
        const bool forced = wanted.at_least_one && !piece.found;
        const bool fits = end - piece.begin <= wanted.max_bytes || forced;
        piece.too_large = !piece.found && !fits;
        piece.found = true;
        if (batch.last_offset() >= wanted.upper || !fits) break;
        piece.end = end;
        piece.next = batch.offset_end();
    }
    return piece;
}

LogSlice slice_of(const Buffer& bytes, const Piece& piece, const Wanted& wanted) {
    LogSlice slice;
    slice.next = piece.next;
    slice.first_too_large = piece.end == piece.begin && piece.too_large;
    slice.bytes.append(bytes.slice(piece.begin, piece.end - piece.begin));
    if (slice.bytes.empty()) slice.next = wanted.from;
    return slice;
}

std::string wrong_entry(const OffsetIndex::Entry& entry) {
    return fmt::format("no batch at {} leads to {}", entry.position, entry.offset.value());
}

}  // namespace

ColdRead::ColdRead(LogParts& log, const Wanted& wanted)
    : log_(log),
      wanted_(wanted),
      generation_(log.generation),
      piece_bytes_(std::clamp(wanted.max_bytes, kLeastRead, kMostRead) + kLeastRead) {}

void ColdRead::tell_of(const Error& why) const {
    const bool of_file = why.code == ErrorCode::kafka_storage_error ||
                         why.code == ErrorCode::io_error || why.code == ErrorCode::not_found;
    // Damage has been noted; what retention took meanwhile and a lost directory are other stories.
    if (!of_file || !segment_ || !log_.holds(*segment_) || !log_.usable()) return;
    log_.note_unreadable(*segment_, why);
}

Task<Result<LogSlice>> ColdRead::run() {
    const auto& [from, upper, max_bytes, at_least_one] = wanted_;
    for (;;) {
        // Another look at everything: memory may have caught up, a truncation may have happened.
        auto warm = log_.self->read(from, max_bytes, upper, at_least_one);
        if (warm || warm.error().code != ErrorCode::would_block) co_return warm;
        if (!placed_ || generation_ != log_.generation) {
            CO_TRY_STATUS(co_await find_place());
            continue;
        }
        const uint64_t end = log_.readable_end(*segment_);
        if (position_ >= end) {
            if (index_ + 1 < log_.segments.size()) {
                CO_TRY_STATUS(co_await next_segment());
                continue;
            }
            // The cleaner may have left nothing between `from` and the tail.
            const uint64_t number = log_.tail.find(from);
            if (number == log_.tail.end()) co_return LogSlice{{}, from, false};
            co_return log_.self->read(log_.tail.at(number).base, max_bytes, upper, at_least_one);
        }
        const uint64_t room = end - position_;
        const size_t length = std::min<uint64_t>(piece_bytes_, room);
        auto bytes = co_await read_piece(length);
        if (generation_ != log_.generation) continue;
        if (!bytes) co_return fail(ErrorCode::kafka_storage_error, bytes.error().detail);
        const bool whole = bytes->size() == length;
        auto taking = take(*std::move(bytes), room, whole);
        CO_TRY(auto answer, co_await std::move(taking));
        if (answer && generation_ == log_.generation) co_return *std::move(answer);
    }
}

Task<Result<Buffer>> ColdRead::read_piece(size_t length) {
    const auto walk = std::make_shared<CrcWalk>();
    auto reading = segment_->read(position_, length, walk);
    auto bytes = co_await std::move(reading);
    crc_checked_ = walk->checked();
    co_return bytes;
}

Task<Status> ColdRead::find_place() {
    placed_ = false;
    generation_ = log_.generation;
    index_ = log_.segment_index(wanted_.from);
    segment_ = log_.segments[index_];
    auto indexes = co_await log_.ensure_indexes(segment_);
    if (generation_ != log_.generation) co_return Status();
    if (!indexes) co_return std::unexpected(indexes.error());
    pin_ = *std::move(indexes);
    CO_TRY_STATUS(co_await log_.ensure_sums(segment_));
    if (generation_ != log_.generation) co_return Status();
    const OffsetIndex::Entry found = pin_.offsets().lookup(wanted_.from);
    position_ = found.position;
    floor_ = segment_->base();
    start_.reset();
    entry_.reset();
    if (found.position > 0) entry_ = found;
    doubted_ = false;
    step_back_to_chunk();
    placed_ = true;
    co_return Status();
}

void ColdRead::step_back_to_chunk() {
    if (segment_->sums() == nullptr) return;
    position_ = segment_->sums()->chunk_begin(position_);
    doubted_ = entry_ && position_ < entry_->position;
}

Task<Status> ColdRead::next_segment() {
    segment_ = log_.segments[++index_];
    pin_ = IndexPin(segment_);
    position_ = 0;
    floor_ = segment_->base();
    start_.reset();
    entry_.reset();
    doubted_ = false;
    CO_TRY_STATUS(co_await log_.ensure_sums(segment_));
    log_.keep_indexes(*segment_);
    co_return Status();
}

PieceRules ColdRead::rules(uint64_t room) const {
    PieceRules rules;
    rules.crc_checked = crc_checked_;
    rules.floor = floor_;
    rules.limit = log_.limit_of(index_);
    rules.room = room;
    rules.epochs = log_.known_epochs();
    if (entry_ && entry_->position >= position_) {
        rules.landmark = {static_cast<size_t>(entry_->position - position_), entry_->offset};
    }
    if (start_ && start_->position == position_) rules.first_last = start_->offset;
    return rules;
}

PieceVerdict ColdRead::check(std::span<const std::byte> bytes, uint64_t room) const {
    const SegmentSums* const sums = segment_->sums().get();
    if (sums == nullptr) return check_piece(bytes, rules(room));
    const HeadVerdict heads = check_heads(bytes, position_, *sums);
    PieceRules known = rules(room);
    known.heads_are_right = true;
    PieceVerdict verdict = check_piece(bytes.first(heads.right), known);
    if (verdict.damage || verdict.sound < heads.right) return verdict;
    if (heads.wrong_end) {
        verdict.damage = "the heads of batches are not those of its sums";
        verdict.damage_end = *heads.wrong_end;
    } else {
        verdict.needed = heads.needed == 0 ? 0 : heads.needed - heads.right;
        verdict.cut_last.reset();
    }
    return verdict;
}

Task<Result<std::optional<LogSlice>>> ColdRead::take(Buffer bytes, uint64_t room, bool whole) {
    PieceVerdict verdict = check(bytes.span(), room);
    const bool at_entry = entry_ && entry_->position == position_;
    if (at_entry && !doubted_ && !verdict.landed && (verdict.sound > 0 || verdict.damage)) {
        CO_TRY_STATUS(co_await doubt_index());
        co_return std::nullopt;
    }
    if (!whole && !verdict.damage) verdict.damage = "shorter than it was";
    check_doubt(verdict);
    const Piece piece = pick_batches(bytes.span().first(verdict.sound), wanted_);
    if (piece.found) {
        // The batch of the entry cannot lie behind one that ends higher.
        if (doubted_ && entry_) log_.distrust_index(segment_, wrong_entry(*entry_));
        co_return slice_of(bytes, piece, wanted_);
    }
    // Only batches before `from`, or the wanted one is cut or damaged: on from there.
    position_ += verdict.sound;
    if (verdict.sound > 0) floor_ = verdict.next;
    if (verdict.damage) {
        std::optional<uint64_t> ends_at;
        if (verdict.damage_end) ends_at = position_ - verdict.sound + *verdict.damage_end;
        CO_TRY_STATUS(co_await pass_damage(*std::move(verdict.damage), ends_at));
        co_return std::nullopt;
    }
    const bool before = verdict.cut_last && *verdict.cut_last < wanted_.from;
    if (verdict.needed > wanted_.max_bytes + sizeof(int64_t) && !wanted_.at_least_one && !before &&
        verdict.cut_last) {
        co_return LogSlice{{}, wanted_.from, true};
    }
    if (verdict.sound == 0) piece_bytes_ = std::max(verdict.needed, piece_bytes_ * 2);
    co_return std::nullopt;
}

Task<Status> ColdRead::doubt_index() {
    const OffsetIndex& index = pin_.offsets();
    const OffsetIndex::Entry before = entry_->offset > segment_->base()
                                          ? index.lookup(entry_->offset - 1)
                                          : OffsetIndex::Entry{segment_->base(), 0};
    doubted_ = true;
    // The one before it has to prove itself as well; two wrong ones, and the walk is a long one.
    CO_TRY(const bool stands, co_await log_.stands(segment_, before));
    if (generation_ != log_.generation) co_return Status();
    position_ = stands ? before.position : 0;
    floor_ = segment_->base();
    if (position_ > 0) start_ = before;
    step_back_to_chunk();
    doubted_ = true;
    co_return Status();
}

/// The walk from an earlier place came by: was the index right, and a batch is damaged?
void ColdRead::check_doubt(const PieceVerdict& verdict) {
    if (!doubted_ || !entry_ || position_ + verdict.sound <= entry_->position) return;
    if (!verdict.led_right) log_.distrust_index(segment_, wrong_entry(*entry_));
    entry_.reset();
    doubted_ = false;
}

Task<Status> ColdRead::pass_damage(std::string why, std::optional<uint64_t> ends_at) {
    FoundDamage found{position_, ends_at, floor_, log_.limit_of(index_), std::move(why)};
    auto passing = log_.note_damage(segment_, std::move(found));
    CO_TRY(const DamagedRange damaged, co_await std::move(passing));
    if (generation_ != log_.generation) co_return Status();
    if (wanted_.from < damaged.end) co_return std::unexpected(damaged.error());
    position_ = damaged.resume;
    floor_ = damaged.end;
    if (entry_ && entry_->position < position_) entry_.reset();
    if (!entry_) doubted_ = false;
    co_return Status();
}

}  // namespace ottla::storage
