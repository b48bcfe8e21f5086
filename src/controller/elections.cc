// SPDX-License-Identifier: Apache-2.0
#include "controller/elections.h"

#include <algorithm>
#include <charconv>

#include "controller/placement.h"

namespace ottla::controller {

bool ElectionView::may_lead(BrokerId broker) const {
    if (broker == leaving || broker == kNoBroker) return false;
    return broker == coming || is_active(image, broker);
}

namespace {

bool holds(const std::vector<BrokerId>& brokers, BrokerId broker) {
    return std::ranges::find(brokers, broker) != brokers.end();
}

std::vector<int32_t> numbers(const std::vector<BrokerId>& brokers) {
    std::vector<int32_t> values;
    for (BrokerId broker : brokers) values.push_back(broker.value());
    return values;
}

/// What a partition is to become.
struct Target {
    BrokerId leader = kNoBroker;
    std::vector<BrokerId> isr;
    std::vector<BrokerId> eligible;
    std::vector<BrokerId> last_known;
    int8_t recovery_state = 0;
};

/// The topic's value of min.insync.replicas, the cluster's, or the node's.
size_t needed_in_sync(const ElectionView& view,
                      const metadata::Topic& topic,
                      const metadata::Partition& partition) {
    constexpr std::string_view kSetting = "min.insync.replicas";
    using metadata::ResourceType;
    const std::string* said = view.image.config_value(ResourceType::topic, topic.name, kSetting);
    if (said == nullptr) said = view.image.config_value(ResourceType::broker, "", kSetting);
    int32_t needed = view.min_insync_replicas;
    // A value that is no number was refused when it was set.
    if (said != nullptr) std::from_chars(said->data(), said->data() + said->size(), needed);
    return std::min(static_cast<size_t>(std::max(needed, 1)), partition.replicas.size());
}

/// Nobody is left in sync: who was, stays eligible until enough are in sync again.
void settle_eligible(const metadata::Partition& before, size_t needed, Target& target) {
    if (target.isr.size() >= needed) {
        target.eligible.clear();
        return;
    }
    for (BrokerId broker : before.isr) {
        if (!holds(target.eligible, broker)) target.eligible.push_back(broker);
    }
    std::erase_if(target.eligible, [&](BrokerId broker) { return holds(target.isr, broker); });
}

void choose_leader(const ElectionView& view, const metadata::Partition& before, Target& target) {
    const auto& pool = target.isr.empty() ? target.eligible : target.isr;
    const auto electable = [&](BrokerId one) { return view.may_lead(one) && holds(pool, one); };
    if (!electable(target.leader)) {
        const auto next = std::ranges::find_if(before.replicas, electable);
        target.leader = next == before.replicas.end() ? kNoBroker : *next;
    }
    const bool last_resort = view.image.keeps_eligible_replicas() && pool.empty() &&
                             before.last_known_eligible.size() == 1 &&
                             view.may_lead(before.last_known_eligible.front());
    if (target.leader == kNoBroker && last_resort) {
        target.leader = before.last_known_eligible.front();
        target.recovery_state = 1;
    }
    if (target.leader != kNoBroker && target.isr.empty()) {
        std::erase(target.eligible, target.leader);
        target.isr = {target.leader};
    }
}

void settle_last_known(const metadata::Partition& before, Target& target) {
    if (target.leader != kNoBroker) {
        target.last_known.clear();
    } else if (target.isr.empty() && !before.isr.empty() && before.leader != kNoBroker) {
        target.last_known = {before.leader};
    }
}

}  // namespace

std::optional<protocol::PartitionChangeRecord> elect(const ElectionView& view,
                                                     const metadata::Topic& topic,
                                                     PartitionIndex index,
                                                     const metadata::Partition& partition) {
    const bool elr = view.image.keeps_eligible_replicas();
    Target target{partition.leader, partition.isr, partition.eligible,
                  partition.last_known_eligible, partition.leader_recovery_state};
    if (elr || target.isr.size() > 1) std::erase(target.isr, view.leaving);
    if (elr) settle_eligible(partition, needed_in_sync(view, topic, partition), target);
    choose_leader(view, partition, target);
    if (elr) settle_last_known(partition, target);

    protocol::PartitionChangeRecord record;
    record.partition_id = index.value();
    record.topic_id = topic.id;
    const protocol::PartitionChangeRecord unchanged = record;
    if (target.leader != partition.leader) record.leader = target.leader.value();
    if (target.isr != partition.isr) record.isr = numbers(target.isr);
    if (target.eligible != partition.eligible) {
        record.eligible_leader_replicas = numbers(target.eligible);
    }
    if (target.last_known != partition.last_known_eligible) {
        record.last_known_elr = numbers(target.last_known);
    }
    if (target.recovery_state != partition.leader_recovery_state) {
        record.leader_recovery_state = target.recovery_state;
    }
    if (record == unchanged) return std::nullopt;
    return record;
}

void append_elections(const ElectionView& view, std::vector<protocol::MetadataRecord>& records) {
    for (const auto& [id, topic] : view.image.topics_by_id) {
        for (const auto& [index, partition] : topic->partitions) {
            const bool leaves = view.leaving != kNoBroker && partition->in_isr(view.leaving);
            const bool waits =
                view.coming != kNoBroker && partition->leader == kNoBroker &&
                (partition->in_isr(view.coming) || holds(partition->eligible, view.coming) ||
                 holds(partition->last_known_eligible, view.coming));
            if (!leaves && !waits) continue;
            if (auto change = elect(view, *topic, index, *partition)) {
                records.emplace_back(*std::move(change));
            }
        }
    }
}

bool leads_any(const metadata::MetadataImage& image, BrokerId broker) {
    for (const auto& [id, topic] : image.topics_by_id) {
        for (const auto& [index, partition] : topic->partitions) {
            if (partition->leader == broker) return true;
        }
    }
    return false;
}

}  // namespace ottla::controller
