// SPDX-License-Identifier: Apache-2.0
// The quorum's log and its snapshots: what each record decided, as Kafka's own dump tool names it.
#include <fmt/format.h>

#include <array>

#include "app/inspect/batches.h"
#include "app/inspect/printers.h"
#include "protocol/message.h"
#include "protocol/metadata_frame.h"
#include "records/control.h"
#include "records/records.h"

namespace ottla::app {
namespace {

constexpr std::array kColumns = {
    Column{"offset", 8}, Column{"leader_epoch"}, Column{"timestamp", 24}, Column{"position"},
    Column{"type", 26},  Column{"version"},      Column{"data"},
};

struct Decoded {
    std::string_view type;
    int16_t version = 0;
    std::string json;
};

Result<Decoded> decode_message(std::string_view name, int16_t version, Buffer body) {
    const protocol::MessageRow* row = protocol::find_message(name);
    if (row == nullptr) return fail(ErrorCode::malformed, fmt::format("no message {}", name));
    if (version < row->min_version || version > row->max_version) {
        return fail(ErrorCode::unsupported_version, fmt::format("{} of version {}", name, version));
    }
    TRY(const auto message, protocol::AnyMessage::decode(*row, version, std::move(body)));
    return Decoded{name, version, message.json(version)};
}

/// Every control message begins with its own version.
Result<Decoded> decode_control(const Record& record) {
    TRY(const ControlRecord control, parse_control(record));
    std::string_view name;
    switch (control.type) {
        case ControlType::leader_change: name = "LeaderChangeMessage"; break;
        case ControlType::snapshot_header: name = "SnapshotHeaderRecord"; break;
        case ControlType::snapshot_footer: name = "SnapshotFooterRecord"; break;
        case ControlType::kraft_version: name = "KRaftVersionRecord"; break;
        case ControlType::kraft_voters: name = "VotersRecord"; break;
        default:
            return fail(ErrorCode::unsupported_version,
                        fmt::format("a control record of type {}", static_cast<int>(control.type)));
    }
    if (control.value.size() < sizeof(int16_t)) {
        return fail(ErrorCode::malformed, fmt::format("{} without a version", name));
    }
    const auto version = load_be<int16_t>(control.value.data());
    return decode_message(name, version, Buffer::copy_of(control.value));
}

Result<Decoded> decode_data(const Record& record) {
    if (!record.value) return fail(ErrorCode::malformed, "a metadata record without a value");
    TRY(const auto framed, protocol::decode_metadata_record(Buffer::copy_of(*record.value)));
    return std::visit(
        [&framed]<class R>(const R& one) {
            return Decoded{R::kName, framed.version, protocol::to_json(framed.version, one)};
        },
        framed.record);
}

void print_record(const BatchWalk& walk, const Record& record, Report& report) {
    const BatchView& batch = walk.header();
    const int64_t offset = wrapping_sum(batch.base_offset().value(), record.offset_delta);
    const auto decoded = batch.is_control() ? decode_control(record) : decode_data(record);
    const std::string hex = hex_text(record.value.value_or(std::span<const std::byte>{}));
    report.row(
        {offset, number_or(batch.leader_epoch().value(), kNoLeaderEpoch.value()),
         time_cell(record.timestamp.value()), number_cell(walk.position()),
         decoded ? Cell{std::string(decoded->type)} : nothing(),
         decoded ? Cell{int64_t{decoded->version}} : nothing(),
         decoded ? Shown{decoded->json, decoded->json} : Shown{"0x" + hex, json_string(hex)}});
    if (!decoded) {
        report.damage(walk.position(),
                      fmt::format("offset {}: {}", offset, decoded.error().detail));
    }
}

}  // namespace

void print_metadata(Source& source, Report& report) {
    // A snapshot's name says where it ends; its own offsets begin at 0.
    const bool snapshot = stable_name(report.file()).ends_with(".checkpoint");
    BatchWalk walk(source, snapshot ? 0 : base_offset_of(report.file()), report);
    Codecs codecs;
    report.begin(kColumns);
    while (walk.next()) {
        if (!walk.crc_matches()) continue;
        const auto batch = walk.whole();
        if (!batch) continue;
        const auto plain = codecs.records_of(*batch, BatchWalk::kMostBatchBytes);
        if (!plain) {
            report.damage(walk.position(), plain.error().detail);
            continue;
        }
        RecordIterator records(*batch, *plain);
        Record record;
        while (records.next(record)) print_record(walk, record, report);
        const Status finished = records.finish();
        if (!finished) report.damage(walk.position(), finished.error().detail);
    }
}

}  // namespace ottla::app
