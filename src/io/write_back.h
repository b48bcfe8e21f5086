// SPDX-License-Identifier: Apache-2.0
// Whether a file's bytes reached the disk when somebody else had them written: File::check after a
// syncfs. fdatasync would tell too, but on a file that has nothing to be written it sends an empty command
// to the disk all the same, that its cache be emptied (ext4, xfs): 0.1 to 4 ms each, for thousands of files.
// sync_file_range(SYNC_FILE_RANGE_WAIT_BEFORE) only waits for writes under way, of which there are none, and
// reports what the kernel noted about this file (errseq_t) since the descriptor was opened or last told: 1 us.
// A file system that lies over another one (overlayfs, FUSE) has notes of its own, which say nothing: only
// those that are known to keep them are asked like that, for all others it is fdatasync.
#pragma once

namespace ottla::io {

/// 0, or the errno of a write that failed and that nobody was told of yet.
int write_back_error(int descriptor);

}  // namespace ottla::io
