// SPDX-License-Identifier: Apache-2.0
// MetadataDelta: the records of one or more committed batches on their way into an image, and what
// they change. `replay` is the only code that knows what a metadata record means; controller,
// standby and every broker run it, so that the same records give the same image everywhere.
//
//   MetadataDelta delta(*image);
//   for each record: TRY_STATUS(delta.replay(record));
//   ImagePtr next = delta.finish(end, epoch, timestamp);
//   partition manager: for (const TopicChange& change : delta.changes().topics) ...
//
// A metadata transaction (Begin/EndTransactionRecord, KIP-868) becomes visible at its end: the
// records behind a Begin are held back, and the delta's state survives in `next_delta()` if it is
// still open.
// Every type of record has its place in the image, also those that nothing here acts on yet.
// Errors: unsupported_version for a finalized feature that this version cannot honour (a node must
// stop there by name, never skip it), corrupt for records that contradict the image.
// pure
#pragma once

#include <map>
#include <set>
#include <span>
#include <string_view>
#include <vector>

#include "metadata/image.h"
#include "ottla/result.h"
#include "protocol/metadata_records.h"

namespace ottla::metadata {

/// A range of levels of each feature, kraft.version included, whose records this version reads,
/// keeps and writes right: what brokers and controllers register with, and what may be finalized in
/// a cluster we take part in. Which requests are served is ApiVersions' business, not that of
/// levels.
const FeatureRanges& supported_features();

/// Levels of metadata.version.
inline constexpr int16_t kMinMetadataVersion = 21;      // 3.9-IV0: kraft.version 1 needs it
inline constexpr int16_t kElrRecordsVersion = 23;       // 4.0-IV1: ELR fields in partition records
inline constexpr int16_t kCordonedRecordsVersion = 30;  // 4.3-IV0: cordoned directories of brokers
inline constexpr int16_t kNewestMetadataVersion = 33;   // 4.4-IV2: the last with records we have
/// Of the clusters that we format. 4.0-IV3: every Kafka 4 opens them, and later levels would give
/// us nothing that we serve. Clusters that exist stay at the level they have.
inline constexpr int16_t kNewClusterMetadataVersion = 25;

/// Refuses by name a level that is newer than this version, or a feature that it does not have.
Status check_level(std::string_view name, int16_t level);
/// Refuses levels that a node must not take part at, too old ones among them. `used`: the log holds
/// brokers or topics, so that an absent metadata.version means one from before Kafka 3.3.
Status check_levels(const FeatureLevels& levels, bool used);
/// The version in which a record is written at this level of metadata.version.
int16_t record_version(const protocol::MetadataRecord& record, int16_t metadata_version);

struct TopicChange {
    TopicPtr before;  ///< null: created
    TopicPtr after;   ///< null: deleted
    /// The partitions that are new, changed or gone (all of them for a new or deleted topic).
    std::vector<PartitionIndex> partitions;
};

/// What a delta changed, in the order of topic ids, broker ids, resources. A topic that was created
/// and deleted within one delta does not appear.
struct MetadataChanges {
    std::vector<TopicChange> topics;
    std::set<BrokerId> brokers;
    std::set<ConfigResource> configs;
    bool features = false;
    bool producer_ids = false;
};

class MetadataDelta {
public:
    explicit MetadataDelta(const MetadataImage& before) : before_(before), after_(before) {}

    /// In log order. After an error the delta is of no use.
    Status replay(const protocol::MetadataRecord& record);
    void set_kraft_version(int16_t version) { after_.kraft_version = version; }

    /// The image behind the records so far.
    [[nodiscard]] ImagePtr finish(Offset end, LeaderEpoch epoch, WallTime timestamp) const;
    [[nodiscard]] const MetadataImage& after() const { return after_; }
    /// A metadata transaction was begun and has not ended.
    [[nodiscard]] bool in_transaction() const { return in_transaction_; }
    [[nodiscard]] MetadataChanges changes() const;

    /// A delta over `published`, the image that finish() gave, with the open transaction if any.
    [[nodiscard]] MetadataDelta next_delta(const MetadataImage& published) const;

private:
    Status apply(const protocol::MetadataRecord& record);
    Status replay_one(const protocol::RegisterBrokerRecord& record);
    Status replay_one(const protocol::UnregisterBrokerRecord& record);
    Status replay_one(const protocol::BrokerRegistrationChangeRecord& record);
    Status replay_one(const protocol::FenceBrokerRecord& record);
    Status replay_one(const protocol::UnfenceBrokerRecord& record);
    Status replay_one(const protocol::TopicRecord& record);
    Status replay_one(const protocol::PartitionRecord& record);
    Status replay_one(const protocol::PartitionChangeRecord& record);
    Status replay_one(const protocol::RemoveTopicRecord& record);
    Status replay_one(const protocol::ConfigRecord& record);
    Status replay_one(const protocol::FeatureLevelRecord& record);
    Status replay_one(const protocol::ProducerIdsRecord& record);
    Status replay_one(const protocol::RegisterControllerRecord& record);
    Status replay_one(const protocol::UnregisterControllerRecord& record);
    Status replay_one(const protocol::ClearElrRecord& record);
    Status replay_one(const protocol::ClientQuotaRecord& record);
    Status replay_one(const protocol::AccessControlEntryRecord& record);
    Status replay_one(const protocol::RemoveAccessControlEntryRecord& record);
    Status replay_one(const protocol::UserScramCredentialRecord& record);
    Status replay_one(const protocol::RemoveUserScramCredentialRecord& record);
    Status replay_one(const protocol::DelegationTokenRecord& record);
    Status replay_one(const protocol::RemoveDelegationTokenRecord& record);
    Status replay_one(const protocol::ZkMigrationStateRecord& record);
    Status replay_one(const protocol::NoOpRecord&) { return {}; }
    // replay() sees to these.
    Status replay_one(const protocol::BeginTransactionRecord&) { return {}; }
    Status replay_one(const protocol::EndTransactionRecord&) { return {}; }
    Status replay_one(const protocol::AbortTransactionRecord&) { return {}; }

    Status set_fenced(BrokerId id, BrokerEpoch epoch, bool fenced);
    void put_broker(Broker broker);
    void put_topic(Topic topic);
    void put_partition(const TopicPtr& topic, PartitionIndex index, Partition partition);

    MetadataImage before_;
    MetadataImage after_;
    std::map<Uuid, std::set<PartitionIndex>> touched_partitions_;
    std::set<Uuid> touched_topics_;
    std::set<BrokerId> touched_brokers_;
    std::set<ConfigResource> touched_configs_;
    bool in_transaction_ = false;
    std::vector<protocol::MetadataRecord> held_;  // of the open transaction
};

/// The records that describe `image` from nothing, in the order of a snapshot of Kafka's.
std::vector<protocol::MetadataRecord> records_of(const MetadataImage& image);

}  // namespace ottla::metadata
