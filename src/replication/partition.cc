// SPDX-License-Identifier: Apache-2.0
#include "replication/partition.h"

#include <fmt/format.h>

namespace ottla::replication {

namespace {
// ListOffsets' names for positions; the rest are timestamps.
constexpr int64_t kLatest = -1;
constexpr int64_t kEarliest = -2;
constexpr int64_t kMaxTimestamp = -3;
constexpr int64_t kEarliestLocal = -4;
constexpr int64_t kLatestTiered = -5;
constexpr int64_t kEarliestPendingUpload = -6;
}  // namespace

Partition::Partition(Runtime& runtime, BrokerId self, storage::Log& log, PartitionConfig config)
    : runtime_(runtime),
      self_(self),
      log_(log),
      config_(std::move(config)),
      replicas_(self),
      durable_waiters_(runtime),
      committed_waiters_(runtime),
      gate_(runtime) {
    durable_waiters_.release(log_.durable_end());
}

void Partition::apply(const Leadership& leadership) {
    const bool epoch_moved = leadership.epoch != leadership_.epoch;
    leadership_ = leadership;
    if (leadership.leader == self_) {
        (void)replicas_.set_min_in_sync(config_.min_in_sync);
        const Offset known =
            std::clamp(log_.noted_high_watermark(), log_.log_start(), log_.log_end());
        act(replicas_.lead(leadership, log_.durable_end(), known));
        if (epoch_moved) committed_waiters_.release(replicas_.high_watermark());
    } else {
        replicas_.resign();
        const Error why{ErrorCode::not_leader_or_follower,
                        "another broker leads this partition now"};
        committed_waiters_.fail(why, replicas_.high_watermark());
    }
    watches_.stir();
}

void Partition::configure(PartitionConfig config) {
    config_ = std::move(config);
    log_.configure(config_.log);
    act(replicas_.set_min_in_sync(config_.min_in_sync));
}

Task<> Partition::close(Error why) {
    leadership_.leader = kNoBroker;
    replicas_.resign();
    durable_waiters_.fail(why, log_.durable_end());
    committed_waiters_.fail(why, replicas_.high_watermark());
    watches_.stir();
    co_await gate_.close();
}

Status Partition::check_leader(LeaderEpoch asked) const {
    if (asked != kNoLeaderEpoch && asked < leadership_.epoch) {
        return fail(ErrorCode::fenced_leader_epoch,
                    fmt::format("the request knows leader epoch {}, it is {}", asked.value(),
                                leadership_.epoch.value()));
    }
    if (asked != kNoLeaderEpoch && asked > leadership_.epoch) {
        return fail(ErrorCode::unknown_leader_epoch,
                    fmt::format("the request knows leader epoch {}, here it is {}", asked.value(),
                                leadership_.epoch.value()));
    }
    if (!replicas_.is_leading() || gate_.is_closed()) {
        return fail(ErrorCode::not_leader_or_follower, "this broker does not lead the partition");
    }
    if (log_.is_offline()) {
        return fail(ErrorCode::kafka_storage_error, "the log directory is offline");
    }
    return {};
}

namespace {

/// Of these Kafka's answers do not say where the log starts.
bool hides_log_start(ErrorCode code) {
    return code == ErrorCode::corrupt_message || code == ErrorCode::message_too_large ||
           code == ErrorCode::record_list_too_large;
}

}  // namespace

AppendRefusal Partition::refusal(Error error) const {
    return {std::move(error), {}, gate_.is_closed() ? kNoOffset : log_.log_start()};
}

std::expected<Appended, AppendRefusal> Partition::append_as_leader(const AppendAsk& ask,
                                                                   WallTime now,
                                                                   Codecs& codecs) {
    if (Status leads = check_leader(kNoLeaderEpoch); !leads) {
        return std::unexpected(AppendRefusal{leads.error(), {}, kNoOffset});
    }
    if (ask.acks == -1 && !replicas_.has_enough_in_sync()) {
        return std::unexpected(refusal(
            {ErrorCode::not_enough_replicas,
             fmt::format("{} in-sync replicas are needed", replicas_.effective_min_in_sync())}));
    }
    ProduceRules rules = config_.rules;
    rules.zstd_allowed = ask.zstd_allowed;
    auto batch = validate_produced(ask.records.value_or(Buffer{}), rules, now, codecs);
    if (!batch) {
        const bool unasked = batch.error().before_log || hides_log_start(batch.error().error.code);
        AppendRefusal why = refusal(std::move(batch.error().error));
        if (unasked) why.log_start = kNoOffset;
        why.records = std::move(batch.error().records);
        return std::unexpected(std::move(why));
    }
    const BatchView view(batch->bytes.span());
    if (view.is_transactional()) {
        return std::unexpected(
            refusal({ErrorCode::unsupported_version,
                     "transactional records are not supported by this broker yet"}));
    }
    const storage::AppendRequest request{.batch = batch->bytes.span(),
                                         .mode = storage::AppendMode::leader,
                                         .leader_epoch = leadership_.epoch,
                                         .restamp = batch->restamp};
    auto stored = log_.append(request);
    if (!stored) return std::unexpected(refusal(std::move(stored.error())));
    const Offset end = stored->last_offset + 1;
    if (stored->verdict == storage::AppendResult::Verdict::appended && end > high_watermark()) {
        uncommitted_.push_back({end, batch->bytes.size()});
    }
    const bool stamped = rules.timestamp_type == TimestampType::log_append_time;
    return Appended{stored->base_offset, end, stamped ? stored->timestamp : kNoTimestamp,
                    log_.log_start()};
}

Task<Status> Partition::wait_durable(Offset end) {
    const Gate::Pass inside = gate_.enter();
    if (!inside) co_return fail(ErrorCode::not_leader_or_follower, "the partition is gone");
    auto wait = durable_waiters_.wait(end);
    co_return co_await wait;
}

Task<Status> Partition::wait_committed(Offset end, Instant deadline) {
    const Gate::Pass inside = gate_.enter();
    if (!inside) co_return fail(ErrorCode::not_leader_or_follower, "the partition is gone");
    auto wait = committed_waiters_.wait(end);
    auto timed = with_deadline(runtime_, wait, deadline);
    CO_TRY_STATUS(co_await timed);
    if (!replicas_.has_enough_in_sync()) {
        co_return fail(ErrorCode::not_enough_replicas_after_append,
                       "the ISR shrank after the append");
    }
    co_return Status();
}

Task<Result<storage::CommittedSlice>> Partition::read(FetchAsk ask, Offset upper) {
    if (ask.committed) {
        co_return co_await log_.read_committed(ask.from, ask.max_bytes, upper, ask.at_least_one);
    }
    auto records = log_.read(ask.from, ask.max_bytes, upper, ask.at_least_one);
    if (!records && records.error().code == ErrorCode::would_block) {
        records = co_await log_.read_cold(ask.from, ask.max_bytes, upper, ask.at_least_one);
    }
    CO_TRY(storage::LogSlice slice, std::move(records));
    co_return storage::CommittedSlice{std::move(slice), {}};
}

Offset Partition::readable_end(bool committed) const {
    const Offset end = replicas_.high_watermark();
    return committed ? std::min(end, log_.last_stable_offset()) : end;
}

Task<FetchAnswer> Partition::fetch(FetchAsk ask) {
    FetchAnswer answer;
    const Gate::Pass inside = gate_.enter();
    if (Status leads = check_leader(ask.current_leader_epoch); !leads) {
        answer.error = leads.error().code;
        co_return answer;
    }
    if (ask.replica > kNoBroker) {
        // Replication between brokers comes with several nodes; nobody is a follower of ours yet.
        answer.error = ErrorCode::not_leader_or_follower;
        co_return answer;
    }
    if (ask.from < log_.log_start() || ask.from > log_.log_end()) {
        answer.error = ErrorCode::offset_out_of_range;
        co_return answer;
    }
    const Offset upper = readable_end(ask.committed);
    answer.high_watermark = replicas_.high_watermark();
    answer.last_stable_offset = readable_end(true);
    answer.log_start = log_.log_start();
    const bool wants_data = ask.max_bytes > 0 || ask.at_least_one;
    if (ask.from >= upper || !wants_data) co_return answer;
    Result<storage::CommittedSlice> slice = co_await read(ask, upper);
    if (!slice) {
        answer = {.error = slice.error().code};
        co_return answer;
    }
    answer.records = std::move(slice->records.bytes);
    answer.aborted = std::move(slice->aborted);
    co_return answer;
}

bool Partition::watch(FetchWatch& watch, Offset seen_high_watermark) {
    if (!check_leader(kNoLeaderEpoch) || high_watermark() != seen_high_watermark) return false;
    watches_.add(watch);
    return true;
}

Task<Result<storage::TimestampedOffset>> Partition::list_offsets(ListOffsetsAsk ask) {
    const Gate::Pass inside = gate_.enter();
    CO_TRY_STATUS(check_leader(ask.current_leader_epoch));
    const storage::TimestampedOffset nothing;
    switch (ask.timestamp) {
        case kLatest:
            co_return storage::TimestampedOffset{kNoTimestamp, readable_end(ask.committed),
                                                 leadership_.epoch};
        case kEarliest:
        case kEarliestLocal: {
            const Offset start =
                ask.timestamp == kEarliest ? log_.log_start() : log_.local_log_start();
            const LeaderEpoch epoch = log_.epoch_at(start);
            co_return storage::TimestampedOffset{kNoTimestamp, start, epoch};
        }
        case kLatestTiered:
        case kEarliestPendingUpload:
            co_return nothing;  // A broker without tiering has nothing there.
        default: co_return co_await find_timestamp(ask.timestamp, ask.committed);
    }
}

Task<Result<storage::TimestampedOffset>> Partition::find_timestamp(int64_t timestamp,
                                                                   bool committed) {
    if (timestamp < kMaxTimestamp) {
        co_return fail(ErrorCode::unsupported_version,
                       fmt::format("no offset is named by timestamp {}", timestamp));
    }
    auto search = timestamp == kMaxTimestamp ? log_.max_timestamp()
                                             : log_.offset_for_timestamp(WallTime{timestamp});
    auto found = co_await std::move(search);
    CO_TRY(std::optional<storage::TimestampedOffset> place, std::move(found));
    if (!place || place->offset >= readable_end(committed)) {
        co_return storage::TimestampedOffset{};
    }
    co_return *place;
}

Task<Result<Offset>> Partition::delete_records(Offset before) {
    const Gate::Pass inside = gate_.enter();
    CO_TRY_STATUS(check_leader(kNoLeaderEpoch));
    if (config_.log.compacts && !config_.log.deletes) {
        co_return fail(ErrorCode::policy_violation,
                       "cleanup.policy of the topic only compacts its records");
    }
    CO_TRY(const Offset low_watermark, log_.delete_records(before));
    CO_TRY_STATUS(co_await log_.sync_start());
    co_return low_watermark;
}

void Partition::act(const ReplicaSet::Effects& effects) {
    if (!effects.high_watermark) return;
    const Offset high_watermark = *effects.high_watermark;
    log_.note_high_watermark(high_watermark);
    committed_waiters_.release(high_watermark);
    size_t bytes = 0;
    size_t done = 0;
    while (done < uncommitted_.size() && uncommitted_[done].end <= high_watermark) {
        bytes += uncommitted_[done].bytes;
        ++done;
    }
    uncommitted_.erase(uncommitted_.begin(),
                       uncommitted_.begin() + static_cast<std::ptrdiff_t>(done));
    watches_.gained(std::max<size_t>(bytes, 1));
}

void Partition::durable_end_moved(storage::Log&, Offset durable_end) {
    durable_waiters_.release(durable_end);
    act(replicas_.durable(durable_end));
}

void Partition::log_failed(storage::Log&, const Error& why) {
    const Error told{ErrorCode::kafka_storage_error, why.detail};
    durable_waiters_.fail(told, log_.durable_end());
    committed_waiters_.fail(told, replicas_.high_watermark());
    watches_.stir();
}

}  // namespace ottla::replication
