// SPDX-License-Identifier: Apache-2.0
// ControllerLink: what a broker asks the active controller for. Called on shard 0 only; answers
// come when what they depend on is committed. Errors are Kafka's own, not_controller when there is
// none.
#pragma once

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

class ControllerLink {
public:
    virtual ~ControllerLink() = default;
    virtual Task<protocol::CreateTopicsResponse> create_topics(
        int16_t version, protocol::CreateTopicsRequest request) = 0;
    virtual Task<protocol::DeleteTopicsResponse> delete_topics(
        int16_t version, protocol::DeleteTopicsRequest request) = 0;
    virtual Task<Result<ProducerIdBlock>> allocate_producer_ids() = 0;
};

}  // namespace ottla::broker
