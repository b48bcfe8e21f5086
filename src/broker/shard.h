// SPDX-License-Identifier: Apache-2.0
// Shard: one thread's part of a broker. It owns its LogStore, the partitions that `owner_of` gives
// it, its view of the metadata image and the budgets of its connections. Other shards reach it only
// by `on(target, work)`: one message there, one back, in the order of the calls (DESIGN 2).
//
// Invariants: the image a shard shows names only partitions whose logs their owners have opened
// before; appends of one connection keep their order, since `append_turn` is a queue of one: who
// waits for room in the journal holds it. Objects are made before the runtimes run and die after
// their roots are gone.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <span>

#include "broker/client_bytes.h"
#include "broker/controller_link.h"
#include "broker/log_moves.h"
#include "broker/node_facts.h"
#include "broker/placement.h"
#include "metadata/image.h"
#include "ottla/log.h"
#include "ottla/metrics.h"
#include "ottla/ports.h"
#include "ottla/sync.h"
#include "records/codec.h"
#include "replication/partition.h"
#include "storage/log_store.h"

namespace ottla::broker {

/// Told on shard 0 that a log directory of this node is offline, perhaps more than once.
class DirectoryWatcher {
public:
    virtual void directory_lost(const std::string& log_dir, const Error& why) = 0;

protected:
    ~DirectoryWatcher() = default;
};

class Shard final : public storage::StoreObserver {
public:
    Shard(Ports ports, const NodeFacts& facts, Logger& log, storage::StorageSettings storage);
    Shard(const Shard&) = delete;
    Shard& operator=(const Shard&) = delete;

    /// Before anything runs: who the others are (index = shard), and who listens on shard 0.
    void join(std::span<Shard* const> shards,
              ControllerLink& controller,
              DirectoryWatcher& watcher);

    [[nodiscard]] Runtime& runtime() { return ports_.runtime; }
    [[nodiscard]] Transport& transport() { return ports_.transport; }
    [[nodiscard]] const NodeFacts& facts() const { return facts_; }
    [[nodiscard]] Logger& log() { return log_; }
    [[nodiscard]] storage::LogStore& store() { return store_; }
    [[nodiscard]] const Metrics& metrics() const { return metrics_; }
    [[nodiscard]] Codecs& codecs() { return codecs_; }
    [[nodiscard]] Budget& frame_bytes() { return frame_bytes_; }
    [[nodiscard]] ClientBytes& client_bytes() { return client_bytes_; }
    [[nodiscard]] Budget& append_turn() { return append_turn_; }
    [[nodiscard]] uint32_t count() const { return static_cast<uint32_t>(shards_.size()); }
    [[nodiscard]] ShardIndex owner_of(const PartitionKey& key) const {
        return broker::owner_of(key, count());
    }

    /// Runs `work(Shard& there) -> Task<T>`, a plain callable, on shard `target`.
    template <class Work>
    auto on(ShardIndex target, Work work) {
        Shard& there = *shards_[target.value()];
        auto start = [&there, held = std::move(work)](Runtime&) mutable { return held(there); };
        return call_on(ports_.runtime, target, std::move(start));
    }

    /// Metadata as this shard knows it.
    [[nodiscard]] const metadata::MetadataImage& image() const { return *image_; }
    [[nodiscard]] const metadata::ImagePtr& image_pointer() const { return image_; }
    void publish(metadata::ImagePtr image);
    /// The same as a call from another shard.
    Task<Status> show(metadata::ImagePtr image);
    /// Until this shard shows the metadata log up to `end`, or the deadline.
    Task<Status> wait_for_image(Offset end, Instant deadline);

    /// Null unless this shard owns it and its log is open.
    [[nodiscard]] replication::Partition* find(const PartitionKey& key);
    replication::Partition& add(const PartitionKey& key,
                                storage::Log& log,
                                replication::PartitionConfig config);
    /// Out of sight; null if it is not here. The caller closes it, lets its log go and forgets it:
    /// until then the shard keeps it, for whoever is still inside.
    replication::Partition* take_out(const PartitionKey& key);
    void forget(replication::Partition* partition);
    [[nodiscard]] const std::map<PartitionKey, std::unique_ptr<replication::Partition>>&
    partitions() {
        return partitions_;
    }

    /// Parked fetches of other shards' connections, by ticket.
    void park(uint64_t ticket, replication::FetchWaiter& waiter);
    void unpark(uint64_t ticket);
    void disarm(uint64_t ticket);
    /// Unique in the process.
    uint64_t next_ticket();

    /// On any shard; the work is done on shard 0.
    Task<protocol::CreateTopicsResponse> create_topics(int16_t version,
                                                       protocol::CreateTopicsRequest request);
    Task<protocol::DeleteTopicsResponse> delete_topics(int16_t version,
                                                       protocol::DeleteTopicsRequest request);
    Task<Result<int64_t>> next_producer_id();
    Task<Status> assign_directories(std::vector<AssignedLog> logs);
    Task<Status> tell_moved(AssignedLog log);
    [[nodiscard]] LogMoves& moves() { return moves_; }
    /// What was started here and goes on by itself; closed before the shard's partitions' logs are.
    [[nodiscard]] Gate& background() { return background_; }
    [[nodiscard]] FileSystem& files() { return ports_.files; }
    /// Asks for a topic with the broker's defaults and does not wait (trap 18). Once at a time a
    /// name.
    void auto_create(const std::string& topic);

    /// Waiters fail, partitions are closed; nothing that was started here is left when it returns.
    /// The logs stay open.
    Task<Status> close();
    void directory_failed(const std::string& log_dir, const Error& why) override;
    void directory_full(const std::string& log_dir, const Error& why) override;
    void directory_has_room(const std::string& log_dir) override;
    void directory_is_buffered(const std::string& log_dir) override;
    void damage_found(const storage::Damage& damage) override;
    void indexes_take(size_t bytes) override { index_bytes_.set(static_cast<int64_t>(bytes)); }

private:
    Task<> auto_create_now(std::string topic);
    Task<Result<int64_t>> next_producer_id_here();
    Task<Status> note_moved(AssignedLog log);
    Task<> spread_failure(std::string log_dir, Error why);
    Task<Status> hear_of_failure(std::string log_dir, Error why);
    Task<> tell_buffered(std::string log_dir);
    Task<Status> hear_of_buffered(std::string log_dir);

    Ports ports_;
    const NodeFacts& facts_;
    Logger& log_;
    std::vector<Shard*> shards_;
    ControllerLink* controller_ = nullptr;
    DirectoryWatcher* watcher_ = nullptr;
    Codecs codecs_;
    Budget frame_bytes_;
    ClientBytes client_bytes_;
    Budget append_turn_;
    metadata::ImagePtr image_;
    Event image_changed_;
    std::map<PartitionKey, std::unique_ptr<replication::Partition>> partitions_;
    std::vector<std::unique_ptr<replication::Partition>> leaving_;
    std::map<uint64_t, replication::FetchWaiter*> parked_;
    uint64_t tickets_ = 0;
    std::set<std::string> being_created_;
    Metrics metrics_;
    Counter& damaged_batches_;
    Counter& damaged_indexes_;
    Counter& damaged_states_;
    Counter& unreadable_files_;
    Gauge& index_bytes_;
    ProducerIdBlock producer_ids_;  // shard 0
    std::set<std::string> buffered_directories_;  // shard 0: those that the log was told of
    Budget producer_id_turn_;       // one at a time asks for the next block
    Gate background_;
    LogMoves moves_{*this};
    storage::LogStore store_;
};

}  // namespace ottla::broker
