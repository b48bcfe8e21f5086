// SPDX-License-Identifier: Apache-2.0
#include "storage/journal_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "storage/atomic_file.h"
#include "storage/file_names.h"
#include "storage/journal_format.h"

namespace ottla::storage {

static_assert(kJournalBlockBytes == kDirectAlignment);

namespace {
/// One is written, one is about to be, and one waits for the checkpoint that gives it back.
constexpr size_t kFewestFiles = 3;
}  // namespace

JournalFiles::JournalFiles(Runtime& runtime,
                           FileSystem& files,
                           std::string directory,
                           const StorageSettings& settings)
    : runtime_(runtime),
      files_(files),
      directory_(std::move(directory)),
      settings_(settings),
      gate_(runtime) {}

uint64_t JournalFiles::bytes_of_next() const {
    return growing_ ? settings_.journal_file_bytes : settings_.journal_first_file_bytes;
}

uint64_t JournalFiles::planned_bytes(uint64_t sequence) const {
    if (sequence <= 1) return settings_.journal_first_file_bytes;
    const bool begun = !live_.empty() && live_.back()->sequence == sequence;
    return begun ? std::max(live_.back()->bytes, bytes_of_next()) : bytes_of_next();
}

bool JournalFiles::can_take(uint64_t sequence, uint64_t end, uint64_t synced_through) const {
    if (growing_) return true;
    const bool begun = !live_.empty() && live_.back()->sequence == sequence;
    const uint64_t bytes = begun ? live_.back()->bytes : settings_.journal_first_file_bytes;
    const uint64_t last = live_.empty() ? 0 : live_.back()->sequence;
    const uint64_t wanted = (sequence - last) + (end > bytes ? 1 : 0);
    const size_t files = live_.size() + free_.size();
    const size_t there = free_.size() + kFewestFiles - std::min(kFewestFiles, files);
    if (wanted == 0) return true;
    // No checkpoint can give back more than everything: a batch larger than a file waits for that.
    if (live_.empty() || live_.back()->last_group <= synced_through) return true;
    // The last one is for the group that gives others back. If deletions took it, one more is made.
    const bool gives_back = live_.size() > 1 && live_.front()->last_group <= synced_through;
    return gives_back ? wanted <= std::max<size_t>(there, 1) : wanted < there;
}

Task<Status> JournalFiles::open() {
    CO_TRY(auto slot, co_await make_slot(settings_.journal_first_file_bytes, false));
    free_.push_back(std::move(slot));
    co_return Status();
}

size_t JournalFiles::take_number() {
    const auto free = std::ranges::find(numbers_, Number::free);
    const auto number = static_cast<size_t>(free - numbers_.begin());
    if (free == numbers_.end()) numbers_.push_back(Number::free);
    numbers_[number] = Number::taken;
    return number;
}

uint32_t JournalFiles::lasting_files() const {
    const auto is_lasting = [](Number number) { return number == Number::lasting; };
    return static_cast<uint32_t>(std::ranges::find_if_not(numbers_, is_lasting) - numbers_.begin());
}

Task<Result<std::unique_ptr<JournalFiles::Slot>>> JournalFiles::make_slot(uint64_t bytes,
                                                                          bool zeroed) {
    auto slot = std::make_unique<Slot>();
    const size_t number = take_number();
    slot->path = join_path(directory_, journal_file_name(runtime_.shard(), number));
    slot->bytes = bytes;
    OpenOptions options;
    options.write = true;
    options.create = true;
    options.exclusive = true;
    options.direct = true;
    options.lane = IoLane::journal;
    auto opened = co_await files_.open(slot->path, options);
    if (!opened) {
        numbers_[number] = Number::free;
        co_return std::unexpected(opened.error());
    }
    slot->file = *std::move(opened);
    every_path_.push_back(slot->path);
    const Status filled = co_await fill_slot(*slot, zeroed);
    if (filled) {
        numbers_[number] = Number::lasting;
        co_return slot;
    }
    // Part of it may be allocated, which others need now.
    slot->file.reset();
    const Status removed = co_await remove_file(files_, slot->path);
    if (removed) std::erase(every_path_, slot->path);
    if (removed) numbers_[number] = Number::free;
    co_return std::unexpected(filled.error());
}

Task<Status> JournalFiles::fill_slot(Slot& slot, bool zeroed) {
    CO_TRY([[maybe_unused]] size_t allocated, co_await slot.file->allocate(0, slot.bytes));
    if (zeroed) CO_TRY_STATUS(co_await write_zeros(slot.path, slot.bytes));
    CO_TRY([[maybe_unused]] size_t synced, co_await slot.file->sync());
    co_return co_await files_.sync_directory(directory_);
}

/// Through a descriptor of the bulk lane, in pieces, so that the journal's own thread stays free.
Task<Status> JournalFiles::write_zeros(std::string path, uint64_t bytes) {
    constexpr uint64_t kPiece = 256ULL * 1024;
    OpenOptions options;
    options.write = true;
    options.direct = true;
    CO_TRY(const std::unique_ptr<File> file, co_await files_.open(path, options));
    const BlockRef zeros = make_block(kPiece, kDirectAlignment);
    std::memset(zeros->data(), 0, kPiece);
    for (uint64_t at = 0; at < bytes && !gate_.is_closed(); at += kPiece) {
        Chain piece(Buffer{zeros, 0, std::min(kPiece, bytes - at)});
        CO_TRY([[maybe_unused]] size_t written, co_await file->write(at, std::move(piece)));
    }
    co_return Status();
}

Task<> JournalFiles::prepare() {
    const Gate::Pass pass = gate_.enter();
    if (!pass) co_return;
    auto slot = co_await make_slot(bytes_of_next(), true);
    preparing_ = false;
    // A failure shows again, and is reported, where the file is needed.
    if (slot) free_.push_back(*std::move(slot));
}

JournalFiles::Slot* JournalFiles::take_free() {
    if (free_.empty()) return nullptr;
    live_.push_back(std::move(free_.front()));
    free_.erase(free_.begin());
    return live_.back().get();
}

Task<Result<File*>> JournalFiles::file_for(uint64_t sequence, uint64_t group, uint64_t end) {
    Slot* slot = current();
    if (slot == nullptr || slot->sequence != sequence) {
        slot = take_free();
        if (slot == nullptr) {
            auto made = co_await make_slot(bytes_of_next(), false);
            if (!made && made.error().code == ErrorCode::no_space && growing_) {
                growing_ = false;
                made = co_await make_slot(bytes_of_next(), false);
            }
            if (!made) co_return std::unexpected(made.error());
            live_.push_back(*std::move(made));
            slot = live_.back().get();
        }
        slot->sequence = sequence;
        slot->first_group = group;
    }
    slot->last_group = group;
    slot->used_bytes = end;
    if (end > slot->bytes) {  // One batch larger than a file.
        CO_TRY([[maybe_unused]] size_t grown,
               co_await slot->file->allocate(slot->bytes, end - slot->bytes));
        slot->bytes = end;
    }
    const bool wanted = growing_ || live_.size() < kFewestFiles;
    if (end > slot->bytes / 2 && free_.empty() && wanted && !preparing_ && !gate_.is_closed()) {
        preparing_ = true;
        runtime_.spawn(prepare());
    }
    co_return slot->file.get();
}

void JournalFiles::needed_from(uint64_t oldest_needed) {
    recorded_ = std::max(recorded_, oldest_needed);
    while (live_.size() > 1 && live_.front()->last_group < recorded_) {
        live_.front()->used_bytes = 0;
        free_.push_back(std::move(live_.front()));
        live_.pop_front();
    }
}

uint64_t JournalFiles::start_of_file_with(uint64_t group) const {
    for (const auto& slot : live_) {
        if (slot->last_group >= group) return slot->first_group;
    }
    return live_.empty() ? 1 : live_.back()->first_group;
}

uint64_t JournalFiles::live_bytes_from(uint64_t group) const {
    uint64_t bytes = 0;
    for (const auto& slot : live_) {
        if (slot->last_group >= group) bytes += slot->used_bytes;
    }
    return bytes;
}

Task<> JournalFiles::stop() { co_await gate_.close(); }

Task<Status> JournalFiles::remove_all() {
    live_.clear();
    free_.clear();
    for (const std::string& path : every_path_) {
        CO_TRY_STATUS(co_await remove_file(files_, path));
    }
    every_path_.clear();
    co_return Status();
}

}  // namespace ottla::storage
