// SPDX-License-Identifier: Apache-2.0
// From a topic's settings (its overrides, the broker's defaults) to what a partition acts on. pure
#pragma once

#include "ottla/settings.h"
#include "replication/partition.h"

namespace ottla::broker {

replication::PartitionConfig partition_config(const Settings& settings,
                                              const TopicOverrides& overrides);

/// Names that only coordinators write (trap 40).
bool is_internal_topic(std::string_view name);

}  // namespace ottla::broker
