// SPDX-License-Identifier: Apache-2.0
#include "protocol/metadata_frame.h"

#include <array>
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

/// The newest version of each type; -1 where there is none.
constexpr size_t kTypes = 128;
template <size_t... Index>
constexpr std::array<int16_t, kTypes> newest_versions(std::index_sequence<Index...>) {
    std::array<int16_t, kTypes> versions{};
    versions.fill(-1);
    ((versions[static_cast<size_t>(
          std::variant_alternative_t<Index, MetadataRecord>::kRecordType)] =
          std::variant_alternative_t<Index, MetadataRecord>::kMaxVersion),
     ...);
    return versions;
}
constexpr auto kNewestVersions =
    newest_versions(std::make_index_sequence<std::variant_size_v<MetadataRecord>>{});

}  // namespace

Result<int16_t> metadata_record_type(std::span<const std::byte> value) {
    // Every varint of a frame that we know has one byte.
    if (value.size() >= 3 && value[0] == std::byte{kFrameVersion}) {
        const auto type = std::to_integer<size_t>(value[1]);
        const auto version = std::to_integer<int16_t>(value[2]);
        if (type < kTypes && version <= kNewestVersions[type]) return static_cast<int16_t>(type);
    }
    TRY(const auto framed, decode_metadata_record(Buffer::copy_of(value)));
    return std::visit([]<class R>(const R&) { return R::kRecordType; }, framed.record);
}

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
