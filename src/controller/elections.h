// SPDX-License-Identifier: Apache-2.0
// Who leads a partition when brokers come and go. Clean elections only: the leader is always a
// member of the ISR that is active; the preferred order is that of the replicas; the last member of
// an ISR stays in it, so that a partition whose only replica is away has no leader (-1) and waits
// for it. Every change of leader bumps the leader epoch when it is replayed.
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
