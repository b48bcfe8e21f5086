// SPDX-License-Identifier: Apache-2.0
#include "server/server.h"

#include <fmt/format.h>

#include "broker/descriptors.h"

namespace ottla::server {

namespace {

using namespace std::chrono_literals;

/// After an accept that failed for want of descriptors or memory.
constexpr Duration kAcceptPause = 100ms;

ConnectionLimits limits_of(const broker::NodeFacts& facts) {
    const Settings& settings = facts.settings;
    ConnectionLimits limits;
    limits.fill_bytes = facts.memory.receive_bytes;
    limits.max_frame_bytes = static_cast<size_t>(settings.number("socket.request.max.bytes"));
    limits.in_flight = static_cast<size_t>(settings.number("queued.max.requests"));
    const int64_t idle = settings.number("connections.max.idle.ms");
    // A negative value switches it off, as in Kafka.
    limits.max_idle = idle < 0 ? Duration(24h * 365) : Duration(std::chrono::milliseconds(idle));
    return limits;
}

}  // namespace

ShardServer::ShardServer(broker::Shard& shard, ConnectionQuota& quota)
    : shard_(shard),
      dispatch_(shard),
      services_{shard.runtime(),      dispatch_,   shard.frame_bytes(),
                shard.client_bytes(), shard.log(), limits_of(shard.facts())},
      quota_(quota),
      inside_(shard.runtime()) {}

Task<Result<std::vector<BoundListener>>> ShardServer::listen(
    std::vector<broker::ListenerConfig> wanted) {
    const auto backlog =
        static_cast<int>(shard_.facts().settings.number("socket.listen.backlog.size"));
    std::vector<BoundListener> bound;
    for (const broker::ListenerConfig& one : wanted) {
        const Endpoint endpoint{one.host, one.port};
        auto listener = shard_.transport().listen(endpoint, backlog);
        if (!listener) {
            co_return fail(listener.error().code,
                           fmt::format("cannot listen on {}: {}", to_string(endpoint),
                                       listener.error().detail));
        }
        bound.push_back({one.name, (*listener)->local()});
        listeners_.push_back({one.name, *std::move(listener)});
    }
    co_return bound;
}

Task<Status> ShardServer::serve() {
    for (Bound& bound : listeners_) {
        shard_.runtime().spawn(accept_loop(*bound.listener, bound.name));
    }
    co_return Status();
}

Task<Status> ShardServer::stop() {
    stopping_ = true;
    for (Bound& bound : listeners_) bound.listener->close();
    for (auto& [id, connection] : connections_) connection->close();
    co_await inside_.close();
    listeners_.clear();
    co_return Status();
}

Task<> ShardServer::accept_loop(Listener& listener, std::string name) {
    const Gate::Pass pass = inside_.enter();
    while (pass && !stopping_) {
        auto accept = listener.accept();
        Result<std::unique_ptr<Stream>> stream = co_await accept;
        if (stream) {
            auto asking = may_come_in((*stream)->peer().host);
            const bool admitted = co_await std::move(asking);
            if (admitted) welcome(*std::move(stream), name);
        } else if (stream.error().code == ErrorCode::cancelled) {
            co_return;
        } else {
            shard_.log().write(LogLevel::warning, fmt::format("cannot accept a connection: {}",
                                                              stream.error().detail));
            (void)co_await shard_.runtime().sleep_for(kAcceptPause);
        }
    }
}

Task<bool> ShardServer::may_come_in(std::string address) {
    if (stopping_) co_return false;
    if (quota_.is_unlimited()) co_return true;
    auto work = [this, address](broker::Shard&) { return quota_.admit(address); };
    auto asking = shard_.on(ShardIndex{0}, std::move(work));
    const Status admitted = co_await std::move(asking);
    if (admitted && stopping_) {
        auto leaving = leaves(std::move(address));
        co_await std::move(leaving);
        co_return false;
    }
    if (!admitted && !stopping_) {
        shard_.log().write(LogLevel::warning, fmt::format("connection of {} refused: {}", address,
                                                          admitted.error().detail));
    }
    co_return admitted.has_value();
}

Task<> ShardServer::leaves(std::string address) {
    if (quota_.is_unlimited()) co_return;
    auto work = [this, address](broker::Shard&) { return quota_.release(address); };
    auto leaving = shard_.on(ShardIndex{0}, std::move(work));
    (void)co_await std::move(leaving);
}

void ShardServer::welcome(std::unique_ptr<Stream> stream, const std::string& name) {
    const uint64_t id = next_id_++;
    connections_.emplace(id, std::make_unique<Connection>(services_, std::move(stream), name));
    shard_.runtime().spawn(run_connection(id));
}

Task<> ShardServer::run_connection(uint64_t id) {
    const Gate::Pass pass = inside_.enter();
    Connection& connection = *connections_.at(id);
    co_await connection.run();
    std::string address = connection.session().peer.host;
    connections_.erase(id);
    auto leaving = leaves(std::move(address));
    co_await std::move(leaving);
}

Server::Server(std::span<broker::Shard* const> shards)
    : first_(*shards.front()),
      quota_(first_.runtime(),
             first_.facts().settings,
             broker::share_descriptors(first_.facts().settings, first_.facts().shard_count)
                 .connections) {
    for (broker::Shard* shard : shards) {
        shards_.push_back(std::make_unique<ShardServer>(*shard, quota_));
    }
}

Task<Result<std::vector<BoundListener>>> Server::listen(
    std::vector<broker::ListenerConfig> wanted) {
    auto first = shards_.front()->listen(wanted);
    CO_TRY(const std::vector<BoundListener> bound, co_await std::move(first));
    for (size_t i = 0; i < wanted.size(); ++i) wanted[i].port = bound[i].endpoint.port;
    for (uint32_t index = 1; index < shards_.size(); ++index) {
        auto work = [server = shards_[index].get(), wanted](broker::Shard&) {
            return server->listen(wanted);
        };
        auto listening = first_.on(ShardIndex{index}, std::move(work));
        CO_TRY_STATUS(co_await std::move(listening));
    }
    co_return bound;
}

Task<> Server::serve() {
    for (uint32_t index = 0; index < shards_.size(); ++index) {
        auto work = [server = shards_[index].get()](broker::Shard&) { return server->serve(); };
        auto serving = first_.on(ShardIndex{index}, std::move(work));
        (void)co_await std::move(serving);
    }
}

Task<> Server::stop() {
    quota_.close();
    std::vector<Task<Status>> stops;
    for (uint32_t index = 0; index < shards_.size(); ++index) {
        auto work = [server = shards_[index].get()](broker::Shard&) { return server->stop(); };
        stops.push_back(first_.on(ShardIndex{index}, std::move(work)));
    }
    auto all = when_all(first_.runtime(), std::move(stops));
    (void)co_await std::move(all);
}

}  // namespace ottla::server
