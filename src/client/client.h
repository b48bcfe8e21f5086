// SPDX-License-Identifier: Apache-2.0
// A cluster as a client sees it: bootstrap addresses, who leads which partition, one connection per
// broker, opened when needed. Retries are the caller's (producer.h, consumer.h): a call here says
// once what happened, and after not_leader_or_follower or a broken connection `forget` makes the
// next look-up fresh. Belongs to one shard. Close it before it dies (simulation excepted).
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "client/connection.h"
#include "protocol/metadata.h"

namespace ottla::client {

struct Topic {
    std::string name;
    Uuid id;
    std::map<int32_t, BrokerId> leaders;  ///< by partition; kNoBroker while there is none
};

class Client {
public:
    Client(Ports ports, std::vector<Endpoint> bootstrap, ConnectionOptions options = {});

    /// A connection to any broker: one that is open, else the first bootstrap address that answers.
    Task<Result<Connection*>> any(Instant deadline);
    Task<Result<Connection*>> broker(BrokerId id, Instant deadline);
    /// What the cluster says of a topic, cached until `forget`. unknown_topic_or_partition if there
    /// is none.
    Task<Result<Topic>> topic(std::string name, bool create, Instant deadline);
    /// leader_not_available while the partition has none.
    Task<Result<Connection*>> leader(std::string topic, int32_t partition, Instant deadline);
    void forget(const std::string& topic) { topics_.erase(topic); }

    [[nodiscard]] Runtime& runtime() { return ports_.runtime; }
    Task<> close();

private:
    Task<Result<Connection*>> connect(Endpoint endpoint, Instant deadline);
    void learn(const protocol::MetadataResponse& metadata);
    Task<> drop_ended();

    Ports ports_;
    std::vector<Endpoint> bootstrap_;
    ConnectionOptions options_;
    std::map<BrokerId, Endpoint> brokers_;
    std::map<Endpoint, std::unique_ptr<Connection>> connections_;
    std::map<std::string, Topic> topics_;
};

/// "host:port,host:port"; a missing port is 9092, IPv6 literals in brackets. invalid_argument
/// otherwise.
Result<std::vector<Endpoint>> parse_bootstrap(std::string_view text);

}  // namespace ottla::client
