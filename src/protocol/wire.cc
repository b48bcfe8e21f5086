// SPDX-License-Identifier: Apache-2.0
#include "protocol/wire.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "ottla/check.h"

namespace ottla::protocol {
namespace {

constexpr size_t kLargestBlock = 256 * 1024;

}  // namespace

Reader::Reader(Buffer bytes)
    : backing_(std::move(bytes)),
      begin_(backing_.data()),
      at_(begin_),
      end_(begin_ + backing_.size()) {}

Reader::Reader(std::span<const std::byte> bytes)
    : begin_(bytes.data()), at_(begin_), end_(begin_ + bytes.size()) {}

void Reader::fail(const char* reason) {
    if (reason_ == nullptr) reason_ = reason;
    at_ = end_;
}

void Reader::locate(std::string_view where) {
    if (reason_ != nullptr && where_.empty()) where_ = where;
}

Status Reader::status() const {
    if (ok()) return {};
    if (where_.empty()) return ottla::fail(ErrorCode::malformed, reason_);
    return ottla::fail(ErrorCode::malformed, fmt::format("{}: {}", where_, reason_));
}

Status Reader::finished() {
    if (ok() && remaining() != 0) fail("bytes are left behind the last field");
    return status();
}

bool Reader::take(size_t size, const std::byte*& from) {
    if (size > remaining()) [[unlikely]] {
        fail("the bytes end too early");
        return false;
    }
    from = at_;
    at_ += size;
    return true;
}

double Reader::float64() { return std::bit_cast<double>(int64()); }

Uuid Reader::uuid() {
    Uuid value;
    const std::byte* from = nullptr;
    if (take(value.bytes.size(), from)) std::memcpy(value.bytes.data(), from, value.bytes.size());
    return value;
}

uint32_t Reader::long_varint() {
    uint32_t value = 0;
    for (uint32_t shift = 0; at_ != end_; shift += 7) {
        const auto byte = std::to_integer<uint32_t>(*at_++);
        if (shift == 28 && byte > 0x0f) {
            fail("a varint is longer than 32 bits");
            return 0;
        }
        value |= (byte & 0x7f) << shift;
        if (byte < 0x80) return value;
    }
    fail("the bytes end within a varint");
    return 0;
}

std::optional<size_t> Reader::length(Lengths lengths, size_t classic_width) {
    if (lengths == Lengths::compact) {
        const uint32_t length = unsigned_varint();
        if (!ok() || length == 0) return std::nullopt;
        return length - 1;
    }
    const int32_t length = classic_width == 2 ? int16() : int32();
    if (!ok() || length < 0) return std::nullopt;
    return static_cast<size_t>(length);
}

std::optional<std::string_view> Reader::nullable_string(Lengths lengths) {
    const auto size = length(lengths, 2);
    if (!size) return std::nullopt;
    if (*size > kMaxStringBytes) {
        fail("a string is longer than 32767 bytes");
        return std::nullopt;
    }
    const std::byte* from = nullptr;
    if (!take(*size, from)) return std::nullopt;
    return as_text({from, *size});
}

std::string_view Reader::string(Lengths lengths) {
    const auto text = nullable_string(lengths);
    if (!text) fail("a string is null that must not be");
    return text.value_or(std::string_view{});
}

std::optional<Buffer> Reader::nullable_bytes(Lengths lengths) {
    const auto size = length(lengths, 4);
    if (!size) return std::nullopt;
    Buffer slice = raw(*size);
    if (!ok()) return std::nullopt;
    return slice;
}

Buffer Reader::bytes(Lengths lengths) {
    auto slice = nullable_bytes(lengths);
    if (!slice) fail("bytes are null that must not be");
    return std::move(slice).value_or(Buffer{});
}

std::optional<size_t> Reader::nullable_array_size(Lengths lengths) {
    const auto count = length(lengths, 4);
    if (!count) return std::nullopt;
    if (*count > kMaxArrayElements) {
        fail("an array has more than 1000000 elements");
        return std::nullopt;
    }
    if (*count > remaining()) {
        fail("an array has more elements than bytes are left");
        return std::nullopt;
    }
    return count;
}

size_t Reader::array_size(Lengths lengths) {
    const auto count = nullable_array_size(lengths);
    if (!count) fail("an array is null that must not be");
    return count.value_or(0);
}

size_t Reader::tag_count() {
    const uint32_t count = unsigned_varint();
    if (count > kMaxTags) fail("more than 10000 tags");
    return ok() ? count : 0;
}

Buffer Reader::raw(size_t size) {
    const size_t offset = position();
    const std::byte* from = nullptr;
    if (!take(size, from)) return {};
    return backing_.block() ? backing_.slice(offset, size) : Buffer::copy_of({from, size});
}

void Reader::skip(size_t size) {
    const std::byte* from = nullptr;
    take(size, from);
}

void Reader::skip_tags() {
    for (size_t left = tag_count(); left > 0 && ok(); --left) {
        unsigned_varint();
        const uint32_t size = unsigned_varint();
        skip(size);
    }
}

Writer::Writer(size_t first_block) : next_block_(std::max<size_t>(first_block, 16)) {}

void Writer::seal() {
    if (at_ == start_) return;
    const auto offset = static_cast<size_t>(start_ - block_->data());
    sealed_.append(Buffer(block_, offset, static_cast<size_t>(at_ - start_)));
    start_ = at_;
}

void Writer::make_room(size_t size) {
    seal();
    const size_t capacity = std::max(size, next_block_);
    next_block_ = std::max(next_block_, std::min(next_block_ * 4, kLargestBlock));
    block_ = make_block(capacity);
    start_ = at_ = block_->data();
    end_ = at_ + capacity;
}

void Writer::float64(double value) { int64(std::bit_cast<int64_t>(value)); }

void Writer::uuid(const Uuid& value) { raw(std::as_bytes(std::span(value.bytes))); }

std::string_view clipped(std::string_view text) {
    if (text.size() <= kMaxStringBytes) return text;
    size_t size = kMaxStringBytes;
    while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xc0) == 0x80) --size;
    return text.substr(0, size);
}

void Writer::string(std::string_view text, Lengths lengths) {
    text = clipped(text);
    if (lengths == Lengths::compact) {
        unsigned_varint(static_cast<uint32_t>(text.size() + 1));
    } else {
        int16(static_cast<int16_t>(text.size()));
    }
    raw(as_bytes(text));
}

void Writer::null_string(Lengths lengths) {
    if (lengths == Lengths::compact) {
        unsigned_varint(0);
    } else {
        int16(-1);
    }
}

void Writer::array_size(size_t count, Lengths lengths) {
    CHECK(count < static_cast<size_t>(INT32_MAX), "a length fits the wire");
    if (lengths == Lengths::compact) {
        unsigned_varint(static_cast<uint32_t>(count + 1));
    } else {
        int32(static_cast<int32_t>(count));
    }
}

void Writer::bytes(const Buffer& bytes, Lengths lengths) {
    array_size(bytes.size(), lengths);
    splice(bytes);
}

void Writer::bytes(const Chain& bytes, Lengths lengths) {
    array_size(bytes.size(), lengths);
    for (const Buffer& piece : bytes.pieces()) splice(piece);
}

void Writer::null_bytes(Lengths lengths) {
    if (lengths == Lengths::compact) {
        unsigned_varint(0);
    } else {
        int32(-1);
    }
}

void Writer::raw(std::span<const std::byte> bytes) {
    if (bytes.empty()) return;
    if (static_cast<size_t>(end_ - at_) < bytes.size()) make_room(bytes.size());
    std::memcpy(at_, bytes.data(), bytes.size());
    at_ += bytes.size();
}

void Writer::splice(const Buffer& bytes) {
    if (bytes.size() < kSpliceFrom) return raw(bytes.span());
    seal();
    sealed_.append(bytes);
}

Writer::Hole Writer::hole() {
    if (static_cast<size_t>(end_ - at_) < 4) make_room(4);
    Hole hole{at_};
    at_ += 4;
    return hole;
}

void Writer::Hole::fill(int32_t value) {
    value = network_order(value);
    std::memcpy(at_, &value, sizeof value);
}

size_t Writer::size() const { return sealed_.size() + static_cast<size_t>(at_ - start_); }

Chain Writer::finish() {
    seal();
    return std::exchange(sealed_, Chain{});
}

}  // namespace ottla::protocol
