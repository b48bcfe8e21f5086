// SPDX-License-Identifier: Apache-2.0
// Which failures a client tries again after (Kafka's RetriableException, plus broken connections).
// pure
#pragma once

#include "ottla/result.h"

namespace ottla::client {

inline bool is_retriable(ErrorCode code) {
    switch (code) {
        case ErrorCode::corrupt_message:
        case ErrorCode::unknown_topic_or_partition:
        case ErrorCode::unknown_topic_id:
        case ErrorCode::leader_not_available:
        case ErrorCode::not_leader_or_follower:
        case ErrorCode::request_timed_out:
        case ErrorCode::broker_not_available:
        case ErrorCode::replica_not_available:
        case ErrorCode::network_exception:
        case ErrorCode::not_enough_replicas:
        case ErrorCode::not_enough_replicas_after_append:
        case ErrorCode::kafka_storage_error:
        case ErrorCode::fenced_leader_epoch:
        case ErrorCode::unknown_leader_epoch:
        case ErrorCode::offset_not_available:
        case ErrorCode::coordinator_load_in_progress:
        case ErrorCode::concurrent_transactions:
        case ErrorCode::throttling_quota_exceeded:
        case ErrorCode::not_controller:
        case ErrorCode::cancelled:
        case ErrorCode::end_of_stream:
        case ErrorCode::connection_refused:
        case ErrorCode::connection_reset: return true;
        default: return false;
    }
}

}  // namespace ottla::client
