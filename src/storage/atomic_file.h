// SPDX-License-Identifier: Apache-2.0
// Small files that are replaced whole: written beside, synced, renamed over, directory synced.
// After any crash the old or the new content is there, complete. Reading is bounded. Errors: those
// of FileSystem; invalid_argument for a file larger than the caller's bound.
#pragma once

#include <string>

#include "ottla/buffer.h"
#include "ottla/file.h"
#include "ottla/result.h"
#include "ottla/task.h"

namespace ottla::storage {

/// Durable when it returns. `<path>.tmp` is the temporary name.
Task<Status> replace_file(FileSystem& files, std::string path, Buffer content);
/// Creates or empties the file, writes and syncs it; its name is the caller's sync_directory.
Task<Status> write_file(FileSystem& files, std::string path, Buffer content);
Task<Result<Buffer>> read_file(FileSystem& files, std::string path, uint64_t at_most);
/// not_found is success.
Task<Status> remove_file(FileSystem& files, std::string path);

/// For recovery: makes `size` durable, and what this process has written. A sync that failed in an
/// earlier one may have left bytes and size in the page cache only, clean in its eyes (contract 5),
/// so that no sync carries them: bytes have to be written again, the size has to change.
Task<Status> sync_anew(File& file, uint64_t size);
/// The part of sync_anew that comes before its sync.
Task<Status> resize_anew(File& file, uint64_t size);
/// What makes written files durable: a sync of each, or one sync_all over them, after which each is only
/// asked whether its bytes arrived (file.h, contract 4).
enum class SyncBy : uint8_t { each, sweep };
/// For files that were written without a sync (FileSystem::put), one by one; one that is gone again is fine.
Task<Status> sync_file(FileSystem& files, std::string path, SyncBy by = SyncBy::each);

/// A flat directory and the files in it; not_found is success.
Task<Status> remove_log_directory(FileSystem& files, std::string path);

/// The part before the last '/'; "." if there is none.
std::string parent_path(const std::string& path);

}  // namespace ottla::storage
