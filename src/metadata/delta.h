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
// Errors: unsupported_version for a record or a finalized feature that this version
// cannot honour (a node must stop there by name, never skip it), corrupt for records that
// contradict the image.
// pure
#pragma once

#include <map>
#include <set>
#include <span>
#include <vector>

#include "metadata/image.h"
#include "ottla/result.h"
#include "protocol/metadata_records.h"

namespace ottla::metadata {

/// A range of levels of each feature that this version implements, kraft.version included: what
/// brokers and controllers register with, and what may be finalized in a cluster we take part in.
const FeatureRanges& supported_features();

/// The levels of metadata.version at which our records change their shape.
inline constexpr int16_t kMinMetadataVersion = 21;      // 3.9-IV0: kraft.version 1 needs it
inline constexpr int16_t kElrRecordsVersion = 23;       // 4.0-IV1: ELR fields in partition records
inline constexpr int16_t kCurrentMetadataVersion = 25;  // 4.0-IV3
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
    Status replay_one(const protocol::NoOpRecord&) { return {}; }
    /// Everything that has no meaning here yet.
    template <class Record>
    Status replay_one(const Record& record);

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
