// SPDX-License-Identifier: Apache-2.0
// Controller: brokers, controllers, producer ids and the first records of a cluster.
#include <algorithm>
#include <limits>

#include <fmt/format.h>

#include "base/uuid.h"
#include "controller/controller.h"

namespace ottla::controller {
namespace {

using protocol::AllocateProducerIdsRequest;
using protocol::AllocateProducerIdsResponse;
using protocol::BrokerHeartbeatRequest;
using protocol::BrokerHeartbeatResponse;
using protocol::BrokerRegistrationRequest;
using protocol::BrokerRegistrationResponse;
using protocol::ControllerRegistrationRequest;
using protocol::ControllerRegistrationResponse;

constexpr int8_t kSet = 1;
constexpr int8_t kCleared = -1;

protocol::BrokerRegistrationChangeRecord change_of(const metadata::Broker& broker) {
    protocol::BrokerRegistrationChangeRecord record;
    record.broker_id = broker.id.value();
    record.broker_epoch = broker.epoch.value();
    return record;
}

protocol::MetadataRecord fenced_record(const metadata::Broker& broker, int8_t fenced) {
    auto record = change_of(broker);
    record.fenced = fenced;
    return record;
}

template <class Response>
Decision<Response> refused(const Error& error) {
    Decision<Response> decision;
    decision.response.error_code = wire_code(error.code);
    return decision;
}

template <class Record, class Request>
void copy_listeners_and_features(const Request& request, Record& record) {
    for (const auto& listener : request.listeners) {
        record.end_points.push_back(
            {listener.name, listener.host, listener.port, listener.security_protocol});
    }
    for (const auto& feature : request.features) {
        record.features.push_back(
            {feature.name, feature.min_supported_version, feature.max_supported_version});
    }
}

}  // namespace

Controller::Controller(std::string cluster_id, Settings settings)
    : cluster_id_(std::move(cluster_id)), settings_(std::move(settings)) {}

std::vector<protocol::MetadataRecord> Controller::activate(
    std::vector<protocol::MetadataRecord> features) const {
    if (image_.metadata_version() != 0) return {};
    if (features.empty()) {
        protocol::FeatureLevelRecord level;
        level.name = "metadata.version";
        level.feature_level = metadata::kNewClusterMetadataVersion;
        features.emplace_back(level);
    }
    std::vector<protocol::MetadataRecord> records;
    records.emplace_back(protocol::BeginTransactionRecord{"Bootstrap records"});
    const auto finalizes_elr = [](const protocol::MetadataRecord& record) {
        const auto* level = std::get_if<protocol::FeatureLevelRecord>(&record);
        return level != nullptr && level->name == "eligible.leader.replicas.version" &&
               level->feature_level > 0;
    };
    const bool elr = std::ranges::any_of(features, finalizes_elr);
    std::ranges::move(features, std::back_inserter(records));
    if (elr) {
        // Every controller must judge eligibility by the same number, so the cluster has one.
        records.emplace_back(protocol::ConfigRecord{
            static_cast<int8_t>(metadata::ResourceType::broker), "", "min.insync.replicas",
            std::to_string(settings_.number("min.insync.replicas"))});
    }
    records.emplace_back(protocol::EndTransactionRecord{});
    return records;
}

ElectionView Controller::view_of_leaving(BrokerId broker) const {
    const auto needed = static_cast<int32_t>(settings_.number("min.insync.replicas"));
    return {.image = image_, .leaving = broker, .min_insync_replicas = needed};
}

ElectionView Controller::view_of_coming(BrokerId broker) const {
    const auto needed = static_cast<int32_t>(settings_.number("min.insync.replicas"));
    return {.image = image_, .coming = broker, .min_insync_replicas = needed};
}

Status Controller::check_registration(const BrokerRegistrationRequest& request,
                                      OldIncarnation old) const {
    if (request.cluster_id != cluster_id_) {
        return fail(ErrorCode::inconsistent_cluster_id,
                    fmt::format("broker {} belongs to cluster {}, this is {}", request.broker_id,
                                request.cluster_id, cluster_id_));
    }
    if (request.log_dirs.empty()) {
        return fail(ErrorCode::invalid_registration, "a broker registers with its log directories");
    }
    for (const auto& [id, broker] : image_.brokers) {
        if (id == BrokerId{request.broker_id}) continue;
        for (const Uuid& directory : request.log_dirs) {
            if (std::ranges::find(broker->log_dirs, directory) == broker->log_dirs.end()) continue;
            return fail(ErrorCode::invalid_registration,
                        fmt::format("log directory {} belongs to broker {}", to_string(directory),
                                    id.value()));
        }
    }
    const metadata::Broker* known = image_.broker(BrokerId{request.broker_id});
    const bool another = known != nullptr && known->incarnation != request.incarnation_id;
    if (another && !known->fenced && !known->in_controlled_shutdown &&
        old == OldIncarnation::may_live) {
        return fail(ErrorCode::duplicate_broker_registration,
                    fmt::format("broker {} is registered by another process", request.broker_id));
    }
    for (const auto& [name, level] : image_.features) {
        const auto range =
            std::ranges::find(request.features, name, &BrokerRegistrationRequest::Feature::name);
        if (range == request.features.end() || level < range->min_supported_version ||
            level > range->max_supported_version) {
            return fail(ErrorCode::unsupported_version,
                        fmt::format("broker {} does not support {} at level {}", request.broker_id,
                                    name, level));
        }
    }
    return {};
}

Decision<BrokerRegistrationResponse> Controller::register_broker(
    const BrokerRegistrationRequest& request, OldIncarnation old, Offset next_offset) const {
    if (Status ok = check_registration(request, old); !ok) {
        return refused<BrokerRegistrationResponse>(ok.error());
    }
    Decision<BrokerRegistrationResponse> decision;
    // The fence comes first and the registration last, so a crash between batches leaves a fenced
    // broker with some partitions still to be taken from it: the next registration does that.
    decision.atomic = false;
    const BrokerId id{request.broker_id};
    const metadata::Broker* known = image_.broker(id);
    const bool same = known != nullptr && known->incarnation == request.incarnation_id;
    if (known != nullptr && !same) {
        // Followers and the broker itself rely on it: what the old incarnation had in memory and
        // not on the disk belonged to leader epochs that are over now (DESIGN 7.2).
        if (!known->fenced) decision.records.push_back(fenced_record(*known, kSet));
        append_elections(view_of_leaving(id), decision.records);
    }
    protocol::RegisterBrokerRecord record;
    record.broker_id = request.broker_id;
    record.incarnation_id = request.incarnation_id;
    copy_listeners_and_features(request, record);
    record.rack = request.rack;
    record.log_dirs = request.log_dirs;
    if (known != nullptr && known->cordoned_log_dirs) {
        // Our brokers cordon nothing themselves; what Kafka's did stays until it says otherwise.
        record.cordoned_log_dirs = known->cordoned_log_dirs;
        std::erase_if(*record.cordoned_log_dirs, [&](const Uuid& directory) {
            return std::ranges::find(request.log_dirs, directory) == request.log_dirs.end();
        });
    }
    record.fenced = !same || known->fenced;
    record.broker_epoch =
        same ? known->epoch.value()
             : (next_offset + static_cast<int64_t>(decision.records.size())).value();
    decision.response.broker_epoch = record.broker_epoch;
    decision.records.emplace_back(std::move(record));
    return decision;
}

Result<const metadata::Broker*> Controller::registered(int32_t broker, int64_t epoch) const {
    const metadata::Broker* known = image_.broker(BrokerId{broker});
    if (known == nullptr) {
        return fail(ErrorCode::stale_broker_epoch,
                    fmt::format("broker {} is not registered", broker));
    }
    if (known->epoch.value() != epoch) {
        return fail(
            ErrorCode::stale_broker_epoch,
            fmt::format("broker {} has epoch {}, not {}", broker, known->epoch.value(), epoch));
    }
    return known;
}

Decision<BrokerHeartbeatResponse> Controller::heartbeat(
    const BrokerHeartbeatRequest& request) const {
    const auto known = registered(request.broker_id, request.broker_epoch);
    if (!known) return refused<BrokerHeartbeatResponse>(known.error());
    const metadata::Broker& broker = **known;

    Decision<BrokerHeartbeatResponse> decision;
    decision.atomic = false;
    BrokerHeartbeatResponse& response = decision.response;
    // The broker's epoch is the offset of its registration: it must have seen itself.
    response.is_caught_up = request.current_metadata_offset >= request.broker_epoch;
    response.is_fenced = broker.fenced;
    if (request.want_shut_down) {
        const bool must_move = !broker.fenced && leads_any(image_, broker.id);
        if (must_move) {
            if (!broker.in_controlled_shutdown) {
                auto record = change_of(broker);
                record.in_controlled_shutdown = kSet;
                decision.records.emplace_back(std::move(record));
            }
            append_elections(view_of_leaving(broker.id), decision.records);
        } else {
            if (!broker.fenced) decision.records.push_back(fenced_record(broker, kSet));
            response.is_fenced = true;
            response.should_shut_down = true;
        }
    } else if (request.want_fence) {
        if (!broker.fenced) {
            decision.records.push_back(fenced_record(broker, kSet));
            append_elections(view_of_leaving(broker.id), decision.records);
        }
        response.is_fenced = true;
    } else if (broker.fenced && response.is_caught_up) {
        decision.records.push_back(fenced_record(broker, kCleared));
        append_elections(view_of_coming(broker.id), decision.records);
        response.is_fenced = false;
    }
    return decision;
}

Decision<ControllerRegistrationResponse> Controller::register_controller(
    const ControllerRegistrationRequest& request) const {
    Decision<ControllerRegistrationResponse> decision;
    protocol::RegisterControllerRecord record;
    record.controller_id = request.controller_id;
    record.incarnation_id = request.incarnation_id;
    copy_listeners_and_features(request, record);
    decision.records.emplace_back(std::move(record));
    return decision;
}

Decision<AllocateProducerIdsResponse> Controller::allocate_producer_ids(
    const AllocateProducerIdsRequest& request) const {
    const auto known = registered(request.broker_id, request.broker_epoch);
    if (!known) return refused<AllocateProducerIdsResponse>(known.error());
    const int64_t first = image_.next_producer_id;
    if (first > std::numeric_limits<int64_t>::max() - kProducerIdBlock) {
        return refused<AllocateProducerIdsResponse>(
            {ErrorCode::unknown_server_error, "all producer ids are used up"});
    }
    Decision<AllocateProducerIdsResponse> decision;
    decision.response.producer_id_start = first;
    decision.response.producer_id_len = kProducerIdBlock;
    protocol::ProducerIdsRecord record;
    record.broker_id = request.broker_id;
    record.broker_epoch = request.broker_epoch;
    record.next_producer_id = first + kProducerIdBlock;
    decision.records.emplace_back(record);
    return decision;
}

}  // namespace ottla::controller
