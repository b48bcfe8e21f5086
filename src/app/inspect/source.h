// SPDX-License-Identifier: Apache-2.0
// Where the printers of `ottla inspect` read from: a file, or bytes in a test. A Window is a walk's
// own view of it: one buffer that moves along, so that a file of any size costs the size of the
// largest piece asked for at once. The size is that of the moment of opening: what a running broker
// appends meanwhile is not looked at. Errors: io_error.
// pure
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ottla/result.h"

namespace ottla::app {

class Source {
public:
    virtual ~Source() = default;
    [[nodiscard]] virtual uint64_t size() const = 0;
    /// Fills `into`, less only where the file ends.
    virtual Result<size_t> read(uint64_t position, std::span<std::byte> into) = 0;
};

/// A Source over bytes that outlive it.
class MemorySource final : public Source {
public:
    explicit MemorySource(std::span<const std::byte> bytes) : bytes_(bytes) {}
    [[nodiscard]] uint64_t size() const override { return bytes_.size(); }
    Result<size_t> read(uint64_t position, std::span<std::byte> into) override;

private:
    std::span<const std::byte> bytes_;
};

class Window {
public:
    static constexpr size_t kPiece = size_t{1} << 20;

    explicit Window(Source& source) : source_(source), size_(source.size()) {}

    [[nodiscard]] uint64_t size() const { return size_; }
    /// At most `length` bytes at `position`, less at the end; valid until the next call.
    Result<std::span<const std::byte>> view(uint64_t position, size_t length);
    /// Where the first byte other than zero lies at `position` or behind; size() if none does.
    Result<uint64_t> skip_zeros(uint64_t position);

private:
    Source& source_;
    uint64_t size_;
    uint64_t held_at_ = 0;
    std::vector<std::byte> held_;
};

}  // namespace ottla::app
