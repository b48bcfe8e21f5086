// SPDX-License-Identifier: Apache-2.0
#include "storage/transaction_index.h"

#include "base/endian.h"
#include "ottla/check.h"

namespace ottla::storage {
namespace {

constexpr int16_t kVersion = 0;

bool is_sound(const AbortedTransaction& entry, Offset not_below) {
    return entry.producer >= ProducerId{0} && entry.first >= Offset{0} &&
           entry.first <= entry.last && entry.last >= not_below;
}

}  // namespace

void TransactionIndex::append(const AbortedTransaction& aborted) {
    CHECK(entries_.empty() || entries_.back().last < aborted.last, "markers come in order");
    entries_.push_back(aborted);
}

bool TransactionIndex::collect(Offset from,
                               Offset to,
                               std::vector<AbortedTransaction>& found) const {
    for (const AbortedTransaction& entry : entries_) {
        if (entry.last >= from && entry.first < to) found.push_back(entry);
        if (entry.last_stable >= to) return false;
    }
    return true;
}

void TransactionIndex::truncate_to(Offset offset) {
    while (!entries_.empty() && entries_.back().last >= offset) entries_.pop_back();
}

Buffer TransactionIndex::bytes() const {
    const size_t size = entries_.size() * kEntryBytes;
    if (size == 0) return {};
    BlockRef block = make_block(size);
    std::byte* at = block->data();
    for (const AbortedTransaction& entry : entries_) {
        store_be<int16_t>(at, kVersion);
        store_be<int64_t>(at + 2, entry.producer.value());
        store_be<int64_t>(at + 10, entry.first.value());
        store_be<int64_t>(at + 18, entry.last.value());
        store_be<int64_t>(at + 26, entry.last_stable.value());
        at += kEntryBytes;
    }
    return {std::move(block), 0, size};
}

Status TransactionIndex::load(std::span<const std::byte> bytes, Offset base) {
    if (bytes.size() % kEntryBytes != 0) {
        return fail(ErrorCode::corrupt, "a transaction index ends inside an entry");
    }
    std::vector<AbortedTransaction> entries;
    entries.reserve(bytes.size() / kEntryBytes);
    Offset not_below = base;
    for (; !bytes.empty(); bytes = bytes.subspan(kEntryBytes)) {
        const std::byte* at = bytes.data();
        if (load_be<int16_t>(at) != kVersion) {
            return fail(ErrorCode::corrupt, "a transaction index has an unknown version");
        }
        const AbortedTransaction entry{
            ProducerId{load_be<int64_t>(at + 2)}, Offset{load_be<int64_t>(at + 10)},
            Offset{load_be<int64_t>(at + 18)}, Offset{load_be<int64_t>(at + 26)}};
        if (!is_sound(entry, not_below)) {
            return fail(ErrorCode::corrupt, "an entry of a transaction index makes no sense");
        }
        not_below = entry.last + 1;
        entries.push_back(entry);
    }
    entries_ = std::move(entries);
    return {};
}

}  // namespace ottla::storage
