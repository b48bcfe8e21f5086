// SPDX-License-Identifier: Apache-2.0
#include "storage/scrubber.h"

#include <fmt/format.h>

#include <algorithm>

#include "storage/atomic_file.h"
#include "storage/file_names.h"
#include "storage/log_parts.h"
#include "storage/shard_directory.h"

namespace ottla::storage {
namespace {

constexpr Duration kFirstPass = std::chrono::minutes(10);
/// How often it looks for segments that were closed.
constexpr Duration kTick = std::chrono::seconds(10);
constexpr uint64_t kMostIndex = 64ULL * 1024 * 1024;
constexpr size_t kMostNoted = 10'000;

/// Do the indexes say of each batch what it is?
class IndexWitness {
public:
    IndexWitness(const OffsetIndex& offsets, const TimeIndex& times)
        : offsets_(offsets), times_(times) {}
    void note(const BatchView& batch, uint64_t position) {
        // The walk met every batch: an entry between two of them leads nowhere.
        while (offset_ < offsets_.size() && offsets_.entry(offset_).position <= position) {
            const OffsetIndex::Entry entry = offsets_.entry(offset_++);
            right_ = right_ && entry.position == position && entry.offset >= batch.last_offset();
        }
        // An entry may name a record inside of a batch, as older ones of Kafka do.
        while (time_ < times_.size() && times_.entry(time_).offset <= batch.last_offset()) {
            const TimeIndex::Entry entry = times_.entry(time_++);
            const bool here = entry.offset >= batch.base_offset();
            right_ = right_ && here && entry.timestamp <= batch.max_timestamp();
        }
    }
    [[nodiscard]] bool was_right() const {
        return right_ && offset_ == offsets_.size() && time_ == times_.size();
    }

private:
    const OffsetIndex& offsets_;
    const TimeIndex& times_;
    size_t offset_ = 0;
    size_t time_ = 0;
    bool right_ = true;
};

}  // namespace

Task<> Scrubber::run() {
    const Gate::Pass inside = home_.gate().enter();
    if (!inside || home_.settings().scrub_bytes_per_second == 0) co_return;
    const Duration interval = home_.settings().scrub_interval;
    Instant due = home_.runtime().now() + std::min(kFirstPass, interval);
    for (;;) {
        const bool goes_on = co_await home_.rest(std::min(kTick, interval));
        if (!goes_on) co_return;
        co_await look_at_noted();
        if (home_.runtime().now() < due) continue;
        due = home_.runtime().now() + interval;
        co_await look_at_all();
    }
}

void Scrubber::note(uint64_t instance, Offset base) {
    if (home_.settings().scrub_bytes_per_second == 0 || noted_.size() >= kMostNoted) return;
    noted_.emplace_back(instance, base);
}

Task<bool> Scrubber::pace(size_t bytes) {
    bytes_read_ += bytes;
    const uint64_t rate = std::max<uint64_t>(home_.settings().scrub_bytes_per_second, 1);
    co_return co_await home_.rest(
        std::chrono::microseconds(static_cast<uint64_t>(bytes) * 1'000'000 / rate + 1));
}

Task<> Scrubber::look_at_noted() {
    while (!noted_.empty() && !home_.error() && !home_.gate().is_closed()) {
        const auto [instance, base] = noted_.front();
        noted_.pop_front();
        LogParts* const log = home_.find(instance);
        if (log == nullptr || log->is_copy) continue;
        const Gate::Pass user = log->users.enter();
        if (user) co_await look_at(*log, base);
    }
}

Task<> Scrubber::look_at_all() {
    std::vector<uint64_t> all = home_.instances();
    if (all.empty()) co_return;
    const size_t first = home_.runtime().random() % all.size();
    std::ranges::rotate(all, all.begin() + static_cast<ptrdiff_t>(first));
    for (const uint64_t instance : all) {
        if (home_.error() || home_.gate().is_closed()) co_return;
        co_await look_at_log(instance);
        co_await look_at_noted();
        co_await home_.runtime().yield();
    }
}

Task<> Scrubber::look_at_log(uint64_t instance) {
    LogParts* const log = home_.find(instance);
    if (log == nullptr || log->is_copy) co_return;
    const Gate::Pass user = log->users.enter();
    if (!user) co_return;
    std::vector<Offset> bases;
    for (const auto& segment : log->segments) bases.push_back(segment->base());
    bases.pop_back();
    for (const Offset base : bases) {
        const Status usable = log->usable();
        if (!usable || home_.gate().is_closed()) co_return;
        co_await look_at(*log, base);
    }
}

Task<> Scrubber::look_at(LogParts& log, Offset base) {
    const size_t index = log.segment_index(base);
    const std::shared_ptr<Segment> segment = log.segments[index];
    const bool closed = index + 1 < log.segments.size() && segment->base() == base &&
                        segment->is_finished() && log.segments[index + 1]->base() <= log.synced_end;
    if (!closed || segment->size() == 0) co_return;
    // A file that cannot be read now is read in the next pass; readers say what is wrong with it.
    static_cast<void>(co_await read(log, segment));
}

Task<Buffer> Scrubber::bytes_of(LogParts& log, Offset base, std::string_view suffix) {
    const std::string path = log.path_of(offset_file_name(base, suffix));
    auto bytes = co_await read_file(home_.files(), path, kMostIndex);
    co_return bytes ? *std::move(bytes) : Buffer{};
}

Task<Status> Scrubber::read(LogParts& log, std::shared_ptr<Segment> segment) {
    const uint64_t generation = log.generation;
    const Offset base = segment->base();
    // The files, whatever is in memory of them.
    const Buffer offset_file = co_await bytes_of(log, base, kOffsetIndexSuffix);
    const Buffer time_file = co_await bytes_of(log, base, kTimeIndexSuffix);
    const Buffer transaction_file = co_await bytes_of(log, base, kTransactionIndexSuffix);
    OffsetIndex offsets(base, static_cast<int64_t>(kMostIndex));
    TimeIndex times(base, static_cast<int64_t>(kMostIndex));
    const bool loaded =
        offsets.load(offset_file.span(), segment->size()) && times.load(time_file.span());
    SoundWalk walk(log, segment, segment->size(), log.limit_of(log.segment_index(segment->base())));
    HeadSummer heads(segment->base());
    IndexWitness witness(offsets, times);
    for (;;) {
        CO_TRY(const Buffer bytes, co_await walk.next());
        if (bytes.empty()) break;
        BatchCursor cursor(bytes.span());
        while (cursor.next() == BatchStep::batch) {
            heads.note(cursor.batch());
            witness.note(cursor.batch(), walk.position() + cursor.position());
        }
        const bool goes_on = co_await pace(bytes.size());
        // Truncation, retention, a cleaning: it is another segment now, or none.
        if (!goes_on || log.deleted || generation != log.generation) co_return Status();
    }
    // With a hole in it nothing can be summed, and the damage is known.
    if (walk.met_damage()) co_return Status();
    SegmentSums found;
    found.reign = home_.reign();
    found.base = segment->base();
    found.log_bytes = heads.position();
    found.has_gaps = heads.has_gaps();
    found.first_crc = heads.first_crc();
    found.chunks = heads.finish();
    found.offsets = sum_of(offset_file.span());
    found.times = sum_of(time_file.span());
    found.transactions = sum_of(transaction_file.span());
    co_return co_await settle(log, segment, std::move(found), loaded && witness.was_right());
}

Task<Status> Scrubber::settle(LogParts& log,
                              std::shared_ptr<Segment> segment,
                              SegmentSums found,
                              bool indexes_right) {
    CO_TRY(const auto before, co_await log.load_sums(segment));
    if (!log.holds(*segment)) co_return Status();
    const auto wrong = before ? std::ranges::mismatch(before->chunks, found.chunks).in1
                              : std::vector<HeadChunk>::const_iterator{};
    if (before && wrong != before->chunks.end()) {
        const uint64_t position = before->chunk_begin(wrong->end - 1);
        home_.report({Damage::Kind::batch, segment->log_path(), position,
                      fmt::format("{} at {}: the heads of batches are not those of its sums",
                                  segment->log_path(), position)});
        // From here on its readers look at the sums too.
        segment->take_sums(std::make_shared<const SegmentSums>(*before));
        co_return Status();
    }
    const bool as_before =
        !before || (before->offsets == found.offsets && before->times == found.times &&
                    before->transactions == found.transactions);
    if (!indexes_right || !as_before) {
        log.distrust_index(segment, "a scrub found other batches than it names");
        // Its sums are made when a later pass finds it right.
        co_return co_await log.drop_sums(segment);
    }
    if (before) co_return Status();
    ++sums_written_;
    co_return co_await log.save_sums(segment, std::move(found));
}

}  // namespace ottla::storage
