// SPDX-License-Identifier: Apache-2.0
// meta.properties: who a log directory belongs to. Java's properties format, version 1 (KIP-858):
// cluster.id, node.id, directory.id. Keys we do not know are kept away from, not kept. Errors:
// corrupt. pure
#pragma once

#include <string>
#include <string_view>

#include "ottla/result.h"
#include "ottla/types.h"

namespace ottla::storage {

struct MetaProperties {
    std::string cluster_id;
    BrokerId node_id = kNoBroker;
    Uuid directory_id;
    bool operator==(const MetaProperties&) const = default;
};

Result<MetaProperties> parse_meta_properties(std::string_view text);
std::string to_text(const MetaProperties& meta);

}  // namespace ottla::storage
