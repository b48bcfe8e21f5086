// SPDX-License-Identifier: Apache-2.0
#include "storage/log_damage.h"

#include <fmt/format.h>

#include <algorithm>

#include "storage/atomic_file.h"
#include "storage/file_names.h"
#include "storage/log_parts.h"
#include "storage/shard_directory.h"

namespace ottla::storage {
namespace {

constexpr size_t kSearchPiece = 128UZ * 1024;
constexpr size_t kMostNotes = 256;
constexpr uint64_t kMostSums = 16ULL * 1024 * 1024;
constexpr uint64_t kMostSnapshot = 256ULL * 1024 * 1024;

/// The batch that begins at `position`, if it is sound, and what follows it too, as far as it is
/// there: a record may hold bytes that look like a batch.
Task<Result<bool>> is_sound(std::shared_ptr<Segment> segment,
                            uint64_t position,
                            uint64_t end,
                            PieceRules rules) {
    rules.room = end - position;
    rules.landmark.reset();
    size_t length = std::min<uint64_t>(kBatchHeaderBytes, rules.room);
    for (int steps = 0; steps < 3; ++steps) {
        CO_TRY(const Buffer bytes, co_await segment->read(position, length));
        const PieceVerdict verdict = check_piece(bytes.span(), rules);
        if (verdict.damage || bytes.size() < length) co_return false;
        if (verdict.sound > 0) co_return true;
        length = std::min<uint64_t>(verdict.needed, rules.room);
    }
    co_return false;
}

/// Notes in `scratch` what a segment's indexes should say.
class IndexBuilder {
public:
    IndexBuilder(LogParts& log, Segment& scratch, ProducerState state)
        : log_(log), scratch_(scratch), state_(std::move(state)) {}
    void note(std::span<const std::byte> bytes, uint64_t position) {
        BatchCursor cursor(bytes);
        while (cursor.next() == BatchStep::batch) {
            scratch_.note_found(cursor.batch(), position + cursor.position());
            log_.feed(state_, cursor.batch(), scratch_);
        }
    }

private:
    LogParts& log_;
    Segment& scratch_;
    ProducerState state_;
};

class StateFeeder final : public BatchVisitor {
public:
    StateFeeder(ProducerState& state, Offset end) : state_(state), end_(end) {}
    void visit(const BatchView& batch, uint64_t) override {
        if (batch.base_offset() < end_) feed_producers(state_, batch);
    }

private:
    ProducerState& state_;
    Offset end_;
};

}  // namespace

Error DamagedRange::error() const {
    return {ErrorCode::corrupt, fmt::format("{} at {}: {}; the records [{}, {}) cannot be read",
                                            path, position, why, first.value(), end.value())};
}

Task<Result<Resumption>> find_sound(LogParts& log,
                                    std::shared_ptr<Segment> segment,
                                    FoundDamage found,
                                    PieceRules rules) {
    const auto offset_at = [](const Buffer& head) {
        return Offset{load_be<int64_t>(head.data() + batch_layout::kBaseOffset)};
    };
    const uint64_t position = found.position;
    const uint64_t end = log.readable_end(*segment);
    CO_TRY(const Buffer head, co_await segment->read(position, kBatchHeaderBytes));
    uint64_t behind = found.ends_at.value_or(position);
    if (behind == position && head.size() == kBatchHeaderBytes) {
        const auto length = load_be<int32_t>(head.data() + batch_layout::kLength);
        behind = position + kBatchPrefixBytes + static_cast<uint64_t>(std::max(length, 0));
    }
    if (behind == end) co_return Resumption{end, rules.limit};
    if (behind >= position + kBatchHeaderBytes && behind < end) {
        CO_TRY(const bool sound, co_await is_sound(segment, behind, end, rules));
        if (sound) {
            CO_TRY(const Buffer next, co_await segment->read(behind, kBatchHeaderBytes));
            co_return Resumption{behind, offset_at(next)};
        }
    }
    for (uint64_t at = position + 1; at + kBatchHeaderBytes <= end;) {
        CO_TRY(const Buffer bytes, co_await segment->read(at, kSearchPiece));
        if (bytes.size() < kBatchHeaderBytes) break;
        const size_t heads = bytes.size() - kBatchHeaderBytes + 1;
        for (size_t i = 0; i < heads; ++i) {
            if (bytes.span()[i + batch_layout::kMagic] != std::byte{kBatchMagic}) continue;
            rules.room = end - (at + i);
            if (!check_head(bytes.span().subspan(i), rules)) continue;
            CO_TRY(const bool sound, co_await is_sound(segment, at + i, end, rules));
            if (sound) co_return Resumption{at + i, offset_at(bytes.slice(i, kBatchHeaderBytes))};
        }
        at += heads;
        co_await log.home.runtime().yield();
    }
    co_return Resumption{end, rules.limit};
}

SoundWalk::SoundWalk(
    LogParts& log, std::shared_ptr<Segment> segment, uint64_t end, Offset limit, size_t piece_bytes)
    : log_(log),
      segment_(std::move(segment)),
      end_(end),
      limit_(limit),
      piece_bytes_(piece_bytes),
      floor_(segment_->base()),
      last_sound_(floor_) {}

Task<Result<Buffer>> SoundWalk::next() {
    size_t length = piece_bytes_;
    while (next_position_ < end_) {
        PieceRules rules;
        rules.floor = floor_;
        rules.limit = limit_;
        rules.room = end_ - next_position_;
        rules.epochs = log_.known_epochs();
        const size_t asked = std::min<uint64_t>(length, rules.room);
        CO_TRY(Buffer bytes, co_await segment_->read(next_position_, asked));
        PieceVerdict verdict = check_piece(bytes.span(), rules);
        if (bytes.size() < asked && !verdict.damage) verdict.damage = "shorter than it was";
        if (verdict.sound > 0) {
            position_ = next_position_;
            next_position_ += verdict.sound;
            floor_ = last_sound_ = verdict.next;
            co_return bytes.slice(0, verdict.sound);
        }
        if (!verdict.damage) {
            length = std::max(verdict.needed, length * 2);
            continue;
        }
        met_damage_ = true;
        FoundDamage found{next_position_, std::nullopt, floor_, limit_, *std::move(verdict.damage)};
        if (verdict.damage_end) found.ends_at = next_position_ + *verdict.damage_end;
        auto noting = log_.note_damage(segment_, std::move(found));
        CO_TRY(const DamagedRange damaged, co_await std::move(noting));
        if (damaged.resume == end_) damaged_tail_ = next_position_;
        next_position_ = damaged.resume;
        floor_ = damaged.end;
    }
    co_return Buffer{};
}

// LogParts.

Offset LogParts::limit_of(size_t index) const {
    if (index + 1 < segments.size()) return segments[index + 1]->base();
    const bool flushing =
        flush_cursor < tail.end() && tail.at(flush_cursor).segment_base == segments[index]->base();
    return flushing ? tail.at(flush_cursor).base : log_end;
}

Offset LogParts::behind_damage(Offset offset) const {
    for (const DamagedRange& range : damaged) {
        const bool there = !range.segment.expired() && range.first <= offset && offset < range.end;
        if (there) return range.end;
    }
    return offset;
}

Task<Result<DamagedRange>> LogParts::note_damage(std::shared_ptr<Segment> segment,
                                                 FoundDamage found) {
    const auto known = [this, &segment, &found]() -> const DamagedRange* {
        for (const DamagedRange& range : damaged) {
            const bool same = range.position == found.position && range.segment.lock() == segment;
            if (same) return &range;
        }
        return nullptr;
    };
    if (const DamagedRange* range = known()) co_return *range;
    PieceRules rules;
    rules.floor = found.floor;
    rules.limit = found.limit;
    rules.epochs = known_epochs();
    CO_TRY(const Resumption next, co_await find_sound(*this, segment, found, rules));
    if (const DamagedRange* range = known()) co_return *range;
    DamagedRange range{segment,     segment->log_path(), found.position,      next.position,
                       found.floor, next.offset,         std::move(found.why)};
    std::erase_if(damaged, [](const DamagedRange& one) { return one.segment.expired(); });
    if (damaged.size() < kMostNotes) damaged.push_back(range);
    home.report({Damage::Kind::batch, range.path, range.position, range.error().detail});
    co_return range;
}

void LogParts::note_unreadable(const Segment& segment, const Error& why) {
    if (unreadable.size() >= kMostNotes || !unreadable.insert(why.detail).second) return;
    home.report({Damage::Kind::file, segment.log_path(), 0,
                 fmt::format("{} or an index of it cannot be read; its records are not served: {}",
                             segment.log_path(), why.detail)});
}

Task<Result<bool>> LogParts::stands(std::shared_ptr<Segment> segment, OffsetIndex::Entry entry) {
    if (entry.position == 0) co_return true;
    PieceRules rules;
    rules.floor = segment->base();
    rules.limit = limit_of(segment_index(segment->base()));
    rules.epochs = known_epochs();
    rules.landmark = {0, entry.offset};
    const uint64_t end = readable_end(*segment);
    if (entry.position >= end) co_return false;
    rules.room = end - entry.position;
    size_t length = std::min<uint64_t>(kBatchHeaderBytes, rules.room);
    CO_TRY(const Buffer head, co_await segment->read(entry.position, length));
    const PieceVerdict seen = check_piece(head.span(), rules);
    if (seen.damage || !seen.cut_last || *seen.cut_last > entry.offset) co_return seen.led_right;
    length = std::min<uint64_t>(seen.needed, rules.room);
    CO_TRY(const Buffer bytes, co_await segment->read(entry.position, length));
    co_return check_piece(bytes.span(), rules).led_right;
}

Task<Result<IndexPin>> LogParts::ensure_indexes(std::shared_ptr<Segment> segment) {
    IndexPin pin(segment);
    const Offset base = segment->base();
    while (!segment->has_indexes()) {
        if (deleted) co_return std::unexpected(usable().error());
        if (!holds(*segment)) {
            co_return fail(ErrorCode::offset_out_of_range,
                           fmt::format("{} is gone meanwhile", segment->log_path()));
        }
        if (rebuilding.contains(base)) {
            CO_TRY_STATUS(co_await rebuilding_ended.wait());
            continue;
        }
        // What else could tell a wrong time, or a transaction that is somebody else's?
        const auto sums = co_await load_sums(segment);
        Status loaded;
        if (!sums) loaded = std::unexpected(sums.error());
        if (sums) loaded = co_await segment->load_indexes(*sums);
        // Its files may have been going already.
        if (loaded || segment->has_indexes() || !holds(*segment)) continue;
        if (!is_rebuildable(loaded.error())) co_return std::unexpected(loaded.error());
        if (!rebuilding.insert(base).second) continue;
        home.report({Damage::Kind::index, segment->log_path(), 0,
                     fmt::format("an index of {} cannot be used ({}): they are built anew",
                                 segment->log_path(), loaded.error().detail)});
        const Status done = co_await rebuild_indexes(segment);
        end_rebuilding(base);
        CO_TRY_STATUS(done);
    }
    keep_indexes(*segment);
    co_return pin;
}

void LogParts::end_rebuilding(Offset base) {
    rebuilding.erase(base);
    rebuilding_ended.notify_all();
}

void LogParts::keep_indexes(Segment& segment) const {
    // The last one grows. One that a log does not hold any more has no files to load them from.
    if (holds(segment) && &segment != segments.back().get()) home.index_cache().keep(segment);
}

void LogParts::distrust_index(std::shared_ptr<Segment> segment, std::string why) {
    const Offset base = segment->base();
    // Entered here: a task that has not begun yet must not find them closed behind it.
    Gate::Pass alive = home.gate().enter();
    Gate::Pass inside = users.enter();
    const bool open = alive && inside && !deleted;
    if (!open || !rebuilding.insert(base).second) return;
    home.report({Damage::Kind::index, segment->log_path(), 0,
                 fmt::format("an index of {} is wrong ({}): they are built anew",
                             segment->log_path(), why)});
    auto building = rebuild_in_background(std::move(segment), std::move(alive), std::move(inside));
    home.runtime().spawn(std::move(building));
}

/// The passes are held until it is over.
Task<> LogParts::rebuild_in_background(std::shared_ptr<Segment> segment,
                                       [[maybe_unused]] Gate::Pass alive,
                                       [[maybe_unused]] Gate::Pass inside) {
    // What fails here is tried again by the next reader that is led astray.
    static_cast<void>(co_await rebuild_indexes(segment));
    end_rebuilding(segment->base());
}

Task<Result<ProducerState>> LogParts::producers_at(Offset base) {
    ProducerState state(home.settings().faults);
    Offset from = log_start;
    const std::vector<Offset> known = snapshots;
    for (size_t i = known.size(); i-- > 0;) {
        if (known[i] > base) continue;
        const std::string name = path_of(offset_file_name(known[i], kSnapshotSuffix));
        const auto bytes = co_await read_file(home.files(), name, kMostSnapshot);
        if (!bytes || !state.load_snapshot(bytes->span())) continue;
        from = std::max(from, known[i]);
        break;
    }
    StateFeeder feeder(state, base);
    if (from < base) CO_TRY_STATUS(co_await visit_batches(from, base, feeder));
    co_return state;
}

// Sums.

std::string LogParts::sums_path(const Segment& segment) const {
    return path_of(offset_file_name(segment.base(), kSumsSuffix));
}

Task<Result<std::optional<SegmentSums>>> LogParts::load_sums(std::shared_ptr<Segment> segment) {
    const auto bytes = co_await read_file(home.files(), sums_path(*segment), kMostSums);
    if (!bytes) co_return std::nullopt;
    auto sums = parse_sums(bytes->span());
    // What cannot be read, or is of another file, is made again.
    if (!sums || sums->reign != home.reign() || sums->base != segment->base())
        co_return std::nullopt;
    if (sums->log_bytes != segment->size()) co_return std::nullopt;
    CO_TRY(const Buffer head, co_await segment->read(0, kBatchHeaderBytes));
    const bool same = head.size() == kBatchHeaderBytes &&
                      load_be<uint32_t>(head.data() + batch_layout::kCrc) == sums->first_crc;
    if (!same) co_return std::nullopt;
    co_return *std::move(sums);
}

Task<Status> LogParts::ensure_sums(std::shared_ptr<Segment> segment) {
    if (segment->sums_were_sought() || segment == segments.back()) co_return Status();
    CO_TRY(auto sums, co_await load_sums(segment));
    if (segment->sums_were_sought()) co_return Status();
    // In a log without gaps a batch is known by its neighbours.
    const bool needed = sums && sums->has_gaps;
    segment->take_sums(needed ? std::make_shared<const SegmentSums>(*std::move(sums)) : nullptr);
    co_return Status();
}

Task<Status> LogParts::save_sums(std::shared_ptr<Segment> segment, SegmentSums sums) {
    CO_TRY_STATUS(co_await lane.take(1));
    Status done;
    if (usable() && holds(*segment) && segment->size() == sums.log_bytes) {
        done = co_await home.files().put(sums_path(*segment), sums_bytes(sums));
        if (done && sums.has_gaps) {
            segment->take_sums(std::make_shared<const SegmentSums>(std::move(sums)));
        }
    }
    lane.give_back(1);
    co_return done;
}

Task<Status> LogParts::renew_sums(std::shared_ptr<Segment> segment) {
    CO_TRY(auto sums, co_await load_sums(segment));
    if (!sums) co_return Status();
    sums->offsets = sum_of(segment->offset_index().bytes().span());
    sums->times = sum_of(segment->time_index().bytes().span());
    sums->transactions = sum_of(segment->transaction_index().bytes().span());
    co_return co_await home.files().put(sums_path(*segment), sums_bytes(*sums));
}

Task<Status> LogParts::drop_sums(std::shared_ptr<Segment> segment) {
    segment->take_sums(nullptr);
    CO_TRY_STATUS(co_await lane.take(1));
    Status done;
    if (usable() && holds(*segment)) done = co_await remove_file(home.files(), sums_path(*segment));
    lane.give_back(1);
    co_return done;
}

Task<Status> LogParts::rebuild_indexes(std::shared_ptr<Segment> segment) {
    const uint64_t before = generation;
    const uint64_t end = readable_end(*segment);
    const size_t index = segment_index(segment->base());
    if (segments[index] != segment) co_return Status();
    const bool closed = index + 1 < segments.size();
    Segment scratch(home.files(), identity.path, segment->base(), limits(), WallTime{0});
    CO_TRY(ProducerState state, co_await producers_at(segment->base()));
    IndexBuilder builder(*this, scratch, std::move(state));
    SoundWalk walk(*this, segment, end, limit_of(index));
    for (;;) {
        CO_TRY(const Buffer bytes, co_await walk.next());
        if (bytes.empty()) break;
        builder.note(bytes.span(), walk.position());
        co_await home.runtime().yield();
        CO_TRY_STATUS(usable());
    }
    CO_TRY_STATUS(co_await lane.take(1));
    Status done = usable();
    if (done && generation == before) {
        segment->adopt_indexes(scratch, end, walk.offset(), closed);
        if (closed) done = co_await segment->write_indexes();
        if (closed && done) done = co_await renew_sums(segment);
        names_changed = true;
        if (home.find(identity.instance) == this) home.note_dirty(*this);
    }
    lane.give_back(1);
    co_return done;
}

}  // namespace ottla::storage
