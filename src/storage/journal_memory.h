// SPDX-License-Identifier: Apache-2.0
// Journal chunks in memory: where appended batches live until they are in segment files, and longer
// while there is room - the hot tail that readers are served from.
//
//   chunk   | group header | entries ... | pad | group header | entries ... |    4 KiB aligned
//             `-------- one journal group -------'
//
// The layout is that of the file, so a group is written from where it was built. Invariants: bytes
// of a batch do not change once append returned; a chunk is given up only when all its groups are
// synced and all their file effects are done, oldest first; a chunk larger than usual holds one
// oversized batch.
// pure
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "ottla/buffer.h"
#include "ottla/types.h"

namespace ottla::storage {

struct Chunk;

/// How far a log had come when the group was sealed.
struct GroupMark {
    uint64_t instance = 0;
    Offset end{0};
};

struct JournalGroup {
    uint64_t sequence = 0;
    uint64_t file_sequence = 0;
    uint64_t file_position = 0;
    uint64_t oldest_needed = 0;  ///< as its header says, once sealed
    Chunk* chunk = nullptr;
    size_t begin = 0;  ///< in the chunk
    size_t end = 0;    ///< where the next entry goes; whole blocks once sealed
    /// Appends and other file effects of this group that are not done yet.
    uint32_t pending_effects = 0;
    bool sealed = false;
    bool durable = false;
    std::vector<GroupMark> marks;

    [[nodiscard]] bool is_done() const { return durable && pending_effects == 0; }
};

struct Chunk {
    BlockRef block;
    size_t capacity = 0;
    size_t used = 0;  ///< behind the last sealed group
    std::vector<std::unique_ptr<JournalGroup>> groups;

    [[nodiscard]] bool is_done() const {
        for (const auto& group : groups) {
            if (!group->is_done()) return false;
        }
        return true;
    }
};

}  // namespace ottla::storage
