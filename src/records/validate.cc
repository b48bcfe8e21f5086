// SPDX-License-Identifier: Apache-2.0
#include "records/validate.h"

#include <fmt/format.h>

#include <algorithm>

#include "records/records.h"

namespace ottla {
namespace {

/// The smallest size field that any magic can have; below it Kafka calls the bytes corrupt.
constexpr int32_t kLeastLength = 14;

/// Does a whole batch of any magic start here? As Kafka's reader decides: bytes that end too early
/// are simply no batch, bytes that cannot be one are corrupt.
Result<bool> starts_a_batch(std::span<const std::byte> bytes) {
    if (bytes.size() < kBatchPrefixBytes) return false;
    auto length = load_be<int32_t>(bytes.data() + batch_layout::kLength);
    if (length < kLeastLength) {
        return fail(ErrorCode::corrupt_message, fmt::format("a batch length of {}", length));
    }
    if (bytes.size() <= batch_layout::kMagic) return false;
    auto magic = load_be<int8_t>(bytes.data() + batch_layout::kMagic);
    if (magic < 0 || magic > kBatchMagic) {
        return fail(ErrorCode::corrupt_message, fmt::format("magic {}", magic));
    }
    return static_cast<size_t>(length) <= bytes.size() - kBatchPrefixBytes;
}

/// The field's one batch. Bytes behind it that are not a batch are dropped, as Kafka drops them.
Result<BatchView> only_batch(std::span<const std::byte> bytes) {
    TRY(bool present, starts_a_batch(bytes));
    if (!present) return fail(ErrorCode::invalid_record, "a partition without a record batch");
    if (load_be<int8_t>(bytes.data() + batch_layout::kMagic) != kBatchMagic) {
        return fail(ErrorCode::invalid_record, "only record batches of magic 2 are taken");
    }
    TRY(BatchView batch, parse_batch(bytes));
    TRY(bool another, starts_a_batch(bytes.subspan(batch.size())));
    if (another) return fail(ErrorCode::invalid_record, "more than one batch for a partition");
    return batch;
}

Status check_message_size(size_t bytes, const ProduceRules& rules) {
    if (bytes <= rules.max_message_bytes) return {};
    return fail(ErrorCode::message_too_large,
                fmt::format("a batch of {} bytes, max.message.bytes is {}", bytes,
                            rules.max_message_bytes));
}

/// Of what will be stored: recompression may have made it fit.
Status check_fits_segment(size_t bytes, const ProduceRules& rules) {
    if (bytes <= rules.segment_bytes) return {};
    return fail(
        ErrorCode::record_list_too_large,
        fmt::format("a batch of {} bytes, segment.bytes is {}", bytes, rules.segment_bytes));
}

Status check_client_header(const BatchView& batch) {
    if (batch.record_count() <= 0 ||
        int64_t{batch.last_offset_delta()} + 1 != batch.record_count()) {
        return fail(ErrorCode::invalid_record,
                    fmt::format("a batch of {} records with a last offset delta of {}",
                                batch.record_count(), batch.last_offset_delta()));
    }
    if (batch.is_control()) {
        return fail(ErrorCode::invalid_record, "clients do not write control records");
    }
    if (batch.has_producer() && batch.base_sequence() < 0) {
        return fail(ErrorCode::invalid_record,
                    fmt::format("producer {} sent sequence {}", batch.producer_id().value(),
                                batch.base_sequence()));
    }
    return {};
}

/// Everything that the header decides, in the order in which Kafka looks.
Status check_batch(const BatchView& batch, const ProduceRules& rules) {
    const bool from_client = rules.origin == AppendOrigin::client;
    if (batch.codec() == Codec::zstd && !rules.zstd_allowed) {
        return fail(ErrorCode::unsupported_compression_type, "zstd needs Produce v7");
    }
    if (from_client && batch.base_offset() != Offset{0}) {
        return fail(ErrorCode::invalid_record,
                    fmt::format("a produced batch starts at offset 0, not {}",
                                batch.base_offset().value()));
    }
    TRY_STATUS(check_message_size(batch.size(), rules));
    TRY_STATUS(check_crc(batch));
    if (!batch.known_codec()) {
        // After the CRC: a bit that flipped on its way is corruption, which a client sends again.
        return fail(ErrorCode::unsupported_compression_type,
                    fmt::format("no codec has the number {}", static_cast<int>(batch.codec())));
    }
    if (from_client) TRY_STATUS(check_client_header(batch));
    return {};
}

/// The walk over a batch's records: collects what they say and what is wrong with them.
class Inspection {
public:
    Inspection(const BatchView& batch, const ProduceRules& rules, WallTime now)
        : batch_(batch), rules_(rules), now_(now) {}

    void take(const Record& record, int32_t index) {
        if (rules_.compacted && !record.key) {
            refuse(index, "a compacted topic takes no record without a key");
        } else {
            check_timestamp(record, index);
        }
        if (record.timestamp > max_timestamp_) {
            max_timestamp_ = record.timestamp;
            max_timestamp_delta_ = index;
        }
        consecutive_ = consecutive_ && record.offset_delta == index;
    }

    [[nodiscard]] bool consecutive() const { return consecutive_; }
    [[nodiscard]] WallTime max_timestamp() const { return max_timestamp_; }
    [[nodiscard]] int32_t max_timestamp_delta() const { return max_timestamp_delta_; }
    [[nodiscard]] bool refused() const { return refused_ > 0; }
    [[nodiscard]] Rejection rejection() && {
        std::string detail = fmt::format("{} records refused: {}", refused_, records_[0].message);
        return {{any_timestamp_ ? ErrorCode::invalid_timestamp : ErrorCode::invalid_record,
                 std::move(detail)},
                std::move(records_), false};
    }

private:
    void check_timestamp(const Record& record, int32_t index) {
        if (rules_.timestamp_type == TimestampType::create_time &&
            record.timestamp != kNoTimestamp) {
            if (!in_bounds(record.timestamp)) {
                any_timestamp_ = true;
                refuse(index, fmt::format("timestamp {} is out of bounds, the time is {}",
                                          record.timestamp.value(), now_.value()));
            }
        } else if (batch_.timestamp_type() == TimestampType::log_append_time) {
            any_timestamp_ = true;
            refuse(index, "a producer does not set the timestamp type to log append time");
        }
    }

    /// The difference wraps for absurd timestamps, as Kafka's does: either bound may catch it.
    [[nodiscard]] bool in_bounds(WallTime timestamp) const {
        uint64_t age =
            static_cast<uint64_t>(now_.value()) - static_cast<uint64_t>(timestamp.value());
        return static_cast<int64_t>(age) <= rules_.timestamp_before_max_ms &&
               static_cast<int64_t>(0 - age) <= rules_.timestamp_after_max_ms;
    }

    void refuse(int32_t index, std::string message) {
        ++refused_;
        if (records_.size() < kMostRecordErrors) records_.push_back({index, std::move(message)});
    }

    const BatchView& batch_;
    const ProduceRules& rules_;
    WallTime now_;
    WallTime max_timestamp_ = kNoTimestamp;
    int32_t max_timestamp_delta_ = 0;
    bool consecutive_ = true;
    bool any_timestamp_ = false;
    size_t refused_ = 0;
    std::vector<RecordError> records_;
};

/// Undecodable records behind a good CRC are the producer's doing: retrying would not help it.
Rejection malformed(Error error) {
    if (error.code == ErrorCode::corrupt_message) error.code = ErrorCode::invalid_record;
    return {std::move(error), {}, false};
}

Compression target_of(const BatchView& batch, const ProduceRules& rules) {
    // A marker stays as its coordinator wrote it, whatever the topic asks for.
    if (!rules.compression || (batch.codec() == Codec::none && batch.is_control())) {
        return {.codec = batch.codec(), .level = std::nullopt};
    }
    return *rules.compression;
}

/// The same records in a new batch: other codec, offsets 0..n-1, everything else kept.
Result<ValidatedBatch> rebuild(const BatchView& batch,
                               std::span<const std::byte> plain,
                               const ProduceRules& rules,
                               WallTime now,
                               Codecs& codecs) {
    BatchBuilder builder(
        codecs, {.compression = target_of(batch, rules),
                 .timestamp_type = rules.timestamp_type,
                 .log_append_time =
                     rules.timestamp_type == TimestampType::log_append_time ? now : kNoTimestamp,
                 .transactional = batch.is_transactional(),
                 .control = batch.is_control(),
                 .producer_id = batch.producer_id(),
                 .producer_epoch = batch.producer_epoch(),
                 .base_sequence = batch.base_sequence()});
    RecordIterator records(batch, plain);
    Record record;
    while (records.next(record)) builder.append(record);
    TRY(Buffer bytes, builder.finish());
    TRY_STATUS(check_message_size(bytes.size(), rules));
    TRY_STATUS(check_fits_segment(bytes.size(), rules));
    return ValidatedBatch{.bytes = std::move(bytes),
                          .rebuilt = true,
                          .restamp = std::nullopt,
                          .record_count = builder.count(),
                          .max_timestamp = builder.fields().max_timestamp,
                          .max_timestamp_delta = builder.max_timestamp_delta()};
}

ValidatedBatch as_sent(Buffer bytes,
                       const BatchView& batch,
                       const Inspection& seen,
                       const ProduceRules& rules,
                       WallTime now) {
    const bool append_time = rules.timestamp_type == TimestampType::log_append_time;
    ValidatedBatch result{.bytes = std::move(bytes),
                          .record_count = batch.record_count(),
                          .max_timestamp = append_time ? now : seen.max_timestamp(),
                          .max_timestamp_delta = append_time ? 0 : seen.max_timestamp_delta()};
    if (batch.timestamp_type() != rules.timestamp_type ||
        batch.max_timestamp() != result.max_timestamp) {
        result.restamp = Restamp{rules.timestamp_type, result.max_timestamp};
    }
    return result;
}

}  // namespace

std::expected<ValidatedBatch, Rejection> validate_produced(const Buffer& records,
                                                           const ProduceRules& rules,
                                                           WallTime now,
                                                           Codecs& codecs) {
    const auto refuse = [](Error error) {
        return std::unexpected(Rejection{std::move(error), {}, false});
    };
    Result<BatchView> batch = only_batch(records.span());
    if (!batch) return std::unexpected(Rejection{std::move(batch).error(), {}, true});
    Status header = check_batch(*batch, rules);
    if (!header) return refuse(std::move(header).error());

    auto plain = codecs.records_of(*batch, rules.max_decompressed_bytes);
    if (!plain) return std::unexpected(malformed(std::move(plain).error()));
    RecordIterator iterator(*batch, *plain);
    Inspection seen(*batch, rules, now);
    Record record;
    while (iterator.next(record)) seen.take(record, iterator.index() - 1);
    Status walked = iterator.finish();
    if (!walked) return std::unexpected(malformed(std::move(walked).error()));
    if (seen.refused()) return std::unexpected(std::move(seen).rejection());

    const bool same_codec = target_of(*batch, rules).codec == batch->codec();
    const bool has_records = batch->record_count() > 0;
    if (has_records && (!same_codec || !seen.consecutive())) {
        Result<ValidatedBatch> rebuilt = rebuild(*batch, *plain, rules, now, codecs);
        if (!rebuilt) return refuse(std::move(rebuilt).error());
        return *std::move(rebuilt);
    }
    Status fits = check_fits_segment(batch->size(), rules);
    if (!fits) return refuse(std::move(fits).error());
    return as_sent(records.slice(0, batch->size()), *batch, seen, rules, now);
}

}  // namespace ottla
