// SPDX-License-Identifier: Apache-2.0
// Records from anybody: walked as recovery walks a segment, validated as a producer's, and what was
// accepted must be a batch that a consumer reads to its end. The CRC is made right first, or the
// fuzzer would only ever learn that checksums work.
#include <vector>

#include "ottla/check.h"
#include "records/control.h"
#include "records/validate.h"
#include "tests/fuzz/fuzzers.h"

namespace ottla {
namespace {

constexpr size_t kBound = 1 << 20;
constexpr WallTime kNow{1'700'000'001'000};

/// The records that can be read, whether or not all can.
int32_t readable(const BatchView& batch, Codecs& codecs, bool& whole) {
    whole = false;
    auto plain = codecs.records_of(batch, kBound);
    if (!plain) return 0;
    RecordIterator records(batch, *plain);
    Record record;
    while (records.next(record)) {
        for (const RecordHeader& header : record.headers) {
            CHECK(header.key.size() <= plain->size(), "a header lies within its batch");
        }
        Result<ControlRecord> control = parse_control(record);
        if (control) (void)parse_end_transaction(*control);
    }
    whole = records.finish().has_value();
    return records.index();
}

void walk(std::span<const std::byte> bytes, BatchCursor::Crc crc, Codecs& codecs) {
    BatchCursor cursor(bytes, crc);
    size_t covered = 0;
    while (cursor.next() == BatchStep::batch) {
        CHECK(cursor.position() == covered, "batches follow one another");
        covered += cursor.batch().size();
        bool whole = false;
        (void)readable(cursor.batch(), codecs, whole);
    }
    CHECK(cursor.position() == covered && covered <= bytes.size(), "the walk stops where it says");
}

ProduceRules rules_of(unsigned choice) {
    ProduceRules rules;
    rules.origin = (choice & 1U) != 0 ? AppendOrigin::coordinator : AppendOrigin::client;
    rules.compacted = (choice & 2U) != 0;
    rules.timestamp_type =
        (choice & 4U) != 0 ? TimestampType::log_append_time : TimestampType::create_time;
    if ((choice & 8U) != 0) {
        rules.compression =
            Compression{.codec = static_cast<Codec>((choice >> 4U) % 5), .level = std::nullopt};
    }
    rules.max_decompressed_bytes = kBound;
    return rules;
}

void produce(std::span<const std::byte> bytes, const ProduceRules& rules, Codecs& codecs) {
    auto taken = validate_produced(Buffer::copy_of(bytes), rules, kNow, codecs);
    if (!taken) return;
    std::vector<std::byte> stored(taken->bytes.span().begin(), taken->bytes.span().end());
    assign_offsets(stored, Offset{1000}, LeaderEpoch{3}, taken->restamp);
    Result<BatchView> batch = parse_batch(stored);
    CHECK(batch && batch->size() == stored.size() && crc_matches(*batch),
          "what is taken is a batch");
    CHECK(batch->max_timestamp() == taken->max_timestamp, "the header says the max timestamp");
    bool whole = false;
    CHECK(readable(*batch, codecs, whole) == batch->record_count() && whole,
          "every record that was acknowledged can be read");
    CHECK(taken->record_count == batch->record_count(), "the result counts the records");
}

}  // namespace

void fuzz_record_batch(std::span<const std::byte> input) {
    if (input.empty()) return;
    const auto choice = std::to_integer<unsigned>(input[0]);
    std::vector<std::byte> bytes(input.begin() + 1, input.end());
    Codecs codecs;
    walk(bytes, BatchCursor::Crc::check, codecs);
    walk(bytes, BatchCursor::Crc::skip, codecs);
    produce(bytes, rules_of(choice), codecs);
    Result<BatchView> first = parse_batch(bytes);
    if (!first) return;
    assign_offsets(std::span(bytes).first(first->size()), Offset{0}, kNoLeaderEpoch,
                   Restamp{first->timestamp_type(), first->max_timestamp()});
    produce(bytes, rules_of(choice), codecs);
}

}  // namespace ottla
