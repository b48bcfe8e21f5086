// SPDX-License-Identifier: Apache-2.0
#include "controller/driver.h"

#include <utility>

#include <fmt/format.h>

#include "base/uuid.h"
#include "controller/found_metadata.h"
#include "ottla/check.h"
#include "raft/snapshot.h"

namespace ottla::controller {
namespace {

/// Shows the judge what is found before anything of it is changed.
class Inspector final : public raft::LogInspector {
public:
    explicit Inspector(FoundMetadata& judge) : judge_(judge) {}
    Status found_snapshot(const raft::Snapshot& snapshot) override {
        return judge_.found_records(snapshot.records);
    }
    Status found_batch(const BatchView& batch) override { return judge_.found_batch(batch); }

private:
    FoundMetadata& judge_;
};

}  // namespace

ControllerDriver::ControllerDriver(Ports ports,
                                   ControllerOptions options,
                                   MetadataListener& listener)
    : ports_(ports),
      options_(std::move(options)),
      listener_(listener),
      controller_(options_.cluster_id, options_.settings),
      published_(std::make_shared<metadata::MetadataImage>()),
      delta_(*published_) {}

Task<Result<std::unique_ptr<ControllerDriver>>> ControllerDriver::open(Ports ports,
                                                                       ControllerOptions options,
                                                                       MetadataListener& listener) {
    std::unique_ptr<ControllerDriver> driver(
        new ControllerDriver(ports, std::move(options), listener));
    const raft::RaftOptions raft_options = driver->options_.raft;
    FoundMetadata found;
    Inspector inspector(found);
    auto opening = raft::RaftDriver::open(ports, raft_options, *driver, &inspector);
    CO_TRY(driver->raft_, co_await std::move(opening));
    CO_TRY_STATUS(found.accept(driver->options_.bootstrap));
    driver->delta_->set_kraft_version(driver->raft_->kraft_version());
    co_return driver;
}

Task<Status> ControllerDriver::start() {
    raft_->start();
    // The leader's own first record is committed behind everything that was there before.
    const Offset own = raft_->raft().log_end();
    CO_TRY_STATUS(co_await raft_->wait_committed(own));
    CO_TRY_STATUS(co_await abort_open_transaction());
    controller_.load(*published_);
    active_ = true;
    const std::vector<protocol::MetadataRecord> records = controller_.activate(options_.bootstrap);
    CO_TRY(const Offset end, propose(records));
    co_return co_await raft_->wait_committed(end);
}

/// A leader before us died between a Begin and its End; nothing behind it would ever be seen.
Task<Status> ControllerDriver::abort_open_transaction() {
    if (!delta_->in_transaction()) co_return Status();
    const raft::Raft& raft = raft_->raft();
    const std::vector<raft::VersionedRecord> abort{
        {protocol::AbortTransactionRecord{"the leader changed"}, 0}};
    CO_TRY(const Offset end, raft_->propose(raft::encode_batch(raft.log_end(), raft.epoch(),
                                                               ports_.runtime.wall_time(), abort)));
    co_return co_await raft_->wait_committed(end);
}

Task<Status> ControllerDriver::close() {
    active_ = false;
    co_return co_await raft_->close();
}

// Requests.

Uuid ControllerDriver::fresh_id() {
    const uint64_t high = ports_.runtime.random();
    const uint64_t low = ports_.runtime.random();
    return make_uuid(high, low);
}

Status ControllerDriver::require_active() const {
    if (is_active()) return {};
    return fail(ErrorCode::not_controller, "this node is not the active controller");
}

Result<Offset> ControllerDriver::propose(const std::vector<protocol::MetadataRecord>& records) {
    const WallTime now = ports_.runtime.wall_time();
    const int16_t level = controller_.image().metadata_version();
    for (size_t at = 0; at < records.size(); at += kMaxRecordsPerRequest) {
        const size_t count = std::min(kMaxRecordsPerRequest, records.size() - at);
        const std::span<const protocol::MetadataRecord> some(records.data() + at, count);
        std::vector<raft::VersionedRecord> versioned;
        for (const protocol::MetadataRecord& record : some) {
            versioned.push_back({record, metadata::record_version(record, level)});
        }
        const raft::Raft& raft = raft_->raft();
        TRY(const Offset end,
            raft_->propose(raft::encode_batch(raft.log_end(), raft.epoch(), now, versioned)));
        const Status replayed = controller_.replay(some, end, raft.epoch(), now);
        CHECK(replayed, "what was decided can be replayed");
    }
    return raft_->raft().log_end();
}

template <class Response>
Task<Result<Response>> ControllerDriver::release(Result<Offset> end, Response response) {
    if (!end) co_return std::unexpected(end.error());
    CO_TRY_STATUS(co_await raft_->wait_committed(*end));
    co_return response;
}

template <class Response>
Task<Result<Response>> ControllerDriver::carry_out(Decision<Response> decision) {
    CHECK(!decision.atomic || decision.records.size() <= kMaxRecordsPerRequest,
          "an atomic decision fits into one batch");
    Result<Offset> end = propose(decision.records);
    return release(std::move(end), std::move(decision.response));
}

Task<Result<protocol::CreateTopicsResponse>> ControllerDriver::create_topics(
    protocol::CreateTopicsRequest request) {
    CO_TRY_STATUS(require_active());
    std::vector<Uuid> ids;
    for (size_t i = 0; i < request.topics.size(); ++i) ids.push_back(fresh_id());
    auto done = carry_out(controller_.create_topics(request, ids));
    co_return co_await std::move(done);
}

Task<Result<protocol::DeleteTopicsResponse>> ControllerDriver::delete_topics(
    protocol::DeleteTopicsRequest request) {
    CO_TRY_STATUS(require_active());
    auto done = carry_out(controller_.delete_topics(request));
    co_return co_await std::move(done);
}

Task<Result<protocol::BrokerRegistrationResponse>> ControllerDriver::register_broker(
    protocol::BrokerRegistrationRequest request, OldIncarnation old) {
    CO_TRY_STATUS(require_active());
    auto done = carry_out(controller_.register_broker(request, old, raft_->raft().log_end()));
    co_return co_await std::move(done);
}

Task<Result<protocol::BrokerHeartbeatResponse>> ControllerDriver::heartbeat(
    protocol::BrokerHeartbeatRequest request) {
    CO_TRY_STATUS(require_active());
    auto done = carry_out(controller_.heartbeat(request));
    co_return co_await std::move(done);
}

Task<Result<protocol::ControllerRegistrationResponse>> ControllerDriver::register_controller(
    protocol::ControllerRegistrationRequest request) {
    CO_TRY_STATUS(require_active());
    auto done = carry_out(controller_.register_controller(request));
    co_return co_await std::move(done);
}

Task<Result<protocol::AllocateProducerIdsResponse>> ControllerDriver::allocate_producer_ids(
    protocol::AllocateProducerIdsRequest request) {
    CO_TRY_STATUS(require_active());
    auto done = carry_out(controller_.allocate_producer_ids(request));
    co_return co_await std::move(done);
}

Task<Result<protocol::AssignReplicasToDirsResponse>> ControllerDriver::assign_replicas_to_dirs(
    protocol::AssignReplicasToDirsRequest request) {
    CO_TRY_STATUS(require_active());
    auto done = carry_out(controller_.assign_replicas_to_dirs(request));
    co_return co_await std::move(done);
}

// The committed log.

Status ControllerDriver::load_snapshot(const raft::SnapshotId& id, const raft::Snapshot& snapshot) {
    for (const protocol::MetadataRecord& record : snapshot.records) {
        TRY_STATUS(delta_->replay(record));
    }
    committed_end_ = id.end;
    committed_epoch_ = id.epoch;
    committed_timestamp_ = snapshot.last_contained_timestamp;
    return {};
}

Status ControllerDriver::replay_committed(const Buffer& batch) {
    const BatchView view{batch.span()};
    if (!view.is_control()) {
        TRY(const auto records, raft::decode_batch(view));
        for (const protocol::MetadataRecord& record : records) TRY_STATUS(delta_->replay(record));
    }
    committed_end_ = view.offset_end();
    committed_epoch_ = view.leader_epoch();
    committed_timestamp_ = view.max_timestamp();
    return {};
}

Status ControllerDriver::committed(std::span<const Buffer> batches) {
    for (const Buffer& batch : batches) {
        const Status done = replay_committed(batch);
        if (!done) {
            return fail(
                done.error().code,
                fmt::format("metadata log, batch at offset {}: {}",
                            BatchView{batch.span()}.base_offset().value(), done.error().detail));
        }
    }
    return {};
}

void ControllerDriver::caught_up() {
    published_ = delta_->finish(committed_end_, committed_epoch_, committed_timestamp_);
    metadata::MetadataChanges changes = delta_->changes();
    delta_ = delta_->next_delta(*published_);
    listener_.published(published_, std::move(changes));
}

void ControllerDriver::failed(const Error& why) {
    active_ = false;
    listener_.quorum_failed(why);
}

}  // namespace ottla::controller
