// SPDX-License-Identifier: Apache-2.0
#include "storage/log.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <tuple>

#include "records/control.h"
#include "storage/file_names.h"
#include "storage/log_move.h"
#include "storage/log_parts.h"
#include "storage/shard_directory.h"

namespace ottla::storage {

ProducerBatch producer_batch(const BatchView& batch) {
    ProducerBatch view;
    view.producer = batch.producer_id();
    view.epoch = batch.producer_epoch();
    view.first_sequence = batch.base_sequence();
    view.last_sequence = batch.last_sequence();
    view.first_offset = batch.base_offset();
    view.last_offset = batch.last_offset();
    view.max_timestamp = batch.max_timestamp();
    view.transactional = batch.is_transactional();
    view.control = batch.is_control();
    return view;
}

std::optional<CompletedTransaction> feed_producers(ProducerState& producers,
                                                   const BatchView& batch) {
    if (!batch.has_producer()) return std::nullopt;
    if (!batch.is_control()) {
        producers.appended(producer_batch(batch));
        return std::nullopt;
    }
    RecordIterator records(batch, batch.payload());
    Record record;
    // A cleaning leaves a marker without its record when the whole transaction is gone.
    if (batch.record_count() == 0 || !records.next(record)) return std::nullopt;
    const auto control = parse_control(record);
    if (!control) return std::nullopt;
    const auto end = parse_end_transaction(*control);
    if (!end) return std::nullopt;
    const CompletedTransaction done =
        producers.marker_appended(producer_batch(batch), !end->committed, end->coordinator_epoch);
    if (done.first == kNoOffset) return std::nullopt;
    return done;
}

void LogParts::feed(ProducerState& state, const BatchView& batch, Segment& segment) const {
    const auto done = feed_producers(state, batch);
    if (!done || !done->aborted) return;
    const Offset stable = state.first_open_transaction().value_or(done->last + 1);
    segment.note_aborted({done->producer, done->first, done->last, stable});
}

// LogParts: memory.

LogParts::LogParts(LogIdentity who, const LogConfig& settings, ShardDirectory& directory)
    : identity(std::move(who)),
      config(settings),
      home(directory),
      producers(directory.settings().faults),
      users(directory.runtime()),
      shape(directory.runtime(), 1),
      rebuilding_ended(directory.runtime()),
      lane(directory.runtime(), 1) {}

Status LogParts::usable() const {
    if (home.error()) return std::unexpected(*home.error());
    if (deleted) {
        return fail(ErrorCode::unknown_topic_or_partition,
                    fmt::format("{} is deleted", identity.path));
    }
    return {};
}

size_t LogParts::segment_index(Offset offset) const {
    auto above = std::upper_bound(segments.begin(), segments.end(), offset,
                                  [](Offset wanted, const std::shared_ptr<Segment>& segment) {
                                      return wanted < segment->base();
                                  });
    return above == segments.begin() ? 0 : static_cast<size_t>(above - segments.begin()) - 1;
}

bool LogParts::holds(const Segment& segment) const {
    return segments[segment_index(segment.base())].get() == &segment;
}

SegmentLimits LogParts::limits() const {
    SegmentLimits limits;
    limits.segment_bytes = config.segment_bytes;
    limits.segment_ms = config.segment_ms;
    // What has to be compacted in time must be in a closed segment by then, as Kafka rolls it.
    if (config.compacts && config.max_compaction_lag_ms > 0) {
        limits.segment_ms = std::min(limits.segment_ms, config.max_compaction_lag_ms);
    }
    limits.index_bytes = config.segment_index_bytes;
    limits.index_interval_bytes = config.index_interval_bytes;
    return limits;
}

std::string LogParts::path_of(std::string_view name) const {
    return join_path(identity.path, name);
}

void LogParts::add_segment(Offset base) {
    SegmentLimits own = limits();
    if (config.segment_jitter_ms > 0) {
        const uint64_t drawn = home.runtime().random();
        const int64_t most = std::max<int64_t>(std::min(config.segment_jitter_ms, own.segment_ms), 1);
        own.jitter_ms = static_cast<int64_t>(drawn % static_cast<uint64_t>(most));
    }
    segments.push_back(std::make_shared<Segment>(home.files(), identity.path, base, own,
                                                 home.runtime().wall_time(), &home.open_files()));
    ++generation;
}

void LogParts::declare(size_t bytes) {
    JournalEntry entry;
    entry.kind = EntryKind::declare;
    entry.instance = identity.instance;
    entry.topic_id = identity.topic_id;
    entry.log = identity.name;
    entry.directory_name = identity.directory_name;
    const size_t own =
        kEntryHeaderBytes + 24 + entry.log.topic.size() + entry.directory_name.size();
    Journal& journal = home.journal();
    const uint64_t file = journal.file_of_next(own + bytes);
    if (file == declared_in) return;
    declared_in = file;
    journal.add_entry(entry);
}

void LogParts::mark(JournalGroup& group) {
    if (marked_group == group.sequence) {
        group.marks[mark_index].end = log_end;
        return;
    }
    marked_group = group.sequence;
    mark_index = group.marks.size();
    group.marks.push_back({identity.instance, log_end});
}

JournalGroup& LogParts::journal_entry(EntryKind kind, Offset offset) {
    constexpr size_t kMost = kEntryHeaderBytes + 32;
    declare(kMost);
    JournalEntry entry;
    entry.kind = kind;
    entry.instance = identity.instance;
    entry.offset = offset;
    entry.segment_base = active().base();
    entry.position = static_cast<uint32_t>(active().size());
    return home.journal().add_entry(entry);
}

void LogParts::roll_segment(Offset base) {
    FileEffect effect;
    effect.kind = FileEffect::Kind::snapshot;
    effect.offset = base;
    effect.bytes = producers.snapshot();
    effect.after = kNotYet;
    effects.push_back(std::move(effect));
    add_segment(base);
}

void LogParts::roll_to(Offset offset) {
    roll_segment(offset);
    log_end = offset;
    JournalGroup& group = journal_entry(EntryKind::roll, offset);
    mark(group);
    hold_snapshot(group);
    FileEffect effect;
    effect.kind = FileEffect::Kind::make_segment;
    effect.segment = segments.back();
    effect.group = &group;
    effects.push_back(std::move(effect));
}

void LogParts::hold_snapshot(const JournalGroup& group) {
    if (effects.empty() || effects.back().after != kNotYet) return;
    effects.back().after = group.sequence;
}

void LogParts::release_head() {
    FileEffect effect;
    effect.kind = FileEffect::Kind::remove_head;
    effect.offset = log_start;
    if (!home.settings().faults.forget_log_start) {
        JournalGroup& group = journal_entry(EntryKind::log_start, log_start);
        mark(group);
        effect.group = &group;
    }
    effects.push_back(std::move(effect));
}

void LogParts::advance_durable(Offset end) {
    if (deleted || end <= durable_end) return;
    durable_end = end;
    if (moving != nullptr) moving->log_changed();
    if (observer != nullptr) observer->durable_end_moved(*self, end);
}

void LogParts::forget_chunk(const Chunk& chunk) {
    while (!tail.empty() && tail.front().group->chunk == &chunk) {
        CHECK(tail.begin() < flush_cursor, "only flushed bytes are evicted");
        tail.pop_front();
    }
}

void LogParts::settle(const TailBatch& batch) {
    home.journal().effect_done(*batch.group);
    home.settled(disk_cost(batch.bytes, batch.reserved));
}

void LogParts::drop_unflushed() {
    for (uint64_t number = flush_cursor; number < tail.end(); ++number) {
        settle(tail.at(number));
    }
    while (!tail.empty()) tail.pop_back();
    flush_cursor = tail.end();
    flushed_part = 0;
    for (FileEffect& effect : effects) {
        if (effect.group != nullptr) home.journal().effect_done(*effect.group);
        if (effect.kind == FileEffect::Kind::make_directory) home.settled(kDiskCostOfLog);
    }
    effects.clear();
}

void LogParts::cut(const Place& place) {
    const Offset boundary = place.base;
    const uint64_t position = place.position;
    ++generation;
    ++cuts;
    while (!tail.empty() && tail.back().base >= boundary) {
        const TailBatch last = tail.back();
        const bool unflushed = tail.end() - 1 >= flush_cursor;
        tail.pop_back();
        if (unflushed) settle(last);
    }
    if (!home.settings().faults.late_flush_undoes_truncation && in_flight_end) {
        in_flight_end = std::min(*in_flight_end, tail.end());
    }
    const bool part_is_cut = flush_cursor >= tail.end();
    if (part_is_cut && !home.settings().faults.keep_part_over_truncation) flushed_part = 0;
    flush_cursor = std::min(flush_cursor, tail.end());
    // Snapshots above the cut speak of records that are gone, and once the log has grown again
    // nobody could tell.
    std::erase_if(effects, [boundary](const FileEffect& waiting) {
        return waiting.kind == FileEffect::Kind::snapshot && waiting.offset > boundary;
    });
    FileEffect effect;
    effect.kind = FileEffect::Kind::truncate;
    effect.segment = place.segment;
    effect.position = position;
    const bool cleans = !home.settings().faults.keep_snapshots_over_truncation;
    while (cleans && !snapshots.empty() && snapshots.back() > boundary) {
        effect.snapshots.push_back(snapshots.back());
        snapshots.pop_back();
    }
    while (segments.back() != place.segment) {
        size_bytes -= segments.back()->size();
        segments.back()->let_go();
        effect.removed.push_back(std::move(segments.back()));
        segments.pop_back();
    }
    size_bytes -= active().size() - position;
    active().note_truncate(boundary, position);
    // The batch may have begun below the log's start, which never goes back.
    log_end = std::max(boundary, log_start);
    for (Offset* end :
         {&durable_end, &flushed_end, &synced_end, &checkpoint_end, &high_watermark, &cleaned}) {
        *end = std::min(*end, log_end);
    }
    home.journal().lower_marks(identity.instance, log_end);
    epochs.truncate_end(boundary);
    epochs_changed = true;
    JournalGroup& group = journal_entry(EntryKind::truncate, boundary);
    mark(group);
    effect.group = &group;
    effects.push_back(std::move(effect));
    if (moving != nullptr) moving->log_was_cut(log_end);
    // An emptied log goes on in another segment, and a move of the log's start that waits in the lane
    // then takes this one along. The journal has to know that for as long as it knows of the cut.
    if (log_end == log_start && segments.front()->base() < log_start) release_head();
}

// Log.

Log::Log(std::unique_ptr<LogParts> parts) : parts_(std::move(parts)) { parts_->self = this; }
Log::~Log() = default;

const TopicPartition& Log::name() const { return parts_->identity.name; }
const Uuid& Log::topic_id() const { return parts_->identity.topic_id; }
const std::string& Log::path() const { return parts_->identity.path; }
const std::string& Log::log_dir() const { return parts_->identity.log_dir; }
bool Log::is_offline() const { return parts_->home.error().has_value(); }

Offset Log::log_start() const { return parts_->log_start; }
Offset Log::local_log_start() const {
    return std::max(parts_->log_start, parts_->segments.front()->base());
}
Offset Log::log_end() const { return parts_->log_end; }
Offset Log::durable_end() const { return parts_->durable_end; }
Offset Log::flushed_end() const { return parts_->flushed_end; }
Offset Log::synced_end() const { return parts_->synced_end; }
uint64_t Log::size_bytes() const { return parts_->size_bytes; }

void Log::observe(LogObserver* observer) { parts_->observer = observer; }
const LogConfig& Log::config() const { return parts_->config; }

void Log::configure(const LogConfig& config) {
    const Durability durability = parts_->config.durability;
    parts_->config = config;
    parts_->config.durability = durability;  // set_durability, which may have to wait.
    for (auto& segment : parts_->segments) segment->set_limits(parts_->limits());
}

Task<Status> Log::set_durability(Durability durability) {
    LogParts& parts = *parts_;
    if (durability == Durability::strict && parts.config.durability == Durability::relaxed) {
        // From here on nothing is acknowledged before its sync; what was must be synced first.
        parts.config.durability = Durability::strict;
        if (parts.home.settings().faults.strict_without_sync) co_return Status();
        CO_TRY_STATUS(co_await parts.home.journal().wait_durable(parts.marked_group));
    }
    parts_->config.durability = durability;
    co_return Status();
}

Result<AppendResult> Log::append(const AppendRequest& request) {
    LogParts& log = *parts_;
    TRY_STATUS(log.usable());
    TRY(const BatchView sent, parse_batch(request.batch));
    CHECK(sent.size() == request.batch.size(), "one batch at a time");
    const bool leads = request.mode == AppendMode::leader;
    const Offset base = leads ? log.log_end : sent.base_offset();
    if (base < log.log_end) {
        return fail(ErrorCode::invalid_request,
                    fmt::format("{}: a batch at {} below the log end {}", path(), base.value(),
                                log.log_end.value()));
    }
    // A marker has no sequence: its coordinator is fenced by epochs.
    if (leads && !sent.is_control()) {
        TRY(const auto duplicate, log.producers.check(producer_batch(sent)));
        if (duplicate) {
            return AppendResult{AppendResult::Verdict::duplicate, duplicate->first_offset,
                                duplicate->first_offset + sent.last_offset_delta(),
                                duplicate->timestamp};
        }
    }
    if (log.appends_wait)
        return fail(ErrorCode::would_block, "its copy is about to take its place");
    const Offset last = base + sent.last_offset_delta();
    const WallTime timestamp =
        request.restamp ? request.restamp->max_timestamp : sent.max_timestamp();
    const bool rolls =
        log.active().must_roll(sent.size(), last, timestamp, log.home.runtime().wall_time());
    const bool reserved = !rolls && log.active().has_room(sent.size());
    switch (log.home.admits(sent.size(), disk_cost(sent.size(), reserved))) {
        case ShardDirectory::Room::yes: break;
        case ShardDirectory::Room::wait:
            return fail(ErrorCode::would_block, "there is no room yet");
        case ShardDirectory::Room::disk_full: return std::unexpected(log.home.full_disk());
    }
    // At the batch, not at the log's end: a follower of a compacted log may have to leap further than
    // the offsets of one segment can.
    if (rolls) log.roll_segment(base);
    Segment& segment = log.active();
    log.declare(kAppendHeaderBytes + sent.size());
    Journal& journal = log.home.journal();
    const Journal::Place place =
        journal.add_append(log.identity.instance, segment.base(), segment.size(), sent.size());
    std::memcpy(place.batch.data(), request.batch.data(), request.batch.size());
    if (leads) assign_offsets(place.batch, base, request.leader_epoch, request.restamp);

    const BatchView stored(place.batch);
    TailBatch entry{base,
                    last,
                    place.group,
                    place.offset_in_chunk,
                    static_cast<uint32_t>(stored.size()),
                    segment.base(),
                    static_cast<uint32_t>(segment.size()),
                    reserved};
    segment.note_append(stored);
    log.tail.push_back(entry);
    log.home.took(disk_cost(entry.bytes, reserved));
    log.size_bytes += stored.size();
    const auto latest = log.epochs.latest();
    if (stored.leader_epoch() >= LeaderEpoch{0} &&
        (!latest || latest->epoch < stored.leader_epoch())) {
        log.epochs.assign(stored.leader_epoch(), base);
        log.epochs_changed = true;
    }
    log.feed(log.producers, stored, segment);
    log.hold_snapshot(*place.group);
    log.log_end = last + 1;
    log.mark(*place.group);
    if (log.home.settings().faults.acknowledge_before_durable) log.advance_durable(log.log_end);
    return AppendResult{AppendResult::Verdict::appended, base, last, stored.max_timestamp()};
}

Status Log::roll() {
    LogParts& log = *parts_;
    TRY_STATUS(log.usable());
    if (log.active().size() == 0) return {};
    log.roll_to(log.log_end);
    return {};
}

Status Log::delete_before(Offset offset) {
    LogParts& log = *parts_;
    TRY_STATUS(log.usable());
    if (offset > log.durable_end) {
        return fail(ErrorCode::offset_out_of_range,
                    fmt::format("{}: {} is above the durable end {}", path(), offset.value(),
                                log.durable_end.value()));
    }
    if (offset <= log.log_start) return {};
    log.log_start = offset;
    log.epochs.truncate_start(offset);
    log.epochs_changed = true;
    log.release_head();
    if (log.moving != nullptr) log.moving->log_changed();
    return {};
}

Result<Offset> Log::delete_records(Offset before) {
    LogParts& log = *parts_;
    const Offset wanted = before == kNoOffset ? log.high_watermark : before;
    if (wanted < Offset{0} || wanted > log.high_watermark) {
        return fail(ErrorCode::offset_out_of_range,
                    fmt::format("{}: records below {} cannot be deleted, the high watermark is {}",
                                path(), wanted.value(), log.high_watermark.value()));
    }
    TRY_STATUS(delete_before(wanted));
    return log.log_start;
}

Task<Status> Log::sync_start() {
    for (;;) {
        LogParts& log = *parts_;
        CO_TRY_STATUS(log.usable());
        const Gate::Pass pass = log.users.enter();
        // A copy that is about to take its place may have missed the start that is asked for.
        CO_TRY_STATUS(co_await log.shape.take(1));
        log.shape.give_back(1);
        if (parts_.get() != &log) continue;
        co_return co_await log.home.journal().wait_durable(log.marked_group);
    }
}

Task<Status> Log::truncate_to(Offset offset) {
    for (;;) {
        LogParts& log = *parts_;
        CO_TRY_STATUS(log.usable());
        const Gate::Pass pass = log.users.enter();
        CO_TRY_STATUS(co_await log.shape.take(1));
        Status done;
        // Its copy in another directory may have taken its place meanwhile.
        const bool moved = parts_.get() != &log;
        if (!moved) done = co_await log.truncate(offset);
        log.shape.give_back(1);
        if (!moved) co_return done;
    }
}

Error LogParts::passed_by_start(Offset offset) const {
    return {ErrorCode::offset_out_of_range,
            fmt::format("{}: the log start passed {} meanwhile", identity.path, offset.value())};
}

Task<Status> LogParts::truncate(Offset offset) {
    CO_TRY_STATUS(usable());
    if (offset >= log_end) co_return Status();
    if (offset < log_start) {
        co_return fail(ErrorCode::offset_out_of_range,
                       fmt::format("{}: truncation to {} below the log start {}", identity.path,
                                   offset.value(), log_start.value()));
    }
    auto located = co_await locate(offset);
    // Retention may have taken what was about to be read.
    if (!located && offset < log_start) co_return std::unexpected(passed_by_start(offset));
    if (!located) co_return std::unexpected(located.error());
    Place place = *located;
    if (place.base > offset) {
        // The cleaner left nothing up to there: the log ends where it was told to, in the segment
        // that holds that offset.
        place.base = offset;
        const std::shared_ptr<Segment>& floor = segments[segment_index(offset)];
        if (place.segment != floor) place = {floor, floor->size(), offset};
    }
    CO_TRY([[maybe_unused]] const IndexPin indexes, co_await ensure_indexes(place.segment));
    CO_TRY_STATUS(usable());
    if (!holds(*place.segment)) co_return std::unexpected(passed_by_start(offset));
    producers_outdated = true;
    cut(place);
    const bool late_flush = home.settings().faults.late_flush_undoes_truncation;
    if (late_flush && in_flight_end && place.segment->is_open()) {
        // The planted bug: the file is cut beside a write that is on its way, and not in the lane.
        effects.back().position = UINT64_MAX;
        CO_TRY_STATUS(co_await place.segment->truncate_file(place.position));
    }
    const bool keeps_producers = home.settings().faults.keep_producers_over_truncation;
    Status rebuilt;
    Offset start{0};
    do {
        start = log_start;
        rebuilt = co_await find_largest_time();
        if (rebuilt && !keeps_producers) rebuilt = co_await rebuild_producers();
        // Retention may take what was about to be read: then from where the log begins now.
    } while (!rebuilt && rebuilt.error().code == ErrorCode::offset_out_of_range &&
             log_start != start);
    // Of producers as they were before the cut nobody may make a snapshot.
    const bool disk = !rebuilt && (rebuilt.error().code == ErrorCode::io_error ||
                                   rebuilt.error().code == ErrorCode::kafka_storage_error);
    if (disk) home.fail_with(rebuilt.error());
    co_return rebuilt;
}

namespace {

class LargestTime final : public BatchVisitor {
public:
    void visit(const BatchView& batch, uint64_t) override {
        if (batch.max_timestamp() <= time) return;
        time = batch.max_timestamp();
        offset = batch.last_offset();
    }
    WallTime time = kNoTimestamp;
    Offset offset{0};
};

}  // namespace

/// Behind the last entry of the time index a larger one may be left, which only the batches know.
Task<Status> LogParts::find_largest_time() {
    const std::shared_ptr<Segment> last = segments.back();
    const Offset indexed = last->time_index().last().offset;
    LargestTime largest;
    CO_TRY_STATUS(co_await visit_batches(std::max({indexed, last->base(), log_start}), largest));
    last->note_largest_time(largest.time, largest.offset);
    co_return Status();
}

LeaderEpoch Log::latest_epoch() const {
    const auto latest = parts_->epochs.latest();
    return latest ? latest->epoch : kNoLeaderEpoch;
}
EpochEnd Log::end_offset_for_epoch(LeaderEpoch epoch) const {
    return parts_->epochs.end_of(epoch, parts_->log_end);
}
LeaderEpoch Log::epoch_at(Offset offset) const { return parts_->epochs.epoch_at(offset); }
void Log::begin_epoch(LeaderEpoch epoch) {
    parts_->epochs.assign(epoch, parts_->log_end);
    parts_->epochs_changed = true;
    parts_->home.note_dirty(*parts_);
}

void Log::note_high_watermark(Offset high_watermark) {
    parts_->high_watermark = high_watermark;
    parts_->producers.note_high_watermark(high_watermark);
}
Offset Log::noted_high_watermark() const { return parts_->high_watermark; }

void Log::expire_producers(WallTime now) {
    parts_->producers.expire_before(
        WallTime{now.value() - parts_->config.producer_id_expiration_ms});
}

Offset Log::last_stable_offset() const {
    const Offset unstable = parts_->producers.first_unstable().value_or(parts_->high_watermark);
    // A transaction that began below the log's start has nothing there any more.
    return std::min(std::max(unstable, parts_->log_start), parts_->high_watermark);
}

std::optional<Offset> Log::first_open_transaction() const {
    return parts_->producers.first_open_transaction();
}

}  // namespace ottla::storage
