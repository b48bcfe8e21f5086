// SPDX-License-Identifier: Apache-2.0
// ConnectionQuota: how many connections a node has, in all and for each address. It lives on shard
// 0 and counts for every shard; a node without limits never asks it.
//
//   max.connections          beyond it a new connection waits, not served, until another one ends;
//                            never more than the process has descriptors for
//   max.connections.per.ip   beyond it, or beyond its override, a new one is closed at once
//   max.connection.creation.rate   more a second wait for their turn, those of one quiet second at once
// As Kafka does. `admit` holds a place until `release`.
#pragma once

#include <map>
#include <string>

#include "ottla/settings.h"
#include "ottla/sync.h"

namespace ottla::server {

class ConnectionQuota {
public:
    /// invalid_config when max.connections.per.ip.overrides cannot be read.
    static Status check(const Settings& settings);

    /// `possible`: more connections than that have no descriptors.
    ConnectionQuota(Runtime& runtime, const Settings& settings, int64_t possible = INT32_MAX);
    ConnectionQuota(const ConnectionQuota&) = delete;
    ConnectionQuota& operator=(const ConnectionQuota&) = delete;

    [[nodiscard]] bool is_unlimited() const { return unlimited_; }
    /// A place for a client at `address`. policy_violation names the limit that refuses it;
    /// cancelled after `close`.
    Task<Status> admit(std::string address);
    Task<Status> release(std::string address);
    /// Who waits for a place fails.
    void close();

private:
    [[nodiscard]] int64_t limit_of(const std::string& address) const;
    Task<> wait_for_turn();

    Runtime& runtime_;
    int64_t most_;
    int64_t most_per_address_;
    std::map<std::string, int64_t> overrides_;
    /// Between two new connections; none where there is no limit.
    Duration pace_{};
    /// The next one's, if everybody kept to the pace.
    Instant turn_{};
    bool unlimited_;
    int64_t count_ = 0;
    std::map<std::string, int64_t> per_address_;
    bool closed_ = false;
    Event changed_;
    Event closing_;
};

}  // namespace ottla::server
