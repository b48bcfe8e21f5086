// SPDX-License-Identifier: Apache-2.0
// Server: the listeners and connections of a node, a part of it on every shard. The transport
// spreads connections over the shards; each stays where it was accepted.
//
//   listen()  binds every listener on every shard (shard 0 first, so that port 0 becomes a number)
//   serve()   accepts from now on
//   stop()    listeners closed, connections closed, returns when none is left on any shard
//
// Called on shard 0. Owns the connections, so that they outlive the roots that run them.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <vector>

#include "broker/shard.h"
#include "server/connection.h"
#include "server/connection_quota.h"
#include "server/dispatch.h"

namespace ottla::server {

/// A listener with its real port.
struct BoundListener {
    std::string name;
    Endpoint endpoint;
};

/// One shard's listeners and connections.
class ShardServer {
public:
    ShardServer(broker::Shard& shard, ConnectionQuota& quota);
    ShardServer(const ShardServer&) = delete;
    ShardServer& operator=(const ShardServer&) = delete;

    /// On its shard. `wanted` has real ports except on shard 0.
    Task<Result<std::vector<BoundListener>>> listen(std::vector<broker::ListenerConfig> wanted);
    Task<Status> serve();
    Task<Status> stop();
    [[nodiscard]] size_t connection_count() const { return connections_.size(); }

private:
    Task<> accept_loop(Listener& listener, std::string name);
    Task<> run_connection(uint64_t id);
    Task<bool> may_come_in(std::string address);
    Task<> leaves(std::string address);
    void welcome(std::unique_ptr<Stream> stream, const std::string& name);

    broker::Shard& shard_;
    Dispatch dispatch_;
    ConnectionServices services_;
    ConnectionQuota& quota_;  // of shard 0, for all
    struct Bound {
        std::string name;
        std::unique_ptr<Listener> listener;
    };
    std::vector<Bound> listeners_;
    std::map<uint64_t, std::unique_ptr<Connection>> connections_;
    uint64_t next_id_ = 0;
    bool stopping_ = false;
    Gate inside_;
};

class Server {
public:
    explicit Server(std::span<broker::Shard* const> shards);

    Task<Result<std::vector<BoundListener>>> listen(std::vector<broker::ListenerConfig> wanted);
    Task<> serve();
    Task<> stop();

private:
    broker::Shard& first_;
    ConnectionQuota quota_;
    std::vector<std::unique_ptr<ShardServer>> shards_;
};

}  // namespace ottla::server
