// SPDX-License-Identifier: Apache-2.0
// The records inside a batch: reading them one by one, and building a batch of them.
//
//   record: varint body size | i8 attributes = 0 | varlong timestamp delta | varint offset delta
//         | varint key size (-1: null) key | varint value size (-1: null) value
//         | varint header count { varint size, key | varint size (-1: null) value }*
//
// The iterator takes plain (decompressed) bytes from anybody: every size is checked before use, and
// the strictness is Kafka's, so that what it walks to the end is what a Java consumer can read. It
// allocates nothing; keys, values and headers are views into the bytes it was given.
// pure
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "base/growing_buffer.h"
#include "ottla/buffer.h"
#include "records/batch.h"
#include "records/codec.h"

namespace ottla {

/// Null and empty differ, as in Kafka.
using OptionalBytes = std::optional<std::span<const std::byte>>;

struct RecordHeader {
    std::string_view key;
    OptionalBytes value;
};

/// The headers of one record, decoded while walking them; the iterator has checked them already.
class RecordHeaders {
public:
    RecordHeaders() = default;
    RecordHeaders(int32_t count, std::span<const std::byte> encoded)
        : count_(count), encoded_(encoded) {}

    [[nodiscard]] int32_t count() const { return count_; }
    /// As they are on the wire, without the count.
    [[nodiscard]] std::span<const std::byte> encoded() const { return encoded_; }

    struct End {};
    class Walk {
    public:
        Walk(int32_t left, std::span<const std::byte> rest);
        const RecordHeader& operator*() const { return header_; }
        Walk& operator++() {
            --left_;
            read();
            return *this;
        }
        bool operator==(End) const { return left_ <= 0; }

    private:
        void read();
        int32_t left_;
        std::span<const std::byte> rest_;
        RecordHeader header_;
    };
    [[nodiscard]] Walk begin() const { return {count_, encoded_}; }
    [[nodiscard]] static End end() { return {}; }

private:
    int32_t count_ = 0;
    std::span<const std::byte> encoded_;
};

struct Record {
    /// On disk, with its size field.
    size_t size = 0;
    int32_t offset_delta = 0;
    /// The batch's max timestamp when that is log append time.
    WallTime timestamp;
    OptionalBytes key;
    OptionalBytes value;
    RecordHeaders headers;
};

/// `while (records.next(record)) ...; TRY_STATUS(records.finish());`
class RecordIterator {
public:
    /// `plain` are the batch's records: its payload, or what Codecs::records_of gave.
    RecordIterator(const BatchView& batch, std::span<const std::byte> plain);

    /// False at the end and at the first malformed record; finish() tells which.
    bool next(Record& record);
    /// invalid_record unless exactly the declared number of records filled the bytes.
    [[nodiscard]] Status finish() const;
    /// How many next() has given.
    [[nodiscard]] int32_t index() const { return index_; }

private:
    bool malformed(const char* why);
    const char* read_body(const std::byte* at, const std::byte* end, Record& record) const;

    const std::byte* at_;
    const std::byte* end_;
    int32_t count_;
    int32_t index_ = 0;
    int64_t base_timestamp_;
    std::optional<WallTime> log_append_time_;
    const char* why_ = nullptr;
};

struct BatchOptions {
    Compression compression;
    TimestampType timestamp_type = TimestampType::create_time;
    /// The batch's max timestamp when timestamp_type is log append time.
    WallTime log_append_time = kNoTimestamp;
    bool transactional = false;
    bool control = false;
    Offset base_offset{0};
    LeaderEpoch leader_epoch = kNoLeaderEpoch;
    ProducerId producer_id = kNoProducer;
    ProducerEpoch producer_epoch = kNoProducerEpoch;
    int32_t base_sequence = kNoSequence;
};

/// Builds one batch: clients, the metadata log, markers, recompression, tests.
class BatchBuilder {
public:
    BatchBuilder(Codecs& codecs, const BatchOptions& options);

    /// One more record; what it is given is copied. CHECKs that the batch stays below 2 GiB.
    void append(WallTime timestamp,
                OptionalBytes key,
                OptionalBytes value,
                std::span<const RecordHeader> headers = {});
    /// The same content at the next offset; headers are copied without decoding them.
    void append(const Record& record);

    [[nodiscard]] int32_t count() const { return fields_.record_count; }
    /// Header and records so far, uncompressed.
    [[nodiscard]] size_t size() const { return bytes_.size(); }

    /// The whole batch, sealed. CHECKs that there is a record; nothing can be appended afterwards.
    [[nodiscard]] Result<Buffer> finish();
    /// After finish: what its header says.
    [[nodiscard]] const BatchFields& fields() const { return fields_; }
    /// The offset delta of the first record that carries the max timestamp.
    [[nodiscard]] int32_t max_timestamp_delta() const { return max_timestamp_delta_; }

private:
    struct Sizes {
        size_t headers = 0;
        int32_t header_count = 0;
    };
    std::byte* start_record(WallTime timestamp,
                            OptionalBytes key,
                            OptionalBytes value,
                            Sizes sizes);

    Codecs& codecs_;
    Compression compression_;
    BatchFields fields_;
    int32_t max_timestamp_delta_ = 0;
    GrowingBuffer bytes_;
};

}  // namespace ottla
