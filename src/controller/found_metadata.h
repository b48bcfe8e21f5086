// SPDX-License-Identifier: Apache-2.0
// FoundMetadata: looks at a metadata log that was found, whoever wrote it, and refuses it by name before
// anything in the directory changes: a finalized level or feature that this version does not have,
// a record of a type or version that it cannot read. Bodies of records other than levels are not
// decoded here: that is what replay does, and errors there mean damage, not another version.
// Errors: unsupported_version, and corrupt for batches that are none.
// pure
#pragma once

#include <span>

#include "metadata/image.h"
#include "ottla/result.h"
#include "protocol/metadata_records.h"
#include "records/batch.h"

namespace ottla::controller {

class FoundMetadata {
public:
    /// Of the snapshot that the log begins with.
    Status found_records(std::span<const protocol::MetadataRecord> records);
    /// Each batch behind it, in order.
    Status found_batch(const BatchView& batch);
    /// After the last batch. `bootstrap` counts if the log says no levels: it is what the first
    /// leader will write.
    Status accept(std::span<const protocol::MetadataRecord> bootstrap);

private:
    Status found(const protocol::MetadataRecord& record);

    metadata::FeatureLevels levels_;
    /// Somebody registered or made a topic.
    bool used_ = false;
};

}  // namespace ottla::controller
