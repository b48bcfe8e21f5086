// SPDX-License-Identifier: Apache-2.0
// ControllerLink: what a broker asks the active controller for. Called on shard 0 only; answers
// come when what they depend on is committed. Errors are Kafka's own, not_controller when there is
// none.
#pragma once

#include <string>
#include <vector>

#include "broker/placement.h"
#include "ottla/result.h"
#include "ottla/task.h"
#include "protocol/create_topics.h"
#include "protocol/delete_topics.h"

namespace ottla::broker {

/// Producer ids of one broker, handed out without asking again.
struct ProducerIdBlock {
    int64_t first = 0;
    int32_t count = 0;
};

/// Where a replica of this broker lies, or is about to.
struct AssignedLog {
    PartitionKey key;
    std::string log_dir;
};

class ControllerLink {
public:
    virtual ~ControllerLink() = default;
    virtual Task<protocol::CreateTopicsResponse> create_topics(
        int16_t version, protocol::CreateTopicsRequest request) = 0;
    virtual Task<protocol::DeleteTopicsResponse> delete_topics(
        int16_t version, protocol::DeleteTopicsRequest request) = 0;
    virtual Task<Result<ProducerIdBlock>> allocate_producer_ids() = 0;
    /// Returns when the metadata says so. One that is not there any more is passed over.
    virtual Task<Status> assign_directories(std::vector<AssignedLog> logs) = 0;
    /// A log of this node is in that directory now.
    virtual void log_moved(const AssignedLog& log) = 0;
};

}  // namespace ottla::broker
