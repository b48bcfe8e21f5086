// SPDX-License-Identifier: Apache-2.0
// ReplicaSet: what the leader of one partition knows of its replicas, and the high watermark that
// follows.
//
// The high watermark is the smallest *durable* end over the maximal ISR (committed members and
// those that are proposed, KIP-704), its own included, and it never moves while fewer members than
// the effective min ISR are in sync (strict min ISR, KIP-966; traps 38, 39, 85). It never goes back
// while this broker leads. A follower's fetch offset is its durable end (DESIGN 8), so a fetch is
// its report. ISR proposals (AlterPartition) come with several nodes and have no input here yet.
// Inputs in, effects out; offsets are exclusive ends. pure
#pragma once

#include <map>
#include <optional>
#include <set>
#include <vector>

#include "ottla/types.h"

namespace ottla::replication {

/// What the metadata says about one partition.
struct Leadership {
    BrokerId leader = kNoBroker;
    LeaderEpoch epoch = kNoLeaderEpoch;
    int32_t partition_epoch = -1;
    std::vector<BrokerId> replicas;
    std::vector<BrokerId> in_sync_replicas;
    bool operator==(const Leadership&) const = default;
};

class ReplicaSet {
public:
    /// What the shell has to act on; nothing when nothing changed.
    struct Effects {
        std::optional<Offset> high_watermark;
    };

    explicit ReplicaSet(BrokerId self) : self_(self) {}

    /// This broker leads with `leadership`. A new epoch forgets what followers reported; the same
    /// epoch (an ISR change) keeps it. `known` is the high watermark from before (checkpoint or
    /// follower).
    Effects lead(const Leadership& leadership, Offset durable_end, Offset known);
    /// It leads no more.
    void resign();

    /// min.insync.replicas as configured.
    Effects set_min_in_sync(int32_t configured);
    /// The leader's own log is durable up to here.
    Effects durable(Offset durable_end);
    /// A follower asks for what is behind `from`: everything before it is durable there.
    Effects follower_fetched(BrokerId follower, Offset from);

    [[nodiscard]] bool is_leading() const { return leading_; }
    [[nodiscard]] Offset high_watermark() const { return high_watermark_; }
    /// min(configured, number of replicas).
    [[nodiscard]] size_t effective_min_in_sync() const;
    [[nodiscard]] bool has_enough_in_sync() const;

private:
    Effects advance();
    [[nodiscard]] Offset durable_end_of(BrokerId replica) const;

    const BrokerId self_;
    bool leading_ = false;
    LeaderEpoch epoch_ = kNoLeaderEpoch;
    size_t replica_count_ = 1;
    int32_t min_in_sync_ = 1;
    std::set<BrokerId> maximal_isr_;
    std::map<BrokerId, Offset> follower_ends_;
    Offset own_end_{0};
    Offset high_watermark_{0};
};

}  // namespace ottla::replication
