// SPDX-License-Identifier: Apache-2.0
// ControllerDriver: the controller on shard 0, between handlers and the metadata log.
//
//   request -> decide -> encode -> raft propose -> replay     in one turn, without a wait
//           -> wait until committed -> answer
//   committed batches -> MetadataDelta -> image -> MetadataListener
//
// The controller's own image runs ahead of the published one by what is proposed and not yet
// committed. Answers are released only when everything they depend on is committed, also those that
// wrote nothing. Before it is active (the log up to its own first record is committed and replayed)
// and after the quorum failed every call answers not_controller. The BrokerEpoch of a registration
// is the offset of its record. Belongs to shard 0.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>

#include "controller/controller.h"
#include "metadata/delta.h"
#include "ottla/ports.h"
#include "ottla/sync.h"
#include "raft/driver.h"

namespace ottla::controller {

/// Told on shard 0, between two turns of the quorum's loop. Must not block.
class MetadataListener {
public:
    /// `image` is committed; `changes` is what is new since the one before (the first time: all).
    virtual void published(metadata::ImagePtr image, metadata::MetadataChanges changes) = 0;
    /// The metadata log is lost (failed sync) or cannot be followed (unsupported record): say why
    /// and end the process.
    virtual void quorum_failed(const Error& why) = 0;

protected:
    ~MetadataListener() = default;
};

struct ControllerOptions {
    std::string cluster_id;
    raft::RaftOptions raft;
    /// Feature levels of a new cluster, from bootstrap.checkpoint; empty: our own.
    std::vector<protocol::MetadataRecord> bootstrap;
    Settings settings;
};

class ControllerDriver final : public raft::RaftListener {
public:
    /// Loads the log; nothing is led or published before start(). `listener` outlives it.
    static Task<Result<std::unique_ptr<ControllerDriver>>> open(Ports ports,
                                                                ControllerOptions options,
                                                                MetadataListener& listener);
    /// Returns when this node leads, what was committed is published and a new cluster has its
    /// feature levels.
    Task<Status> start();
    /// Ends the loop; open requests answer not_controller. Indexes of the metadata log are written.
    Task<Status> close();
    /// Of the metadata log, once close() has succeeded.
    [[nodiscard]] std::optional<storage::MetadataEnd> metadata_end() const {
        return raft_->metadata_end();
    }

    Task<Result<protocol::CreateTopicsResponse>> create_topics(
        protocol::CreateTopicsRequest request);
    Task<Result<protocol::DeleteTopicsResponse>> delete_topics(
        protocol::DeleteTopicsRequest request);
    Task<Result<protocol::BrokerRegistrationResponse>> register_broker(
        protocol::BrokerRegistrationRequest request, OldIncarnation old);
    Task<Result<protocol::BrokerHeartbeatResponse>> heartbeat(
        protocol::BrokerHeartbeatRequest request);
    Task<Result<protocol::ControllerRegistrationResponse>> register_controller(
        protocol::ControllerRegistrationRequest request);
    Task<Result<protocol::AllocateProducerIdsResponse>> allocate_producer_ids(
        protocol::AllocateProducerIdsRequest request);

    Task<Result<protocol::AssignReplicasToDirsResponse>> assign_replicas_to_dirs(
        protocol::AssignReplicasToDirsRequest request);

    /// The last published image; empty before start().
    [[nodiscard]] metadata::ImagePtr image() const { return published_; }
    [[nodiscard]] const raft::Raft& raft() const { return raft_->raft(); }
    [[nodiscard]] bool is_active() const { return active_ && raft_->is_leader(); }

    // raft::RaftListener
    Status load_snapshot(const raft::SnapshotId& id, const raft::Snapshot& snapshot) override;
    Status committed(std::span<const Buffer> batches) override;
    void caught_up() override;
    void failed(const Error& why) override;

private:
    ControllerDriver(Ports ports, ControllerOptions options, MetadataListener& listener);
    Status replay_committed(const Buffer& batch);
    Task<Status> abort_open_transaction();
    Uuid fresh_id();
    Status require_active() const;
    /// Proposes records in as few batches as may be and replays them; where the log ends then.
    Result<Offset> propose(const std::vector<protocol::MetadataRecord>& records);
    template <class Response>
    Task<Result<Response>> release(Result<Offset> end, Response response);
    template <class Response>
    Task<Result<Response>> carry_out(Decision<Response> decision);

    Ports ports_;
    ControllerOptions options_;
    MetadataListener& listener_;
    std::unique_ptr<raft::RaftDriver> raft_;
    Controller controller_;
    metadata::ImagePtr published_;
    /// Committed records since published_.
    std::optional<metadata::MetadataDelta> delta_;
    Offset committed_end_{0};
    LeaderEpoch committed_epoch_{0};
    WallTime committed_timestamp_{0};
    bool active_ = false;
};

}  // namespace ottla::controller
