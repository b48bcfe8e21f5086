// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <array>

#include "app/inspect/batches.h"
#include "app/inspect/printers.h"
#include "records/control.h"
#include "records/records.h"

namespace ottla::app {
namespace {

constexpr std::array kBatchColumns = {
    Column{"base_offset"},   Column{"last_offset"},    Column{"records"},
    Column{"position"},      Column{"size", 8},        Column{"magic"},
    Column{"codec", 6},      Column{"timestamp_type"}, Column{"max_timestamp", 24},
    Column{"producer_id"},   Column{"producer_epoch"}, Column{"base_sequence"},
    Column{"transactional"}, Column{"control"},        Column{"delete_horizon"},
    Column{"leader_epoch"},  Column{"crc", 10},        Column{"crc_valid"},
};

constexpr std::array kRecordColumns = {
    Column{"offset", 8},      Column{"position"},
    Column{"timestamp", 24},  Column{"producer_id"},
    Column{"producer_epoch"}, Column{"sequence"},
    Column{"control"},        Column{"size"},
    Column{"key_size"},       Column{"value_size"},
    Column{"key", 12},        Column{"key_format", 0, true},
    Column{"value", 12},      Column{"value_format", 0, true},
    Column{"headers"},
};

Cell codec_cell(const BatchView& batch) {
    switch (batch.codec()) {
        case Codec::none: return "none";
        case Codec::gzip: return "gzip";
        case Codec::snappy: return "snappy";
        case Codec::lz4: return "lz4";
        case Codec::zstd: return "zstd";
    }
    return fmt::format("unknown({})", static_cast<int>(batch.codec()));
}

void print_batch(const BatchWalk& walk, Report& report) {
    const BatchView& batch = walk.header();
    const bool by_log = batch.timestamp_type() == TimestampType::log_append_time;
    const auto horizon = batch.delete_horizon();
    report.row({batch.base_offset().value(), walk.last_offset(), int64_t{batch.record_count()},
                number_cell(walk.position()), number_cell(walk.size()), int64_t{kBatchMagic},
                codec_cell(batch), by_log ? "LogAppendTime" : "CreateTime",
                time_cell(batch.max_timestamp().value()),
                number_or(batch.producer_id().value(), kNoProducer.value()),
                number_or(batch.producer_epoch().value(), kNoProducerEpoch.value()),
                number_or(batch.base_sequence(), kNoSequence), batch.is_transactional(),
                batch.is_control(), horizon ? time_cell(horizon->value()) : nothing(),
                number_or(batch.leader_epoch().value(), kNoLeaderEpoch.value()),
                crc_cell(batch.stored_crc()), walk.crc_matches()});
}

/// A text that a person can read, or hex; quoted in tables, so that both and null differ.
struct ShownBytes {
    Cell text = nothing();
    Cell format = nothing();
};
ShownBytes shown_bytes(const OptionalBytes& bytes) {
    if (!bytes) return {};
    const std::string_view text = as_text(*bytes);
    if (is_readable(text)) {
        const std::string quoted = json_string(text);
        return {Shown{quoted, quoted}, "text"};
    }
    const std::string hex = hex_text(*bytes);
    return {Shown{"0x" + hex, json_string(hex)}, "hex"};
}

Cell size_cell(const OptionalBytes& bytes) {
    if (!bytes) return std::monostate{};
    return number_cell(bytes->size());
}

Cell header_cell(const RecordHeaders& headers) {
    Shown shown{"", "["};
    for (const RecordHeader& header : headers) {
        const ShownBytes value = shown_bytes(header.value);
        const bool first = shown.plain.empty();
        fmt::format_to(std::back_inserter(shown.plain), "{}{}={}", first ? "" : " ",
                       json_string(header.key), plain_text(value.text));
        fmt::format_to(std::back_inserter(shown.json),
                       R"({}{{"key": {}, "value": {}, "value_format": {}}})", first ? "" : ", ",
                       json_string(header.key), json_text(value.text), json_text(value.format));
    }
    shown.json += "]";
    if (shown.plain.empty()) shown.plain = "-";
    return shown;
}

/// "commit", with the coordinator's epoch, and so on; nothing for a data record.
Cell control_cell(const BatchView& batch, const Record& record) {
    if (!batch.is_control()) return std::monostate{};
    const auto control = parse_control(record);
    if (!control) return "damaged";
    if (const auto end = parse_end_transaction(*control)) {
        return fmt::format("{}, coordinator epoch {}", end->committed ? "commit" : "abort",
                           end->coordinator_epoch);
    }
    return fmt::format("type {}", static_cast<int>(control->type));
}

void print_record(const BatchWalk& walk, const Record& record, Report& report) {
    const BatchView& batch = walk.header();
    const ShownBytes key = shown_bytes(record.key);
    const ShownBytes value = shown_bytes(record.value);
    const bool sequenced = batch.base_sequence() != kNoSequence;
    report.row({wrapping_sum(batch.base_offset().value(), record.offset_delta),
                number_cell(walk.position()), time_cell(record.timestamp.value()),
                number_or(batch.producer_id().value(), kNoProducer.value()),
                number_or(batch.producer_epoch().value(), kNoProducerEpoch.value()),
                sequenced
                    ? Cell{int64_t{sequence_after(batch.base_sequence(), record.offset_delta)}}
                    : nothing(),
                control_cell(batch, record), number_cell(record.size), size_cell(record.key),
                size_cell(record.value), key.text, key.format, value.text, value.format,
                header_cell(record.headers)});
}

void print_records(BatchWalk& walk, Codecs& codecs, Report& report) {
    if (!walk.crc_matches()) return;  // Already reported; nothing of it can be believed.
    const auto batch = walk.whole();
    if (!batch) return;
    const auto plain = codecs.records_of(*batch, BatchWalk::kMostBatchBytes);
    if (!plain) {
        report.damage(walk.position(), plain.error().detail);
        return;
    }
    RecordIterator records(*batch, *plain);
    Record record;
    while (records.next(record)) print_record(walk, record, report);
    const Status finished = records.finish();
    if (!finished) report.damage(walk.position(), finished.error().detail);
}

}  // namespace

void print_segment(Source& source, const InspectOptions& options, Report& report) {
    BatchWalk walk(source, base_offset_of(report.file()), report);
    Codecs codecs;
    report.begin(options.records ? std::span<const Column>(kRecordColumns)
                                 : std::span<const Column>(kBatchColumns));
    while (walk.next()) {
        if (options.records) {
            print_records(walk, codecs, report);
        } else {
            print_batch(walk, report);
        }
    }
}

}  // namespace ottla::app
