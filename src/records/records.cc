// SPDX-License-Identifier: Apache-2.0
#include "records/records.h"

#include <fmt/format.h>

#include <cstring>

#include "base/varint.h"
#include "ottla/check.h"

namespace ottla {
namespace {

/// A size field and as many bytes; any negative size means null, as Kafka's reader has it. Gives
/// what follows, or nullptr.
const std::byte* read_sized(const std::byte* at, const std::byte* end, OptionalBytes& bytes) {
    int32_t size = 0;
    at = read_varint(at, end, size);
    if (at == nullptr) return nullptr;
    if (size < 0) {
        bytes.reset();
        return at;
    }
    if (static_cast<size_t>(size) > static_cast<size_t>(end - at)) return nullptr;
    bytes.emplace(at, static_cast<size_t>(size));
    return at + size;
}

size_t sized_size(const OptionalBytes& bytes) {
    if (!bytes) return varint_size(-1);
    return varint_size(static_cast<int32_t>(bytes->size())) + bytes->size();
}

std::byte* write_sized(std::byte* at, const OptionalBytes& bytes) {
    if (!bytes) return write_varint(at, -1);
    at = write_varint(at, static_cast<int32_t>(bytes->size()));
    if (!bytes->empty()) std::memcpy(at, bytes->data(), bytes->size());
    return at + bytes->size();
}

/// Deltas wrap as Java's do: a hostile timestamp must not be undefined behaviour.
int64_t wrapping_sum(int64_t a, int64_t b) {
    return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
}
int64_t wrapping_difference(int64_t a, int64_t b) {
    return static_cast<int64_t>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b));
}

/// nullptr if well formed, else what is wrong.
const char* check_headers(const std::byte* at, const std::byte* end, int32_t count) {
    OptionalBytes field;
    for (int32_t i = 0; i < count; ++i) {
        at = read_sized(at, end, field);
        if (at == nullptr) return "a header's key runs over its record";
        if (!field) return "a header without a key";
        at = read_sized(at, end, field);
        if (at == nullptr) return "a header's value runs over its record";
    }
    return at == end ? nullptr : "a record that is longer than its fields";
}

}  // namespace

RecordHeaders::Walk::Walk(int32_t left, std::span<const std::byte> rest)
    : left_(left), rest_(rest) {
    read();
}

void RecordHeaders::Walk::read() {
    if (left_ <= 0) return;
    const std::byte* end = rest_.data() + rest_.size();
    OptionalBytes key;
    const std::byte* at = read_sized(rest_.data(), end, key);
    if (at != nullptr) at = read_sized(at, end, header_.value);
    CHECK(at != nullptr && key, "the iterator checked these headers");
    header_.key = as_text(*key);
    rest_ = {at, static_cast<size_t>(end - at)};
}

RecordIterator::RecordIterator(const BatchView& batch, std::span<const std::byte> plain)
    : at_(plain.data()),
      end_(plain.data() + plain.size()),
      count_(batch.record_count()),
      base_timestamp_(batch.base_timestamp().value()) {
    if (batch.timestamp_type() == TimestampType::log_append_time) {
        log_append_time_ = batch.max_timestamp();
    }
}

bool RecordIterator::malformed(const char* why) {
    why_ = why;
    return false;
}

const char* RecordIterator::read_body(const std::byte* at,
                                      const std::byte* end,
                                      Record& record) const {
    if (at == end) return "a record without attributes";
    ++at;  // attributes: no bit is in use, and Kafka ignores them
    int64_t timestamp_delta = 0;
    at = read_varlong(at, end, timestamp_delta);
    if (at == nullptr) return "a damaged timestamp delta";
    at = read_varint(at, end, record.offset_delta);
    if (at == nullptr) return "a damaged offset delta";
    at = read_sized(at, end, record.key);
    if (at == nullptr) return "a key that runs over its record";
    at = read_sized(at, end, record.value);
    if (at == nullptr) return "a value that runs over its record";
    int32_t headers = 0;
    at = read_varint(at, end, headers);
    if (at == nullptr || headers < 0 || headers > end - at) return "an impossible header count";
    record.timestamp =
        log_append_time_.value_or(WallTime{wrapping_sum(base_timestamp_, timestamp_delta)});
    record.headers = {headers, {at, static_cast<size_t>(end - at)}};
    return check_headers(at, end, headers);
}

bool RecordIterator::next(Record& record) {
    if (why_ != nullptr || index_ >= count_) return false;
    int32_t size = 0;
    const std::byte* body = read_varint(at_, end_, size);
    if (body == nullptr) return malformed("fewer records than the batch declares");
    if (size < 0 || size > end_ - body) return malformed("a record that runs over its batch");
    const char* wrong = read_body(body, body + size, record);
    if (wrong != nullptr) return malformed(wrong);
    record.size = static_cast<size_t>(body + size - at_);
    at_ = body + size;
    ++index_;
    return true;
}

Status RecordIterator::finish() const {
    if (why_ != nullptr) {
        return fail(ErrorCode::invalid_record, fmt::format("record {}: {}", index_, why_));
    }
    if (count_ < 0) {
        return fail(ErrorCode::invalid_record, fmt::format("a batch of {} records", count_));
    }
    if (index_ < count_) {
        return fail(ErrorCode::invalid_record,
                    fmt::format("stopped after {} of {} records", index_, count_));
    }
    if (at_ != end_) {
        return fail(ErrorCode::invalid_record,
                    fmt::format("{} bytes behind the last record", end_ - at_));
    }
    return {};
}

BatchBuilder::BatchBuilder(Codecs& codecs, const BatchOptions& options)
    : codecs_(codecs), compression_(options.compression) {
    fields_.codec = options.compression.codec;
    fields_.timestamp_type = options.timestamp_type;
    fields_.max_timestamp = options.log_append_time;
    fields_.transactional = options.transactional;
    fields_.control = options.control;
    fields_.base_offset = options.base_offset;
    fields_.leader_epoch = options.leader_epoch;
    fields_.producer_id = options.producer_id;
    fields_.producer_epoch = options.producer_epoch;
    fields_.base_sequence = options.base_sequence;
    bytes_.extend(kBatchHeaderBytes);
}

/// Writes everything up to the headers and leaves room for those.
std::byte* BatchBuilder::start_record(WallTime timestamp,
                                      OptionalBytes key,
                                      OptionalBytes value,
                                      Sizes sizes) {
    const int32_t offset_delta = fields_.record_count;
    if (offset_delta == 0) fields_.base_timestamp = timestamp;
    int64_t timestamp_delta =
        wrapping_difference(timestamp.value(), fields_.base_timestamp.value());
    size_t body = 1 + varlong_size(timestamp_delta) + varint_size(offset_delta) + sized_size(key) +
                  sized_size(value) + varint_size(sizes.header_count) + sizes.headers;
    CHECK(bytes_.size() + body + kMaxVarintBytes <= INT32_MAX, "a batch stays below 2 GiB");
    std::byte* at = bytes_.extend(varint_size(static_cast<int32_t>(body)) + body);
    at = write_varint(at, static_cast<int32_t>(body));
    *at++ = std::byte{0};
    at = write_varlong(at, timestamp_delta);
    at = write_varint(at, offset_delta);
    at = write_sized(at, key);
    at = write_sized(at, value);
    at = write_varint(at, sizes.header_count);

    fields_.last_offset_delta = offset_delta;
    ++fields_.record_count;
    if (fields_.timestamp_type == TimestampType::create_time && timestamp > fields_.max_timestamp) {
        fields_.max_timestamp = timestamp;
        max_timestamp_delta_ = offset_delta;
    }
    return at;
}

void BatchBuilder::append(WallTime timestamp,
                          OptionalBytes key,
                          OptionalBytes value,
                          std::span<const RecordHeader> headers) {
    Sizes sizes{.headers = 0, .header_count = static_cast<int32_t>(headers.size())};
    for (const RecordHeader& header : headers) {
        sizes.headers += sized_size(as_bytes(header.key)) + sized_size(header.value);
    }
    std::byte* at = start_record(timestamp, key, value, sizes);
    for (const RecordHeader& header : headers) {
        at = write_sized(at, as_bytes(header.key));
        at = write_sized(at, header.value);
    }
}

void BatchBuilder::append(const Record& record) {
    std::span<const std::byte> headers = record.headers.encoded();
    std::byte* at =
        start_record(record.timestamp, record.key, record.value,
                     {.headers = headers.size(), .header_count = record.headers.count()});
    if (!headers.empty()) std::memcpy(at, headers.data(), headers.size());
}

Result<Buffer> BatchBuilder::finish() {
    CHECK(fields_.record_count > 0, "a batch holds a record");
    if (fields_.codec != Codec::none) {
        GrowingBuffer packed(kBatchHeaderBytes + bytes_.size());
        packed.extend(kBatchHeaderBytes);
        TRY_STATUS(
            codecs_.compress(compression_, bytes_.span().subspan(kBatchHeaderBytes), packed));
        bytes_ = std::move(packed);
    }
    write_batch_header({bytes_.data(), bytes_.size()}, fields_);
    return bytes_.take();
}

}  // namespace ottla
