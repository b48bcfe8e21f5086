// SPDX-License-Identifier: Apache-2.0
#include "storage/piece_check.h"

#include <fmt/format.h>

namespace ottla::storage {
namespace {

template <class T>
T field(std::span<const std::byte> head, size_t at) {
    return load_be<T>(head.data() + at);
}

Status check_offsets(std::span<const std::byte> head, const PieceRules& rules) {
    const Offset base{field<int64_t>(head, batch_layout::kBaseOffset)};
    const auto delta = field<int32_t>(head, batch_layout::kLastOffsetDelta);
    const bool outside = base < rules.floor || base < Offset{0} || base >= rules.limit;
    if (outside || delta < 0 || rules.limit - base <= delta) {
        return fail(ErrorCode::corrupt_message,
                    fmt::format("a batch of [{}, {} + {}] where only [{}, {}) can be", base.value(),
                                base.value(), delta, rules.floor.value(), rules.limit.value()));
    }
    const LeaderEpoch epoch{field<int32_t>(head, batch_layout::kLeaderEpoch)};
    if (rules.epochs != nullptr && !rules.epochs->allows(epoch, base + delta)) {
        return fail(ErrorCode::corrupt_message,
                    fmt::format("the batch at {} has leader epoch {}, which was never there",
                                base.value(), epoch.value()));
    }
    return {};
}

/// Where the batch at `at` says that it ends, if that can be.
std::optional<size_t> stated_end(std::span<const std::byte> bytes, size_t at, uint64_t room) {
    if (at + kBatchPrefixBytes > bytes.size()) return std::nullopt;
    const auto length = field<int32_t>(bytes.subspan(at), batch_layout::kLength);
    const uint64_t end = at + kBatchPrefixBytes + static_cast<uint64_t>(std::max(length, 0));
    if (end < at + kBatchHeaderBytes || end > room) return std::nullopt;
    return end;
}

/// Does the batch at `at` end where what follows it begins?
bool leads_on(std::span<const std::byte> bytes, size_t at, size_t end, const PieceRules& rules) {
    if (at + kBatchHeaderBytes > bytes.size()) return false;
    const auto head = bytes.subspan(at);
    const auto base = field<int64_t>(head, batch_layout::kBaseOffset);
    const auto delta = field<int32_t>(head, batch_layout::kLastOffsetDelta);
    if (base < 0 || delta < 0 || base > INT64_MAX - delta - 1) return false;
    if (end == rules.room) return base + delta + 1 == rules.limit.value();
    if (end + sizeof(int64_t) > bytes.size()) return false;
    return base + delta + 1 == field<int64_t>(bytes.subspan(end), batch_layout::kBaseOffset);
}

/// Is the batch at `at`, which does not follow the one before it without a gap, in front of what
/// comes next? Nothing if that cannot be seen.
std::optional<bool> precedes_next(std::span<const std::byte> bytes,
                                  size_t end,
                                  Offset last,
                                  uint64_t room) {
    if (end == room) return true;  // The limit was looked at.
    if (end + sizeof(int64_t) > bytes.size()) return std::nullopt;
    return last < Offset{field<int64_t>(bytes.subspan(end), batch_layout::kBaseOffset)};
}

LeaderEpoch epoch_of(std::span<const std::byte> head) {
    return LeaderEpoch{field<int32_t>(head, batch_layout::kLeaderEpoch)};
}

/// Epochs never fall. Which of two is wrong, the third one tells.
bool stands_out(LeaderEpoch before, LeaderEpoch own, std::span<const std::byte> behind) {
    if (own < before) return true;
    if (behind.size() < kBatchHeaderBytes ||
        field<int8_t>(behind, batch_layout::kMagic) != kBatchMagic) {
        return false;
    }
    const LeaderEpoch next = epoch_of(behind);
    return next < own && next >= before && own != before && next >= LeaderEpoch{0};
}

}  // namespace

Result<size_t> check_head(std::span<const std::byte> head, const PieceRules& rules) {
    const auto magic = field<int8_t>(head, batch_layout::kMagic);
    const auto length = field<int32_t>(head, batch_layout::kLength);
    if (magic != kBatchMagic) {
        return fail(ErrorCode::corrupt_message, fmt::format("magic {} instead of 2", magic));
    }
    const uint64_t size = kBatchPrefixBytes + static_cast<uint64_t>(std::max(length, 0));
    if (size < kBatchHeaderBytes || size > kLargestBatch || size > rules.room) {
        return fail(ErrorCode::corrupt_message, fmt::format("a batch length of {}, {} bytes before "
                                                            "the end",
                                                            length, rules.room));
    }
    TRY_STATUS(check_offsets(head, rules));
    return static_cast<size_t>(size);
}

PieceVerdict check_piece(std::span<const std::byte> bytes, const PieceRules& rules) {
    PieceVerdict verdict;
    PieceRules here = rules;
    LeaderEpoch epoch = kNoLeaderEpoch;
    const auto damaged = [&verdict](std::string why) { verdict.damage = std::move(why); };
    while (verdict.sound < bytes.size()) {
        const size_t at = verdict.sound;
        const std::span<const std::byte> rest = bytes.subspan(at);
        here.room = rules.room - at;
        if (here.room < kBatchHeaderBytes) {
            damaged("a torn batch");
            break;
        }
        if (rest.size() < kBatchHeaderBytes) {
            verdict.needed = kBatchHeaderBytes;
            break;
        }
        const auto size = check_head(rest, here);
        if (!size) {
            damaged(size.error().detail);
            break;
        }
        const Offset base{field<int64_t>(rest, batch_layout::kBaseOffset)};
        const Offset last = base + field<int32_t>(rest, batch_layout::kLastOffsetDelta);
        if (*size > rest.size()) {
            verdict.needed = *size + sizeof(int64_t);
            verdict.cut_last = last;
            break;
        }
        if (at + *size > rules.crc_checked) {
            if (const Status crc = check_crc(BatchView(rest.first(*size))); !crc) {
                damaged(crc.error().detail);
                break;
            }
        }
        const bool odd = rules.epochs == nullptr && !rules.heads_are_right &&
                         stands_out(epoch, epoch_of(rest), rest.subspan(*size));
        if (odd) {
            damaged(fmt::format("the batch at {} has leader epoch {} among others", base.value(),
                                epoch_of(rest).value()));
            break;
        }
        epoch = epoch_of(rest);
        const bool at_landmark = rules.landmark && rules.landmark->at == at;
        const bool landed = at_landmark && rules.landmark->last == last;
        const bool first = at == 0 && rules.first_last == last;
        const bool exact = rules.heads_are_right || base == here.floor || landed || first;
        const auto fits = exact ? true : precedes_next(bytes, at + *size, last, rules.room);
        if (!fits) {
            verdict.needed = *size + sizeof(int64_t);
            verdict.cut_last = last;
            break;
        }
        if (!*fits) {
            damaged(fmt::format("a batch of [{}, {}], and a smaller offset behind it", base.value(),
                                last.value()));
            const auto next_end = stated_end(bytes, at + *size, rules.room);
            // Unless the next one leads on, nobody can tell which of the two is wrong.
            if (next_end && !leads_on(bytes, at + *size, *next_end, rules)) {
                verdict.damage_end = next_end;
            }
            break;
        }
        verdict.landed = verdict.landed || landed;
        verdict.led_right = verdict.led_right || (at_landmark && last <= rules.landmark->last);
        verdict.sound = at + *size;
        verdict.next = here.floor = last + 1;
    }
    return verdict;
}

}  // namespace ottla::storage
