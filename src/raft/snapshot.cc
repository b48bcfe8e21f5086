// SPDX-License-Identifier: Apache-2.0
#include "raft/snapshot.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "ottla/check.h"
#include "protocol/codec.h"
#include "protocol/metadata_frame.h"
#include "protocol/raft_records.h"
#include "records/control.h"
#include "records/records.h"

namespace ottla::raft {
namespace {

constexpr std::string_view kSuffix = ".checkpoint";
constexpr size_t kOffsetDigits = 20;
constexpr size_t kEpochDigits = 10;
/// Of one batch of a snapshot, well below what Kafka's readers take (8 MiB).
constexpr size_t kRecordsInBatch = 1000;
/// What a compressed batch of metadata may grow to.
constexpr size_t kLargestBatchBytes = 256UZ * 1024 * 1024;

template <class Number>
bool read_digits(std::string_view text, Number& number) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc{} && end == text.data() + text.size() && number >= 0;
}

}  // namespace

std::string snapshot_file_name(const SnapshotId& id) {
    return fmt::format("{:020}-{:010}{}", id.end.value(), id.epoch.value(), kSuffix);
}

std::optional<SnapshotId> parse_snapshot_file(std::string_view name) {
    if (!name.ends_with(kSuffix)) return std::nullopt;
    name.remove_suffix(kSuffix.size());
    if (name.size() != kOffsetDigits + 1 + kEpochDigits || name[kOffsetDigits] != '-') {
        return std::nullopt;
    }
    int64_t end = 0;
    int32_t epoch = 0;
    if (!read_digits(name.substr(0, kOffsetDigits), end)) return std::nullopt;
    if (!read_digits(name.substr(kOffsetDigits + 1), epoch)) return std::nullopt;
    return SnapshotId{Offset{end}, LeaderEpoch{epoch}};
}

Buffer encode_batch(Offset base,
                    LeaderEpoch epoch,
                    WallTime timestamp,
                    const std::vector<VersionedRecord>& records) {
    Codecs codecs;
    BatchOptions options;
    options.base_offset = base;
    options.leader_epoch = epoch;
    BatchBuilder builder(codecs, options);
    for (const VersionedRecord& one : records) {
        const Buffer value = protocol::encode_metadata_record(one.record, one.version);
        builder.append(timestamp, std::nullopt, value.span());
    }
    auto batch = builder.finish();
    CHECK(batch, "an uncompressed batch can be built");
    return *std::move(batch);
}

Result<std::vector<protocol::MetadataRecord>> decode_batch(const BatchView& batch) {
    Codecs codecs;
    TRY(const auto plain, codecs.records_of(batch, kLargestBatchBytes));
    std::vector<protocol::MetadataRecord> records;
    RecordIterator iterator(batch, plain);
    for (Record record; iterator.next(record);) {
        if (!record.value) {
            return fail(ErrorCode::corrupt,
                        fmt::format("the metadata record at offset {} has no value",
                                    (batch.base_offset() + record.offset_delta).value()));
        }
        TRY(auto framed, protocol::decode_metadata_record(Buffer::copy_of(*record.value)));
        records.push_back(std::move(framed.record));
    }
    TRY_STATUS(iterator.finish());
    return records;
}

Buffer encode_snapshot(const SnapshotWriting& content) {
    protocol::SnapshotHeaderRecord header;
    header.last_contained_log_timestamp = content.last_contained_timestamp.value();
    const Buffer header_bytes = protocol::encode(0, header).flatten();
    std::vector<ControlRecord> control{{ControlType::snapshot_header, header_bytes.span()}};
    Buffer version;
    Buffer voters;
    if (content.kraft_version && *content.kraft_version > 0) {
        version = encode_kraft_version(*content.kraft_version);
        control.push_back({ControlType::kraft_version, version.span()});
    }
    if (content.voters) {
        voters = encode_voters(*content.voters);
        control.push_back({ControlType::kraft_voters, voters.span()});
    }
    const LeaderEpoch epoch = content.id.epoch;
    Chain file(build_control_batch({content.now, Offset{0}, epoch}, control));
    Offset next{static_cast<int64_t>(control.size())};
    for (size_t at = 0; at < content.records.size(); at += kRecordsInBatch) {
        const auto first = content.records.begin() + static_cast<std::ptrdiff_t>(at);
        const size_t count = std::min(kRecordsInBatch, content.records.size() - at);
        const std::vector<VersionedRecord> some(first, first + static_cast<std::ptrdiff_t>(count));
        file.append(encode_batch(next, epoch, content.now, some));
        next = next + static_cast<int64_t>(count);
    }
    const Buffer footer = protocol::encode(0, protocol::SnapshotFooterRecord{}).flatten();
    const ControlRecord last{ControlType::snapshot_footer, footer.span()};
    file.append(build_control_batch({content.now, next, epoch}, {&last, 1}));
    return file.flatten();
}

Status QuorumRecords::read(const BatchView& batch) {
    RecordIterator iterator(batch, batch.payload());
    for (Record record; iterator.next(record);) {
        TRY(const ControlRecord control, parse_control(record));
        if (control.type == ControlType::kraft_version) {
            TRY(kraft_version, decode_kraft_version(Buffer::copy_of(control.value)));
        } else if (control.type == ControlType::kraft_voters) {
            TRY(voters, decode_voters(Buffer::copy_of(control.value)));
        }
    }
    return iterator.finish();
}

namespace {

/// The type of the only or first record of a control batch.
Result<ControlType> first_type(const BatchView& batch) {
    RecordIterator iterator(batch, batch.payload());
    Record record;
    if (!batch.is_control() || !iterator.next(record)) {
        return fail(ErrorCode::corrupt, "a control batch was expected");
    }
    TRY(const ControlRecord control, parse_control(record));
    return control.type;
}

Status read_header(const BatchView& batch, Snapshot& snapshot) {
    RecordIterator iterator(batch, batch.payload());
    Record record;
    if (!batch.is_control() || !iterator.next(record)) {
        return fail(ErrorCode::corrupt, "a snapshot begins with a control batch");
    }
    TRY(const ControlRecord control, parse_control(record));
    if (control.type != ControlType::snapshot_header) {
        return fail(ErrorCode::corrupt, "a snapshot begins with its header");
    }
    TRY(const auto header,
        protocol::decode<protocol::SnapshotHeaderRecord>(Buffer::copy_of(control.value), 0));
    snapshot.last_contained_timestamp = WallTime{header.last_contained_log_timestamp};
    QuorumRecords quorum;
    TRY_STATUS(quorum.read(batch));
    snapshot.kraft_version = quorum.kraft_version;
    snapshot.voters = std::move(quorum.voters);
    return {};
}

}  // namespace

Result<Snapshot> parse_snapshot(const Buffer& bytes) {
    Snapshot snapshot;
    BatchCursor cursor(bytes.span(), BatchCursor::Crc::check);
    bool footer = false;
    size_t batches = 0;
    BatchStep step = cursor.next();
    for (; step == BatchStep::batch; step = cursor.next(), ++batches) {
        const BatchView& batch = cursor.batch();
        if (footer) return fail(ErrorCode::corrupt, "a snapshot goes on behind its footer");
        if (batches == 0) {
            TRY_STATUS(read_header(batch, snapshot));
        } else if (batch.is_control()) {
            TRY(const ControlType type, first_type(batch));
            footer = type == ControlType::snapshot_footer;
            if (footer) continue;
            return fail(ErrorCode::corrupt, "a snapshot has an unknown control batch");
        } else {
            TRY(auto records, decode_batch(batch));
            for (auto& record : records) snapshot.records.push_back(std::move(record));
        }
    }
    if (step != BatchStep::end) {
        return fail(ErrorCode::corrupt,
                    fmt::format("a snapshot is damaged at byte {}", cursor.position()));
    }
    if (!footer) return fail(ErrorCode::corrupt, "a snapshot has no footer");
    return snapshot;
}

}  // namespace ottla::raft
