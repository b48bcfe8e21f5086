// SPDX-License-Identifier: Apache-2.0
// ShardDirectory: one log directory as one shard writes it: its journal, the flusher behind it, the
// logs there.
//
// Flusher. A log whose group became durable waits flush_delay for more bytes, then one of a few
// workers runs its lane (log_parts.h). When memory or the journal runs short nobody waits.
// Checkpoint: what the lanes have done is synced, `synced_end` moves, the journal starts behind it.
// Both stop at the first error of the disk: then the directory is offline for good, its logs fail,
// nothing in doubt is acknowledged.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ottla/ports.h"
#include "ottla/sync.h"
#include "records/codec.h"
#include "storage/journal.h"
#include "storage/log_cleaner.h"
#include "storage/log_store.h"
#include "storage/retention_worker.h"

namespace ottla::storage {

class ShardDirectory final : public JournalListener {
public:
    ShardDirectory(Ports ports,
                   ServedDirectory served,
                   const StorageSettings& settings,
                   StoreObserver* observer);

    Task<Status> open();
    /// Flushes, finishes and syncs every log, removes the journal. The logs stay for their owner to
    /// drop.
    Task<Status> close();

    [[nodiscard]] Runtime& runtime() const { return ports_.runtime; }
    [[nodiscard]] FileSystem& files() const { return ports_.files; }
    [[nodiscard]] const StorageSettings& settings() const { return settings_; }
    [[nodiscard]] const std::string& path() const { return served_.path; }
    [[nodiscard]] Journal& journal() { return journal_; }
    [[nodiscard]] Codecs& codecs() { return codecs_; }
    [[nodiscard]] const std::optional<Error>& error() const { return error_; }
    void fail_with(const Error& why);

    uint64_t new_instance() { return runtime().random(); }
    void add(LogParts& log);
    void remove(LogParts& log);

    /// May a batch of `bytes` be appended? If not it is what the next waiter waits for, and no smaller
    /// one overtakes it.
    [[nodiscard]] bool admits(size_t bytes);
    [[nodiscard]] bool has_room() { return error_ || journal_.fits(refused_bytes_); }
    Task<> wait_for_room();
    /// An append found no room: flush and checkpoint now.
    void note_pressure();

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
    [[nodiscard]] LogCleaner& cleaner() { return cleaner_; }

    void group_written(const JournalGroup& group) override;
    void group_durable(const JournalGroup& group) override;
    void chunk_evicted(uint64_t instance, const Chunk& chunk) override;
    void journal_failed(const Error& why) override { fail_with(why); }

private:
    struct Queued {
        uint64_t instance = 0;
        Instant due;
    };

    [[nodiscard]] bool is_pressed() const;
    Task<> flush_worker();
    Task<> checkpoint_worker();
    Task<Status> flush_log(uint64_t instance);
    Task<Status> flush_all();
    Task<Status> write_catalogue();
    Task<Status> sync_logs(std::vector<uint64_t> instances);

    Ports ports_;
    const ServedDirectory served_;
    const StorageSettings& settings_;
    StoreObserver* observer_;
    Journal journal_;
    Codecs codecs_;
    std::map<uint64_t, LogParts*> logs_;
    std::deque<Queued> queue_;
    std::vector<uint64_t> dirty_;
    std::optional<Error> error_;
    bool pressed_ = false;
    size_t refused_bytes_ = 0;
    bool appended_since_tick_ = false;
    Event work_;
    Event room_;
    Event hurry_;
    Event leaving_;
    Budget checkpoint_turn_;
    Gate gate_;
    RetentionWorker retention_;
    LogCleaner cleaner_;
};

}  // namespace ottla::storage
