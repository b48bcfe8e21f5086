// SPDX-License-Identifier: Apache-2.0
// What a start makes of logs that were being moved between directories (log_move.h).
//
// A crash or a directory that failed behind the commit of a move may leave the log under its name in two
// directories. The file `.ottla-moved` in the folder of a log that came from another directory counts its
// moves:
//
//   1
//   reign <uuid>       of the directory: counts only in the one it was written in (directory_sums.h)
//   moves <n>
//   crc <8 hex digits> CRC-32C of all lines above
//
// and the same four lines once more, so that a flipped bit costs nothing. It is there, synced, before the
// commit. Of two logs of one name and topic id the one that has moved more
// often is the log; the other's records are all in it, and it is erased. Where that cannot be told,
// because the marks do not count (Kafka has been here, and refuses such directories as well), neither is
// touched and the start is refused by name. Errors: corrupt, io_error.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ottla/file.h"
#include "ottla/result.h"
#include "ottla/task.h"
#include "ottla/types.h"

namespace ottla::storage {

class LogDirectory;

std::string moved_text(const Uuid& reign, uint64_t moves);
struct MovedMark {
    Uuid reign;
    uint64_t moves = 0;
};
/// From whichever of the two is sound. `malformed` says what is wrong with the first.
Result<MovedMark> parse_moved(std::string_view text);
/// How often the log in this folder has moved, as far as that counts in `reign`; else 0.
Task<Result<uint64_t>> count_moves(FileSystem& files, std::string folder, Uuid reign);

/// After replay() of every directory, before any is served: each log is in one of them. Directories that have
/// one that goes are settled first.
Task<Status> settle_moved_logs(FileSystem& files, std::vector<LogDirectory*> directories);

}  // namespace ottla::storage
