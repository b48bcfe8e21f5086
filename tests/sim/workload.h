// SPDX-License-Identifier: Apache-2.0
// Clients of a ClusterWorld, each a process on a machine of its own:
//   producer   lanes (partitions) with up to five batches in flight: idempotent with acks=all until
//   each is
//              acknowledged; plain with acks=1, or acks=0, each sent once
//   reader     follows every topic from its start, goes back now and then, asks for ends
//   admin      makes the producers' topics, then creates and deletes others
//   vandal     sends what no proper client sends; nobody waits for it
//   checker    at the end: reads every partition whole
// What they are told goes to the History; a protocol error that no fault explains fails the run.
#pragma once

#include <cstdint>
#include <string>

#include "tests/sim/cluster_world.h"

namespace ottla::sim {

std::string topic_of_producer(uint32_t number);
/// acks of a lane: the last producer's lanes send with 1 and 0 instead of all.
int16_t acks_of(const ClusterOptions& options, uint32_t producer, uint32_t partition);

void start_producer(ClusterWorld& world, uint32_t number);
void start_reader(ClusterWorld& world);
void start_admin(ClusterWorld& world);
void start_vandal(ClusterWorld& world);
void start_checker(ClusterWorld& world);

}  // namespace ottla::sim
