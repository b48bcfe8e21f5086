// SPDX-License-Identifier: Apache-2.0
// How cleaned segments take the place of those they were made from, with Kafka's names, so that a
// crash at any point leaves the old ones or the new one:
//
//   1 the new segment is written as `<base>.log.cleaned` (and indexes), synced: not there yet
//   2 indexes, then the log, are renamed to `.swap`, the directory synced: from here on it counts
//   3 the old ones are removed but for the one of the same base, the directory synced
//   4 indexes, then the log, are renamed over that one, the directory synced
//
// A start removes what step 1 left and finishes from step 3 what step 2 began. Also what Kafka
// leaves: a `.swap` at or behind the first `.cleaned` counts for nothing. An index whose log was
// renamed without it goes, and the segment's other indexes are built again.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "ottla/file.h"
#include "ottla/task.h"
#include "storage/segment.h"

namespace ottla::storage {

inline constexpr std::string_view kCleanedSuffix = ".cleaned";
inline constexpr std::string_view kSwapSuffix = ".swap";

/// Steps 2 to 4: `fresh` is a finished, synced `.cleaned` segment. The old ones go on serving
/// readers by their open files, and by nothing else.
Task<Status> swap_segments(FileSystem& files,
                           std::string directory,
                           std::vector<std::shared_ptr<Segment>> old,
                           std::shared_ptr<Segment> fresh);
/// What a crash left of it, at a start. True if anything had to be done.
Task<Result<bool>> settle_swaps(FileSystem& files, std::string directory);

}  // namespace ottla::storage
