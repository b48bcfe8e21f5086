// SPDX-License-Identifier: Apache-2.0
#include "controller/elections.h"

#include <algorithm>

#include "controller/placement.h"

namespace ottla::controller {

bool ElectionView::may_lead(BrokerId broker) const {
    if (broker == leaving || broker == kNoBroker) return false;
    return broker == coming || is_active(image, broker);
}

std::optional<protocol::PartitionChangeRecord> elect(const ElectionView& view,
                                                     const metadata::Topic& topic,
                                                     PartitionIndex index,
                                                     const metadata::Partition& partition) {
    std::vector<BrokerId> isr = partition.isr;
    if (isr.size() > 1) std::erase(isr, view.leaving);

    const auto electable = [&](BrokerId broker) {
        return view.may_lead(broker) && std::ranges::find(isr, broker) != isr.end();
    };
    BrokerId leader = partition.leader;
    if (!electable(leader)) {
        const auto next = std::ranges::find_if(partition.replicas, electable);
        leader = next == partition.replicas.end() ? kNoBroker : *next;
    }
    if (leader == partition.leader && isr == partition.isr) return std::nullopt;

    protocol::PartitionChangeRecord record;
    record.partition_id = index.value();
    record.topic_id = topic.id;
    if (leader != partition.leader) record.leader = leader.value();
    if (isr != partition.isr) {
        record.isr.emplace();
        for (BrokerId broker : isr) record.isr->push_back(broker.value());
    }
    return record;
}

void append_elections(const ElectionView& view, std::vector<protocol::MetadataRecord>& records) {
    for (const auto& [id, topic] : view.image.topics_by_id) {
        for (const auto& [index, partition] : topic->partitions) {
            const bool leaves = view.leaving != kNoBroker && partition->in_isr(view.leaving);
            const bool waits = view.coming != kNoBroker && partition->leader == kNoBroker &&
                               partition->in_isr(view.coming);
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
