// SPDX-License-Identifier: Apache-2.0
// `.ottla-sums` beside the logs of a directory: whether Apache Kafka may have been here since, and the
// checksums of the small files that have none.
//
//   1\n
//   reign <uuid>\n                 sums of segments that say another one are not believed
//   stop <modified, ms>\n          of .kafka_cleanshutdown; only after a clean stop of ours
//   metadata <base> <bytes>\n      then also: the newest segment of the metadata log, and its size
//   file <name> <size> <crc>\n ... meta.properties, .kafka_cleanshutdown, the offset checkpoints, catalogues
//   crc <8 hex>\n                  CRC-32C of all lines above
//
// Nobody else has been here while the guard folder is there (Kafka refuses to start on it), nor when
// the clean-shutdown file is the one that we wrote last: Kafka deletes it when it starts and writes
// another when it stops. Otherwise a new reign begins, and every older sum is void without being
// touched. A copy of a directory that does not keep times is nobody's: a new reign, no alarm.
// Errors: corrupt.
// pure
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "ottla/result.h"
#include "ottla/types.h"
#include "storage/segment_sums.h"

namespace ottla::storage {

inline constexpr std::string_view kDirectorySumsFile = ".ottla-sums";

/// Up to here the metadata log was sound and durable.
struct MetadataEnd {
    Offset segment{0};  ///< the newest one
    uint64_t bytes = 0;
    bool operator==(const MetadataEnd&) const = default;
};

struct DirectorySums {
    Uuid reign;
    std::optional<WallTime> stopped;
    std::optional<MetadataEnd> metadata;
    std::map<std::string, FileSum, std::less<>> files;

    bool operator==(const DirectorySums&) const = default;
    /// Is `text` what was written into the file `name`? Yes if nothing is known of it.
    [[nodiscard]] bool agrees(std::string_view name, std::string_view text) const;
};

std::string to_text(const DirectorySums& sums);
Result<DirectorySums> parse_directory_sums(std::string_view text);

}  // namespace ottla::storage
