// SPDX-License-Identifier: Apache-2.0
// How our own records are packed (catalogue.h, the state of producers in it): numbers as zigzag
// varlongs, byte runs with their length in front. The writer appends; the reader never runs over the
// end: once something does not fit it stays failed and gives zeros, and its owner asks `is_good` at
// the end. A count that the rest could not hold fails before anything is allocated for it.
// pure
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string_view>

#include "base/growing_buffer.h"
#include "base/varint.h"
#include "ottla/types.h"

namespace ottla::storage {

class CompactWriter {
public:
    void number(int64_t value) {
        std::byte* const at = out_.extend(kMaxVarlongBytes);
        const std::byte* const end = write_varlong(at, value);
        out_.shrink_to(static_cast<size_t>(end - out_.data()));
    }
    void number(Offset value) { number(value.value()); }
    void number(WallTime value) { number(value.value()); }
    void count(uint64_t value) { number(static_cast<int64_t>(value)); }
    void raw(std::span<const std::byte> bytes) { out_.append(bytes); }
    void run(std::span<const std::byte> bytes) {
        count(bytes.size());
        raw(bytes);
    }
    void run(std::string_view text) { run(as_bytes(text)); }

    [[nodiscard]] std::span<const std::byte> span() const { return out_.span(); }
    [[nodiscard]] size_t size() const { return out_.size(); }
    [[nodiscard]] Buffer take() { return out_.take(); }

private:
    GrowingBuffer out_;
};

/// Runs are slices of the buffer that is read.
class CompactReader {
public:
    explicit CompactReader(Buffer bytes) : bytes_(std::move(bytes)) {}

    int64_t number() {
        int64_t value = 0;
        const std::byte* const begin = bytes_.data() + at_;
        const std::byte* const end = read_varlong(begin, bytes_.data() + bytes_.size(), value);
        if (end == nullptr || !good_) return fail();
        at_ += static_cast<size_t>(end - begin);
        return value;
    }
    /// A number of [least, most].
    int64_t number(int64_t least, int64_t most) {
        const int64_t value = number();
        return value < least || value > most ? fail() : value;
    }
    template <class T>
    T of() {
        using Rep = decltype(T{}.value());
        return T{static_cast<Rep>(
            number(std::numeric_limits<Rep>::min(), std::numeric_limits<Rep>::max()))};
    }
    /// How many things follow, each at least one byte.
    size_t count() {
        return static_cast<size_t>(number(0, static_cast<int64_t>(bytes_.size() - at_)));
    }
    Buffer raw(size_t length) {
        if (!good_ || length > bytes_.size() - at_) return (fail(), Buffer{});
        at_ += length;
        return bytes_.slice(at_ - length, length);
    }
    Buffer run() { return raw(count()); }

    [[nodiscard]] bool is_good() const { return good_; }
    [[nodiscard]] size_t position() const { return at_; }
    [[nodiscard]] bool at_end() const { return at_ == bytes_.size(); }
    /// What was read makes no sense.
    int64_t fail() {
        good_ = false;
        return 0;
    }

private:
    Buffer bytes_;
    size_t at_ = 0;
    bool good_ = true;
};

}  // namespace ottla::storage
