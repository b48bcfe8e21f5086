// SPDX-License-Identifier: Apache-2.0
// Who leads a partition when brokers come and go. The leader is always a member of the ISR that is
// active; the preferred order is that of the replicas; the last member of an ISR stays in it, so
// that a partition whose only replica is away has no leader (-1) and waits for it. Every change of
// leader bumps the leader epoch when it is replayed.
//
// Where the cluster finalized eligible.leader.replicas.version (KIP-966) the ISR may become empty:
// who leaves an ISR that falls below min.insync.replicas is eligible, an eligible one leads when
// nobody is in sync, and when nobody is eligible either (Kafka found its directory unclean) the
// last leader does, marked as recovering. Without the feature elections are clean only.
// pure
#pragma once

#include <optional>
#include <vector>

#include "metadata/image.h"
#include "protocol/metadata_records.h"

namespace ottla::controller {

/// How the cluster will be once the records that are being decided are replayed.
struct ElectionView {
    const metadata::MetadataImage& image;
    /// Leaves every ISR and leads nothing; kNoBroker: nobody.
    BrokerId leaving = kNoBroker;
    /// Counts as active although the image says otherwise; kNoBroker: nobody.
    BrokerId coming = kNoBroker;
    /// min.insync.replicas of topics whose settings, and the cluster's, do not say.
    int32_t min_insync_replicas = 1;

    [[nodiscard]] bool may_lead(BrokerId broker) const;
};

/// The change that this partition needs, nothing if it is fine as it is.
std::optional<protocol::PartitionChangeRecord> elect(const ElectionView& view,
                                                     const metadata::Topic& topic,
                                                     PartitionIndex index,
                                                     const metadata::Partition& partition);

/// Of every partition in which `leaving` leads or is in sync, or that waits for `coming`.
void append_elections(const ElectionView& view, std::vector<protocol::MetadataRecord>& records);

/// Does the broker lead any partition?
bool leads_any(const metadata::MetadataImage& image, BrokerId broker);

}  // namespace ottla::controller
