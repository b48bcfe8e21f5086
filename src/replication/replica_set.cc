// SPDX-License-Identifier: Apache-2.0
#include "replication/replica_set.h"

#include <algorithm>

#include "ottla/check.h"

namespace ottla::replication {

ReplicaSet::Effects ReplicaSet::lead(const Leadership& leadership,
                                     Offset durable_end,
                                     Offset known) {
    CHECK(leadership.leader == self_, "only the leader keeps a replica set");
    if (!leading_ || epoch_ != leadership.epoch) {
        follower_ends_.clear();
        high_watermark_ = known;
    }
    leading_ = true;
    epoch_ = leadership.epoch;
    replica_count_ = leadership.replicas.size();
    maximal_isr_ = {leadership.in_sync_replicas.begin(), leadership.in_sync_replicas.end()};
    own_end_ = durable_end;
    return advance();
}

void ReplicaSet::resign() {
    leading_ = false;
    follower_ends_.clear();
}

ReplicaSet::Effects ReplicaSet::set_min_in_sync(int32_t configured) {
    min_in_sync_ = configured;
    return advance();
}

ReplicaSet::Effects ReplicaSet::durable(Offset durable_end) {
    own_end_ = durable_end;
    return advance();
}

ReplicaSet::Effects ReplicaSet::follower_fetched(BrokerId follower, Offset from) {
    if (!leading_ || follower == self_) return {};
    Offset& end = follower_ends_[follower];
    end = from;  // May go back: a follower that lost its tail reports what it has.
    return advance();
}

size_t ReplicaSet::effective_min_in_sync() const {
    return std::min(static_cast<size_t>(std::max(min_in_sync_, 1)),
                    std::max<size_t>(replica_count_, 1));
}

bool ReplicaSet::has_enough_in_sync() const {
    return maximal_isr_.size() >= effective_min_in_sync();
}

Offset ReplicaSet::durable_end_of(BrokerId replica) const {
    if (replica == self_) return own_end_;
    const auto found = follower_ends_.find(replica);
    return found == follower_ends_.end() ? Offset{0} : found->second;
}

ReplicaSet::Effects ReplicaSet::advance() {
    if (!leading_ || maximal_isr_.empty() || !has_enough_in_sync()) return {};
    Offset lowest{std::numeric_limits<int64_t>::max()};
    for (const BrokerId member : maximal_isr_) lowest = std::min(lowest, durable_end_of(member));
    if (lowest <= high_watermark_) return {};
    high_watermark_ = lowest;
    return {high_watermark_};
}

}  // namespace ottla::replication
