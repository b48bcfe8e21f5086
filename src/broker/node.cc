// SPDX-License-Identifier: Apache-2.0
#include "broker/node.h"

#include <fmt/format.h>

#include "base/uuid.h"

namespace ottla::broker {

namespace {

using namespace std::chrono_literals;

/// How long a node waits for its own metadata before it says that something is wrong.
constexpr Duration kStartLimit = 60s;
constexpr Duration kApplyLimit = 30s;
constexpr Duration kFullDiskInterval = 500ms;

template <class Response>
void refuse_all(Response& response,
                const protocol::CreateTopicsRequest& request,
                const Error& why) {
    for (const auto& topic : request.topics) {
        auto& result = response.topics.emplace_back();
        result.name = topic.name;
        result.error_code = wire_code(why.code);
        result.error_message = why.detail;
    }
}

void refuse_all(protocol::DeleteTopicsResponse& response,
                const protocol::DeleteTopicsRequest& request,
                const Error& why) {
    for (const auto& topic : request.topics) {
        response.responses.push_back({topic.name, topic.topic_id, wire_code(why.code), why.detail});
    }
    for (const std::string& name : request.topic_names) {
        response.responses.push_back({name, {}, wire_code(why.code), why.detail});
    }
}

Task<Status> prepare_store(Shard& shard, std::vector<storage::ServedDirectory> directories) {
    co_return co_await shard.store().prepare(std::move(directories));
}

Task<Status> begin_writing(Shard& shard, std::string log_dir) {
    co_return co_await shard.store().begin_writing(std::move(log_dir));
}

Task<Status> lose_directory(Shard& shard, std::string log_dir, Error why) {
    shard.store().take_offline(log_dir, why);
    co_return Status();
}

double milliseconds(Duration span) {
    return std::chrono::duration<double, std::milli>(span).count();
}

/// Flushed, checkpointed and closed; what the checkpoint files should say, a list for each
/// directory.
using Checkpoints = std::vector<std::vector<storage::LogCheckpoint>>;
Task<Result<Checkpoints>> close_store(Shard& shard,
                                      std::vector<storage::ServedDirectory> directories) {
    CO_TRY_STATUS(co_await shard.store().close());
    Checkpoints checkpoints;
    for (const storage::ServedDirectory& directory : directories) {
        checkpoints.push_back(shard.store().checkpoints(directory.path));
    }
    co_return checkpoints;
}

}  // namespace

Node::Node(NodeFacts& facts, std::span<Shard* const> shards, Ports ports, Logger& log)
    : facts_(facts),
      shards_(shards.begin(), shards.end()),
      ports_(ports),
      log_(log),
      partitions_(facts, shards, log),
      published_changed_(ports.runtime),
      applied_(ports.runtime),
      failed_(ports.runtime),
      background_(ports.runtime) {
    for (Shard* shard : shards_) shard->join(shards_, *this, *this);
}

Task<Status> Node::open(storage::StorageSettings storage) {
    CO_TRY(directories_, co_await LogDirectories::open(ports_, facts_, storage));
    facts_.cluster_id = directories_->identity().cluster_id;
    CO_TRY_STATUS(co_await open_quorum());
    CO_TRY_STATUS(co_await directories_->replay_and_serve());
    for (const std::string& line : directories_->damage()) {
        log_.write(LogLevel::warning, "damage: " + line);
    }
    partitions_.found(directories_->logs(), directories_->copies(), directories_->served());
    const auto served = directories_->served();
    for (uint32_t index = 0; index < shards_.size(); ++index) {
        auto work = [served](Shard& there) { return prepare_store(there, served); };
        auto opening = shards_[0]->on(ShardIndex{index}, std::move(work));
        CO_TRY_STATUS(co_await std::move(opening));
    }
    stores_open_ = true;
    co_return Status();
}

Task<Status> Node::join(std::vector<AdvertisedListener> listeners) {
    CO_TRY_STATUS(co_await lead_quorum());
    CO_TRY_STATUS(co_await register_broker(std::move(listeners)));
    CO_TRY_STATUS(co_await load_image());
    ports_.runtime.spawn(apply_loop());
    CO_TRY_STATUS(co_await unfence());
    assign_misplaced();
    partitions_.report_strays();
    co_return Status();
}

void Node::begin_settling() {
    if (!std::exchange(settling_, true)) ports_.runtime.spawn(settle_in_background());
}

Task<> Node::settle_in_background() {
    const Gate::Pass pass = background_.enter();
    if (pass) co_await settle();
}

Task<> Node::settle() {
    const auto served = directories_->served();
    for (size_t i = 0; i < served.size(); ++i) {
        const Status settled = co_await settle_one(i);
        if (!settled) co_await take_offline(served[i].path, settled.error());
    }
}

/// A full disk is waited for, as the journals wait for it: the old ones are kept meanwhile.
Task<Status> Node::settle_one(size_t index) {
    const std::string path = directories_->served()[index].path;
    Status settled = co_await directories_->settle(index);
    while (!settled && settled.error().code == ErrorCode::no_space && !leaving_) {
        auto sleep = ports_.runtime.sleep_for(kFullDiskInterval);
        auto leaving = failed_.wait();
        co_await when_any(sleep, leaving);
        settled = co_await directories_->settle(index);
    }
    CO_TRY_STATUS(settled);
    for (uint32_t i = 0; i < shards_.size(); ++i) {
        auto work = [path](Shard& there) { return begin_writing(there, path); };
        CO_TRY_STATUS(co_await shards_[0]->on(ShardIndex{i}, std::move(work)));
    }
    const storage::RestartFigures& took = directories_->restart(index);
    if (took.groups == 0) co_return Status();
    log_.write(
        LogLevel::info,
        fmt::format("log directory {}: after an unclean stop {:.1f} MiB of journals, {} groups: "
                    "read in {:.0f} ms, replayed in {:.0f} ms, synced behind that in {:.0f} ms",
                    path, static_cast<double>(took.journal_bytes) / (1024 * 1024), took.groups,
                    milliseconds(took.finding), milliseconds(took.replaying),
                    milliseconds(took.settling)));
    co_return Status();
}

Task<> Node::take_offline(std::string log_dir, Error why) {
    for (uint32_t i = 0; i < shards_.size(); ++i) {
        auto work = [log_dir, why](Shard& there) { return lose_directory(there, log_dir, why); };
        (void)co_await shards_[0]->on(ShardIndex{i}, std::move(work));
    }
}

Task<Status> Node::open_quorum() {
    controller::ControllerOptions options;
    options.cluster_id = facts_.cluster_id;
    options.settings = facts_.settings;
    options.bootstrap = directories_->identity().bootstrap;
    options.raft.directory = directories_->identity().metadata_log;
    options.raft.last_writer = directories_->last_writer();
    options.raft.known_end = directories_->metadata_end();
    options.raft.self = {facts_.id, directories_->identity().directory_id};
    if (!facts_.settings.list("controller.quorum.voters").empty()) {
        raft::Voter self;
        self.key.id = facts_.id;
        options.raft.static_voters.voters.push_back(std::move(self));
    }
    auto opening = controller::ControllerDriver::open(ports_, std::move(options), *this);
    CO_TRY(quorum_, co_await std::move(opening));
    co_return Status();
}

Task<Status> Node::lead_quorum() {
    CO_TRY_STATUS(co_await quorum_->start());
    co_return co_await register_controller();
}

/// As a Kafka controller does at every start: what was registered by the program before this one
/// says what that program supported.
Task<Status> Node::register_controller() {
    protocol::ControllerRegistrationRequest request;
    request.controller_id = facts_.id.value();
    const uint64_t high = ports_.runtime.random();
    const uint64_t low = ports_.runtime.random();
    request.incarnation_id = make_uuid(high, low);
    for (auto& endpoint : LogDirectories::controller_endpoints(facts_.settings)) {
        request.listeners.push_back({std::move(endpoint.listener), std::move(endpoint.host),
                                     endpoint.port,
                                     static_cast<int16_t>(metadata::SecurityProtocol::plaintext)});
    }
    for (const auto& [name, range] : metadata::supported_features()) {
        request.features.push_back({name, range.min, range.max});
    }
    auto registering = quorum_->register_controller(std::move(request));
    CO_TRY(const auto response, co_await std::move(registering));
    if (response.error_code == 0) co_return Status();
    co_return fail(static_cast<ErrorCode>(response.error_code),
                   "the controller refused to register itself");
}

Task<Status> Node::register_broker(std::vector<AdvertisedListener> listeners) {
    protocol::BrokerRegistrationRequest request;
    request.broker_id = facts_.id.value();
    request.cluster_id = facts_.cluster_id;
    const uint64_t high = ports_.runtime.random();
    const uint64_t low = ports_.runtime.random();
    request.incarnation_id = make_uuid(high, low);
    for (AdvertisedListener& listener : listeners) {
        request.listeners.push_back({std::move(listener.name), std::move(listener.endpoint.host),
                                     listener.endpoint.port,
                                     static_cast<int16_t>(metadata::SecurityProtocol::plaintext)});
    }
    for (const auto& [name, range] : metadata::supported_features()) {
        request.features.push_back({name, range.min, range.max});
    }
    request.rack = facts_.settings.find("broker.rack");
    request.log_dirs = directories_->directory_ids();
    request.previous_broker_epoch = directories_->previous_broker_epoch().value();
    // This process holds the locks of the directories: no other incarnation of the node can be
    // alive.
    auto registering =
        quorum_->register_broker(std::move(request), controller::OldIncarnation::is_gone);
    CO_TRY(const auto response, co_await std::move(registering));
    if (response.error_code != 0) {
        const auto code = static_cast<ErrorCode>(response.error_code);
        co_return fail(code, fmt::format("the controller refused to register broker {}: {}",
                                         facts_.id.value(), name_of(code)));
    }
    broker_epoch_ = BrokerEpoch{response.broker_epoch};
    co_return Status();
}

/// The first image that knows this incarnation. What was published before it is history: it named
/// the leader epochs of an older one.
Task<Status> Node::load_image() {
    const Instant deadline = ports_.runtime.now() + kStartLimit;
    while (published_.empty() || published_.back().image->end.value() <= broker_epoch_.value()) {
        auto wait = published_changed_.wait();
        auto timed = with_deadline(ports_.runtime, wait, deadline);
        CO_TRY_STATUS(co_await timed);
    }
    metadata::ImagePtr image = published_.back().image;
    published_.clear();
    applied_end_ = image->end;
    co_return co_await partitions_.load(std::move(image));
}

Task<Status> Node::unfence() {
    const Instant deadline = ports_.runtime.now() + kStartLimit;
    while (!shards_[0]->image().is_alive(facts_.id)) {
        protocol::BrokerHeartbeatRequest request;
        request.broker_id = facts_.id.value();
        request.broker_epoch = broker_epoch_.value();
        request.current_metadata_offset = applied_end_.value();
        CO_TRY(const auto response, co_await quorum_->heartbeat(std::move(request)));
        if (response.error_code != 0) {
            const auto code = static_cast<ErrorCode>(response.error_code);
            co_return fail(code,
                           fmt::format("the controller refused a heartbeat: {}", name_of(code)));
        }
        CO_TRY_STATUS(co_await wait_applied(quorum_->raft().high_watermark()));
        if (ports_.runtime.now() >= deadline) {
            co_return fail(ErrorCode::request_timed_out,
                           "the controller does not unfence this broker");
        }
    }
    co_return Status();
}

void Node::published(metadata::ImagePtr image, metadata::MetadataChanges changes) {
    published_.push_back({std::move(image), std::move(changes)});
    published_changed_.notify_all();
}

Task<> Node::apply_loop() {
    const Gate::Pass pass = background_.enter();
    while (pass && !leaving_) {
        if (published_.empty()) {
            co_await published_changed_.wait();
            continue;
        }
        Published next = std::move(published_.front());
        published_.pop_front();
        const Offset end = next.image->end;
        auto applying = partitions_.apply(std::move(next.image), std::move(next.changes));
        const Status applied = co_await std::move(applying);
        if (!applied) {
            fail_with(applied.error());
            co_return;
        }
        applied_end_ = end;
        applied_.notify_all();
        assign_misplaced();
    }
}

Task<Status> Node::wait_applied(Offset end) {
    const Instant deadline = ports_.runtime.now() + kApplyLimit;
    while (applied_end_ < end && !leaving_) {
        auto wait = applied_.wait();
        auto timed = with_deadline(ports_.runtime, wait, deadline);
        CO_TRY_STATUS(co_await timed);
    }
    co_return Status();
}

Task<protocol::CreateTopicsResponse> Node::create_topics(int16_t,
                                                         protocol::CreateTopicsRequest request) {
    protocol::CreateTopicsResponse response;
    if (quorum_ == nullptr || leaving_) {
        refuse_all(response, request, {ErrorCode::not_controller, "the node is stopping"});
        co_return response;
    }
    auto deciding = quorum_->create_topics(request);
    auto decided = co_await std::move(deciding);
    if (!decided) {
        refuse_all(response, request, decided.error());
        co_return response;
    }
    (void)co_await wait_applied(quorum_->raft().high_watermark());
    co_return *std::move(decided);
}

Task<protocol::DeleteTopicsResponse> Node::delete_topics(int16_t,
                                                         protocol::DeleteTopicsRequest request) {
    protocol::DeleteTopicsResponse response;
    if (quorum_ == nullptr || leaving_) {
        refuse_all(response, request, {ErrorCode::not_controller, "the node is stopping"});
        co_return response;
    }
    auto deciding = quorum_->delete_topics(request);
    auto decided = co_await std::move(deciding);
    if (!decided) {
        refuse_all(response, request, decided.error());
        co_return response;
    }
    (void)co_await wait_applied(quorum_->raft().high_watermark());
    co_return *std::move(decided);
}

Task<Result<ProducerIdBlock>> Node::allocate_producer_ids() {
    if (quorum_ == nullptr || leaving_)
        co_return fail(ErrorCode::not_controller, "the node is stopping");
    protocol::AllocateProducerIdsRequest request;
    request.broker_id = facts_.id.value();
    request.broker_epoch = broker_epoch_.value();
    auto allocating = quorum_->allocate_producer_ids(std::move(request));
    CO_TRY(const auto response, co_await std::move(allocating));
    if (response.error_code != 0) co_return fail(static_cast<ErrorCode>(response.error_code), {});
    co_return ProducerIdBlock{response.producer_id_start, response.producer_id_len};
}

Task<Status> Node::assign_directories(std::vector<AssignedLog> logs) {
    if (quorum_ == nullptr || leaving_) {
        co_return fail(ErrorCode::not_controller, "the node is stopping");
    }
    protocol::AssignReplicasToDirsRequest request;
    request.broker_id = facts_.id.value();
    request.broker_epoch = broker_epoch_.value();
    for (const storage::ServedDirectory& served : directories_->served()) {
        protocol::AssignReplicasToDirsRequest::DirectoryData wanted;
        wanted.id = served.directory_id;
        for (const AssignedLog& log : logs) {
            if (log.log_dir != served.path) continue;
            const bool same =
                !wanted.topics.empty() && wanted.topics.back().topic_id == log.key.topic_id;
            auto& topic = same ? wanted.topics.back() : wanted.topics.emplace_back();
            topic.topic_id = log.key.topic_id;
            topic.partitions.push_back({log.key.index.value()});
        }
        if (!wanted.topics.empty()) request.directories.push_back(std::move(wanted));
    }
    auto assigning = quorum_->assign_replicas_to_dirs(std::move(request));
    CO_TRY(const auto response, co_await std::move(assigning));
    if (response.error_code != 0) {
        const auto code = static_cast<ErrorCode>(response.error_code);
        co_return fail(code, fmt::format("the controller answers {}", name_of(code)));
    }
    co_return co_await wait_applied(quorum_->raft().high_watermark());
}

void Node::log_moved(const AssignedLog& log) { partitions_.moved(log); }

/// In the background: it waits for metadata that this node has to apply.
void Node::assign_misplaced() {
    if (broker_epoch_.value() < 0) return;
    std::vector<AssignedLog> logs = partitions_.take_misplaced();
    if (!logs.empty()) ports_.runtime.spawn(assign_in_background(std::move(logs)));
}

Task<> Node::assign_in_background(std::vector<AssignedLog> logs) {
    const Gate::Pass pass = background_.enter();
    if (!pass || leaving_) co_return;
    auto assigning = assign_directories(std::move(logs));
    const Status assigned = co_await std::move(assigning);
    if (assigned || leaving_) co_return;
    log_.write(LogLevel::warning,
               fmt::format("the controller does not know yet where some logs are: {}",
                           assigned.error().detail));
}

void Node::quorum_failed(const Error& why) {
    fail_with({why.code, fmt::format("the metadata log is lost: {}", why.detail)});
}

void Node::directory_lost(const std::string& log_dir, const Error& why) {
    lost_directories_.insert(log_dir);
    if (directories_ && lost_directories_.size() == directories_->served().size()) {
        fail_with({why.code, fmt::format("every log directory is offline, the last one {}: {}",
                                         log_dir, why.detail)});
    }
}

void Node::fail_with(Error why) {
    if (failure_) return;
    log_.write(LogLevel::error, fmt::format("this node cannot go on: {}", why.detail));
    failure_ = std::move(why);
    failed_.notify_all();
}

Task<Error> Node::failed() {
    while (!failure_ && !leaving_) co_await failed_.wait();
    if (failure_) co_return *failure_;
    co_return Error{ErrorCode::cancelled, "the node was stopped"};
}

Task<Status> Node::leave() {
    leaving_ = true;
    failed_.notify_all();
    published_changed_.notify_all();
    applied_.notify_all();
    // What was acknowledged in an earlier life is settled in any case, or the directory lost.
    if (stores_open_ && !std::exchange(settling_, true)) co_await settle();
    co_await background_.close();
    co_await close_partitions();
    std::optional<storage::MetadataEnd> metadata;
    if (quorum_) {
        const Status closed = co_await quorum_->close();
        if (closed) metadata = quorum_->metadata_end();
        // A quorum that failed has said so, and keeps nothing that a close would save.
        if (!closed && !failure_) {
            log_.write(LogLevel::error, fmt::format("the metadata log was not closed cleanly: {}",
                                                    closed.error().detail));
        }
    }
    if (!stores_open_) co_return Status();
    const Status closed = co_await close_stores(metadata);
    if (!closed) {
        log_.write(LogLevel::error,
                   fmt::format("this was not a clean stop, the next start replays: {}",
                               closed.error().detail));
    }
    co_return closed;
}

Task<> Node::close_partitions() {
    std::vector<Task<Status>> closing;
    for (uint32_t index = 0; index < shards_.size(); ++index) {
        auto work = [](Shard& there) { return there.close(); };
        closing.push_back(shards_[0]->on(ShardIndex{index}, std::move(work)));
    }
    auto all = when_all(ports_.runtime, std::move(closing));
    (void)co_await std::move(all);
}

Task<Status> Node::close_stores(std::optional<storage::MetadataEnd> metadata) {
    const auto served = directories_->served();
    std::vector<Task<Result<Checkpoints>>> closing;
    for (uint32_t index = 0; index < shards_.size(); ++index) {
        auto work = [served](Shard& there) { return close_store(there, served); };
        closing.push_back(shards_[0]->on(ShardIndex{index}, std::move(work)));
    }
    auto all = when_all(ports_.runtime, std::move(closing));
    std::vector<Result<Checkpoints>> closed = co_await std::move(all);
    Checkpoints together(served.size());
    for (Result<Checkpoints>& shard : closed) {
        CO_TRY(Checkpoints own, std::move(shard));
        for (size_t i = 0; i < own.size(); ++i) {
            together[i].insert(together[i].end(), own[i].begin(), own[i].end());
        }
    }
    // Without a registration of this process the epoch of the last one holds.
    const bool registered = broker_epoch_.value() >= 0;
    const BrokerEpoch epoch = registered ? broker_epoch_ : directories_->previous_broker_epoch();
    co_return co_await directories_->close(std::move(together), epoch, metadata);
}

}  // namespace ottla::broker
