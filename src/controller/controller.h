// SPDX-License-Identifier: Apache-2.0
// Controller: what the cluster should become. Decide functions are const and return records and a
// response; `replay` alone mutates, and is the metadata module's one meaning of a record, so that
// leader, standby and every broker agree. The driver replays a decision when it is proposed, so the
// next decision sees it; answers are released when it is committed.
//
// Rules and error codes are those of Kafka's quorum controller; messages are ours. Randomness
// (topic ids) comes in as an argument. Time does not enter yet: with one node nobody's heartbeat
// can be late.
// pure
#pragma once

#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "controller/decision.h"
#include "controller/elections.h"
#include "metadata/delta.h"
#include "metadata/image.h"
#include "ottla/result.h"
#include "ottla/settings.h"
#include "protocol/allocate_producer_ids.h"
#include "protocol/assign_replicas_to_dirs.h"
#include "protocol/broker_heartbeat.h"
#include "protocol/broker_registration.h"
#include "protocol/controller_registration.h"
#include "protocol/create_topics.h"
#include "protocol/delete_topics.h"

namespace ottla::controller {

inline constexpr int32_t kProducerIdBlock = 1000;

/// Is the incarnation that is still registered provably gone (same directory lock, same process)?
enum class OldIncarnation : bool { may_live, is_gone };

class Controller {
public:
    /// `settings`: num.partitions, default.replication.factor, delete.topic.enable and the defaults
    /// of topic settings.
    Controller(std::string cluster_id, Settings settings);

    /// What it decides on: committed and proposed records.
    [[nodiscard]] const metadata::MetadataImage& image() const { return image_; }
    [[nodiscard]] const std::string& cluster_id() const { return cluster_id_; }

    /// Records of the first leader of a cluster: the feature levels of the bootstrap checkpoint, or
    /// those that this version finalizes. Nothing once there is a metadata.version.
    [[nodiscard]] std::vector<protocol::MetadataRecord> activate(
        std::vector<protocol::MetadataRecord> features) const;

    /// `fresh_ids`: one random id per topic of the request.
    [[nodiscard]] Decision<protocol::CreateTopicsResponse> create_topics(
        const protocol::CreateTopicsRequest& request, std::span<const Uuid> fresh_ids) const;
    /// Takes topics by name (below version 6) and by name or id (from there on).
    [[nodiscard]] Decision<protocol::DeleteTopicsResponse> delete_topics(
        const protocol::DeleteTopicsRequest& request) const;

    /// `next_offset`: where the first of the records will stand; the broker's epoch follows from
    /// it.
    [[nodiscard]] Decision<protocol::BrokerRegistrationResponse> register_broker(
        const protocol::BrokerRegistrationRequest& request,
        OldIncarnation old,
        Offset next_offset) const;
    [[nodiscard]] Decision<protocol::BrokerHeartbeatResponse> heartbeat(
        const protocol::BrokerHeartbeatRequest& request) const;
    [[nodiscard]] Decision<protocol::ControllerRegistrationResponse> register_controller(
        const protocol::ControllerRegistrationRequest& request) const;
    [[nodiscard]] Decision<protocol::AllocateProducerIdsResponse> allocate_producer_ids(
        const protocol::AllocateProducerIdsRequest& request) const;

    [[nodiscard]] Decision<protocol::AssignReplicasToDirsResponse> assign_replicas_to_dirs(
        const protocol::AssignReplicasToDirsRequest& request) const;

    /// The only mutations: the committed log at load, then what was decided here.
    void load(const metadata::MetadataImage& committed);
    /// `end`: the log's end behind these records.
    Status replay(std::span<const protocol::MetadataRecord> records,
                  Offset end,
                  LeaderEpoch epoch,
                  WallTime timestamp);

private:
    using NewTopic = protocol::CreateTopicsRequest::CreatableTopic;
    using TopicResult = protocol::CreateTopicsResponse::CreatableTopicResult;
    using Records = std::vector<protocol::MetadataRecord>;

    using Collisions = std::map<std::string, std::set<std::string>>;

    [[nodiscard]] TopicResult create_topic(const NewTopic& topic,
                                           const Uuid& id,
                                           Collisions& in_request,
                                           Records& records) const;
    [[nodiscard]] Status check_topic_name(const std::string& name,
                                          const Collisions& in_request) const;
    [[nodiscard]] Result<Records> new_topic_records(const NewTopic& topic, const Uuid& id) const;
    [[nodiscard]] Status add_placed(const NewTopic& topic, const Uuid& id, Records& records) const;
    [[nodiscard]] Status add_assigned(const NewTopic& topic,
                                      const Uuid& id,
                                      Records& records) const;
    [[nodiscard]] Result<std::vector<BrokerId>> check_assigned(
        const NewTopic& topic, const std::vector<int32_t>& brokers) const;
    [[nodiscard]] TopicResult describe_new_topic(const NewTopic& topic,
                                                 const Uuid& id,
                                                 const Records& records) const;
    [[nodiscard]] Status check_registration(const protocol::BrokerRegistrationRequest& request,
                                            OldIncarnation old) const;
    [[nodiscard]] Result<const metadata::Broker*> registered(int32_t broker, int64_t epoch) const;
    [[nodiscard]] ErrorCode assign_directory(BrokerId broker,
                                             const Uuid& directory,
                                             const Uuid& topic_id,
                                             int32_t index,
                                             Records& records) const;
    [[nodiscard]] ElectionView view_of_leaving(BrokerId broker) const;
    [[nodiscard]] ElectionView view_of_coming(BrokerId broker) const;

    std::string cluster_id_;
    Settings settings_;
    metadata::MetadataImage image_;
    /// Names that would share a metric's name: by the name with '_' for every '.' (trap 22).
    Collisions collisions_;
};

}  // namespace ottla::controller
