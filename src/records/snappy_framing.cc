// SPDX-License-Identifier: Apache-2.0
#include "records/snappy_framing.h"

#include <snappy.h>

#include <algorithm>
#include <cstdint>

#include "base/endian.h"

namespace ottla {
namespace {

constexpr std::string_view kMagic{"\x82SNAPPY\0", 8};
constexpr size_t kFrameHeaderBytes = 16;
constexpr size_t kBlockBytes = 32UZ * 1024;
/// The densest element of the format yields 64 bytes from 3; a claim beyond this is a lie, and is
/// refused before memory is taken for it.
constexpr size_t kMostExpansion = 64;

const char* chars(const std::byte* at) { return reinterpret_cast<const char*>(at); }

bool starts_a_frame(std::span<const std::byte> bytes) {
    return bytes.size() >= kFrameHeaderBytes && as_text(bytes).starts_with(kMagic);
}

Status decompress_block(std::span<const std::byte> block, size_t room, GrowingBuffer& out) {
    size_t size = 0;
    if (!snappy::GetUncompressedLength(chars(block.data()), block.size(), &size) ||
        size / kMostExpansion > block.size()) {
        return fail(ErrorCode::corrupt_message, "a snappy block without a plausible length");
    }
    if (size > room) return fail(ErrorCode::message_too_large, "snappy data beyond its bound");
    size_t before = out.size();
    char* into = reinterpret_cast<char*>(out.extend(size));
    if (!snappy::RawUncompress(chars(block.data()), block.size(), into)) {
        out.shrink_to(before);
        return fail(ErrorCode::corrupt_message, "a damaged snappy block");
    }
    return {};
}

}  // namespace

void snappy_compress(std::span<const std::byte> plain, GrowingBuffer& out) {
    std::byte* header = out.extend(kFrameHeaderBytes);
    std::memcpy(header, kMagic.data(), kMagic.size());
    store_be<int32_t>(header + 8, 1);
    store_be<int32_t>(header + 12, 1);
    while (!plain.empty()) {
        std::span<const std::byte> block = plain.first(std::min(kBlockBytes, plain.size()));
        plain = plain.subspan(block.size());
        size_t at = out.size();
        out.extend(4 + snappy::MaxCompressedLength(block.size()));
        size_t packed = 0;
        snappy::RawCompress(chars(block.data()), block.size(),
                            reinterpret_cast<char*>(out.data() + at + 4), &packed);
        store_be(out.data() + at, static_cast<int32_t>(packed));
        out.shrink_to(at + 4 + packed);
    }
}

Status snappy_decompress(std::span<const std::byte> packed, size_t max_bytes, GrowingBuffer& out) {
    if (!starts_a_frame(packed)) return decompress_block(packed, max_bytes, out);
    const size_t start = out.size();
    while (!packed.empty()) {
        if (starts_a_frame(packed)) {
            packed = packed.subspan(kFrameHeaderBytes);
            continue;
        }
        if (packed.size() < 4) return fail(ErrorCode::corrupt_message, "a torn snappy frame");
        auto size = load_be<uint32_t>(packed.data());
        packed = packed.subspan(4);
        if (size > packed.size()) return fail(ErrorCode::corrupt_message, "a torn snappy block");
        TRY_STATUS(decompress_block(packed.first(size), max_bytes - (out.size() - start), out));
        packed = packed.subspan(size);
    }
    return {};
}

}  // namespace ottla
