// SPDX-License-Identifier: Apache-2.0
// What a leader takes from a producer: one partition's records field in, one batch ready for the
// log out, or the refusal that Kafka's clients expect (LogValidator and UnifiedLog of Kafka 4; the
// traps of Produce). It looks at bytes only: sequences against the producer's state, epochs and
// quotas are the log's.
//
// The usual batch comes back as it was sent (a slice of the frame, no copy): the log copies it once
// and calls assign_offsets with the result's restamp. A new one is built where it must be: another
// codec is asked for, or inner offsets are not 0..n-1 (old clients).
//
// Cost: header and CRC, then one walk over the records, without allocation: 2.6 us for 19 KB in 163
// records (CRC 0.7, 12 ns a record). Compressed records are decompressed for the walk, as Kafka
// does (the same as lz4 8 us, snappy 18, zstd 22, gzip 27):
// docs/adr/0030-validate-compressed-records.md. Errors: a Rejection, whose code goes to the client
// as it is. pure
#pragma once

#include <cstdint>
#include <expected>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "ottla/buffer.h"
#include "records/batch.h"
#include "records/codec.h"

namespace ottla {

/// Who wrote the records. A coordinator may write control batches and need not keep the rules that
/// protect a log from its clients.
enum class AppendOrigin : uint8_t { client, coordinator };

struct ProduceRules {
    AppendOrigin origin = AppendOrigin::client;
    /// Produce v7 and newer (KIP-110).
    bool zstd_allowed = true;
    /// cleanup.policy has `compact`: every record needs a key.
    bool compacted = false;
    /// max.message.bytes, of the batch as sent and again after recompression.
    size_t max_message_bytes = 1024 * 1024 + 12;
    /// segment.bytes.
    size_t segment_bytes = 1024UZ * 1024 * 1024;
    /// message.timestamp.type, .before.max.ms, .after.max.ms.
    TimestampType timestamp_type = TimestampType::create_time;
    int64_t timestamp_before_max_ms = std::numeric_limits<int64_t>::max();
    int64_t timestamp_after_max_ms = 60 * 60 * 1000;
    /// compression.type and its level; none is given for "producer".
    std::optional<Compression> compression;
    /// Ours: what one batch may grow to in memory. Kafka has no bound; ADR 0030.
    size_t max_decompressed_bytes = 128UZ * 1024 * 1024;
};

/// A record of a refused batch, for the RecordErrors of Produce v8+ (KIP-467).
struct RecordError {
    int32_t index = 0;
    std::string message;
};

struct Rejection {
    Error error;
    /// At most kMostRecordErrors; empty if the batch as a whole is at fault.
    std::vector<RecordError> records;
    /// The request itself is wrong: Kafka says so before it looks at the log.
    bool before_log = false;
};
inline constexpr size_t kMostRecordErrors = 1000;

struct ValidatedBatch {
    /// One whole batch, base offset and leader epoch not assigned yet.
    Buffer bytes;
    /// `bytes` is not what was sent.
    bool rebuilt = false;
    /// For assign_offsets. A header whose max timestamp was wrong is corrected this way too.
    std::optional<Restamp> restamp;
    int32_t record_count = 0;
    /// What the header says once restamped, and the first record that has it (0 for log append
    /// time).
    WallTime max_timestamp = kNoTimestamp;
    int32_t max_timestamp_delta = 0;
};

/// `now` is the log append time, and what timestamps are compared with.
std::expected<ValidatedBatch, Rejection> validate_produced(const Buffer& records,
                                                           const ProduceRules& rules,
                                                           WallTime now,
                                                           Codecs& codecs);

}  // namespace ottla
