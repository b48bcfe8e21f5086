// SPDX-License-Identifier: Apache-2.0
#include "storage/disk_room.h"

#include <algorithm>

#include "ottla/check.h"

namespace ottla::storage {

namespace {

constexpr uint64_t kBlock = 4096;
/// 20 bytes of index entries for each 4 KiB, rounded up generously.
constexpr uint64_t kIndexPart = 128;
constexpr uint64_t kLeastPace = 1024ULL * 1024;
constexpr uint64_t kMostReservePace = 8ULL * 1024 * 1024;
/// A refused batch larger than this does not keep smaller ones waiting for as much.
constexpr uint64_t kMostRemembered = 1024ULL * 1024;

}  // namespace

uint64_t disk_cost(size_t bytes, bool reserved) {
    const uint64_t blocks = (uint64_t{bytes} + kBlock - 1) / kBlock * kBlock;
    return (reserved ? 0 : blocks) + bytes / kIndexPart;
}

DiskRoom::DiskRoom(std::optional<uint64_t> reserve_bytes, uint64_t sharing)
    : by_size_(!reserve_bytes),
      reserve_(reserve_bytes.value_or(kMostReserve)), sharing_(std::max<uint64_t>(sharing, 1)) {}

DiskRoom::Answer DiskRoom::ask(uint64_t cost) {
    if (!full_) {
        const uint64_t owed = taken_ - sample_settled_;
        const uint64_t since = taken_ - sample_taken_;
        const bool in_pace = since == 0 || since + cost <= pace_;
        if (in_pace && owed + cost <= share_) return Answer::admitted;
        // Were everything owed in its files and taken off what is free, would it fit?
        const uint64_t left = free_ - std::min(free_, reserve_ + owed);
        if (cost <= left / sharing_) {
            waiting_ = true;
            return Answer::wait;
        }
        full_ = true;
    }
    refused_ = std::max(refused_, std::min(cost, kMostRemembered));
    return Answer::full;
}

bool DiskRoom::spares(uint64_t cost) const {
    const uint64_t owed = taken_ - sample_settled_;
    return !full_ && !waiting_ && owed <= share_ && cost <= (share_ - owed) / 2;
}

void DiskRoom::took(uint64_t cost) { taken_ += cost; }

void DiskRoom::settled(uint64_t cost) {
    settled_ += cost;
    CHECK(settled_ <= taken_, "what is settled was taken once");
}

void DiskRoom::begin_sample() {
    begun_taken_ = taken_;
    begun_settled_ = settled_;
}

void DiskRoom::end_sample(uint64_t free_bytes, uint64_t size) {
    if (by_size_) reserve_ = std::min(kMostReserve, size / 8);
    free_ = free_bytes;
    sample_taken_ = begun_taken_;
    sample_settled_ = begun_settled_;
    share_ = (free_ - std::min(free_, reserve_)) / sharing_;
    pace_ =
        std::max(std::clamp(reserve_ / 4 / sharing_, kLeastPace, kMostReservePace), share_ / 16);
    waiting_ = false;
    if (!full_ || stalled_ != 0) return;
    const uint64_t wanted = reserve_ + reserve_ / 8 + sharing_ * refused_ + unsettled();
    if (free_ < wanted) return;
    full_ = false;
    refused_ = 0;
}

}  // namespace ottla::storage
