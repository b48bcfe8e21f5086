// SPDX-License-Identifier: Apache-2.0
#include "app/inspect/batches.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "base/crc32c.h"
#include "base/endian.h"

namespace ottla::app {

bool BatchWalk::stop(std::string why) {
    report_.damage(position_, std::move(why));
    size_ = 0;
    position_ = window_.size();
    return false;
}

bool BatchWalk::next() {
    position_ += size_;
    size_ = 0;
    if (position_ >= window_.size()) return false;
    if (!read_header()) return false;
    if (!check_crc()) return false;
    check_fields();
    return true;
}

bool BatchWalk::read_header() {
    const auto bytes = window_.view(position_, kBatchHeaderBytes);
    if (!bytes) return stop(bytes.error().detail);
    if (bytes->empty()) return stop("the file became shorter");
    if (std::ranges::all_of(*bytes, [](std::byte b) { return b == std::byte{}; })) {
        return end_in_zeros();
    }
    const uint64_t left = window_.size() - position_;
    if (bytes->size() < kBatchHeaderBytes) {
        return stop(fmt::format("{} bytes, less than the header of a batch", left));
    }
    const auto length = load_be<int32_t>(bytes->data() + batch_layout::kLength);
    const auto magic = load_be<int8_t>(bytes->data() + batch_layout::kMagic);
    if (magic != kBatchMagic) return stop(fmt::format("a batch of magic {}, not 2", magic));
    const int64_t size = static_cast<int64_t>(kBatchPrefixBytes) + length;
    if (size < static_cast<int64_t>(kBatchHeaderBytes)) {
        return stop(fmt::format("a batch length of {}, less than its header", length));
    }
    if (static_cast<uint64_t>(size) > left) {
        return stop(fmt::format("a batch of {} bytes, of which {} are there", size, left));
    }
    size_ = static_cast<uint64_t>(size);
    std::ranges::copy(*bytes, header_bytes_.begin());
    header_.emplace(header_bytes_);
    return true;
}

bool BatchWalk::end_in_zeros() {
    const auto set = window_.skip_zeros(position_);
    if (!set) return stop(set.error().detail);
    if (*set < window_.size()) {
        return stop(fmt::format("zeros instead of a batch, and data again at {}", *set));
    }
    report_.note(position_, fmt::format("{} zeros up to the end, as a preallocated file has them",
                                        window_.size() - position_));
    position_ = window_.size();
    return false;
}

bool BatchWalk::check_crc() {
    uint32_t crc = 0;
    for (uint64_t at = batch_layout::kAttributes; at < size_;) {
        const auto wanted = static_cast<size_t>(std::min<uint64_t>(size_ - at, Window::kPiece));
        const auto bytes = window_.view(position_ + at, wanted);
        if (!bytes) return stop(bytes.error().detail);
        if (bytes->empty()) return stop("the file became shorter");
        crc = crc32c(crc, *bytes);
        at += bytes->size();
    }
    crc_matches_ = crc == header_->stored_crc();
    if (!crc_matches_) {
        report_.damage(position_, fmt::format("batch CRC is {:08x}, its header says {:08x}", crc,
                                              header_->stored_crc()));
    }
    return true;
}

/// What the CRC does not cover, or what a writer got wrong.
void BatchWalk::check_fields() {
    constexpr int64_t kMostOffset = std::numeric_limits<int64_t>::max();
    const int64_t base = header_->base_offset().value();
    const int64_t delta = header_->last_offset_delta();
    if (base < expected_) {
        report_.damage(position_,
                       fmt::format("base offset {} where {} is the least", base, expected_));
    } else if (delta < 0 || base > kMostOffset - delta - 1) {
        report_.damage(position_,
                       fmt::format("base offset {} with last offset delta {}", base, delta));
    } else {
        expected_ = base + delta + 1;
    }
    const int32_t count = header_->record_count();
    if (count < 0 || count > delta + 1) {
        report_.damage(position_, fmt::format("{} records between offsets {} and {}", count, base,
                                              last_offset()));
    }
}

std::optional<BatchView> BatchWalk::whole() {
    if (size_ > kMostBatchBytes) {
        report_.damage(position_, fmt::format("a batch of {} bytes is too large to be decoded "
                                              "here: the limit is {}",
                                              size_, kMostBatchBytes));
        return std::nullopt;
    }
    const auto bytes = window_.view(position_, static_cast<size_t>(size_));
    if (!bytes || bytes->size() < size_) {
        report_.damage(position_, bytes ? "the file became shorter" : bytes.error().detail);
        return std::nullopt;
    }
    return BatchView(*bytes);
}

}  // namespace ottla::app
