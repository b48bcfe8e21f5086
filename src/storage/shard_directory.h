// SPDX-License-Identifier: Apache-2.0
// ShardDirectory: one log directory as one shard writes it: its journal, the flusher behind it, the
// logs there.
//
// Flusher. A log whose group became durable waits flush_delay for more bytes, or, where flushes are
// direct, until it has a whole piece; then one of a few workers runs its lane (log_parts.h). When memory
// or the journal runs short nobody waits.
// Checkpoint: what the lanes have done is synced, `synced_end` moves, the journal starts behind it.
// Both stop at the first error of the disk: then the directory is offline for good, its logs fail,
// nothing in doubt is acknowledged. A checkpoint is due early when many open files are dirty, since
// those are not closed (open_files.h); when all are, flushes wait for it.
//
// Space. disk_room.h admits appends; a worker here looks at the disk while they come. Should the disk
// be full all the same (somebody else filled it) nothing is lost and nobody goes offline: the log
// whose lane met the end is stalled, its effect stays in front, its bytes stay in journal and
// memory; the lane is free for a deletion or truncation, which may be what makes space. Stalled logs
// are tried again after every look, a checkpoint that could not write its files with the next one.
// Only a failed sync is final, whatever its reason.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ottla/ports.h"
#include "ottla/sync.h"
#include "records/codec.h"
#include "storage/disk_room.h"
#include "storage/index_cache.h"
#include "storage/journal.h"
#include "storage/log_cleaner.h"
#include "storage/log_damage.h"
#include "storage/log_store.h"
#include "storage/open_files.h"
#include "storage/retention_worker.h"
#include "storage/scrubber.h"

namespace ottla::storage {

class ShardDirectory final : public JournalListener {
public:
    ShardDirectory(Ports ports,
                   ServedDirectory served,
                   const StorageSettings& settings,
                   uint64_t sharing,
                   StoreObserver* observer,
                   IndexCache& index_cache);

    /// Logs can be opened, read and appended to, but nothing becomes durable or reaches a file.
    Task<Status> open();
    /// The journal begins, and everything that works in the background; on a full disk once there is space.
    Task<Status> begin_writing();
    /// Flushes, finishes and syncs every log, removes the journal. The logs stay for their owner to
    /// drop. A disk without space for that is an error: the next start replays.
    Task<Status> close();

    [[nodiscard]] Runtime& runtime() const { return ports_.runtime; }
    [[nodiscard]] FileSystem& files() const { return ports_.files; }
    [[nodiscard]] const StorageSettings& settings() const { return settings_; }
    [[nodiscard]] const std::string& path() const { return served_.path; }
    /// Waits for it. False when the disk has no space for it, or the directory is offline.
    Task<bool> becomes_durable(uint64_t group);
    [[nodiscard]] Journal& journal() { return journal_; }
    [[nodiscard]] Codecs& codecs() { return codecs_; }
    [[nodiscard]] OpenFiles& open_files() { return open_files_; }
    [[nodiscard]] IndexCache& index_cache() const { return index_cache_; }
    [[nodiscard]] const std::optional<Error>& error() const { return error_; }
    void fail_with(const Error& why);

    uint64_t new_instance() { return runtime().random(); }
    void add(LogParts& log);
    void remove(LogParts& log);

    enum class Room : uint8_t { yes, wait, disk_full };
    /// May a batch of `bytes` that costs so much of the disk be appended? If it has to wait it is what
    /// the next waiter waits for, and no smaller one overtakes it.
    [[nodiscard]] Room admits(size_t bytes, uint64_t cost);
    /// May a segment's room be taken in advance? Whoever does takes and settles it.
    [[nodiscard]] bool spares(uint64_t cost) const { return disk_.spares(cost); }
    /// It was; until `settled` it is owed to the disk.
    void took(uint64_t cost);
    void settled(uint64_t cost) { disk_.settled(cost); }
    /// The same for bytes that go to the disk at once (compaction); the caller settles them.
    Task<Status> take_space(uint64_t cost);
    /// Nothing that waiting helps against: room, a full disk that refuses, a lost one.
    [[nodiscard]] bool has_room();
    [[nodiscard]] Error full_disk() const;
    Task<> wait_for_room();
    /// May `bytes` of a copy be appended now? Nobody else waits for it.
    [[nodiscard]] bool has_room_for_copy(size_t bytes);
    /// Flushes and checkpoints are behind.
    [[nodiscard]] bool is_pressed() const;
    /// An append found no room: flush and checkpoint now.
    void note_pressure();

    /// Until a file did not take them.
    [[nodiscard]] bool writes_direct() const { return settings_.direct_flush && takes_direct_; }
    void found_no_direct();

    /// The lane of `log` has work.
    void note_work(LogParts& log);
    /// `log` has something for the next checkpoint.
    void note_dirty(LogParts& log);
    /// Syncs what is flushed; with `all`, flushes everything first.
    Task<Status> checkpoint(bool all);

    // For what works on the logs in the background (retention, cleaner).
    [[nodiscard]] LogParts* find(uint64_t instance) const;
    [[nodiscard]] std::vector<uint64_t> instances() const;
    /// Sleeps; false when the directory closes or failed: end now.
    Task<bool> rest(Duration span);
    [[nodiscard]] Gate& gate() { return gate_; }
    /// Damage was found: counted, and the observer told.
    void report(const Damage& damage);
    [[nodiscard]] const DamageCounts& damage_counts() const { return damage_counts_; }
    [[nodiscard]] LogCleaner& cleaner() { return cleaner_; }
    [[nodiscard]] Scrubber& scrubber() { return scrubber_; }
    [[nodiscard]] const Uuid& reign() const { return served_.reign; }
    [[nodiscard]] const Uuid& directory_id() const { return served_.directory_id; }

    [[nodiscard]] bool acts_when_written(const JournalGroup& group) const override;
    void group_written(const JournalGroup& group) override;
    void group_durable(const JournalGroup& group) override;
    void chunk_evicted(uint64_t instance, const Chunk& chunk) override;
    void journal_failed(const Error& why) override { fail_with(why); }
    void journal_stalled(const Error& why) override;

private:
    struct Queued {
        uint64_t instance = 0;
        Instant due;
    };

    struct Unsynced;
    /// How much of a log's bytes is flushed.
    enum class FlushDepth : uint8_t {
        everything,
        pieces,  ///< what is whole pieces
        large,   ///< what is worth a direct write; everything if nothing is
    };
    struct FlushTurn {
        uint64_t instance = 0;
        FlushDepth depth = FlushDepth::everything;
    };

    Task<> begin_when_possible();
    void start_workers();
    [[nodiscard]] std::optional<FlushTurn> next_turn();
    Task<> flush_worker();
    Task<> checkpoint_worker();
    Task<> space_worker();
    Task<Status> look_at_space();
    void disk_refused(const Error& why);
    void stall(LogParts& log, const Error& why);
    void retry_stalled();
    void dirty_again(const std::vector<uint64_t>& instances);
    Task<Status> flush_log(FlushTurn turn);
    Task<Status> flush_all();
    Task<Status> flush_one_of_all(uint64_t instance, Status& all);
    Task<Status> sync_dirty();
    Task<Status> write_catalogue();
    Task<Status> sync_logs(std::vector<uint64_t> instances);
    Task<Status> prepare_sync(uint64_t instance, Unsynced& found);
    Task<Status> sync_log(uint64_t instance, SyncBy by);
    Task<Status> finish_log(uint64_t instance);
    Task<Status> finish_logs();

    Ports ports_;
    const ServedDirectory served_;
    const StorageSettings& settings_;
    StoreObserver* observer_;
    Journal journal_;
    DiskRoom disk_;
    Codecs codecs_;
    OpenFiles open_files_;
    IndexCache& index_cache_;
    std::map<uint64_t, LogParts*> logs_;
    std::deque<Queued> queue_;
    std::deque<uint64_t> ready_;
    std::vector<uint64_t> dirty_;
    std::vector<uint64_t> stalled_;
    std::optional<Error> error_;
    /// The catalogue has to be written, though no log has anything to be synced.
    bool catalogue_outdated_ = false;
    uint64_t forgotten_through_ = 0;
    DamageCounts damage_counts_;
    bool writing_ = false;
    bool pressed_ = false;
    bool takes_direct_ = true;
    bool told_full_ = false;
    bool journal_stalled_ = false;
    bool syncing_ = false;
    size_t refused_bytes_ = 0;
    uint64_t refused_cost_ = 0;
    bool appended_since_tick_ = false;
    Event work_;
    Event room_;
    Event hurry_;
    Event leaving_;
    Event space_used_;
    Event space_urgent_;
    Budget checkpoint_turn_;
    Gate gate_;
    RetentionWorker retention_;
    LogCleaner cleaner_;
    Scrubber scrubber_;
};

}  // namespace ottla::storage
