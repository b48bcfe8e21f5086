// SPDX-License-Identifier: Apache-2.0
#include "protocol/metadata_frame.h"

#include <utility>
#include <variant>

#include <fmt/format.h>

#include "protocol/codec.h"

namespace ottla::protocol {
namespace {

constexpr uint32_t kFrameVersion = 1;

/// Makes the variant hold a fresh record of that type; false for an unknown one.
template <size_t... Index>
bool choose(uint32_t type, MetadataRecord& record, std::index_sequence<Index...>) {
    return ((std::cmp_equal(std::variant_alternative_t<Index, MetadataRecord>::kRecordType, type) &&
             (record.emplace<Index>(), true)) ||
            ...);
}

}  // namespace

Result<FramedMetadataRecord> decode_metadata_record(Buffer value) {
    Reader in{std::move(value)};
    const uint32_t frame = in.unsigned_varint();
    const uint32_t type = in.unsigned_varint();
    const uint32_t version = in.unsigned_varint();
    in.locate("the frame of a metadata record");
    TRY_STATUS(in.status());
    if (frame != kFrameVersion) {
        return fail(ErrorCode::unsupported_version,
                    fmt::format("a metadata record with frame version {}", frame));
    }
    FramedMetadataRecord framed;
    if (!choose(type, framed.record,
                std::make_index_sequence<std::variant_size_v<MetadataRecord>>{})) {
        return fail(ErrorCode::unsupported_version,
                    fmt::format("no metadata record has type {}", type));
    }
    if (version > INT16_MAX) return fail(ErrorCode::malformed, "a metadata record's version");
    framed.version = static_cast<int16_t>(version);
    TRY_STATUS(std::visit([&](auto& record) { return decode(in, framed.version, record); },
                          framed.record));
    TRY_STATUS(in.finished());
    return framed;
}

Buffer encode_metadata_record(const MetadataRecord& record, int16_t version) {
    return std::visit(
        [&]<class R>(const R& one) {
            constexpr size_t kLargestFrame = 3 * 5;
            Writer out{encoded_size(version, one) + kLargestFrame};
            out.unsigned_varint(kFrameVersion);
            out.unsigned_varint(static_cast<uint32_t>(R::kRecordType));
            out.unsigned_varint(static_cast<uint32_t>(version));
            encode(out, version, one);
            return out.finish().flatten();
        },
        record);
}

std::string_view name_of(const MetadataRecord& record) {
    return std::visit([]<class R>(const R&) { return R::kName; }, record);
}

}  // namespace ottla::protocol
