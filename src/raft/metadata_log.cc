// SPDX-License-Identifier: Apache-2.0
#include "raft/metadata_log.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "ottla/check.h"
#include "storage/atomic_file.h"
#include "storage/file_names.h"
#include "storage/offset_checkpoint.h"

namespace ottla::raft {
namespace {

constexpr std::string_view kQuorumStateFile = "quorum-state";
constexpr uint64_t kLargestQuorumState = 64ULL * 1024;
constexpr uint64_t kLargestSnapshot = 1ULL << 30U;
/// What one append may hold unless a single batch is larger: bytes farther apart were not written
/// under one sync.
constexpr uint64_t kLargestAppend = 8ULL * 1024 * 1024;

/// Gathers what a walk over the log must remember, and finds gaps.
class LogVisitor final : public storage::BatchVisitor {
public:
    LogVisitor(Offset next, storage::LeaderEpochs& epochs, QuorumRecords& quorum)
        : next_(next), epochs_(epochs), quorum_(quorum) {}
    void show(LogInspector* inspector, Offset from) {
        inspector_ = inspector;
        inspected_from_ = from;
    }

    void visit(const BatchView& batch, uint64_t position) override {
        if (!status_) return;
        if (batch.base_offset() != next_) {
            status_ = fail(ErrorCode::corrupt,
                           fmt::format("at byte {} offset {} follows instead of {}", position,
                                       batch.base_offset().value(), next_.value()));
            return;
        }
        const auto latest = epochs_.latest();
        if (latest && batch.leader_epoch() < latest->epoch) {
            status_ =
                fail(ErrorCode::corrupt, fmt::format("at byte {} the leader epoch goes back to {}",
                                                     position, batch.leader_epoch().value()));
            return;
        }
        if (!latest || latest->epoch != batch.leader_epoch()) {
            epochs_.assign(batch.leader_epoch(), batch.base_offset());
        }
        if (batch.is_control()) status_ = quorum_.read(batch);
        next_ = batch.offset_end();
        if (inspector_ == nullptr || !status_ || next_ <= inspected_from_) return;
        status_ = inspector_->found_batch(batch);
    }

    [[nodiscard]] Offset next() const { return next_; }
    [[nodiscard]] const Status& status() const { return status_; }

private:
    Offset next_;
    storage::LeaderEpochs& epochs_;
    QuorumRecords& quorum_;
    LogInspector* inspector_ = nullptr;
    Offset inspected_from_{0};
    Status status_;
};

/// May the log be cut at the first byte that is no batch? It may if nothing behind it was ever promised:
/// a fetch from there or beyond, our own end in a high watermark, a snapshot. Every promise leaves after
/// a sync of what it speaks of, here as in Kafka (KafkaRaftClient flushes before its end counts, a
/// follower before its next fetch), and what is synced does not tear. So torn bytes belong to the last
/// append, and no part of that was promised; but damaged bytes of an earlier append were, and cutting
/// them would take back a vote for what others have committed. What tells the two apart is a sound
/// batch behind the damage that must have been written under a later sync:
///   - more than kLargestAppend behind it, whoever wrote;
///   - of a later epoch, if this program wrote: it syncs the first batch of an epoch before anything
///     else of it (append). Kafka's leader flushes all that it has drained of a new epoch at once, and a
///     follower what one fetch brought, of several epochs perhaps: there it proves nothing, and the
///     log is cut as Kafka's own recovery would.
/// quorum-state is no evidence: its epoch and vote are promised before an epoch has a record, and outlive
/// the cut. A snapshot is, and a log that would end below one is refused (load_segments).
bool proves_damage(std::span<const std::byte> rest,
                   Offset end,
                   LeaderEpoch epoch,
                   LastWriter writer) {
    for (size_t at = 1; at + kBatchHeaderBytes <= rest.size(); ++at) {
        if (rest[at + batch_layout::kMagic] != std::byte{kBatchMagic}) continue;
        const auto batch = parse_batch(rest.subspan(at));
        if (!batch || batch->base_offset() <= end || !crc_matches(*batch)) continue;
        const bool later_epoch = batch->leader_epoch() > epoch && writer == LastWriter::ours;
        if (later_epoch || at > kLargestAppend) return true;
    }
    return false;
}

Error named(const Error& error, const std::string& path) {
    return {error.code, path + ": " + error.detail};
}

}  // namespace

MetadataLog::MetadataLog(Ports ports, std::string directory, storage::SegmentLimits limits)
    : ports_(ports), directory_(std::move(directory)), limits_(limits) {}

Task<Result<std::unique_ptr<MetadataLog>>> MetadataLog::open(Ports ports,
                                                             std::string directory,
                                                             storage::SegmentLimits limits,
                                                             LogInspector* inspector,
                                                             LastWriter writer,
                                                             std::optional<storage::MetadataEnd> known_end) {
    std::unique_ptr<MetadataLog> log(new MetadataLog(ports, std::move(directory), limits));
    log->last_writer_ = writer;
    log->known_end_ = known_end;
    CO_TRY_STATUS(co_await log->load(inspector));
    co_return log;
}

std::string MetadataLog::file(std::string_view name) const {
    return storage::join_path(directory_, name);
}

LeaderEpoch MetadataLog::last_epoch() const {
    const auto latest = epochs_.latest();
    return latest ? std::max(latest->epoch, snapshot_id_.epoch) : snapshot_id_.epoch;
}

Task<Status> MetadataLog::load(LogInspector* inspector) {
    CO_TRY(const auto entries, co_await ports_.files.list(directory_));
    std::vector<Offset> segments;
    std::vector<SnapshotId> snapshots;
    for (const DirectoryEntry& entry : entries) {
        if (const auto base = storage::parse_offset_file(entry.name, storage::kLogSuffix)) {
            segments.push_back(*base);
        } else if (const auto id = parse_snapshot_file(entry.name)) {
            snapshots.push_back(*id);
        }
    }
    CO_TRY_STATUS(co_await load_snapshot(std::move(snapshots)));
    if (inspector != nullptr) {
        const Status accepted = inspector->found_snapshot(snapshot_);
        if (!accepted) {
            co_return std::unexpected(
                named(accepted.error(), file(snapshot_file_name(snapshot_id_))));
        }
    }
    CO_TRY_STATUS(co_await load_segments(std::move(segments), inspector));
    const auto state =
        co_await storage::read_file(ports_.files, file(kQuorumStateFile), kLargestQuorumState);
    if (state) {
        auto parsed = parse_quorum_state(state->text());
        if (!parsed) co_return std::unexpected(named(parsed.error(), file(kQuorumStateFile)));
        quorum_state_ = *parsed;
    } else if (state.error().code != ErrorCode::not_found) {
        co_return std::unexpected(state.error());
    }
    co_return Status();
}

Task<Status> MetadataLog::load_snapshot(std::vector<SnapshotId> ids) {
    if (ids.empty()) co_return Status();
    snapshot_id_ = std::ranges::max(ids);
    const std::string path = file(snapshot_file_name(snapshot_id_));
    CO_TRY(const Buffer bytes, co_await storage::read_file(ports_.files, path, kLargestSnapshot));
    auto parsed = parse_snapshot(bytes);
    if (!parsed) co_return std::unexpected(named(parsed.error(), path));
    snapshot_ = *std::move(parsed);
    quorum_.kraft_version = snapshot_.kraft_version;
    quorum_.voters = snapshot_.voters;
    end_ = snapshot_id_.end;
    co_return Status();
}

Task<Status> MetadataLog::load_segments(std::vector<Offset> bases, LogInspector* inspector) {
    std::ranges::sort(bases);
    if (!bases.empty() && bases.front() > snapshot_id_.end) {
        co_return fail(ErrorCode::corrupt,
                       fmt::format("{} begins at offset {} and the newest snapshot ends at {}",
                                   directory_, bases.front().value(), snapshot_id_.end.value()));
    }
    if (known_end_ && std::ranges::find(bases, known_end_->segment) == bases.end()) {
        co_return fail(ErrorCode::corrupt,
                       fmt::format("{}: {} was there after the last clean stop and is gone", directory_,
                                   storage::offset_file_name(known_end_->segment, storage::kLogSuffix)));
    }
    if (!bases.empty()) end_ = bases.front();
    for (const Offset base : bases) {
        CO_TRY_STATUS(co_await load_segment(base, base == bases.back(), inspector));
    }
    if (end_ < snapshot_id_.end) {
        co_return fail(ErrorCode::corrupt,
                       fmt::format("{} ends at offset {}, before its snapshot at {}", directory_,
                                   end_.value(), snapshot_id_.end.value()));
    }
    CO_TRY_STATUS(co_await sync_found());
    co_return Status();
}

Task<Status> MetadataLog::load_segment(Offset base, bool last, LogInspector* inspector) {
    auto segment = std::make_unique<storage::Segment>(ports_.files, directory_, base, limits_,
                                                      ports_.runtime.wall_time());
    if (base != end_) {
        co_return fail(ErrorCode::corrupt, fmt::format("{} does not begin at offset {}",
                                                       segment->log_path(), end_.value()));
    }
    const std::optional<VoterSet> voters_before = std::exchange(quorum_.voters, std::nullopt);
    LogVisitor visitor(end_, epochs_, quorum_);
    visitor.show(inspector, snapshot_id_.end);
    CO_TRY(const storage::SegmentEnd found,
           co_await segment->walk(0, BatchCursor::Crc::check, visitor));
    if (quorum_.voters) voters_in_log_ = true;
    if (!quorum_.voters) quorum_.voters = voters_before;
    if (!visitor.status()) {
        co_return std::unexpected(named(visitor.status().error(), segment->log_path()));
    }
    if (found.damage && !last) co_return std::unexpected(*found.damage);
    CO_TRY_STATUS(check_known_end(base, found));
    end_ = visitor.next();
    if (found.damage) CO_TRY_STATUS(co_await refuse_provable_damage(*segment, found));
    CO_TRY_STATUS(co_await segment->recover(nullptr));
    segments_.push_back(std::move(segment));
    co_return Status();
}

/// After a clean stop nothing is torn.
Status MetadataLog::check_known_end(Offset base, const storage::SegmentEnd& found) const {
    if (!known_end_ || base != known_end_->segment || found.position >= known_end_->bytes) return {};
    if (found.damage) return std::unexpected(*found.damage);
    return fail(ErrorCode::corrupt,
                fmt::format("{} ends at {}, and at {} after the last clean stop",
                            file(storage::offset_file_name(base, storage::kLogSuffix)),
                            found.position, known_end_->bytes));
}

Task<Status> MetadataLog::refuse_provable_damage(storage::Segment& segment,
                                                 storage::SegmentEnd found) {
    CO_TRY(const FileStatus status, co_await ports_.files.status(segment.log_path()));
    CO_TRY(const Buffer rest, co_await segment.read(found.position, status.size - found.position));
    if (proves_damage(rest.span(), end_, last_epoch(), last_writer_)) {
        co_return std::unexpected(*found.damage);
    }
    co_return Status();
}

/// What an ended process wrote and never synced counts from here on, so it must be durable. Its last
/// sync may have failed and left the bytes in the page cache, where no sync finds them any more: the
/// last append is written again.
Task<Status> MetadataLog::sync_found() {
    if (segments_.empty()) co_return Status();
    storage::Segment& active = *segments_.back();
    const uint64_t size = active.size();
    const uint64_t from = size - std::min(size, kLargestAppend);
    CO_TRY(Buffer last, co_await active.read(from, size - from));
    CO_TRY(const std::shared_ptr<File> file, co_await active.file(true));
    if (!last.empty()) CO_TRY_STATUS(co_await active.write(from, Chain(std::move(last))));
    CO_TRY_STATUS(co_await storage::sync_anew(*file, size));
    co_return co_await ports_.files.sync_directory(directory_);
}

Task<Status> MetadataLog::sync_names() {
    storage::Segment& active = *segments_.back();
    if (!active.names_changed()) co_return Status();
    CO_TRY_STATUS(co_await ports_.files.sync_directory(directory_));
    active.names_synced();
    co_return Status();
}

Task<Status> MetadataLog::roll() {
    if (!segments_.empty()) {
        storage::Segment& old = *segments_.back();
        CO_TRY_STATUS(co_await old.write_indexes());
        CO_TRY_STATUS(co_await old.sync());
        CO_TRY_STATUS(co_await sync_names());
    }
    segments_.push_back(std::make_unique<storage::Segment>(ports_.files, directory_, end_, limits_,
                                                           ports_.runtime.wall_time()));
    co_return Status();
}

Task<Status> MetadataLog::append(std::vector<Buffer> batches) {
    auto at = batches.begin();
    while (at != batches.end()) {
        const LeaderEpoch epoch = BatchView{at->span()}.leader_epoch();
        auto next = at + 1;
        const auto same = [epoch](const Buffer& one) {
            return BatchView{one.span()}.leader_epoch() == epoch;
        };
        if (epoch == last_epoch()) next = std::find_if_not(next, batches.end(), same);
        CO_TRY_STATUS(co_await append_piece({at, next}));
        at = next;
    }
    co_return Status();
}

Task<Status> MetadataLog::append_piece(std::vector<Buffer> batches) {
    size_t bytes = 0;
    for (const Buffer& batch : batches) bytes += batch.size();
    const BatchView newest{batches.back().span()};
    const WallTime now = ports_.runtime.wall_time();
    if (segments_.empty() ||
        segments_.back()->must_roll(bytes, newest.last_offset(), newest.max_timestamp(), now)) {
        CO_TRY_STATUS(co_await roll());
    }
    storage::Segment& active = *segments_.back();
    const uint64_t position = active.size();
    Chain chain;
    for (const Buffer& batch : batches) {
        const BatchView view{batch.span()};
        CHECK(view.base_offset() == end_, "batches of the metadata log follow each other");
        active.note_append(view);
        end_ = view.offset_end();
        chain.append(batch);
    }
    CO_TRY_STATUS(co_await active.write(position, std::move(chain)));
    CO_TRY_STATUS(co_await active.sync());
    CO_TRY_STATUS(co_await sync_names());
    co_return co_await note_epochs(std::move(batches));
}

Task<Status> MetadataLog::note_epochs(std::vector<Buffer> batches) {
    bool changed = false;
    for (const Buffer& batch : batches) {
        const BatchView view{batch.span()};
        const auto latest = epochs_.latest();
        if (latest && latest->epoch == view.leader_epoch()) continue;
        epochs_.assign(view.leader_epoch(), view.base_offset());
        changed = true;
    }
    if (!changed) co_return Status();
    CO_TRY_STATUS(co_await storage::replace_file(ports_.files, file(storage::kLeaderEpochFile),
                                                 Buffer::copy_of(epochs_.checkpoint())));
    const auto known = co_await ports_.files.status(file(storage::kPartitionMetadataFile));
    if (known) co_return Status();
    co_return co_await storage::replace_file(
        ports_.files, file(storage::kPartitionMetadataFile),
        Buffer::copy_of(storage::partition_metadata_text(kMetadataTopicId)));
}

Task<Status> MetadataLog::write_quorum_state(QuorumState state,
                                             int16_t kraft_version,
                                             VoterSet voters) {
    const std::string json = to_json(state, kraft_version, voters);
    CO_TRY_STATUS(co_await storage::replace_file(ports_.files, file(kQuorumStateFile),
                                                 Buffer::copy_of(json)));
    quorum_state_ = state;
    co_return Status();
}

storage::Segment* MetadataLog::segment_of(Offset offset) const {
    storage::Segment* found = nullptr;
    for (const auto& segment : segments_) {
        if (segment->base() <= offset) found = segment.get();
    }
    return found;
}

Task<Result<std::vector<Buffer>>> MetadataLog::read(Offset from, size_t max_bytes) {
    std::vector<Buffer> batches;
    storage::Segment* segment = segment_of(from);
    if (segment == nullptr || from >= end_) co_return batches;
    const uint64_t position = segment->offset_index().lookup(from).position;
    // The index points at most one interval before the batch; a larger first batch needs another
    // look.
    uint64_t length = max_bytes + static_cast<uint64_t>(limits_.index_interval_bytes);
    while (batches.empty()) {
        const uint64_t left = segment->size() - position;
        const uint64_t take = std::min(length, left);
        CO_TRY(const Buffer bytes, co_await segment->read(position, take));
        BatchCursor cursor(bytes.span(), BatchCursor::Crc::check);
        BatchStep step = cursor.next();
        for (; step == BatchStep::batch; step = cursor.next()) {
            if (cursor.batch().offset_end() <= from) continue;
            batches.push_back(bytes.slice(cursor.position(), cursor.batch().size()));
        }
        const bool whole = take == left;
        if (step == BatchStep::corrupt || (whole && batches.empty())) {
            co_return fail(ErrorCode::corrupt,
                           fmt::format("{} is damaged at byte {}", segment->log_path(),
                                       position + cursor.position()));
        }
        length *= 2;
    }
    co_return batches;
}

Task<Status> MetadataLog::close() {
    if (segments_.empty()) co_return Status();
    CO_TRY_STATUS(co_await segments_.back()->write_indexes());
    CO_TRY_STATUS(co_await segments_.back()->sync());
    co_return co_await sync_names();
}

std::optional<storage::MetadataEnd> MetadataLog::file_end() const {
    if (segments_.empty()) return std::nullopt;
    return storage::MetadataEnd{segments_.back()->base(), segments_.back()->size()};
}

}  // namespace ottla::raft
