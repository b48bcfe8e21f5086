// SPDX-License-Identifier: Apache-2.0
// The catalogue of one shard's logs in one directory, `.ottla-catalogue-<shard>`: what Kafka's
// checkpoint files say, but written at each checkpoint of the journal and with topic ids, so that a
// name that was deleted and created again is never taken for the old one. Used after an unclean
// stop; removed by a clean one.
//
//   1\n
//   <topic> <partition> <topic id> <recovery point> <log start> <high watermark> <cleaned>\n ...
//   crc <8 hex>\n                  CRC-32C of all lines above
//
// Errors: corrupt.
// pure
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ottla/result.h"
#include "ottla/types.h"

namespace ottla::storage {

inline constexpr std::string_view kCataloguePrefix = ".ottla-catalogue-";

struct CatalogueEntry {
    TopicPartition name;
    Uuid topic_id;
    Offset recovery_point{0};
    Offset log_start{0};
    Offset high_watermark{0};
    /// Where the last cleaning ended; kNoOffset if there was none.
    Offset cleaned = kNoOffset;
    bool operator==(const CatalogueEntry&) const = default;
};

std::string catalogue_file_name(ShardIndex shard);
std::string catalogue_text(const std::vector<CatalogueEntry>& entries);
Result<std::vector<CatalogueEntry>> parse_catalogue(std::string_view text);

}  // namespace ottla::storage
