// SPDX-License-Identifier: Apache-2.0
// Node: everything of a broker below its sockets, and the order in which it comes and goes. On
// shard 0.
//
//   open   directories locked, formatted if new; the metadata log read and judged: a start that is
//          refused by then has changed nothing; directories replayed, served; every LogStore prepared
//   join   the metadata log is led; the controller registers; this incarnation registers (which moves the leader epochs of
//   what
//          the old one led), the image of that moment is loaded, the broker is unfenced, and what
//          follows is applied in order as it is committed
//   settle what was replayed is synced, then this life's journals begin: until then records are read, and
//          what is written waits. Behind the first answer, because nothing else takes as long
//   leave  waiters failed, partitions closed, logs flushed and checkpointed, quorum closed,
//   directories closed
//
// It is also what handlers reach as ControllerLink: answers come once this node shows what they
// say. Owned by the Broker (server/broker.cc), which outlives every root.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "broker/log_directories.h"
#include "broker/partition_manager.h"
#include "broker/shard.h"
#include "controller/driver.h"

namespace ottla::broker {

/// A client listener as others should know it.
struct AdvertisedListener {
    std::string name;
    Endpoint endpoint;
};

class Node final : public ControllerLink,
                   public controller::MetadataListener,
                   public DirectoryWatcher {
public:
    Node(NodeFacts& facts, std::span<Shard* const> shards, Ports ports, Logger& log);
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;

    Task<Status> open(storage::StorageSettings storage);
    Task<Status> join(std::vector<AdvertisedListener> listeners);
    /// After join, once clients are served; in the background.
    void begin_settling();
    /// Also after an open or join that failed.
    Task<Status> leave();
    /// Until the node cannot go on, or leave() has begun (cancelled).
    Task<Error> failed();

    // ControllerLink
    Task<protocol::CreateTopicsResponse> create_topics(
        int16_t version, protocol::CreateTopicsRequest request) override;
    Task<protocol::DeleteTopicsResponse> delete_topics(
        int16_t version, protocol::DeleteTopicsRequest request) override;
    Task<Result<ProducerIdBlock>> allocate_producer_ids() override;
    Task<Status> assign_directories(std::vector<AssignedLog> logs) override;
    void log_moved(const AssignedLog& log) override;
    // controller::MetadataListener
    void published(metadata::ImagePtr image, metadata::MetadataChanges changes) override;
    void quorum_failed(const Error& why) override;
    // DirectoryWatcher
    void directory_lost(const std::string& log_dir, const Error& why) override;

private:
    struct Published {
        metadata::ImagePtr image;
        metadata::MetadataChanges changes;
    };

    Task<Status> open_stores(storage::StorageSettings storage);
    Task<Status> open_quorum();
    Task<> settle_in_background();
    Task<> settle();
    Task<Status> settle_one(size_t index);
    Task<> take_offline(std::string log_dir, Error why);
    Task<Status> lead_quorum();
    Task<Status> register_controller();
    Task<Status> register_broker(std::vector<AdvertisedListener> listeners);
    Task<Status> load_image();
    Task<Status> unfence();
    Task<> apply_loop();
    void assign_misplaced();
    Task<> assign_in_background(std::vector<AssignedLog> logs);
    /// This node shows everything that was committed when it was called.
    Task<Status> wait_applied(Offset end);
    Task<> close_partitions();
    Task<Status> close_stores(std::optional<storage::MetadataEnd> metadata);
    void fail_with(Error why);

    NodeFacts& facts_;
    std::vector<Shard*> shards_;
    Ports ports_;
    Logger& log_;
    PartitionManager partitions_;
    std::unique_ptr<LogDirectories> directories_;
    std::unique_ptr<controller::ControllerDriver> quorum_;
    BrokerEpoch broker_epoch_{-1};
    std::deque<Published> published_;
    Offset applied_end_{0};
    bool stores_open_ = false;
    bool settling_ = false;
    bool leaving_ = false;
    std::optional<Error> failure_;
    std::set<std::string> lost_directories_;
    Event published_changed_;
    Event applied_;
    Event failed_;
    Gate background_;
};

}  // namespace ottla::broker
