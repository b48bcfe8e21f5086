// SPDX-License-Identifier: Apache-2.0
#include "app/inspect/source.h"

#include <algorithm>
#include <cstring>

namespace ottla::app {

Result<size_t> MemorySource::read(uint64_t position, std::span<std::byte> into) {
    if (position >= bytes_.size()) return size_t{0};
    const size_t got = std::min<size_t>(into.size(), bytes_.size() - position);
    if (got != 0) std::memcpy(into.data(), bytes_.data() + position, got);
    return got;
}

Result<std::span<const std::byte>> Window::view(uint64_t position, size_t length) {
    if (position >= size_) return std::span<const std::byte>{};
    length = static_cast<size_t>(std::min<uint64_t>(length, size_ - position));
    const bool held =
        position >= held_at_ && position - held_at_ + length <= held_.size() && !held_.empty();
    if (!held) {
        const uint64_t wanted = std::min<uint64_t>(std::max(length, kPiece), size_ - position);
        held_.resize(static_cast<size_t>(wanted));
        held_at_ = position;
        const Result<size_t> got = source_.read(position, held_);
        held_.resize(got.value_or(0));
        if (!got) return std::unexpected(got.error());
    }
    const auto at = static_cast<size_t>(position - held_at_);
    return std::span<const std::byte>(held_).subspan(at, std::min(length, held_.size() - at));
}

Result<uint64_t> Window::skip_zeros(uint64_t position) {
    while (position < size_) {
        TRY(const auto bytes, view(position, kPiece));
        if (bytes.empty()) break;  // The file became shorter.
        const auto set = std::ranges::find_if(bytes, [](std::byte b) { return b != std::byte{}; });
        if (set != bytes.end()) return position + static_cast<uint64_t>(set - bytes.begin());
        position += bytes.size();
    }
    return size_;
}

}  // namespace ottla::app
