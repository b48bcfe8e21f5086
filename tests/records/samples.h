// SPDX-License-Identifier: Apache-2.0
// What the tests of records share: the five records of the golden batches, hex, and records that
// own their bytes so that what was read can be compared after the batch is gone. pure
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "records/records.h"

namespace ottla::samples {

inline Buffer from_hex(std::string_view hex) {
    GrowingBuffer bytes;
    const auto digit = [](char c) {
        return static_cast<unsigned>(c <= '9' ? c - '0' : c - 'a' + 10);
    };
    for (size_t i = 0; i + 1 < hex.size(); i += 2) {
        *bytes.extend(1) = static_cast<std::byte>(digit(hex[i]) << 4U | digit(hex[i + 1]));
    }
    return bytes.take();
}

using OptionalText = std::optional<std::string>;

inline OptionalText text_of(const OptionalBytes& bytes) {
    if (!bytes) return std::nullopt;
    return std::string(as_text(*bytes));
}
inline OptionalBytes bytes_of(const OptionalText& text) {
    if (!text) return std::nullopt;
    return as_bytes(*text);
}

struct OwnedRecord {
    int32_t offset_delta = 0;
    int64_t timestamp = 0;
    OptionalText key;
    OptionalText value;
    std::vector<std::pair<std::string, OptionalText>> headers = {};
    bool operator==(const OwnedRecord&) const = default;
};

/// Every record of the batch; empty if anything about it is wrong.
inline std::vector<OwnedRecord> read_all(std::span<const std::byte> bytes, Codecs& codecs) {
    Result<BatchView> batch = parse_batch(bytes);
    if (!batch || !crc_matches(*batch)) return {};
    auto plain = codecs.records_of(*batch, 1 << 24);
    if (!plain) return {};
    std::vector<OwnedRecord> all;
    RecordIterator records(*batch, *plain);
    Record record;
    while (records.next(record)) {
        OwnedRecord owned{record.offset_delta, record.timestamp.value(), text_of(record.key),
                          text_of(record.value)};
        for (const RecordHeader& header : record.headers) {
            owned.headers.emplace_back(std::string(header.key), text_of(header.value));
        }
        all.push_back(std::move(owned));
    }
    return records.finish() ? all : std::vector<OwnedRecord>{};
}

inline void append(BatchBuilder& builder, const OwnedRecord& record) {
    std::vector<RecordHeader> headers;
    for (const auto& [key, value] : record.headers) headers.push_back({key, bytes_of(value)});
    builder.append(WallTime{record.timestamp}, bytes_of(record.key), bytes_of(record.value),
                   headers);
}

inline Buffer build(const std::vector<OwnedRecord>& records, const BatchOptions& options = {}) {
    Codecs codecs;
    BatchBuilder builder(codecs, options);
    for (const OwnedRecord& record : records) append(builder, record);
    return builder.finish().value();
}

/// What golden/Golden.java wrote: null key, null value, empty ones, headers, time going back.
inline std::vector<OwnedRecord> golden_five() {
    constexpr int64_t kStart = 1'700'000'000'000;
    std::string many;
    for (int i = 0; i < 20; ++i) many += "words that repeat, ";
    return {{0, kStart, "key-0", "value-0"},
            {1, kStart + 5, std::nullopt, "no key"},
            {2, kStart + 3, "tombstone", std::nullopt},
            {3, kStart + 4, "", "", {{"trace", "abc"}, {"empty", ""}, {"null", std::nullopt}}},
            {4, kStart - 1, "many", many}};
}

inline std::vector<std::byte> copy(const Buffer& buffer) {
    return {buffer.span().begin(), buffer.span().end()};
}

/// The CRC again, after a test changed what it covers.
inline void seal(std::span<std::byte> batch) {
    BatchView view(batch);
    assign_offsets(batch, view.base_offset(), view.leader_epoch(),
                   Restamp{view.timestamp_type(), view.max_timestamp()});
}

}  // namespace ottla::samples
