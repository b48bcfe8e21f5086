// SPDX-License-Identifier: Apache-2.0
#include "records/batch.h"

#include <fmt/format.h>

#include "base/crc32c.h"
#include "ottla/check.h"

namespace ottla {
namespace {

using namespace batch_layout;

uint32_t computed_crc(std::span<const std::byte> batch) {
    return crc32c(0, batch.subspan(kAttributes));
}

void seal(std::span<std::byte> batch) { store_be(batch.data() + kCrc, computed_crc(batch)); }

/// The size of the batch that starts here, once its prefix and magic are known.
Result<size_t> batch_size(std::span<const std::byte> bytes) {
    auto length = load_be<int32_t>(bytes.data() + kLength);
    auto magic = load_be<int8_t>(bytes.data() + kMagic);
    if (magic == 0 || magic == 1) {
        return fail(ErrorCode::unsupported_for_message_format,
                    fmt::format("a message set of magic {}, which Kafka 4 no longer takes", magic));
    }
    if (magic != kBatchMagic) {
        return fail(ErrorCode::corrupt_message, fmt::format("magic {} instead of 2", magic));
    }
    constexpr auto kLeast = static_cast<int32_t>(kBatchHeaderBytes - kBatchPrefixBytes);
    if (length < kLeast) {
        return fail(ErrorCode::corrupt_message,
                    fmt::format("a batch length of {}, less than its header", length));
    }
    return kBatchPrefixBytes + static_cast<size_t>(length);
}

}  // namespace

BatchView::BatchView(std::span<const std::byte> batch) : bytes_(batch) {
    CHECK(batch.size() >= kBatchHeaderBytes, "a view is made of a whole batch");
}

int32_t BatchView::last_sequence() const {
    if (base_sequence() == kNoSequence) return kNoSequence;
    return sequence_after(base_sequence(), last_offset_delta());
}

Result<BatchView> parse_batch(std::span<const std::byte> bytes) {
    if (bytes.size() <= kMagic) {
        return fail(ErrorCode::corrupt_message,
                    fmt::format("{} bytes are less than a batch header", bytes.size()));
    }
    TRY(size_t size, batch_size(bytes));
    if (size > bytes.size()) {
        return fail(ErrorCode::corrupt_message,
                    fmt::format("a batch of {} bytes in only {}", size, bytes.size()));
    }
    return BatchView(bytes.first(size));
}

bool crc_matches(const BatchView& batch) {
    return batch.stored_crc() == computed_crc(batch.bytes());
}

Status check_crc(const BatchView& batch) {
    uint32_t computed = computed_crc(batch.bytes());
    if (computed == batch.stored_crc()) return {};
    return fail(
        ErrorCode::corrupt_message,
        fmt::format("batch CRC is {:08x}, its header says {:08x}", computed, batch.stored_crc()));
}

int32_t sequence_after(int32_t sequence, int32_t records) {
    uint32_t sum = static_cast<uint32_t>(sequence) + static_cast<uint32_t>(records);
    return static_cast<int32_t>(sum & 0x7FFFFFFFU);
}

void assign_offsets(std::span<std::byte> batch,
                    Offset base,
                    LeaderEpoch epoch,
                    const std::optional<Restamp>& restamp) {
    CHECK(batch.size() >= kBatchHeaderBytes, "offsets are assigned to a whole batch");
    store_be(batch.data() + kBaseOffset, base.value());
    store_be(batch.data() + kLeaderEpoch, epoch.value());
    if (!restamp) return;
    auto attributes = load_be<uint16_t>(batch.data() + kAttributes);
    // Bits without a meaning go too, as they do in Kafka.
    attributes &= kCodecMask | kTransactional | kControl | kDeleteHorizon;
    if (restamp->type == TimestampType::log_append_time) attributes |= kLogAppendTime;
    store_be(batch.data() + kAttributes, attributes);
    store_be(batch.data() + kMaxTimestamp, restamp->max_timestamp.value());
    seal(batch);
}

void write_batch_header(std::span<std::byte> batch, const BatchFields& fields) {
    CHECK(batch.size() >= kBatchHeaderBytes, "room for a header");
    CHECK(batch.size() - kBatchPrefixBytes <= INT32_MAX, "a batch length fits 31 bits");
    auto attributes = static_cast<uint16_t>(fields.codec);
    if (fields.timestamp_type == TimestampType::log_append_time) attributes |= kLogAppendTime;
    if (fields.transactional) attributes |= kTransactional;
    if (fields.control) attributes |= kControl;
    if (fields.delete_horizon) attributes |= kDeleteHorizon;
    std::byte* at = batch.data();
    store_be(at + kBaseOffset, fields.base_offset.value());
    store_be(at + kLength, static_cast<int32_t>(batch.size() - kBatchPrefixBytes));
    store_be(at + kLeaderEpoch, fields.leader_epoch.value());
    store_be(at + kMagic, kBatchMagic);
    store_be(at + kAttributes, attributes);
    store_be(at + kLastOffsetDelta, fields.last_offset_delta);
    store_be(at + kBaseTimestamp, fields.delete_horizon.value_or(fields.base_timestamp).value());
    store_be(at + kMaxTimestamp, fields.max_timestamp.value());
    store_be(at + kProducerId, fields.producer_id.value());
    store_be(at + kProducerEpoch, fields.producer_epoch.value());
    store_be(at + kBaseSequence, fields.base_sequence);
    store_be(at + kRecordCount, fields.record_count);
    seal(batch);
}

BatchStep BatchCursor::corrupt(Error error) {
    error_ = std::move(error);
    return stopped_ = BatchStep::corrupt;
}

BatchStep BatchCursor::next() {
    if (stopped_ != BatchStep::batch) return stopped_;
    if (batch_) position_ += batch_->size();
    batch_.reset();
    std::span<const std::byte> rest = bytes_.subspan(position_);
    if (rest.empty()) return stopped_ = BatchStep::end;
    if (rest.size() <= kMagic) return stopped_ = BatchStep::torn;
    Result<size_t> size = batch_size(rest);
    if (!size) return corrupt(std::move(size).error());
    if (*size > rest.size()) return stopped_ = BatchStep::torn;
    BatchView found(rest.first(*size));
    if (crc_ == Crc::check) {
        Status crc = check_crc(found);
        if (!crc) return corrupt(std::move(crc).error());
    }
    batch_ = found;
    return BatchStep::batch;
}

}  // namespace ottla
