// SPDX-License-Identifier: Apache-2.0
#include "base/uuid.h"

namespace ottla {
namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr size_t kTextSize = 22;

}  // namespace

std::string to_string(const Uuid& uuid) {
    std::string text;
    text.reserve(kTextSize);
    uint32_t bits = 0;
    unsigned held = 0;
    for (uint8_t byte : uuid.bytes) {
        bits = (bits << 8U) | byte;
        held += 8;
        while (held >= 6) {
            held -= 6;
            text += kAlphabet[(bits >> held) & 63U];
        }
    }
    text += kAlphabet[(bits << (6 - held)) & 63U];
    return text;
}

std::optional<Uuid> parse_uuid(std::string_view text) {
    while (text.size() > kTextSize && text.ends_with('=')) text.remove_suffix(1);
    if (text.size() != kTextSize) return std::nullopt;
    Uuid uuid;
    uint32_t bits = 0;
    unsigned held = 0;
    size_t filled = 0;
    for (char c : text) {
        const size_t value = kAlphabet.find(c);
        if (value == std::string_view::npos) return std::nullopt;
        bits = (bits << 6U) | static_cast<uint32_t>(value);
        held += 6;
        if (held < 8) continue;
        held -= 8;
        uuid.bytes[filled++] = static_cast<uint8_t>(bits >> held);
    }
    return uuid;
}

Uuid make_uuid(uint64_t high, uint64_t low) {
    high = (high & ~0xF000ULL) | 0x4000ULL;        // version 4
    low = (low & ~(3ULL << 62U)) | (2ULL << 62U);  // variant 10
    if (high >> 58U == 62) high ^= 1ULL << 63U;    // 62 is '-' in the alphabet
    Uuid uuid;
    for (unsigned i = 0; i < 8; ++i) {
        uuid.bytes[i] = static_cast<uint8_t>(high >> (56 - 8 * i));
        uuid.bytes[i + 8] = static_cast<uint8_t>(low >> (56 - 8 * i));
    }
    return uuid;
}

}  // namespace ottla
