// SPDX-License-Identifier: Apache-2.0
// What a journal file holds. A file is a row of groups, each whole 4 KiB blocks; what lies behind
// the last one is zeros or an older use of the file.
//
//   group    0 magic u64          "OTTLAJ01"
//            8 crc u32            CRC-32C of 12..payload end, seeded with the file sequence
//           12 payload bytes u32
//           16 journal id u64     drawn when the journal begins: no block of another one counts
//           24 file sequence u64  how often this journal had changed files
//           32 group sequence u64 one more than the group before
//           40 previous crc u32   of the group before: N+1 is issued after N is synced, names it
//           44 shard u32
//           48 oldest needed u64  replay starts at this group
//           56 directory id 16
//           72 files u32          0 to this, without it, were there: one that is missing is a loss
//           76 zero u32
//           80 entries, then zeros up to 4 KiB
//
//   entry    kind u8 | 3 zeros | body bytes u32 | log instance u64 | body
//     declare   topic id 16 | partition i32 | topic, directory name: u16 length, bytes;
//               in each file before a log's first entry: a file is read without older ones
//     create    start offset i64; the log's directory and everything in it is new
//     append    segment base i64 | position in the segment u32 | zero u32 | the batch
//     roll      base of the new, empty segment i64
//     truncate  offset i64 | segment base i64 | position u32 | zero u32: where the log ends now
//     erase     the log is going away; its files may be half gone
//     erased    its name is free again
//     log_start offset i64
//     replaced  offset i64: the segments below it are synced and may have other bytes by now;
//               nothing older is replayed into them
//     rename    directory name: u16 length, bytes. What was a copy of the log, with -future behind its
//               name, has this name from here on and is the log: the commit of a move (log_move.h)
//
// All numbers are big-endian. Every size is checked before use; errors are `corrupt`.
// pure
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "ottla/result.h"
#include "ottla/types.h"

namespace ottla::storage {

inline constexpr size_t kJournalBlockBytes = 4096;
inline constexpr size_t kGroupHeaderBytes = 80;
inline constexpr size_t kEntryHeaderBytes = 16;
inline constexpr size_t kAppendHeaderBytes = kEntryHeaderBytes + 16;

constexpr size_t round_up_to_block(size_t bytes) {
    return (bytes + kJournalBlockBytes - 1) / kJournalBlockBytes * kJournalBlockBytes;
}

struct GroupHeader {
    uint32_t crc = 0;
    uint32_t payload_bytes = 0;
    uint64_t journal_id = 0;
    uint64_t file_sequence = 0;
    uint64_t sequence = 0;
    uint32_t previous_crc = 0;
    uint32_t shard = 0;
    uint64_t oldest_needed = 0;
    Uuid directory_id;
    uint32_t files = 0;
    [[nodiscard]] size_t blocks_bytes() const {
        return round_up_to_block(kGroupHeaderBytes + payload_bytes);
    }
};

/// Writes the header over the first bytes of `group` (header and payload, without padding); returns
/// its CRC.
uint32_t seal_group(std::span<std::byte> group, const GroupHeader& header);
/// The header at the front, if its magic is there; says nothing about the rest.
std::optional<GroupHeader> read_group_header(std::span<const std::byte> bytes);
/// `group` is header and payload: does the CRC match?
bool group_is_intact(std::span<const std::byte> group, const GroupHeader& header);

enum class EntryKind : uint8_t {
    declare = 1,
    create = 2,
    append = 3,
    roll = 4,
    truncate = 5,
    erase = 6,
    erased = 7,
    log_start = 8,
    replaced = 9,
    rename = 10,
};

struct JournalEntry {
    EntryKind kind = EntryKind::declare;
    uint64_t instance = 0;
    /// create: start; roll: base; truncate: the end; log_start; replaced: a segment's base.
    Offset offset{0};
    /// append, truncate.
    Offset segment_base{0};
    uint32_t position = 0;
    /// append: borrowed from the group.
    std::span<const std::byte> batch;
    /// declare.
    Uuid topic_id;
    TopicPartition log;
    /// declare, rename.
    std::string directory_name;
};

/// Any entry but append.
std::string encode_entry(const JournalEntry& entry);
/// What stands before the batch of an append.
void write_append_header(std::span<std::byte, kAppendHeaderBytes> at,
                         uint64_t instance,
                         Offset segment_base,
                         uint64_t position,
                         size_t batch_bytes);

/// Walks the entries of one intact group.
class EntryCursor {
public:
    explicit EntryCursor(std::span<const std::byte> payload) : rest_(payload) {}
    /// Nothing at the end. `corrupt` if an entry does not fit: a bug or a forged group, the CRC was
    /// right.
    Result<std::optional<JournalEntry>> next();

private:
    std::span<const std::byte> rest_;
};

}  // namespace ottla::storage
