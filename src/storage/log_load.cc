// SPDX-License-Identifier: Apache-2.0
// How a log comes back: its segments from the files, its end, epochs and producer state from what
// they hold.
//
// After a clean stop the files are taken at their word: index files, and only the bytes behind the
// last index entry are walked. Otherwise every segment that reaches above the recovery point is
// walked with checksums, cut behind its last good batch, and its indexes are built anew.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "storage/atomic_file.h"
#include "storage/file_names.h"
#include "storage/log_parts.h"
#include "storage/offset_checkpoint.h"
#include "storage/segment_swap.h"
#include "storage/shard_directory.h"

namespace ottla::storage {
namespace {

constexpr uint64_t kMostEpochs = 16ULL * 1024 * 1024;
constexpr uint64_t kMostSnapshot = 256ULL * 1024 * 1024;
/// How far below a snapshot batches are looked at again, to fill the windows of its producers.
constexpr uint64_t kWindowBytes = 4ULL * 1024 * 1024;

class ProducerFeeder final : public BatchVisitor {
public:
    ProducerFeeder(const LogParts& log, ProducerState& producers, Offset from)
        : log_(log), producers_(producers), from_(from) {}
    void visit(const BatchView& batch, uint64_t) override {
        if (batch.offset_end() > from_) {  // It may begin below the log's start.
            Segment& segment = *log_.segments[log_.segment_index(batch.base_offset())];
            if (segment.lacks_transactions()) {
                log_.feed(producers_, batch, segment);
            } else {
                feed_producers(producers_, batch);
            }
        } else if (batch.has_producer() && !batch.is_control()) {
            producers_.remember_older(producer_batch(batch));
        }
    }

private:
    const LogParts& log_;
    ProducerState& producers_;
    Offset from_;
};

/// `in_doubt`: the checkpoint file may be older than a truncation here, and speak of what was cut.
class EpochFeeder final : public BatchVisitor {
public:
    EpochFeeder(LeaderEpochs& epochs, bool in_doubt) : epochs_(epochs), in_doubt_(in_doubt) {}
    void visit(const BatchView& batch, uint64_t) override {
        const LeaderEpoch own = batch.leader_epoch();
        if (own < LeaderEpoch{0}) return;
        went_back = went_back || own < newest_;
        newest_ = std::max(newest_, own);
        const auto latest = epochs_.latest();
        const bool younger = !latest || latest->epoch < own;
        const bool outdated = in_doubt_ && epochs_.epoch_at(batch.base_offset()) != own;
        if (outdated) epochs_.truncate_end(batch.base_offset());
        if (younger || outdated) epochs_.assign(own, batch.base_offset());
    }
    /// No log does that: one of them is not what was written, and no CRC covers it.
    bool went_back = false;

private:
    LeaderEpochs& epochs_;
    const bool in_doubt_;
    LeaderEpoch newest_ = kNoLeaderEpoch;
};

class CountBatches final : public BatchVisitor {
public:
    void visit(const BatchView&, uint64_t) override {}
};

struct LogFiles {
    std::vector<Offset> bases;
    std::set<Offset> transactions;
    std::set<Offset> sums;
    std::vector<Offset> snapshots;
    std::vector<std::string> leftovers;
};

LogFiles sort_files(const std::vector<DirectoryEntry>& entries) {
    LogFiles found;
    for (const DirectoryEntry& entry : entries) {
        if (entry.is_directory) continue;
        if (const auto base = parse_offset_file(entry.name, kLogSuffix)) {
            found.bases.push_back(*base);
        } else if (const auto of = parse_offset_file(entry.name, kTransactionIndexSuffix)) {
            found.transactions.insert(*of);
        } else if (const auto offset = parse_offset_file(entry.name, kSnapshotSuffix)) {
            found.snapshots.push_back(*offset);
        } else if (const auto summed = parse_offset_file(entry.name, kSumsSuffix)) {
            found.sums.insert(*summed);
        } else if (entry.name.ends_with(".tmp") || entry.name.ends_with(".deleted") ||
                   entry.name.ends_with(".cleaned")) {
            found.leftovers.push_back(entry.name);
        }
    }
    std::sort(found.bases.begin(), found.bases.end());
    for (const Offset base : found.sums) {
        // Kafka took the segment away and knows nothing of its sums.
        const bool orphan = !std::ranges::binary_search(found.bases, base);
        if (orphan) found.leftovers.push_back(offset_file_name(base, kSumsSuffix));
    }
    std::sort(found.snapshots.begin(), found.snapshots.end());
    return found;
}

}  // namespace

bool is_rebuildable(const Error& why) {
    return why.code == ErrorCode::corrupt || why.code == ErrorCode::not_found ||
           why.code == ErrorCode::invalid_argument;
}

/// Loads the segments of one log in order. Lives in the loading task.
class SegmentLoader {
public:
    SegmentLoader(LogParts& log, const FoundLog& found)
        : log_(log),
          recovery_point_(found.recovery_point),
          keep_below_(found.complete ? Offset{INT64_MAX} : found.recovery_point),
          known_below_(grew(found) ? std::min(found.recovery_point, found.entry->end)
                                   : found.recovery_point),
          clean_(found.clean && !grew(found)),
          walks_all_(found.picture_lost) {}

    /// Behind the last record, as far as damage lets one see.
    [[nodiscard]] Offset end() const { return end_; }

    Task<Status> load_all() {
        for (size_t i = 0; i < log_.segments.size(); ++i) {
            const bool last = i + 1 == log_.segments.size();
            // With the recovery point at its end its bytes are synced, but perhaps not its indexes,
            // which may be a mixture with older ones.
            const bool settled =
                clean_ || (!walks_all_ && !last && log_.segments[i + 1]->base() < known_below_);
            if (settled) {
                const Status loaded = co_await log_.segments[i]->load();
                if (!loaded && !is_rebuildable(loaded.error())) co_return loaded;
                if (!loaded) CO_TRY_STATUS(co_await rebuild(i, loaded.error().detail, false));
                log_.keep_indexes(*log_.segments[i]);
            } else {
                CO_TRY_STATUS(co_await recover(i));
            }
            if (last && settled) CO_TRY_STATUS(co_await find_end());
            log_.size_bytes += log_.segments[i]->size();
            if (damaged_) co_return co_await drop_behind(i);
        }
        co_return Status();
    }

private:
    /// Of a picture that does not fit the leader epochs are taken; those of what a replay put behind
    /// it only the batches know.
    static bool grew(const FoundLog& found) {
        return found.entry != nullptr && !found.entry->grown.empty();
    }

    Task<Status> recover(size_t index) {
        const LeaderEpochs before = log_.epochs;
        EpochFeeder epochs(log_.epochs, true);
        // What preallocation left behind them: where the next segment goes on, or the log was known to
        // end. A torn end of the last one goes whatever it holds.
        const bool last = index + 1 == log_.segments.size();
        Offset filled = keep_below_ == recovery_point_ ? Offset{INT64_MAX} : recovery_point_;
        if (!last) filled = log_.segments[index + 1]->base();
        CO_TRY(const SegmentEnd end,
               co_await log_.segments[index]->recover(&epochs, keep_below_, filled));
        log_.epochs_changed = true;
        const bool hurt = end.damage && end.offset < keep_below_;
        const bool wrong_epoch = !end.damage && epochs.went_back;
        if (hurt || wrong_epoch) {
            // No torn batch: the file was hurt. Nothing is thrown away.
            if (wrong_epoch) log_.epochs = before;
            std::string why = hurt ? end.damage->detail : "a leader epoch goes back";
            co_return co_await rebuild(index, std::move(why), true);
        }
        damaged_ = end.damage.has_value();
        end_ = end.offset;
        // Its indexes are written when its aborted transactions are known too.
        co_return co_await log_.segments[index]->sync();
    }

    /// Indexes and epochs from the batches, over whatever is damaged.
    Task<Status> rebuild(size_t index, std::string why, bool in_doubt) {
        const std::shared_ptr<Segment> segment = log_.segments[index];
        const bool last = index + 1 == log_.segments.size();
        log_.home.report({Damage::Kind::index, segment->log_path(), 0,
                          fmt::format("the indexes of {} are built anew: {}", segment->log_path(),
                                      why)});
        Segment scratch(log_.home.files(), log_.identity.path, segment->base(), log_.limits(),
                        WallTime{0});
        EpochFeeder epochs(log_.epochs, in_doubt);
        const Offset limit = last ? Offset{INT64_MAX} : log_.segments[index + 1]->base();
        SoundWalk walk(log_, segment, segment->size(), limit);
        for (;;) {
            CO_TRY(const Buffer bytes, co_await walk.next());
            if (bytes.empty()) break;
            BatchCursor cursor(bytes.span());
            while (cursor.next() == BatchStep::batch) {
                scratch.note_found(cursor.batch(), walk.position() + cursor.position());
                epochs.visit(cursor.batch(), 0);
            }
        }
        segment->adopt_indexes(scratch, segment->size(), walk.offset(), true);
        segment->lose_transactions();
        log_.epochs_changed = true;
        end_ = std::max(walk.last_sound(), last ? recovery_point_ : walk.offset());
        for (DamagedRange& range : log_.damaged) {
            range.end = std::min(range.end, std::max(end_, range.first));
        }
        co_return Status();
    }

    /// Of the last segment, whose files are taken at their word: only what lies behind its index.
    Task<Status> find_end() {
        const std::shared_ptr<Segment> segment = log_.segments.back();
        if (segment->lacks_transactions()) co_return Status();  // Rebuilt: it is known.
        end_ = segment->base();
        if (segment->size() == 0) co_return Status();
        CountBatches nothing;
        const OffsetIndex::Entry entry = segment->offset_index().last();
        CO_TRY(const SegmentEnd end,
               co_await segment->walk(entry.position, BatchCursor::Crc::check, nothing));
        end_ = end.offset;
        if (!end.damage && end.offset > entry.offset) co_return Status();
        std::string why = "they lead astray";
        if (end.damage) why = end.damage->detail;
        co_return co_await rebuild(log_.segments.size() - 1, std::move(why), false);
    }

    /// Behind a torn batch nothing can follow: those segments were never acknowledged.
    Task<Status> drop_behind(size_t index) {
        while (log_.segments.size() > index + 1) {
            CO_TRY_STATUS(co_await log_.segments.back()->remove_files());
            log_.segments.pop_back();
        }
        log_.names_changed = true;
        co_return Status();
    }

    LogParts& log_;
    Offset recovery_point_;
    Offset keep_below_;
    Offset known_below_;
    bool clean_;
    bool walks_all_;
    bool damaged_ = false;
    Offset end_{0};
};

Task<Status> LogParts::load(FoundLog found) {
    if (found.rewrite_topic_id) CO_TRY_STATUS(co_await rewrite_topic_id());
    if (found.entry != nullptr) {
        const Status stood = co_await stand_up(found);
        may_have_leftovers = !found.clean;
        const bool cleaned_before = config.compacts || cleaned >= Offset{0};
        if (stood && cleaned_before) co_return co_await remove_leftovers();
        if (stood || !is_rebuildable(stood.error())) co_return stood;
        forget_all();
        // Their file has no checksum, and the catalogue has.
        if (!found.epochs) found.epochs = found.entry->epochs;
    }
    may_have_leftovers = false;
    co_return co_await read_files(std::move(found));
}

Task<Status> LogParts::rewrite_topic_id() {
    Buffer text = Buffer::copy_of(partition_metadata_text(identity.topic_id));
    const std::string path = path_of(kPartitionMetadataFile);
    home.report({Damage::Kind::state, path, 0,
                 fmt::format("{} named no topic of this name: written again", path)});
    co_return co_await replace_file(home.files(), path, text);
}

Task<Status> LogParts::read_files(FoundLog found) {
    CO_TRY([[maybe_unused]] const bool settled, co_await settle_swaps(home.files(), identity.path));
    CO_TRY(const auto entries, co_await home.files().list(identity.path));
    const LogFiles files = sort_files(entries);
    for (const std::string& name : files.leftovers) {
        CO_TRY_STATUS(co_await remove_file(home.files(), path_of(name)));
    }
    bool epochs_lost = false;
    epochs_certain = false;
    const auto text = co_await read_file(home.files(), path_of(kLeaderEpochFile), kMostEpochs);
    if (found.epochs) {
        for (const EpochStart& one : *found.epochs) epochs.assign(one.epoch, one.start);
    } else if (text && !text->empty()) {
        auto parsed = LeaderEpochs::parse(text->text());
        if (parsed) epochs = *std::move(parsed);
        epochs_lost = !parsed;
    }
    for (size_t i = 0; i < files.bases.size(); ++i) {
        add_segment(files.bases[i]);
        if (files.transactions.contains(files.bases[i])) segments.back()->expect_transaction_file();
        const bool gone = i + 1 < files.bases.size() && files.bases[i + 1] <= found.log_start;
        if (!gone || found.clean) continue;
        // Retention took it away and a crash brought its name back; its bytes need not be whole.
        CO_TRY_STATUS(co_await segments.back()->remove_files());
        segments.pop_back();
        names_changed = true;
    }
    if (segments.empty()) {
        add_segment(std::max(found.log_start, Offset{0}));
    } else {
        SegmentLoader loader(*this, found);
        CO_TRY_STATUS(co_await loader.load_all());
        log_end = loader.end();
    }
    log_end = std::max(log_end, active().base());
    settle_ends(found);
    if (epochs_lost) CO_TRY_STATUS(co_await rebuild_epochs());
    epochs.truncate_end(log_end);
    epochs.truncate_start(log_start);
    epochs_changed = epochs_changed || !text || epochs.checkpoint() != text->text();
    CO_TRY_STATUS(co_await sort_out_snapshots(files.snapshots));
    co_return co_await rebuild_producers();
}

void LogParts::settle_ends(const FoundLog& found) {
    log_start = std::max({found.log_start, segments.front()->base(), Offset{0}});
    // A log start above everything: the log was emptied up to there and goes on from there.
    log_end = std::max(log_end, log_start);
    high_watermark = std::clamp(found.high_watermark, log_start, log_end);
    durable_end = flushed_end = synced_end = checkpoint_end = log_end;
    cleaned = std::min(found.cleaned, log_end);
}

/// From the batches: a long walk, but nothing else knows them.
Task<Status> LogParts::rebuild_epochs() {
    home.report({Damage::Kind::state, path_of(kLeaderEpochFile), 0,
                 fmt::format("{} cannot be read: made anew from the batches",
                             path_of(kLeaderEpochFile))});
    epochs = LeaderEpochs();
    EpochFeeder feeder(epochs, false);
    CO_TRY_STATUS(co_await visit_batches(log_start, log_end, feeder));
    epochs_certain = true;
    co_return Status();
}

/// One of an end that a crash took back would speak of other records once the log has grown there
/// again. Of the rest, those at the start of a segment and the newest stay, as Kafka keeps them.
Task<Status> LogParts::sort_out_snapshots(std::vector<Offset> found) {
    snapshots.clear();
    const bool taken_back = !found.empty() && found.back() > log_end;
    for (size_t i = 0; i < found.size(); ++i) {
        const bool newest = i + 1 == found.size() || found[i + 1] > log_end;
        const bool at_segment = segments[segment_index(found[i])]->base() == found[i];
        if (found[i] <= log_end && (newest || at_segment)) {
            snapshots.push_back(found[i]);
            continue;
        }
        names_changed = true;
        const std::string name = offset_file_name(found[i], kSnapshotSuffix);
        CO_TRY_STATUS(co_await remove_file(home.files(), path_of(name)));
    }
    // Before the log grows: a power cut must not bring one back that then seems to fit.
    if (taken_back) CO_TRY_STATUS(co_await home.files().sync_directory(identity.path));
    co_return Status();
}

Task<Result<Offset>> LogParts::window_start(Offset from) {
    // A copy: retention may take segments away meanwhile.
    const std::vector<std::shared_ptr<Segment>> held(
        segments.begin(), segments.begin() + static_cast<ptrdiff_t>(segment_index(from - 1)) + 1);
    Offset start = from;
    uint64_t found = 0;
    for (size_t i = held.size(); i-- > 0 && found < kWindowBytes;) {
        const Segment& segment = *held[i];
        const auto indexes = co_await ensure_indexes(held[i]);
        // What retention took, and all before it, is not looked at again.
        if (!indexes && !holds(segment)) break;
        if (!indexes) co_return std::unexpected(indexes.error());
        const OffsetIndex& offsets = indexes->offsets();
        const bool whole = i + 1 < held.size();
        const uint64_t end = whole ? segment.size() : offsets.lookup(from).position;
        size_t entry = offsets.size();
        while (entry > 0 && offsets.entry(entry - 1).position + kWindowBytes > end + found) --entry;
        start = entry == 0 ? segment.base() : offsets.entry(entry - 1).offset;
        found += end;
    }
    co_return start;
}

Task<Status> LogParts::rebuild_producers() {
    // Until it is complete the old one answers: it says stable of nothing that is not.
    ProducerState fresh(home.settings().faults);
    Offset from = log_start;
    // Segments that were walked have to learn of their aborted transactions too.
    Offset at_most = log_end;
    for (const auto& segment : segments) {
        if (segment->lacks_transactions()) at_most = std::min(at_most, segment->base());
    }
    // A copy: the lane makes and removes snapshots meanwhile.
    const std::vector<Offset> known = snapshots;
    for (size_t i = known.size(); i-- > 0;) {
        if (known[i] > at_most) continue;
        const std::string name = path_of(offset_file_name(known[i], kSnapshotSuffix));
        auto bytes = co_await read_file(home.files(), name, kMostSnapshot);
        if (!bytes) continue;
        // A damaged one costs only a longer walk, from the one before it.
        if (const Status loaded = fresh.load_snapshot(bytes->span()); !loaded) {
            // Of a log that is served it may be just about to be written; a truncation below it has
            // to know of it all the same.
            if (home.find(identity.instance) != nullptr) continue;
            home.report({Damage::Kind::state, name, 0,
                         fmt::format("{} is not used: {}", name, loaded.error().detail)});
            std::erase(snapshots, known[i]);
            continue;
        }
        // It does not say which transactions ended at or above the high watermark, and with them
        // everything from their beginning on may still change.
        if (known[i] > high_watermark && fresh.has_ended_transactions()) {
            fresh.clear();
            continue;
        }
        // What lies between them is not read again, the end of such a transaction perhaps.
        if (known[i] < log_start) fresh.forget_transactions_below(log_start);
        from = std::max(from, known[i]);
        break;
    }
    Offset look_from = from;
    if (fresh.size() > 0) {
        CO_TRY(const Offset start, co_await window_start(from));
        if (log_start > from) {
            co_return fail(ErrorCode::offset_out_of_range,
                           fmt::format("{}: its start moved meanwhile", identity.path));
        }
        look_from = std::clamp(start, log_start, from);
    }
    ProducerFeeder feeder(*this, fresh, from);
    CO_TRY_STATUS(co_await visit_batches(look_from, feeder));
    fresh.note_high_watermark(high_watermark);
    producers = std::move(fresh);
    producers_outdated = false;
    // A copy: retention may take segments away meanwhile.
    std::vector<std::shared_ptr<Segment>> closed;
    for (const auto& segment : segments) {
        if (!segment->lacks_transactions()) continue;
        segment->transactions_rebuilt();
        if (segment != segments.back()) closed.push_back(segment);
    }
    co_return co_await finish_recovered(std::move(closed));
}

/// The index files of closed segments that were walked. A segment below the recovery point is taken
/// at the word of its offset index: the transaction index, whose absence says nothing, comes first.
Task<Status> LogParts::finish_recovered(std::vector<std::shared_ptr<Segment>> closed) {
    bool with_transactions = false;
    names_changed = names_changed || !closed.empty();
    for (const auto& segment : closed) {
        if (segment->transaction_index().empty()) continue;
        with_transactions = true;
        CO_TRY_STATUS(co_await segment->save_transactions());
    }
    if (with_transactions) CO_TRY_STATUS(co_await home.files().sync_directory(identity.path));
    for (const auto& segment : closed) {
        CO_TRY_STATUS(co_await segment->write_indexes());
        CO_TRY_STATUS(co_await segment->sync());
        keep_indexes(*segment);
    }
    co_return Status();
}

}  // namespace ottla::storage
