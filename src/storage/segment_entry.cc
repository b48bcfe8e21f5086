// SPDX-License-Identifier: Apache-2.0
// A segment and its catalogue entry: how index entries get into files while it grows, what a catalogue
// says of it, and how it stands up again from that.
#include <algorithm>

#include "base/crc32c.h"
#include "storage/atomic_file.h"
#include "storage/file_names.h"
#include "storage/segment.h"

namespace ottla::storage {
namespace {

/// A growing segment's entries are said in the catalogue up to this number: 2.5 KB.
constexpr size_t kFewEntries = 128;

}  // namespace

IndexFiles index_files_of(const OffsetIndex& offsets, const TimeIndex& times) {
    return {.offsets = offsets.size(),
            .times = times.size(),
            .offsets_crc = crc32c(0, offsets.bytes().span()),
            .times_crc = crc32c(0, times.bytes().span())};
}

/// Exactly as long as its entries afterwards: what an earlier life left behind them goes.
Task<Status> Segment::write_index_file(std::string_view suffix, uint64_t position, Buffer entries) {
    const std::string name = path(suffix);
    if (position == 0) co_return co_await files_.put(name, entries);
    OpenOptions options;
    options.write = true;
    CO_TRY(const std::unique_ptr<File> file, co_await files_.open(name, options));
    const uint64_t end = position + entries.size();
    if (!entries.empty()) {
        Chain bytes(entries);
        CO_TRY([[maybe_unused]] size_t written, co_await file->write(position, std::move(bytes)));
    }
    CO_TRY([[maybe_unused]] size_t exact, co_await file->truncate(end));
    co_return Status();
}

/// What only memory has goes behind what the files have.
Task<Status> Segment::write_index_entries() {
    const IndexFiles before = in_files_;
    const uint64_t cuts = index_cuts_;
    const Buffer offsets = offsets_.bytes(before.offsets);
    const Buffer times = times_.bytes(before.times);
    const IndexFiles after{.offsets = offsets_.size(),
                           .times = times_.size(),
                           .offsets_crc = crc32c(before.offsets_crc, offsets.span()),
                           .times_crc = crc32c(before.times_crc, times.span())};
    if (before.offsets == 0 || before.times == 0) names_changed_ = true;
    // Until both are written nothing is known of them, nor is there anything to be synced.
    in_files_ = {};
    if (before.offsets == 0) synced_in_files_ = {};
    CO_TRY_STATUS(co_await write_index_file(
        kOffsetIndexSuffix, before.offsets * OffsetIndex::kEntryBytes, offsets));
    CO_TRY_STATUS(
        co_await write_index_file(kTimeIndexSuffix, before.times * TimeIndex::kEntryBytes, times));
    note_indexes_written();
    if (cuts == index_cuts_) in_files_ = after;
    co_return Status();
}

Task<Status> Segment::save_new_entries(size_t at_least) {
    const bool grows = !finished_ && !gone_ && indexes_loaded_;
    if (!grows || offsets_.size() < in_files_.offsets + at_least) co_return Status();
    co_return co_await write_index_entries();
}

SegmentEntry Segment::entry(bool growing) const {
    SegmentEntry said;
    said.base = base_;
    said.bytes = size_;
    said.max_timestamp = max_timestamp_;
    said.offset_of_max_timestamp = offset_of_max_timestamp_;
    said.first_timestamp = first_timestamp_;
    said.bytes_since_index_entry = bytes_since_index_entry_;
    said.finished = finished_ && !indexes_dirty_;
    said.has_transactions = said.finished && transaction_file_;
    said.has_tail = has_tail_;
    const bool few = indexes_loaded_ && offsets_.size() <= kFewEntries &&
                     times_.size() <= kFewEntries && transactions_.entries().size() <= kFewEntries;
    said.inlined = !said.finished || (growing && few);
    if (!said.inlined) return said;
    if (!said.finished) said.in_files = synced_in_files_;
    said.offsets = offsets_.bytes(said.in_files.offsets);
    said.times = times_.bytes(said.in_files.times);
    said.transactions = transactions_.bytes();
    return said;
}

Task<Result<Buffer>> Segment::vouched_entries(std::string_view suffix, size_t bytes, uint32_t crc) {
    if (bytes == 0) co_return Buffer{};
    const std::string name = path(suffix);
    CO_TRY(const std::unique_ptr<File> file, co_await files_.open(name, OpenOptions{}));
    BlockRef block = make_block(bytes);
    CO_TRY(const size_t got, co_await file->read(0, bytes, block));
    Buffer entries{std::move(block), 0, got};
    if (got != bytes || crc32c(0, entries.span()) != crc) {
        co_return fail(ErrorCode::corrupt, name + " does not have the entries that were synced");
    }
    co_return entries;
}

Task<Status> Segment::restore(SegmentEntry from) {
    reset_notes();
    size_ = from.bytes;
    max_timestamp_ = from.max_timestamp;
    offset_of_max_timestamp_ = from.offset_of_max_timestamp;
    first_timestamp_ = from.first_timestamp;
    bytes_since_index_entry_ = from.bytes_since_index_entry;
    finished_ = from.finished;
    transaction_file_ = from.has_transactions;
    has_tail_ = from.has_tail;
    // One that was closed behind the picture's back may have got a file.
    transaction_file_may_exist_ = !from.finished;
    indexes_loaded_ = from.inlined;
    if (!from.inlined) co_return Status();
    const IndexFiles& files = from.in_files;
    const uint64_t most = static_cast<uint64_t>(limits_.index_bytes);
    if (files.offsets > most || files.times > most) {
        co_return fail(ErrorCode::corrupt, "more index entries than there can be");
    }
    CO_TRY(const Buffer offsets,
           co_await vouched_entries(kOffsetIndexSuffix, files.offsets * OffsetIndex::kEntryBytes,
                                    files.offsets_crc));
    CO_TRY(const Buffer times,
           co_await vouched_entries(kTimeIndexSuffix, files.times * TimeIndex::kEntryBytes,
                                    files.times_crc));
    Chain all_offsets(offsets);
    all_offsets.append(from.offsets);
    Chain all_times(times);
    all_times.append(from.times);
    CO_TRY_STATUS(offsets_.load(all_offsets.flatten().span(), size_));
    CO_TRY_STATUS(times_.load(all_times.flatten().span()));
    CO_TRY_STATUS(transactions_.load(from.transactions.span(), base_));
    if (offsets_.size() * OffsetIndex::kEntryBytes != all_offsets.size() ||
        times_.size() * TimeIndex::kEntryBytes != all_times.size()) {
        co_return fail(ErrorCode::corrupt, "index entries that make no sense");
    }
    in_files_ = synced_in_files_ = files;
    co_return Status();
}

}  // namespace ottla::storage
