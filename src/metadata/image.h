// SPDX-License-Identifier: Apache-2.0
// MetadataImage: what every broker knows of the cluster at one offset of the metadata log. A value:
// copying it costs a few pointers whatever the cluster's size (PersistentMap), it is never changed
// once it was published (std::shared_ptr<const MetadataImage>), and two images built from the same
// records are equal. metadata/delta.h makes the next one; the controller decides on the same type.
// pure
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "metadata/persistent_map.h"
#include "ottla/types.h"

namespace ottla::protocol {
struct AccessControlEntryRecord;
struct DelegationTokenRecord;
struct UserScramCredentialRecord;
}  // namespace ottla::protocol

namespace ottla::metadata {

struct Partition {
    std::vector<BrokerId> replicas;  ///< in order of preference
    std::vector<BrokerId> isr;
    /// Out of sync, but with everything below the high watermark (KIP-966); any of them may lead
    /// when nobody is in sync.
    std::vector<BrokerId> eligible;
    /// Who led last, when nobody is in sync or eligible any more.
    std::vector<BrokerId> last_known_eligible;
    std::vector<BrokerId> removing_replicas;
    std::vector<BrokerId> adding_replicas;
    /// The log directory of each replica, in the order of `replicas`; zero: not assigned.
    std::vector<Uuid> directories;
    /// kNoBroker: no replica may lead now.
    BrokerId leader = kNoBroker;
    LeaderEpoch leader_epoch{0};
    int32_t partition_epoch = 0;
    /// 1: the leader came back from an unclean election and is still recovering.
    int8_t leader_recovery_state = 0;

    [[nodiscard]] bool has_replica(BrokerId broker) const;
    [[nodiscard]] bool in_isr(BrokerId broker) const;
    /// The directory of this broker's replica; zero without one.
    [[nodiscard]] Uuid directory_of(BrokerId broker) const;
    bool operator==(const Partition&) const = default;
};

using Partitions = PersistentMap<PartitionIndex, std::shared_ptr<const Partition>>;

struct Topic {
    std::string name;
    Uuid id;
    Partitions partitions;

    /// Null when there is no such partition.
    [[nodiscard]] const Partition* partition(PartitionIndex index) const;
    bool operator==(const Topic& other) const;
};
using TopicPtr = std::shared_ptr<const Topic>;

/// Kafka's number of a listener's protocol.
enum class SecurityProtocol : int16_t { plaintext = 0, ssl = 1, sasl_plaintext = 2, sasl_ssl = 3 };

struct ListenerEndpoint {
    std::string listener;
    std::string host;
    uint16_t port = 0;
    SecurityProtocol protocol = SecurityProtocol::plaintext;
    bool operator==(const ListenerEndpoint&) const = default;
};

struct FeatureRange {
    int16_t min = 0;
    int16_t max = 0;
    bool operator==(const FeatureRange&) const = default;
};
using FeatureRanges = std::map<std::string, FeatureRange, std::less<>>;
using FeatureLevels = std::map<std::string, int16_t, std::less<>>;

/// A broker as it registered last.
struct Broker {
    BrokerId id = kNoBroker;
    BrokerEpoch epoch{-1};
    Uuid incarnation;
    std::vector<ListenerEndpoint> endpoints;
    FeatureRanges features;
    std::optional<std::string> rack;
    std::vector<Uuid> log_dirs;
    /// Of them, those that take no new partitions (KIP-1066).
    std::optional<std::vector<Uuid>> cordoned_log_dirs;
    bool fenced = true;
    bool in_controlled_shutdown = false;
    /// Of a migration from ZooKeeper that Kafka 3 began; kept.
    bool is_migrating_zk_broker = false;

    [[nodiscard]] const ListenerEndpoint* endpoint(std::string_view listener) const;
    [[nodiscard]] bool is_cordoned(const Uuid& directory) const;
    bool operator==(const Broker&) const = default;
};

/// A controller as it registered last.
struct ControllerNode {
    BrokerId id = kNoBroker;
    Uuid incarnation;
    std::vector<ListenerEndpoint> endpoints;
    FeatureRanges features;
    bool zk_migration_ready = false;
    bool operator==(const ControllerNode&) const = default;
};

/// Numbers are Kafka's ConfigResource types.
enum class ResourceType : int8_t { topic = 2, broker = 4, client_metrics = 16, group = 32 };

struct ConfigResource {
    ResourceType type = ResourceType::topic;
    std::string name;  ///< a broker's id; empty for the default of all brokers
    auto operator<=>(const ConfigResource&) const = default;
};
using ConfigValues = std::map<std::string, std::string, std::less<>>;

/// Whom a quota is about: "user", "client-id" or "ip" with a name; without one it is the default.
using QuotaEntity = std::map<std::string, std::optional<std::string>, std::less<>>;
using Quotas = std::map<std::string, double, std::less<>>;

/// A user's name and the number of a SCRAM mechanism.
using ScramUser = std::pair<std::string, int8_t>;

struct MetadataImage {
    /// The first offset of the metadata log that is not in here, and the epoch of the one before.
    Offset end{0};
    LeaderEpoch epoch{0};
    /// When the leader wrote the last record that is in here.
    WallTime timestamp{0};

    PersistentMap<std::string, TopicPtr> topics;
    PersistentMap<Uuid, TopicPtr> topics_by_id;
    PersistentMap<BrokerId, std::shared_ptr<const Broker>> brokers;
    PersistentMap<BrokerId, std::shared_ptr<const ControllerNode>> controllers;
    PersistentMap<ConfigResource, std::shared_ptr<const ConfigValues>> configs;
    PersistentMap<QuotaEntity, std::shared_ptr<const Quotas>> client_quotas;
    // Kept as they were written, whether or not this version acts on them: a directory that is
    // handed back has all of them.
    PersistentMap<Uuid, std::shared_ptr<const protocol::AccessControlEntryRecord>> acls;
    PersistentMap<ScramUser, std::shared_ptr<const protocol::UserScramCredentialRecord>>
        scram_credentials;
    PersistentMap<std::string, std::shared_ptr<const protocol::DelegationTokenRecord>>
        delegation_tokens;
    /// How far a migration from ZooKeeper got; nothing if no record ever said so.
    std::optional<int8_t> zk_migration_state;
    /// Finalized levels without kraft.version; a level of 0 is not kept.
    FeatureLevels features;
    int64_t next_producer_id = 0;
    /// Of the metadata log itself (control records).
    int16_t kraft_version = 0;

    /// Null when absent.
    [[nodiscard]] TopicPtr topic(std::string_view name) const;
    [[nodiscard]] TopicPtr topic(const Uuid& id) const;
    [[nodiscard]] const Partition* partition(std::string_view topic, PartitionIndex index) const;
    [[nodiscard]] const Broker* broker(BrokerId id) const;
    /// Registered, not fenced: a broker that clients are told of.
    [[nodiscard]] bool is_alive(BrokerId id) const;
    [[nodiscard]] std::vector<const Broker*> live_brokers() const;
    /// Where a partition's leader is for clients of `listener`; null: no leader, or not there.
    [[nodiscard]] const ListenerEndpoint* leader_endpoint(const Partition& partition,
                                                          std::string_view listener) const;
    /// The dynamic values of a resource; empty without any.
    [[nodiscard]] const ConfigValues& config(ResourceType type, std::string_view name) const;
    /// One of them; null when it is not set. Defaults are the settings table's business.
    [[nodiscard]] const std::string* config_value(ResourceType type,
                                                  std::string_view name,
                                                  std::string_view key) const;
    /// 0: not finalized.
    [[nodiscard]] int16_t feature(std::string_view name) const;
    [[nodiscard]] int16_t metadata_version() const { return feature("metadata.version"); }
    /// KIP-966: partitions may have no one in sync, and eligible replicas then.
    [[nodiscard]] bool keeps_eligible_replicas() const {
        return feature("eligible.leader.replicas.version") > 0;
    }
    [[nodiscard]] size_t partition_count() const;

    bool operator==(const MetadataImage& other) const;
};

using ImagePtr = std::shared_ptr<const MetadataImage>;

}  // namespace ottla::metadata
