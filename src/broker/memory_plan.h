// SPDX-License-Identifier: Apache-2.0
// MemoryPlan: one budget for the memory that grows with load, divided among its users and the shards.
//
//   hot tail   journal chunks, until flushed and as long as there is room   a quarter
//   requests   frames being served                                          a quarter
//   clients    frames that arrive, answers that nobody reads yet            a quarter
//   indexes    of closed segments, until others need the room               1/32
//   the rest   staging of the I/O threads, receive blocks, the cleaner's map while it cleans
// A compressed batch is checked in as much memory as a shard's part of the requests, a few KiB of it can
// claim any. What one read of a connection takes is counted only afterwards, so it is small where memory is.
//
// The budget is `ottla.memory.bytes`, taken at its word, or half of what the machine and the control
// group allow: the other half is the program, what it knows of partitions, and the kernel's share
// (a group pays for the page cache and the sockets of its processes too). Of a large machine no more
// is taken than is of use. What a single request needs is never refused: a frame or batch larger than a
// share is served alone. pure
#pragma once

#include <cstddef>
#include <cstdint>

namespace ottla::broker {

struct MemoryPlan {
    size_t hot_tail_bytes = 0;
    int64_t request_bytes = 0;
    size_t client_bytes = 0;
    size_t cleaner_map_bytes = 0;
    size_t index_cache_bytes = 0;
    /// What the records of one compressed batch may grow to while they are checked.
    size_t decompressed_bytes = 0;
    /// At most, for one read of a connection; and the block that first parts of frames land in.
    size_t receive_bytes = 0;
    /// Past the page cache, which has no room to be of use to readers.
    bool direct_flush = false;
    /// Large blocks go back to the system when they are done with. The heap, which is quicker, keeps what it cannot
    /// put together again: half of a group of 64 MiB, once a crowd of clients had been there.
    bool returns_large_blocks = false;
    /// Journal files: their blocks in the page cache are the kernel's while they are made.
    uint64_t journal_file_bytes = 0;
    /// Of the journals, while a start replays them and nobody uses the rest. Of the whole process.
    size_t replay_bytes = 0;
};

/// For one shard of `shards`. `asked`: ottla.memory.bytes, 0 for a share of `allowed`; neither
/// known: as on a large machine.
MemoryPlan plan_memory(int64_t asked, uint64_t allowed, uint32_t shards);

}  // namespace ottla::broker
