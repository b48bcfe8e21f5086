// SPDX-License-Identifier: Apache-2.0
#include "controller/found_metadata.h"

#include <variant>

#include <fmt/format.h>

#include "metadata/delta.h"
#include "protocol/metadata_frame.h"
#include "records/codec.h"
#include "records/records.h"

namespace ottla::controller {
namespace {

constexpr size_t kLargestBatchBytes = 256UZ * 1024 * 1024;

}  // namespace

Status FoundMetadata::found(const protocol::MetadataRecord& record) {
    if (const auto* level = std::get_if<protocol::FeatureLevelRecord>(&record)) {
        TRY_STATUS(metadata::check_level(level->name, level->feature_level));
        levels_[level->name] = level->feature_level;
        if (level->feature_level == 0) levels_.erase(level->name);
        return {};
    }
    used_ = used_ || std::holds_alternative<protocol::RegisterBrokerRecord>(record) ||
            std::holds_alternative<protocol::TopicRecord>(record);
    return {};
}

Status FoundMetadata::found_records(std::span<const protocol::MetadataRecord> records) {
    for (const protocol::MetadataRecord& record : records) TRY_STATUS(found(record));
    return {};
}

Status FoundMetadata::found_batch(const BatchView& batch) {
    if (batch.is_control()) return {};
    Codecs codecs;
    TRY(const auto plain, codecs.records_of(batch, kLargestBatchBytes));
    RecordIterator iterator(batch, plain);
    for (Record record; iterator.next(record);) {
        if (!record.value) continue;
        const auto type = protocol::metadata_record_type(*record.value);
        if (!type) {
            return fail(
                type.error().code,
                fmt::format("at offset {}: {}", (batch.base_offset() + record.offset_delta).value(),
                            type.error().detail));
        }
        used_ = used_ || *type == protocol::RegisterBrokerRecord::kRecordType ||
                *type == protocol::TopicRecord::kRecordType;
        if (*type != protocol::FeatureLevelRecord::kRecordType) continue;
        TRY(const auto framed, protocol::decode_metadata_record(Buffer::copy_of(*record.value)));
        TRY_STATUS(found(framed.record));
    }
    return iterator.finish();
}

Status FoundMetadata::accept(std::span<const protocol::MetadataRecord> bootstrap) {
    if (levels_.empty() && !used_) {
        TRY_STATUS(found_records(bootstrap));
    }
    return metadata::check_levels(levels_, used_);
}

}  // namespace ottla::controller
