// SPDX-License-Identifier: Apache-2.0
#include "storage/journal.h"

#include <algorithm>
#include <cstring>
#include <set>

#include "storage/journal_replay.h"

namespace ottla::storage {
namespace {
/// Blocks kept for the next chunk; more go back to the heap.
constexpr size_t kSpareBlocks = 4;

/// Of a batch; a declaration may come with it.
constexpr size_t entry_size(size_t batch_bytes) { return kAppendHeaderBytes + batch_bytes + 1024; }
}  // namespace

Journal::Journal(Runtime& runtime,
                 FileSystem& files,
                 JournalIdentity identity,
                 const StorageSettings& settings,
                 JournalListener& listener)
    : runtime_(runtime),
      file_system_(files),
      identity_(std::move(identity)),
      settings_(settings),
      listener_(listener),
      files_(runtime, files, identity_.directory, settings),
      id_(runtime.random()),
      wake_(runtime),
      progress_(runtime) {}

Task<Status> Journal::open() {
    CO_TRY_STATUS(co_await files_.open());
    running_ = true;
    runtime_.spawn(run());
    co_return Status();
}

Task<Status> Journal::close() {
    closing_ = true;
    wake_.notify_all();
    while (running_) {
        const Status woken = co_await progress_.wait();
        if (!woken) break;
    }
    co_await files_.stop();
    if (error_) co_return std::unexpected(*error_);
    // Whatever of the files a crash leaves from here on, replay will not take it.
    CO_TRY_STATUS(
        co_await retire_journal(file_system_, identity_.directory, runtime_.shard(), id_));
    co_return co_await files_.remove_all();
}

// Memory.

size_t Journal::chunk_size_for(size_t entry_bytes) const {
    return std::max(settings_.chunk_bytes, round_up_to_block(kGroupHeaderBytes + entry_bytes));
}

bool Journal::may_evict_front() const {
    if (chunks_.empty()) return false;
    const Chunk& front = *chunks_.front();
    return (open_ == nullptr || open_->chunk != &front) && front.is_done();
}

bool Journal::fits(size_t bytes) {
    if (error_) return false;
    if (live_bytes() >= settings_.journal_limit_bytes) return false;
    const size_t entry = entry_size(bytes);
    if (!has_file_for(entry)) return false;
    if (open_ != nullptr && open_->chunk->capacity - open_->end >= entry) return true;
    const size_t wanted = chunk_size_for(entry);
    while (memory_bytes_ + wanted > settings_.chunk_budget_bytes && may_evict_front()) {
        evict_front();
    }
    return memory_bytes_ + wanted <= settings_.chunk_budget_bytes || chunks_.empty();
}

bool Journal::has_file_for(size_t entry_bytes) const {
    uint64_t sequence = plan_file_;
    uint64_t position = plan_position_;
    if (open_ != nullptr) {
        sequence = open_->file_sequence;
        position = open_->file_position + (open_->end - open_->begin);
    } else if (position > 0 && position + settings_.chunk_bytes > files_.planned_bytes(sequence)) {
        ++sequence;
        position = 0;
    }
    const uint64_t end = position + round_up_to_block(kGroupHeaderBytes + entry_bytes);
    return files_.can_take(sequence, end, synced_through_);
}

bool Journal::wants_checkpoint() const {
    return live_bytes() * 4 > settings_.journal_limit_bytes * 3 || !has_file_for(entry_size(0));
}

std::vector<uint64_t> Journal::in_doubt() const {
    std::set<uint64_t> instances;
    for (const JournalGroup* group : unwritten_) {
        for (const GroupMark& mark : group->marks) instances.insert(mark.instance);
    }
    return {instances.begin(), instances.end()};
}

Chunk& Journal::add_chunk(size_t at_least) {
    auto chunk = std::make_unique<Chunk>();
    chunk->capacity = at_least;
    if (at_least == settings_.chunk_bytes && !spare_.empty()) {
        chunk->block = std::move(spare_.back());
        spare_.pop_back();
    } else {
        chunk->block = make_block(at_least, kDirectAlignment);
    }
    memory_bytes_ += at_least;
    chunks_.push_back(std::move(chunk));
    return *chunks_.back();
}

void Journal::evict_front() {
    Chunk& chunk = *chunks_.front();
    for (const auto& group : chunk.groups) {
        for (const GroupMark& mark : group->marks) listener_.chunk_evicted(mark.instance, chunk);
    }
    memory_bytes_ -= chunk.capacity;
    const bool reusable = chunk.capacity == settings_.chunk_bytes && !chunk.block->is_shared();
    if (reusable && spare_.size() < kSpareBlocks) spare_.push_back(std::move(chunk.block));
    chunks_.pop_front();
}

void Journal::trim() {
    while (may_evict_front()) evict_front();
    spare_ = {};
}

JournalGroup& Journal::begin_group(Chunk& chunk) {
    // Files change between groups, early enough that a usual group fits: an entry knows its file
    // when it is placed, and the log can declare itself there.
    if (plan_position_ > 0 &&
        plan_position_ + settings_.chunk_bytes > files_.planned_bytes(plan_file_)) {
        ++plan_file_;
        plan_position_ = 0;
    }
    auto group = std::make_unique<JournalGroup>();
    group->sequence = next_sequence_++;
    group->file_sequence = plan_file_;
    group->file_position = plan_position_;
    group->chunk = &chunk;
    group->begin = chunk.used;
    group->end = chunk.used + kGroupHeaderBytes;
    open_ = group.get();
    chunk.groups.push_back(std::move(group));
    unwritten_.push_back(open_);
    undone_.push_back(open_);
    wake_.notify_all();
    return *open_;
}

JournalGroup& Journal::open_group(size_t entry_bytes) {
    if (open_ != nullptr) {
        if (open_->chunk->capacity - open_->end >= entry_bytes) return *open_;
        seal(*open_);
    }
    Chunk* chunk = chunks_.empty() ? nullptr : chunks_.back().get();
    if (chunk == nullptr || chunk->capacity - chunk->used < kGroupHeaderBytes + entry_bytes) {
        chunk = &add_chunk(chunk_size_for(entry_bytes));
    }
    return begin_group(*chunk);
}

uint64_t Journal::file_of_next(size_t bytes) { return open_group(bytes).file_sequence; }

std::byte* Journal::extend(JournalGroup& group, size_t bytes) {
    std::byte* at = group.chunk->block->data() + group.end;
    group.end += bytes;
    return at;
}

Journal::Place Journal::add_append(uint64_t instance,
                                   Offset segment_base,
                                   uint64_t position,
                                   size_t batch_bytes) {
    JournalGroup& group = open_group(kAppendHeaderBytes + batch_bytes);
    std::byte* head = extend(group, kAppendHeaderBytes);
    write_append_header(std::span<std::byte, kAppendHeaderBytes>(head, kAppendHeaderBytes),
                        instance, segment_base, position, batch_bytes);
    Place place;
    place.group = &group;
    place.offset_in_chunk = static_cast<uint32_t>(group.end);
    place.batch = {extend(group, batch_bytes), batch_bytes};
    ++group.pending_effects;
    return place;
}

JournalGroup& Journal::add_entry(const JournalEntry& entry) {
    const std::string bytes = encode_entry(entry);
    JournalGroup& group = open_group(bytes.size());
    std::memcpy(extend(group, bytes.size()), bytes.data(), bytes.size());
    if (entry.kind != EntryKind::declare) ++group.pending_effects;
    return group;
}

void Journal::lower_marks(uint64_t instance, Offset end) {
    for (JournalGroup* group : unwritten_) {
        for (GroupMark& mark : group->marks) {
            if (mark.instance == instance) mark.end = std::min(mark.end, end);
        }
    }
}

void Journal::effect_done(JournalGroup& group) {
    CHECK(group.pending_effects > 0, "an effect is done once");
    --group.pending_effects;
    if (group.is_done()) advance_done();
}

void Journal::advance_done() {
    while (!undone_.empty() && undone_.front()->is_done()) {
        done_through_ = undone_.front()->sequence;
        undone_bytes_ -= undone_.front()->end - undone_.front()->begin;
        undone_.pop_front();
    }
}

void Journal::synced_through(uint64_t group) { synced_through_ = std::max(synced_through_, group); }

// Disk.

void Journal::seal(JournalGroup& group) {
    Chunk& chunk = *group.chunk;
    GroupHeader header;
    header.journal_id = id_;
    header.file_sequence = group.file_sequence;
    header.sequence = group.sequence;
    header.previous_crc = previous_crc_;
    header.shard = runtime_.shard().value();
    header.oldest_needed = files_.start_of_file_with(synced_through_ + 1);
    header.directory_id = identity_.directory_id;
    header.files = files_.lasting_files();
    std::byte* begin = chunk.block->data() + group.begin;
    previous_crc_ = seal_group({begin, group.end - group.begin}, header);
    group.oldest_needed = header.oldest_needed;
    const size_t padded = group.begin + round_up_to_block(group.end - group.begin);
    std::memset(chunk.block->data() + group.end, 0, padded - group.end);
    group.end = padded;
    group.sealed = true;
    undone_bytes_ += padded - group.begin;
    chunk.used = padded;
    plan_position_ = group.file_position + (padded - group.begin);
    if (open_ == &group) open_ = nullptr;
}

Task<> Journal::run() {
    while (!error_) {
        if (unwritten_.empty()) {
            if (closing_) break;
            const Status woken = co_await wake_.wait();
            if (!woken) break;
            continue;
        }
        JournalGroup& group = *unwritten_.front();
        if (!group.sealed) seal(group);
        const Status done = co_await write_when_possible(group);
        if (!done) {
            fail_with(done.error());
            break;
        }
        if (error_) break;  // Declared dead by others meanwhile: nothing more is acknowledged.
        unwritten_.pop_front();
        group.durable = true;
        durable_through_ = group.sequence;
        files_.needed_from(group.oldest_needed);
        listener_.group_durable(group);
        advance_done();
        progress_.notify_all();
    }
    running_ = false;
    progress_.notify_all();
}

Task<Status> Journal::write_when_possible(JournalGroup& group) {
    Status done = co_await write_group(group);
    while (!done && done.error().code == ErrorCode::no_space && !error_ && patient_) {
        listener_.journal_stalled(done.error());
        CO_TRY_STATUS(co_await runtime_.sleep_for(settings_.disk_interval));
        done = co_await write_group(group);
    }
    co_return done;
}

Task<Status> Journal::write_group(JournalGroup& group) {
    const size_t bytes = group.end - group.begin;
    CO_TRY(File * file, co_await files_.file_for(group.file_sequence, group.sequence,
                                                 group.file_position + bytes));
    Chain blocks(Buffer{group.chunk->block, group.begin, bytes});
    if (!listener_.acts_when_written(group)) {
        const auto done = co_await file->write_and_sync(group.file_position, std::move(blocks));
        if (!done && settings_.faults.retry_failed_sync) {
            CO_TRY([[maybe_unused]] size_t again, co_await file->sync());
            co_return Status();
        }
        if (!done) co_return std::unexpected(done.error());
        co_return Status();
    }
    CO_TRY([[maybe_unused]] size_t written,
           co_await file->write(group.file_position, std::move(blocks)));
    if (!error_) listener_.group_written(group);
    const auto synced = co_await file->sync();
    // Whatever the reason: it must not look like one that may be tried again.
    if (!synced) co_return fail(ErrorCode::io_error, synced.error().detail);
    co_return Status();
}

Task<Status> Journal::wait_durable(uint64_t group) {
    while (durable_through_ < group) {
        if (error_) co_return std::unexpected(*error_);
        CO_TRY_STATUS(co_await progress_.wait());
    }
    co_return Status();
}

void Journal::fail_with(const Error& why) {
    if (error_) return;
    error_ = Error{ErrorCode::kafka_storage_error, why.detail};
    listener_.journal_failed(*error_);
    wake_.notify_all();
    progress_.notify_all();
}

}  // namespace ottla::storage
