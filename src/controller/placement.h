// SPDX-License-Identifier: Apache-2.0
// Which brokers get the replicas of new partitions. Live brokers take turns as leader; the other
// replicas of a partition follow at a distance that grows with every round, so that the partitions
// of a failed broker spread over all others. Fenced brokers get replicas only when the live ones do
// not suffice, and never lead (Kafka's own rule). Racks are not looked at yet.
// pure
#pragma once

#include <cstdint>
#include <vector>

#include "metadata/image.h"
#include "ottla/result.h"

namespace ottla::controller {

struct NewPartition {
    std::vector<BrokerId> replicas;
    std::vector<BrokerId> isr;
};

/// Registered, not fenced, not shutting down: may lead and be in an ISR.
bool is_active(const metadata::MetadataImage& image, BrokerId broker);

/// `start` decides who leads partition 0. invalid_replication_factor when there are too few
/// brokers.
Result<std::vector<NewPartition>> place_replicas(const metadata::MetadataImage& image,
                                                 int32_t partitions,
                                                 int16_t replication_factor,
                                                 uint64_t start);

}  // namespace ottla::controller
