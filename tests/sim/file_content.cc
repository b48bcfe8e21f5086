// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/file_content.h"

#include <algorithm>
#include <cstring>

#include "ottla/file.h"

namespace ottla::sim {

namespace {
constexpr size_t kSectors = FileContent::kPage / kSectorSize;
}

Survival Survival::draw(Random& random) {
    const uint64_t which = random.below(8);
    if (which < 2) return {.kind = Kind::nothing, .per_million = 0};
    if (which < 4) return {.kind = Kind::everything, .per_million = 1'000'000};
    if (which == 4) return {.kind = Kind::some, .per_million = 100'000};
    if (which == 5) return {.kind = Kind::some, .per_million = 900'000};
    return {.kind = Kind::some, .per_million = 500'000};
}

size_t FileContent::read(uint64_t position, std::span<std::byte> into) const {
    if (position >= size_) return 0;
    const size_t length = std::min<uint64_t>(into.size(), size_ - position);
    size_t done = 0;
    while (done < length) {
        const uint64_t at = position + done;
        const size_t inside = at % kPage;
        const size_t piece = std::min(length - done, kPage - inside);
        const auto page = pages_.find(at / kPage);
        if (page == pages_.end()) {
            std::memset(into.data() + done, 0, piece);
        } else {
            std::memcpy(into.data() + done, page->second.now.data() + inside, piece);
        }
        done += piece;
    }
    return length;
}

FileContent::Page& FileContent::touch(uint64_t index, uint64_t version) {
    const auto [at, is_new] = pages_.try_emplace(index);
    Page& page = at->second;
    if (page.version == version && !page.earlier.empty()) return page;
    State before{.version = page.earlier.empty() ? 0 : page.version, .bytes = nullptr};
    if (!is_new) before.bytes = std::make_unique<Bytes>(page.now);
    page.earlier.push_back(std::move(before));
    page.version = version;
    dirty_.insert(index);
    return page;
}

void FileContent::settle_lost(Page& page, uint64_t index, size_t first, size_t end) {
    if (page.lost == 0) return;
    State& durable = page.earlier.front();
    if (!durable.bytes) durable.bytes = std::make_unique<Bytes>();
    for (size_t k = first / kSectorSize; k * kSectorSize < end; ++k) {
        const auto bit = static_cast<uint8_t>(1U << k);
        if ((page.lost & bit) == 0) continue;
        page.lost = static_cast<uint8_t>(page.lost & ~bit);
        std::memcpy(durable.bytes->data() + k * kSectorSize,
                    page.lost_bytes->data() + k * kSectorSize, kSectorSize);
    }
    if (page.lost == 0) lost_.erase(index);
}

void FileContent::write(uint64_t position, std::span<const std::byte> bytes, uint64_t version) {
    size_t done = 0;
    while (done < bytes.size()) {
        const uint64_t at = position + done;
        const size_t inside = at % kPage;
        const size_t piece = std::min(bytes.size() - done, kPage - inside);
        Page& page = touch(at / kPage, version);
        settle_lost(page, at / kPage, inside, inside + piece);
        std::memcpy(page.now.data() + inside, bytes.data() + done, piece);
        done += piece;
    }
    if (!bytes.empty() && position + bytes.size() > size_) {
        set_size(position + bytes.size(), version);
    }
}

void FileContent::set_size(uint64_t size, uint64_t version) {
    size_ = size;
    sizes_.push_back({.version = version, .size = size});
}

void FileContent::zero_from(uint64_t position, uint64_t version) {
    for (auto at = pages_.lower_bound(position / kPage); at != pages_.end(); ++at) {
        const size_t inside = at->first == position / kPage ? position % kPage : 0;
        Page& page = touch(at->first, version);
        settle_lost(page, at->first, inside, kPage);
        std::memset(page.now.data() + inside, 0, kPage - inside);
    }
}

void FileContent::resize(uint64_t size, uint64_t version) {
    if (size < size_) zero_from(size, version);
    if (size != size_) set_size(size, version);
}

void FileContent::sync_page(Page& page, uint64_t version) {
    if (page.version <= version) {
        page.earlier.clear();
        return;
    }
    size_t durable = 0;
    while (durable + 1 < page.earlier.size() && page.earlier[durable + 1].version <= version) {
        ++durable;
    }
    page.earlier.erase(page.earlier.begin(),
                       page.earlier.begin() + static_cast<ptrdiff_t>(durable));
}

void FileContent::sync(uint64_t version) {
    for (auto at = dirty_.begin(); at != dirty_.end();) {
        const auto page = pages_.find(*at);
        sync_page(page->second, version);
        const bool clean = page->second.earlier.empty();
        const bool beyond_end = *at * kPage >= size_;
        if (clean && beyond_end && page->second.lost == 0) pages_.erase(page);
        at = clean ? dirty_.erase(at) : std::next(at);
    }
    size_t covered = 0;
    while (covered < sizes_.size() && sizes_[covered].version <= version) ++covered;
    if (covered == 0) return;
    durable_size_ = sizes_[covered - 1].size;
    sizes_.erase(sizes_.begin(), sizes_.begin() + static_cast<ptrdiff_t>(covered));
}

void FileContent::lose(uint64_t version, Random& random) {
    for (const uint64_t index : dirty_) {
        Page& page = pages_[index];
        if (page.version > version)
            continue;  // Written again meanwhile: the next sync takes it whole.
        const State& durable = page.earlier.front();
        if (!page.lost_bytes) page.lost_bytes = std::make_unique<Bytes>();
        for (size_t k = 0; k < kSectors; ++k) {
            const auto bit = static_cast<uint8_t>(1U << k);
            if ((page.lost & bit) != 0 || !random.chance(750'000)) continue;
            const size_t from = k * kSectorSize;
            page.lost = static_cast<uint8_t>(page.lost | bit);
            if (durable.bytes) {
                std::memcpy(page.lost_bytes->data() + from, durable.bytes->data() + from,
                            kSectorSize);
            } else {
                std::memset(page.lost_bytes->data() + from, 0, kSectorSize);
            }
        }
        if (page.lost != 0) lost_.insert(index);
    }
    const uint64_t size_on_disk = durable_size_;
    sync(version);
    durable_size_ = size_on_disk;
}

void FileContent::cut_page(Page& page, Survival survival, Random& random) {
    Bytes left{};
    for (size_t k = 0; k < kSectors; ++k) {
        const size_t from = k * kSectorSize;
        size_t state = 0;
        if (survival.keep(random)) {
            const bool newest =
                survival.kind == Survival::Kind::everything || random.chance(700'000);
            state = newest ? page.earlier.size() : random.between(1, page.earlier.size());
        }
        if (state == page.earlier.size()) {
            std::memcpy(left.data() + from, page.now.data() + from, kSectorSize);
        } else if (page.earlier[state].bytes) {
            std::memcpy(left.data() + from, page.earlier[state].bytes->data() + from, kSectorSize);
        }
    }
    page.now = left;
    page.earlier.clear();
}

void FileContent::cut_size(Survival survival, Random& random) {
    uint64_t low = durable_size_;
    uint64_t high = durable_size_;
    for (const SizeChange& change : sizes_) {
        low = std::min(low, change.size);
        high = std::max(high, change.size);
    }
    uint64_t left = size_;
    if (survival.kind == Survival::Kind::nothing) {
        left = durable_size_;
    } else if (survival.kind == Survival::Kind::some) {
        const uint64_t which = random.below(4);
        const uint64_t any = random.between(low, high);
        if (which == 0) left = durable_size_;
        if (which >= 2) left = any;
    }
    // A size that only a failed sync carried is gone whatever survives.
    if (sizes_.empty()) left = durable_size_;
    size_ = durable_size_ = left;
    sizes_.clear();
}

void FileContent::power_cut(Survival survival, Random& random) {
    for (const uint64_t index : dirty_) cut_page(pages_[index], survival, random);
    dirty_.clear();
    for (const uint64_t index : lost_) {
        Page& page = pages_[index];
        for (size_t k = 0; k < kSectors; ++k) {
            if ((page.lost & (1U << k)) == 0) continue;
            const size_t from = k * kSectorSize;
            std::memcpy(page.now.data() + from, page.lost_bytes->data() + from, kSectorSize);
        }
        page.lost = 0;
        page.lost_bytes.reset();
    }
    lost_.clear();
    cut_size(survival, random);
    const uint64_t first_gone = (size_ + kPage - 1) / kPage;
    pages_.erase(pages_.lower_bound(first_gone), pages_.end());
    const auto last = pages_.find(size_ / kPage);
    if (last != pages_.end()) {
        std::memset(last->second.now.data() + size_ % kPage, 0, kPage - size_ % kPage);
    }
}

void FileContent::flip_bit(uint64_t position, unsigned bit) {
    const auto at = pages_.find(position / kPage);
    if (at == pages_.end()) return;
    const std::byte mask{static_cast<uint8_t>(1U << (bit % 8))};
    at->second.now[position % kPage] ^= mask;
    for (State& state : at->second.earlier) {
        if (state.bytes) (*state.bytes)[position % kPage] ^= mask;
    }
}

}  // namespace ottla::sim
