// SPDX-License-Identifier: Apache-2.0
#include "io/write_back.h"

#include <fcntl.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>

namespace ottla::io {
namespace {

/// f_type of statfs(2).
constexpr std::array<uint32_t, 5> kKeepNotes = {
    0xEF53,      // ext2, ext3, ext4
    0x58465342,  // xfs
    0x9123683E,  // btrfs
    0xF2F52010,  // f2fs
    0x01021994,  // tmpfs
};

bool keeps_notes(int descriptor) {
    struct statfs about{};
    if (::fstatfs(descriptor, &about) != 0) return false;
    return std::ranges::find(kKeepNotes, static_cast<uint32_t>(about.f_type)) != kKeepNotes.end();
}

}  // namespace

int write_back_error(int descriptor) {
    if (keeps_notes(descriptor)) {
        int asked = 0;
        do {
            asked = ::sync_file_range(descriptor, 0, 0, SYNC_FILE_RANGE_WAIT_BEFORE);
        } while (asked != 0 && errno == EINTR);
        if (asked == 0) return 0;
        if (errno != ENOSYS && errno != EPERM) return errno;  // Else it is missing, or forbidden.
    }
    return ::fdatasync(descriptor) == 0 ? 0 : errno;
}

}  // namespace ottla::io
