// SPDX-License-Identifier: Apache-2.0
// The primitives of Kafka's protocol: big-endian integers, varints, strings and byte runs in their
// classic (fixed length) and compact (varint length + 1, KIP-482) encoding.
//
//   Reader   bounds-checked and sticky: after the first failure every read yields zero or nothing
//   and
//            `ok()` is false, so callers check once. Nothing is allocated before its length was
//            held against the bytes that are left. Byte runs are slices when it reads a Buffer.
//   Writer   appends into growing blocks; `splice` takes a payload in without copying it (short
//   ones
//            are copied: an extra iovec costs more). `finish` gives the Chain.
// Limits: a string has at most 32,767 bytes, an array at most 1,000,000 elements, a tag section at
// most 10,000 tags (Kafka 4.4's own). Errors: ErrorCode::malformed.
// pure
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "ottla/buffer.h"
#include "ottla/result.h"
#include "ottla/types.h"

namespace ottla::protocol {

inline constexpr size_t kMaxStringBytes = 32767;
inline constexpr size_t kMaxArrayElements = 1'000'000;
inline constexpr size_t kMaxTags = 10'000;
inline constexpr size_t kMaxInitialReserve = 1'000;
/// Payloads shorter than this are copied by `splice`.
inline constexpr size_t kSpliceFrom = 256;

/// How lengths are written: classic in old versions, compact from an API's first flexible one.
enum class Lengths : bool { classic, compact };

/// Between the machine's byte order and the wire's.
template <std::integral T>
constexpr T network_order(T value) {
    if constexpr (std::endian::native == std::endian::little) return std::byteswap(value);
    return value;
}

class Reader {
public:
    /// Byte runs become slices that keep the block alive.
    explicit Reader(Buffer bytes);
    /// Byte runs become copies; the span must outlive the reader.
    explicit Reader(std::span<const std::byte> bytes);

    [[nodiscard]] bool ok() const { return reason_ == nullptr; }
    [[nodiscard]] size_t remaining() const { return static_cast<size_t>(end_ - at_); }
    [[nodiscard]] size_t position() const { return static_cast<size_t>(at_ - begin_); }
    /// Remembers the first reason; it must be a literal.
    void fail(const char* reason);
    /// Names what was being read; only the first name after a failure is kept.
    void locate(std::string_view where);
    [[nodiscard]] Status status() const;
    /// The status, and an error if bytes are left.
    [[nodiscard]] Status finished();

    bool boolean() { return int8() != 0; }
    int8_t int8() { return fixed<int8_t>(); }
    int16_t int16() { return fixed<int16_t>(); }
    uint16_t uint16() { return fixed<uint16_t>(); }
    int32_t int32() { return fixed<int32_t>(); }
    uint32_t uint32() { return fixed<uint32_t>(); }
    int64_t int64() { return fixed<int64_t>(); }
    double float64();
    Uuid uuid();
    uint32_t unsigned_varint() {
        if (at_ != end_ && std::to_integer<uint32_t>(*at_) < 0x80) [[likely]] {
            return std::to_integer<uint32_t>(*at_++);
        }
        return long_varint();
    }

    /// Nothing for null. The view lies in the input.
    std::optional<std::string_view> nullable_string(Lengths lengths);
    /// Null is an error.
    std::string_view string(Lengths lengths);
    std::optional<Buffer> nullable_bytes(Lengths lengths);
    Buffer bytes(Lengths lengths);
    /// Element count held against the limit and the bytes left; nothing for null.
    std::optional<size_t> nullable_array_size(Lengths lengths);
    size_t array_size(Lengths lengths);
    /// The number of tags that follow.
    size_t tag_count();
    /// The next `size` bytes as they are.
    Buffer raw(size_t size);
    void skip(size_t size);
    /// A tag section none of whose tags is known.
    void skip_tags();

private:
    template <class T>
    T fixed() {
        if (remaining() < sizeof(T)) [[unlikely]] {
            fail("the bytes end too early");
            return 0;
        }
        T value;
        std::memcpy(&value, at_, sizeof value);
        at_ += sizeof value;
        return network_order(value);
    }
    uint32_t long_varint();
    bool take(size_t size, const std::byte*& from);
    /// A length prefix of 2 or 4 bytes, or a varint: nothing for null.
    std::optional<size_t> length(Lengths lengths, size_t classic_width);

    Buffer backing_;
    const std::byte* begin_;
    const std::byte* at_;
    const std::byte* end_;
    const char* reason_ = nullptr;
    std::string where_;
};

class Writer {
public:
    explicit Writer(size_t first_block = 512);

    void boolean(bool value) { int8(value ? 1 : 0); }
    void int8(int8_t value) { fixed(value); }
    void int16(int16_t value) { fixed(value); }
    void uint16(uint16_t value) { fixed(value); }
    void int32(int32_t value) { fixed(value); }
    void uint32(uint32_t value) { fixed(value); }
    void int64(int64_t value) { fixed(value); }
    void float64(double value);
    void uuid(const Uuid& value);
    void unsigned_varint(uint32_t value) {
        constexpr size_t kMost = 5;
        if (static_cast<size_t>(end_ - at_) < kMost) make_room(kMost);
        while (value >= 0x80) {
            *at_++ = static_cast<std::byte>(value | 0x80);
            value >>= 7;
        }
        *at_++ = static_cast<std::byte>(value);
    }

    /// Strings beyond kMaxStringBytes are cut at a character: only texts of ours can be that long.
    void string(std::string_view text, Lengths lengths);
    void null_string(Lengths lengths);
    void bytes(const Buffer& bytes, Lengths lengths);
    void bytes(const Chain& bytes, Lengths lengths);
    void null_bytes(Lengths lengths);
    void array_size(size_t count, Lengths lengths);
    void null_array(Lengths lengths) { null_bytes(lengths); }
    void raw(std::span<const std::byte> bytes);
    void splice(const Buffer& bytes);

    /// Four bytes to be filled in later, before `finish`: a frame's length.
    class Hole {
    public:
        void fill(int32_t value);

    private:
        friend class Writer;
        explicit Hole(std::byte* at) : at_(at) {}
        std::byte* at_;
    };
    Hole hole();

    [[nodiscard]] size_t size() const;
    /// Everything written so far; the writer is empty again.
    Chain finish();

private:
    template <class T>
    void fixed(T value) {
        if (static_cast<size_t>(end_ - at_) < sizeof value) [[unlikely]]
            make_room(sizeof value);
        value = network_order(value);
        std::memcpy(at_, &value, sizeof value);
        at_ += sizeof value;
    }
    void make_room(size_t size);
    void seal();

    Chain sealed_;
    BlockRef block_;
    std::byte* start_ = nullptr;  // first byte of the block that is not sealed
    std::byte* at_ = nullptr;
    std::byte* end_ = nullptr;
    size_t next_block_;
};

/// Bytes that `unsigned_varint` writes.
constexpr size_t unsigned_varint_size(uint32_t value) {
    size_t size = 1;
    while (value >= 0x80) {
        value >>= 7;
        ++size;
    }
    return size;
}

/// How much of a text `Writer::string` writes.
std::string_view clipped(std::string_view text);

}  // namespace ottla::protocol
