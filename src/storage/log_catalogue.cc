// SPDX-License-Identifier: Apache-2.0
// A log and its catalogue entry: the picture that a checkpoint takes of its memory, and how it stands
// up from one without opening a file: only what a replay put behind the picture is walked.
//
// Invariant: a log that stood up is what reading its files would have made of it. Whatever does not fit
// is `corrupt`, and the files are read (log_load.cc).
#include <fmt/format.h>

#include <algorithm>

#include "storage/atomic_file.h"
#include "storage/log_parts.h"
#include "storage/segment_swap.h"
#include "storage/shard_directory.h"

namespace ottla::storage {
namespace {

/// More would make every catalogue long; such a log's are found in a snapshot and its records.
constexpr size_t kMostProducers = 400;
/// One that says more of a log is not worth it: the log is read from its files.
constexpr size_t kMostInlined = 1024UZ * 1024;

/// What the batches behind a picture change.
class Successor final : public BatchVisitor {
public:
    Successor(const LogParts& log, LeaderEpochs& epochs, ProducerState& producers, Segment& segment)
        : log_(log), epochs_(epochs), producers_(producers), segment_(segment) {}
    void visit(const BatchView& batch, uint64_t) override {
        const auto latest = epochs_.latest();
        const LeaderEpoch own = batch.leader_epoch();
        went_back = went_back || (latest && own >= LeaderEpoch{0} && own < latest->epoch);
        if (own >= LeaderEpoch{0} && (!latest || latest->epoch < own)) {
            epochs_.assign(own, batch.base_offset());
        }
        log_.feed(producers_, batch, segment_);
    }
    /// No log does that: one of them is not what was written, and no CRC covers it.
    bool went_back = false;

private:
    const LogParts& log_;
    LeaderEpochs& epochs_;
    ProducerState& producers_;
    Segment& segment_;
};

Error misfit(const LogParts& log, std::string_view why) {
    return {ErrorCode::corrupt, fmt::format("{}: the catalogue {}", log.identity.path, why)};
}

}  // namespace

CatalogueEntry LogParts::basic_entry() const {
    CatalogueEntry entry;
    entry.name = identity.name;
    entry.topic_id = identity.topic_id;
    entry.recovery_point = synced_end;
    entry.log_start = log_start;
    entry.high_watermark = high_watermark;
    entry.cleaned = cleaned;
    entry.instance = identity.instance;
    entry.group = home.journal().newest_group();
    entry.complete = true;
    return entry;
}

CatalogueEntry LogParts::entry() const {
    CatalogueEntry entry = basic_entry();
    // While segments change places the files are neither as they were nor as they will be.
    if (deleted || swapping) return entry;
    entry.end = log_end;
    size_t inlined = 0;
    for (const auto& segment : segments) {
        entry.segments.push_back(segment->entry(segment == segments.back()));
        SegmentEntry& said = entry.segments.back();
        if (home.settings().faults.forget_reserved_tail) said.has_tail = false;
        inlined += said.offsets.size() + said.times.size() + said.transactions.size();
    }
    entry.epochs = epochs.entries();
    entry.epochs_changed = epochs_changed || epochs_written;
    entry.snapshots = known_snapshots();
    // While they are rebuilt after a truncation they say too much.
    if (!producers_outdated && producers.size() <= kMostProducers) {
        entry.producers = producers.image();
    }
    entry.whole = inlined <= kMostInlined;
    return entry;
}

/// Whose files are there, or will be though nothing says so any more: a snapshot that nobody knows of
/// would outlive a truncation and speak of other records then.
std::vector<Offset> LogParts::known_snapshots() const {
    std::vector<Offset> known = snapshots;
    for (const FileEffect& effect : effects) {
        if (effect.kind == FileEffect::Kind::snapshot) known.push_back(effect.offset);
    }
    if (ending) known.push_back(log_end);
    std::ranges::sort(known);
    const auto doubles = std::ranges::unique(known);
    known.erase(doubles.begin(), doubles.end());
    return known;
}

Task<Status> LogParts::stand_up(FoundLog found) {
    const std::shared_ptr<const CatalogueEntry> held = found.entry;
    const CatalogueEntry& entry = *held;
    for (const EpochStart& epoch : entry.epochs) epochs.assign(epoch.epoch, epoch.start);
    epochs_changed = entry.epochs_changed;
    if (entry.producers) {
        CO_TRY_STATUS(producers.load_image(*entry.producers));
    } else if (!entry.grown.empty()) {
        co_return std::unexpected(misfit(*this, "does not know the producers of a log that grew"));
    }
    // Where the segment behind each begins: one wholly below the log's start is gone.
    std::vector<Offset> bases;
    for (const SegmentEntry& one : entry.segments) bases.push_back(one.base);
    for (const GrownSegment& one : entry.grown) {
        if (one.base > bases.back()) bases.push_back(one.base);
    }
    log_end = entry.end;
    size_t at = 0;
    for (const SegmentEntry& one : entry.segments) {
        const bool gone = ++at < bases.size() && bases[at] <= found.log_start;
        if (gone) continue;
        add_segment(one.base);
        CO_TRY_STATUS(co_await segments.back()->restore(one));
    }
    at = entry.segments.size() - 1;
    for (const GrownSegment& one : entry.grown) {
        if (one.base > bases[at]) ++at;
        if (at + 1 < bases.size() && bases[at + 1] <= found.log_start) {
            co_return std::unexpected(misfit(*this, "knows a segment that is gone since"));
        }
        CO_TRY_STATUS(co_await take_grown(one));
    }
    if (segments.empty()) co_return std::unexpected(misfit(*this, "leaves no segment"));
    if (!active().has_indexes()) CO_TRY_STATUS(co_await active().load_indexes());
    for (const auto& segment : segments) size_bytes += segment->size();
    log_end = std::max(log_end, active().base());
    settle_ends(found);
    const std::vector<EpochStart> before = epochs.entries();
    epochs.truncate_end(log_end);
    epochs.truncate_start(log_start);
    epochs_changed = epochs_changed || epochs.entries() != before;
    for (const Offset snapshot : entry.snapshots) {
        if (snapshot >= segments.front()->base()) snapshots.push_back(snapshot);
    }
    if (entry.producers) {
        producers.note_high_watermark(high_watermark);
    } else {
        CO_TRY_STATUS(co_await rebuild_producers());
    }
    std::vector<std::shared_ptr<Segment>> closed;
    for (const auto& segment : segments) {
        if (segment != segments.back() && !segment->is_finished()) closed.push_back(segment);
    }
    co_return co_await finish_recovered(std::move(closed));
}

/// The bytes of a segment that lie behind the picture.
Task<Status> LogParts::take_grown(GrownSegment grown) {
    if (segments.empty() || segments.back()->base() != grown.base) add_segment(grown.base);
    const std::shared_ptr<Segment> segment = segments.back();
    if (segment->size() == grown.bytes) co_return Status();
    if (!segment->has_indexes()) CO_TRY_STATUS(co_await segment->load_indexes());
    const auto latest = epochs.latest();
    Successor successor(*this, epochs, producers, *segment);
    CO_TRY(const SegmentEnd end, co_await segment->catch_up(&successor, grown.bytes));
    if (end.damage) co_return std::unexpected(*end.damage);
    if (successor.went_back) {
        co_return std::unexpected(misfit(*this, "knows a later leader than a batch behind it"));
    }
    if (segment->size() != grown.bytes) {
        co_return std::unexpected(misfit(*this, "and the journal know another size"));
    }
    log_end = std::max(log_end, end.offset);
    epochs_changed = epochs_changed || epochs.latest() != latest;
    co_return Status();
}

/// Of a cleaning that a crash ended: they would make the next swap count for nothing. Nothing else tells
/// of them, so a log that is cleaned is listed after an unclean stop, any other before its first
/// cleaning.
Task<Status> LogParts::remove_leftovers() {
    if (!std::exchange(may_have_leftovers, false)) co_return Status();
    CO_TRY(const auto entries, co_await home.files().list(identity.path));
    bool found = false;
    for (const DirectoryEntry& entry : entries) {
        if (!entry.name.ends_with(kCleanedSuffix)) continue;
        found = true;
        CO_TRY_STATUS(co_await remove_file(home.files(), path_of(entry.name)));
    }
    if (found) CO_TRY_STATUS(co_await home.files().sync_directory(identity.path));
    co_return Status();
}

/// After a stand_up that failed: nothing is known.
void LogParts::forget_all() {
    segments.clear();
    snapshots.clear();
    epochs = {};
    epochs_changed = false;
    producers.clear();
    size_bytes = 0;
    log_start = log_end = Offset{0};
    ++generation;
}

}  // namespace ottla::storage
