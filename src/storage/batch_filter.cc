// SPDX-License-Identifier: Apache-2.0
#include "storage/batch_filter.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/varint.h"
#include "records/control.h"

namespace ottla::storage {
namespace {

/// How the transaction of a marker ended; nothing for any other control batch, or an emptied one.
std::optional<EndTransaction> end_of_transaction(const BatchView& batch) {
    RecordIterator records(batch, batch.payload());
    Record record;
    if (batch.record_count() == 0 || !records.next(record)) return std::nullopt;
    const auto control = parse_control(record);
    if (!control) return std::nullopt;
    const auto end = parse_end_transaction(*control);
    if (!end) return std::nullopt;
    return *end;
}

/// `record` is stored with another timestamp delta; everything else of it as it is.
void append_with_delta(std::span<const std::byte> stored, int64_t delta, GrowingBuffer& out) {
    const std::byte* at = stored.data();
    const std::byte* const end = at + stored.size();
    int32_t body = 0;
    at = read_varint(at, end, body);
    const std::byte attributes = *at++;
    int64_t old_delta = 0;
    at = read_varlong(at, end, old_delta);
    const std::span<const std::byte> rest{at, end};
    const size_t new_body = 1 + varlong_size(delta) + rest.size();
    const auto body_bytes = static_cast<int32_t>(new_body);
    std::byte* to = out.extend(varint_size(body_bytes) + new_body);
    to = write_varint(to, body_bytes);
    *to++ = attributes;
    to = write_varlong(to, delta);
    std::memcpy(to, rest.data(), rest.size());
}

/// Timestamps are anything that a client sent: the difference wraps, as its sum will.
int64_t delta_of(WallTime timestamp, WallTime base) {
    return static_cast<int64_t>(static_cast<uint64_t>(timestamp.value()) -
                                static_cast<uint64_t>(base.value()));
}

WallTime horizon_of(const CleaningRules& rules) {
    const int64_t most = std::numeric_limits<int64_t>::max() - rules.now.value();
    return WallTime{rules.now.value() + std::min(rules.delete_retention_ms, most)};
}

BatchFields fields_of(const BatchView& batch) {
    BatchFields fields;
    fields.codec = batch.codec();
    fields.timestamp_type = batch.timestamp_type();
    fields.transactional = batch.is_transactional();
    fields.control = batch.is_control();
    fields.base_offset = batch.base_offset();
    fields.leader_epoch = batch.leader_epoch();
    fields.last_offset_delta = batch.last_offset_delta();
    fields.base_timestamp = batch.base_timestamp();
    fields.max_timestamp = batch.max_timestamp();
    fields.producer_id = batch.producer_id();
    fields.producer_epoch = batch.producer_epoch();
    fields.base_sequence = batch.base_sequence();
    return fields;
}

}  // namespace

// CleanedTransactions.

void CleanedTransactions::add_aborted(Offset from, const std::vector<AbortedTransaction>& aborted) {
    known_.erase(known_.begin(), known_.lower_bound({from, ProducerId{0}}));
    for (const AbortedTransaction& one : aborted) {
        if (!known_.emplace(one.last, one.producer).second) continue;
        waiting_.emplace(std::pair{one.first, one.producer}, one);
    }
}

void CleanedTransactions::begin_up_to(Offset offset) {
    while (!waiting_.empty() && waiting_.begin()->first.first <= offset) {
        const AbortedTransaction& begun = waiting_.begin()->second;
        aborting_.try_emplace(begun.producer, Open{begun, false});
        waiting_.erase(waiting_.begin());
    }
}

bool CleanedTransactions::is_aborted(const BatchView& batch) {
    begin_up_to(batch.last_offset());
    if (!batch.is_transactional()) return false;
    const auto aborting = aborting_.find(batch.producer_id());
    if (aborting == aborting_.end()) {
        committing_.insert(batch.producer_id());
        return false;
    }
    aborting->second.has_data = true;
    return true;
}

bool CleanedTransactions::may_discard(const BatchView& marker) {
    begin_up_to(marker.last_offset());
    if (marker.record_count() == 0) return true;  // Emptied by a cleaning before this one.
    const auto end = end_of_transaction(marker);
    if (!end) return false;
    if (end->committed) return committing_.erase(marker.producer_id()) == 0;
    const auto aborting = aborting_.find(marker.producer_id());
    if (aborting == aborting_.end()) return true;
    const Open open = aborting->second;
    aborting_.erase(aborting);
    if (!open.has_data) return true;
    kept_.push_back(open.transaction);
    return false;
}

// BatchFilter.

bool BatchFilter::is_last_of_producer(const BatchView& batch) const {
    if (!batch.has_producer()) return false;
    const auto known = producers_.find(batch.producer_id());
    if (known == producers_.end()) return false;
    const LastOfProducer& last = known->second;
    if (last.any) return !batch.is_control();
    if (last.last_data != kNoOffset) return batch.last_offset() == last.last_data;
    return batch.is_control() && batch.producer_epoch() == last.epoch;
}

BatchFilter::Judgement BatchFilter::judge(const BatchView& batch) {
    Judgement judgement;
    if (batch.is_control()) {
        const bool discard = transactions_.may_discard(batch);
        const auto horizon = batch.delete_horizon();
        judgement.discard_records = discard && horizon && *horizon <= rules_.now;
        judgement.marker_of_nothing = discard;
    } else {
        judgement.discard_records = transactions_.is_aborted(batch);
    }
    const bool last_of_cleaning = batch.offset_end() == rules_.end;
    if (is_last_of_producer(batch) || last_of_cleaning) judgement.when_empty = WhenEmpty::keep;
    return judgement;
}

bool BatchFilter::stays(const BatchView& batch, const Record& record) const {
    const Offset offset = batch.base_offset() + record.offset_delta;
    if (batch.is_control() || offset >= rules_.map_end) return true;
    if (!record.key) return false;
    const auto newest = newest_.find(*record.key);
    if (newest && offset < *newest) return false;
    const auto horizon = batch.delete_horizon();
    return record.value || !horizon || rules_.now < *horizon;
}

Status BatchFilter::keep_records(const BatchView& batch,
                                 std::span<const std::byte> plain,
                                 std::optional<WallTime> horizon,
                                 Kept& kept) const {
    RecordIterator records(batch, plain);
    Record record;
    size_t position = 0;
    while (records.next(record)) {
        const std::span<const std::byte> stored = plain.subspan(position, record.size);
        position += record.size;
        ++kept.seen;
        if (!stays(batch, record)) continue;
        ++kept.count;
        kept.max_timestamp = std::max(kept.max_timestamp, record.timestamp);
        kept.tombstones = kept.tombstones || !record.value;
        if (!horizon) {
            kept.records.append(stored);
        } else {
            append_with_delta(stored, delta_of(record.timestamp, *horizon), kept.records);
        }
    }
    return records.finish();
}

Status BatchFilter::filter(const BatchView& batch, GrowingBuffer& out) {
    const Judgement judgement = judge(batch);
    if (judgement.discard_records || batch.record_count() == 0) {
        if (judgement.when_empty == WhenEmpty::keep) write_empty(batch, out);
        return {};
    }
    TRY(const auto plain, codecs_.records_of(batch, rules_.max_batch_bytes));
    Kept kept;
    TRY_STATUS(keep_records(batch, plain, std::nullopt, kept));
    if (kept.count == 0) {
        if (judgement.when_empty == WhenEmpty::keep) write_empty(batch, out);
        return {};
    }
    const bool begins_to_expire =
        (kept.tombstones || judgement.marker_of_nothing) && !batch.delete_horizon();
    if (!begins_to_expire) {
        if (kept.count == kept.seen) {
            out.append(batch.bytes());
            return {};
        }
        return write(batch, kept, batch.delete_horizon(), out);
    }
    const WallTime horizon = horizon_of(rules_);
    Kept moved;
    TRY_STATUS(keep_records(batch, plain, horizon, moved));
    return write(batch, moved, horizon, out);
}

Status BatchFilter::write(const BatchView& batch,
                          const Kept& kept,
                          std::optional<WallTime> horizon,
                          GrowingBuffer& out) {
    BatchFields fields = fields_of(batch);
    fields.record_count = kept.count;
    if (batch.timestamp_type() == TimestampType::create_time) {
        fields.max_timestamp = kept.max_timestamp;
    }
    if (horizon) fields.base_timestamp = *horizon;
    fields.delete_horizon = horizon;
    const size_t begin = out.size();
    out.extend(kBatchHeaderBytes);
    TRY_STATUS(codecs_.compress({batch.codec(), std::nullopt}, kept.records.span(), out));
    write_batch_header({out.data() + begin, out.size() - begin}, fields);
    return {};
}

void BatchFilter::write_empty(const BatchView& batch, GrowingBuffer& out) {
    BatchFields fields = fields_of(batch);
    fields.codec = Codec::none;
    fields.base_timestamp = kNoTimestamp;
    fields.record_count = 0;
    const size_t begin = out.size();
    out.extend(kBatchHeaderBytes);
    write_batch_header({out.data() + begin, out.size() - begin}, fields);
}

}  // namespace ottla::storage
