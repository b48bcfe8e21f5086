// SPDX-License-Identifier: Apache-2.0
// Record batch v2, the one unit of data: what producers send, segments store and consumers receive.
//
//    0  base offset       i64 |            27  base timestamp  i64   first record, or delete
//    horizon 8  length            i32 | bytes      35  max timestamp   i64
//   12  leader epoch      i32 | behind 12  43  producer id     i64   -1: none
//   16  magic             i8  | = 2        51  producer epoch  i16
//   17  crc               u32 | of 21..    53  base sequence   i32   -1: none
//   21  attributes        i16 |            57  record count    i32
//   23  last offset delta i32 |            61  records, compressed as one blob
//
//   attributes: bits 0-2 codec, 3 log append time, 4 transactional, 5 control, 6 delete horizon
//
// The CRC-32C covers bytes 21 to the end, so offsets and leader epoch are assigned in place for
// free. A BatchView borrows bytes that were sized by parse_batch; it owns and copies nothing.
// Errors: corrupt_message (sizes, magic, CRC), unsupported_for_message_format (magic 0 and 1).
// pure
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "base/endian.h"
#include "ottla/result.h"
#include "ottla/types.h"

namespace ottla {

/// The codec's number on the wire.
enum class Codec : uint8_t { none = 0, gzip = 1, snappy = 2, lz4 = 3, zstd = 4 };

enum class TimestampType : uint8_t { create_time = 0, log_append_time = 1 };

inline constexpr size_t kBatchHeaderBytes = 61;
/// Base offset and length: what `length` does not count.
inline constexpr size_t kBatchPrefixBytes = 12;
inline constexpr int8_t kBatchMagic = 2;
inline constexpr int32_t kNoSequence = -1;

namespace batch_layout {
inline constexpr size_t kBaseOffset = 0;
inline constexpr size_t kLength = 8;
inline constexpr size_t kLeaderEpoch = 12;
inline constexpr size_t kMagic = 16;
inline constexpr size_t kCrc = 17;
inline constexpr size_t kAttributes = 21;
inline constexpr size_t kLastOffsetDelta = 23;
inline constexpr size_t kBaseTimestamp = 27;
inline constexpr size_t kMaxTimestamp = 35;
inline constexpr size_t kProducerId = 43;
inline constexpr size_t kProducerEpoch = 51;
inline constexpr size_t kBaseSequence = 53;
inline constexpr size_t kRecordCount = 57;

inline constexpr uint16_t kCodecMask = 0x07;
inline constexpr uint16_t kLogAppendTime = 0x08;
inline constexpr uint16_t kTransactional = 0x10;
inline constexpr uint16_t kControl = 0x20;
inline constexpr uint16_t kDeleteHorizon = 0x40;
}  // namespace batch_layout

class BatchView {
public:
    /// `batch` holds exactly one batch (parse_batch found its end); CHECKs the header fits.
    explicit BatchView(std::span<const std::byte> batch);

    [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }
    [[nodiscard]] size_t size() const { return bytes_.size(); }
    /// Bytes 61 to the end, as stored: compressed if codec() says so.
    [[nodiscard]] std::span<const std::byte> payload() const {
        return bytes_.subspan(kBatchHeaderBytes);
    }

    [[nodiscard]] Offset base_offset() const {
        return Offset{get<int64_t>(batch_layout::kBaseOffset)};
    }
    [[nodiscard]] int32_t last_offset_delta() const {
        return get<int32_t>(batch_layout::kLastOffsetDelta);
    }
    [[nodiscard]] Offset last_offset() const { return base_offset() + last_offset_delta(); }
    /// The offset of whatever follows this batch.
    [[nodiscard]] Offset offset_end() const { return last_offset() + 1; }
    [[nodiscard]] LeaderEpoch leader_epoch() const {
        return LeaderEpoch{get<int32_t>(batch_layout::kLeaderEpoch)};
    }
    [[nodiscard]] uint32_t stored_crc() const { return get<uint32_t>(batch_layout::kCrc); }
    [[nodiscard]] uint16_t attributes() const { return get<uint16_t>(batch_layout::kAttributes); }
    /// 5-7 are no codec: known_codec() tells.
    [[nodiscard]] Codec codec() const {
        return static_cast<Codec>(attributes() & batch_layout::kCodecMask);
    }
    [[nodiscard]] bool known_codec() const { return codec() <= Codec::zstd; }
    [[nodiscard]] TimestampType timestamp_type() const {
        return has(batch_layout::kLogAppendTime) ? TimestampType::log_append_time
                                                 : TimestampType::create_time;
    }
    [[nodiscard]] bool is_transactional() const { return has(batch_layout::kTransactional); }
    [[nodiscard]] bool is_control() const { return has(batch_layout::kControl); }
    /// When a compacted tombstone or marker may go; kept in the base timestamp (KIP-534).
    [[nodiscard]] std::optional<WallTime> delete_horizon() const {
        if (!has(batch_layout::kDeleteHorizon)) return std::nullopt;
        return base_timestamp();
    }
    /// What the records' timestamp deltas count from.
    [[nodiscard]] WallTime base_timestamp() const {
        return WallTime{get<int64_t>(batch_layout::kBaseTimestamp)};
    }
    [[nodiscard]] WallTime max_timestamp() const {
        return WallTime{get<int64_t>(batch_layout::kMaxTimestamp)};
    }
    [[nodiscard]] ProducerId producer_id() const {
        return ProducerId{get<int64_t>(batch_layout::kProducerId)};
    }
    [[nodiscard]] bool has_producer() const { return producer_id() > kNoProducer; }
    [[nodiscard]] ProducerEpoch producer_epoch() const {
        return ProducerEpoch{get<int16_t>(batch_layout::kProducerEpoch)};
    }
    [[nodiscard]] int32_t base_sequence() const {
        return get<int32_t>(batch_layout::kBaseSequence);
    }
    /// Wraps from 2^31-1 to 0; kNoSequence without a producer's sequence.
    [[nodiscard]] int32_t last_sequence() const;
    [[nodiscard]] int32_t record_count() const { return get<int32_t>(batch_layout::kRecordCount); }

private:
    template <class T>
    [[nodiscard]] T get(size_t at) const {
        return load_be<T>(bytes_.data() + at);
    }
    [[nodiscard]] bool has(uint16_t bit) const { return (attributes() & bit) != 0; }

    std::span<const std::byte> bytes_;
};

/// The batch at the front of `bytes`, which may go on behind it. Sizes and magic only.
Result<BatchView> parse_batch(std::span<const std::byte> bytes);

/// Is the stored CRC that of the bytes?
bool crc_matches(const BatchView& batch);
/// The same as a Status that says both numbers.
Status check_crc(const BatchView& batch);

/// The sequence `records` behind `sequence`: 2^31-1 is followed by 0.
int32_t sequence_after(int32_t sequence, int32_t records);

/// New timestamp fields of a batch: they lie under the CRC, which is computed again.
struct Restamp {
    TimestampType type = TimestampType::log_append_time;
    WallTime max_timestamp = kNoTimestamp;
    bool operator==(const Restamp&) const = default;
};

/// In place: offsets from `base`, the leader's epoch and, if asked, the timestamp fields. `batch`
/// is one whole batch. Without a restamp the payload is not read (about 2 ns, else one CRC of the
/// batch).
void assign_offsets(std::span<std::byte> batch,
                    Offset base,
                    LeaderEpoch epoch,
                    const std::optional<Restamp>& restamp = std::nullopt);

/// Everything of a header that is not computed.
struct BatchFields {
    Codec codec = Codec::none;
    TimestampType timestamp_type = TimestampType::create_time;
    bool transactional = false;
    bool control = false;
    std::optional<WallTime> delete_horizon;
    Offset base_offset{0};
    LeaderEpoch leader_epoch = kNoLeaderEpoch;
    int32_t last_offset_delta = 0;
    WallTime base_timestamp{0};
    WallTime max_timestamp{0};
    ProducerId producer_id = kNoProducer;
    ProducerEpoch producer_epoch = kNoProducerEpoch;
    int32_t base_sequence = kNoSequence;
    int32_t record_count = 0;
};

/// Writes length, magic, every field and the CRC over `batch`, whose payload is already in place.
void write_batch_header(std::span<std::byte> batch, const BatchFields& fields);

enum class BatchStep : uint8_t {
    batch,    // batch() is the next one
    end,      // exactly at the end of the bytes
    torn,     // the bytes end inside a batch: an unfinished write, or a read that was cut
    corrupt,  // no batch can start here, or its CRC is wrong; error() says which
};

/// Several batches in a row: recovery, readers, followers. Stays where it is once it is not
/// `batch`. A damaged length that points behind the end reads as torn; only a checksum elsewhere
/// can tell.
class BatchCursor {
public:
    enum class Crc : bool { skip, check };
    explicit BatchCursor(std::span<const std::byte> bytes, Crc crc = Crc::skip)
        : bytes_(bytes), crc_(crc) {}

    BatchStep next();
    /// The batch that next() moved to.
    [[nodiscard]] const BatchView& batch() const { return *batch_; }
    /// Where batch() starts, or where the walk stopped.
    [[nodiscard]] size_t position() const { return position_; }
    [[nodiscard]] const Error& error() const { return error_; }

private:
    BatchStep corrupt(Error error);

    std::span<const std::byte> bytes_;
    Crc crc_;
    size_t position_ = 0;
    std::optional<BatchView> batch_;
    BatchStep stopped_ = BatchStep::batch;
    Error error_;
};

}  // namespace ottla
