// SPDX-License-Identifier: Apache-2.0
#include "controller/placement.h"

#include <algorithm>

#include <fmt/format.h>

namespace ottla::controller {

bool is_active(const metadata::MetadataImage& image, BrokerId broker) {
    const metadata::Broker* found = image.broker(broker);
    return found != nullptr && !found->fenced && !found->in_controlled_shutdown;
}

Result<std::vector<NewPartition>> place_replicas(const metadata::MetadataImage& image,
                                                 int32_t partitions,
                                                 int16_t replication_factor,
                                                 uint64_t start) {
    std::vector<BrokerId> live;
    std::vector<BrokerId> fenced;
    for (const auto& [id, broker] : image.brokers) {
        (is_active(image, id) ? live : fenced).push_back(id);
    }
    const auto wanted = static_cast<size_t>(replication_factor);
    if (live.empty()) {
        return fail(ErrorCode::invalid_replication_factor,
                    fmt::format("no broker is live, so {} replica(s) cannot be placed", wanted));
    }
    if (wanted > live.size() + fenced.size()) {
        return fail(ErrorCode::invalid_replication_factor,
                    fmt::format("replication factor {} needs as many brokers, but only {} "
                                "registered",
                                wanted, live.size() + fenced.size()));
    }
    std::vector<NewPartition> placed;
    placed.reserve(static_cast<size_t>(partitions));
    for (uint64_t index = 0; index < static_cast<uint64_t>(partitions); ++index) {
        NewPartition partition;
        const uint64_t leader = (start + index) % live.size();
        const uint64_t round = (start + index) / live.size();
        partition.replicas.push_back(live[leader]);
        for (uint64_t i = 1; i < std::min(wanted, live.size()); ++i) {
            const uint64_t distance = 1 + (round + i - 1) % (live.size() - 1);
            partition.replicas.push_back(live[(leader + distance) % live.size()]);
        }
        partition.isr = partition.replicas;
        for (size_t i = partition.replicas.size(); i < wanted; ++i) {
            partition.replicas.push_back(fenced[(index + i) % fenced.size()]);
        }
        placed.push_back(std::move(partition));
    }
    return placed;
}

}  // namespace ottla::controller
