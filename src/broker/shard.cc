// SPDX-License-Identifier: Apache-2.0
#include "broker/shard.h"

#include <fmt/format.h>

namespace ottla::broker {

namespace {

using namespace std::chrono_literals;

/// How long a client may keep others waiting for memory.
constexpr Duration kPatience = 10s;

int64_t frame_budget(const NodeFacts& facts) {
    const int64_t asked = facts.settings.number("queued.max.request.bytes");
    return asked > 0 ? std::max<int64_t>(asked / facts.shard_count, 1) : facts.memory.request_bytes;
}

Duration patience(const NodeFacts& facts) {
    const int64_t idle = facts.settings.number("connections.max.idle.ms");
    return idle < 0 ? kPatience : std::min<Duration>(kPatience, std::chrono::milliseconds(idle));
}

}  // namespace

Shard::Shard(Ports ports, const NodeFacts& facts, Logger& log, storage::StorageSettings storage)
    : ports_(ports),
      facts_(facts),
      log_(log),
      frame_bytes_(ports.runtime, frame_budget(facts)),
      client_bytes_(ports.runtime, facts.memory.client_bytes, patience(facts)),
      append_turn_(ports.runtime, 1),
      image_(std::make_shared<const metadata::MetadataImage>()),
      image_changed_(ports.runtime),
      damaged_batches_(metrics_.counter("ottla_storage_damaged_batches_total",
                                        "Damaged places found in segments: records are lost.")),
      damaged_indexes_(metrics_.counter("ottla_storage_damaged_indexes_total",
                                        "Damaged index files found and built anew.")),
      damaged_states_(metrics_.counter("ottla_storage_damaged_states_total",
                                       "Damaged snapshots and checkpoints found.")),
      unreadable_files_(metrics_.counter("ottla_storage_unreadable_files_total",
                                         "Segments met that cannot be read at all.")),
      index_bytes_(metrics_.gauge("ottla_storage_index_bytes",
                                  "Memory that the indexes of closed segments take.")),
      producer_id_turn_(ports.runtime, 1),
      background_(ports.runtime),
      store_(ports, storage, this) {}

void Shard::join(std::span<Shard* const> shards,
                 ControllerLink& controller,
                 DirectoryWatcher& watcher) {
    shards_.assign(shards.begin(), shards.end());
    controller_ = &controller;
    watcher_ = &watcher;
}

void Shard::publish(metadata::ImagePtr image) {
    image_ = std::move(image);
    image_changed_.notify_all();
}

Task<Status> Shard::show(metadata::ImagePtr image) {
    publish(std::move(image));
    co_return Status();
}

Task<Status> Shard::wait_for_image(Offset end, Instant deadline) {
    while (image_->end < end) {
        auto wait = image_changed_.wait();
        auto timed = with_deadline(runtime(), wait, deadline);
        CO_TRY_STATUS(co_await timed);
    }
    co_return Status();
}

replication::Partition* Shard::find(const PartitionKey& key) {
    const auto found = partitions_.find(key);
    return found == partitions_.end() ? nullptr : found->second.get();
}

replication::Partition& Shard::add(const PartitionKey& key,
                                   storage::Log& log,
                                   replication::PartitionConfig config) {
    auto made =
        std::make_unique<replication::Partition>(runtime(), facts_.id, log, std::move(config));
    auto [place, fresh] = partitions_.emplace(key, std::move(made));
    CHECK(fresh, "a partition is opened once");
    log.observe(place->second.get());
    return *place->second;
}

replication::Partition* Shard::take_out(const PartitionKey& key) {
    auto node = partitions_.extract(key);
    if (node.empty()) return nullptr;
    leaving_.push_back(std::move(node.mapped()));
    return leaving_.back().get();
}

void Shard::forget(replication::Partition* partition) {
    std::erase_if(leaving_, [partition](const auto& one) { return one.get() == partition; });
}

void Shard::park(uint64_t ticket, replication::FetchWaiter& waiter) { parked_[ticket] = &waiter; }
void Shard::unpark(uint64_t ticket) { parked_.erase(ticket); }
void Shard::disarm(uint64_t ticket) {
    const auto found = parked_.find(ticket);
    if (found != parked_.end()) found->second->stir();
}

uint64_t Shard::next_ticket() { return ++tickets_ * count() + runtime().shard().value(); }

Task<protocol::CreateTopicsResponse> Shard::create_topics(int16_t version,
                                                          protocol::CreateTopicsRequest request) {
    auto work = [version, held = std::move(request)](Shard& there) mutable {
        return there.controller_->create_topics(version, std::move(held));
    };
    co_return co_await on(ShardIndex{0}, std::move(work));
}

Task<protocol::DeleteTopicsResponse> Shard::delete_topics(int16_t version,
                                                          protocol::DeleteTopicsRequest request) {
    auto work = [version, held = std::move(request)](Shard& there) mutable {
        return there.controller_->delete_topics(version, std::move(held));
    };
    co_return co_await on(ShardIndex{0}, std::move(work));
}

Task<Result<int64_t>> Shard::next_producer_id() {
    auto work = [](Shard& there) { return there.next_producer_id_here(); };
    co_return co_await on(ShardIndex{0}, std::move(work));
}

Task<Status> Shard::assign_directories(std::vector<AssignedLog> logs) {
    auto work = [held = std::move(logs)](Shard& there) mutable {
        return there.controller_->assign_directories(std::move(held));
    };
    co_return co_await on(ShardIndex{0}, std::move(work));
}

Task<Status> Shard::tell_moved(AssignedLog log) {
    auto work = [held = std::move(log)](Shard& there) mutable {
        return there.note_moved(std::move(held));
    };
    co_return co_await on(ShardIndex{0}, std::move(work));
}

Task<Status> Shard::note_moved(AssignedLog log) {
    controller_->log_moved(log);
    co_return Status();
}

Task<Result<int64_t>> Shard::next_producer_id_here() {
    CO_TRY_STATUS(co_await producer_id_turn_.take(1));
    if (producer_ids_.count == 0) {
        Result<ProducerIdBlock> block = co_await controller_->allocate_producer_ids();
        if (!block || block->count == 0) {
            producer_id_turn_.give_back(1);
            co_return fail(ErrorCode::coordinator_not_available,
                           block ? "the controller gave no producer ids" : block.error().detail);
        }
        producer_ids_ = *block;
    }
    --producer_ids_.count;
    const int64_t id = producer_ids_.first++;
    producer_id_turn_.give_back(1);
    co_return id;
}

void Shard::auto_create(const std::string& topic) {
    if (!being_created_.insert(topic).second) return;
    runtime().spawn(auto_create_now(topic));
}

Task<> Shard::auto_create_now(std::string topic) {
    const Gate::Pass inside = background_.enter();
    if (!inside) co_return;
    protocol::CreateTopicsRequest request;
    auto& wanted = request.topics.emplace_back();
    wanted.name = topic;
    wanted.num_partitions = -1;
    wanted.replication_factor = -1;
    auto creating = create_topics(protocol::CreateTopicsRequest::kMaxVersion, std::move(request));
    const protocol::CreateTopicsResponse response = co_await std::move(creating);
    for (const auto& result : response.topics) {
        const auto code = static_cast<ErrorCode>(result.error_code);
        if (code == ErrorCode::none || code == ErrorCode::topic_already_exists) continue;
        log_.write(LogLevel::warning,
                   fmt::format("topic \"{}\" was not created automatically: {} ({})", topic,
                               result.error_message.value_or("no reason given"), name_of(code)));
    }
    being_created_.erase(topic);
}

Task<Status> Shard::close() {
    const Error why{ErrorCode::not_leader_or_follower, "the broker is stopping"};
    while (!partitions_.empty()) {
        replication::Partition* const partition = take_out(partitions_.begin()->first);
        co_await partition->close(why);
        partition->log().observe(nullptr);
        forget(partition);
    }
    co_await background_.close();
    co_return Status();
}

void Shard::directory_failed(const std::string& log_dir, const Error& why) {
    log_.write(LogLevel::error,
               fmt::format("log directory {} is offline: {}", log_dir, why.detail));
    runtime().spawn(spread_failure(log_dir, why));
}

void Shard::directory_full(const std::string&, const Error& why) {
    log_.write(LogLevel::error, fmt::format("shard {} refuses writes until there is space: {}",
                                            runtime().shard().value(), why.detail));
}

void Shard::directory_has_room(const std::string& log_dir) {
    log_.write(LogLevel::info, fmt::format("shard {} writes to {} again: there is space",
                                           runtime().shard().value(), log_dir));
}

void Shard::directory_is_buffered(const std::string& log_dir) {
    runtime().spawn(tell_buffered(log_dir));
}

Task<> Shard::tell_buffered(std::string log_dir) {
    const Gate::Pass inside = background_.enter();
    if (!inside) co_return;
    auto tell = [log_dir](Shard& there) { return there.hear_of_buffered(log_dir); };
    auto telling = on(ShardIndex{0}, std::move(tell));
    (void)co_await std::move(telling);
}

/// Every shard finds out on its own; one line a directory is enough.
Task<Status> Shard::hear_of_buffered(std::string log_dir) {
    if (buffered_directories_.insert(log_dir).second) {
        log_.write(LogLevel::info,
                   fmt::format("log directory {} takes no direct writes: segments are flushed "
                               "through the page cache",
                               log_dir));
    }
    co_return Status();
}

void Shard::damage_found(const storage::Damage& damage) {
    switch (damage.kind) {
        case storage::Damage::Kind::batch: damaged_batches_.add(); break;
        case storage::Damage::Kind::index: damaged_indexes_.add(); break;
        case storage::Damage::Kind::state: damaged_states_.add(); break;
        case storage::Damage::Kind::file: unreadable_files_.add(); break;
    }
    const bool lost =
        damage.kind == storage::Damage::Kind::batch || damage.kind == storage::Damage::Kind::file;
    log_.write(lost ? LogLevel::error : LogLevel::warning, "damage: " + damage.what);
}

Task<> Shard::spread_failure(std::string log_dir, Error why) {
    const Gate::Pass inside = background_.enter();
    if (!inside) co_return;
    for (uint32_t index = 0; index < count(); ++index) {
        auto tell = [log_dir, why](Shard& there) { return there.hear_of_failure(log_dir, why); };
        auto telling = on(ShardIndex{index}, std::move(tell));
        (void)co_await std::move(telling);
    }
}

Task<Status> Shard::hear_of_failure(std::string log_dir, Error why) {
    store_.take_offline(log_dir, why);
    if (runtime().shard() == ShardIndex{0}) watcher_->directory_lost(log_dir, why);
    co_return Status();
}

}  // namespace ottla::broker
