// SPDX-License-Identifier: Apache-2.0
// A catalogue: what one shard knew of each of its logs in one directory at a checkpoint, enough to
// stand a log up again without opening, listing or reading one of its files (docs/adr/0041).
//
//   .ottla-catalogue-<shard>      written at each checkpoint of the journal, and last in a clean stop
//   .ottla-catalogue-recovered    written by a start: what catalogues and journals said together
// After a clean stop `.ottla-sums` names them (directory_sums.h).
//
// An entry is a picture of the log's memory at one moment: everything that was appended, `end` is the
// log's end. It is true of the files once the journal has been replayed, because the catalogue is
// there only when that moment's last journal group, `group`, is durable. What the replay put behind
// the picture is walked; what took back or exchanged a part of it (`group` or later) makes the
// picture worthless, and the log is read from its files.
//
//   part | the same part without pictures | length of that, u32
//   part: magic u64 "OTTLACAT" | version u16 = 2 | directory id 16 | journal id u64 | entries | crc u32
//
// Everything between is packed (compact_bytes.h, docs/FORMATS.md); the CRC-32C covers its part. Nothing
// else knows where a log began before the journal did, so that is there twice: damage takes the
// pictures, not the ends. Errors: corrupt.
// pure
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ottla/buffer.h"
#include "ottla/result.h"
#include "ottla/types.h"
#include "storage/compact_bytes.h"
#include "storage/leader_epochs.h"

namespace ottla::storage {

inline constexpr std::string_view kCataloguePrefix = ".ottla-catalogue-";
inline constexpr std::string_view kRecoveredCatalogue = ".ottla-catalogue-recovered";

/// Entries that the index files of a segment have for certain, and their checksums.
struct IndexFiles {
    size_t offsets = 0;
    size_t times = 0;
    uint32_t offsets_crc = 0;
    uint32_t times_crc = 0;
    bool operator==(const IndexFiles&) const = default;
};

struct SegmentEntry {
    Offset base{0};
    uint64_t bytes = 0;
    WallTime max_timestamp = kNoTimestamp;
    Offset offset_of_max_timestamp{0};
    std::optional<WallTime> first_timestamp;
    int64_t bytes_since_index_entry = 0;
    /// Its index files say all there is.
    bool finished = false;
    /// ... and there is one of aborted transactions.
    bool has_transactions = false;
    /// Its file may have reserved room behind its batches.
    bool has_tail = false;
    /// Its entries are here: those that `in_files` do not have, in the layout of the files, and all
    /// aborted transactions. Always so for one that is not finished.
    bool inlined = false;
    IndexFiles in_files;
    Buffer offsets;
    Buffer times;
    Buffer transactions;
    bool operator==(const SegmentEntry&) const = default;
};

/// A segment that the replay made longer than the picture, or made.
struct GrownSegment {
    Offset base{0};
    uint64_t bytes = 0;
    bool operator==(const GrownSegment&) const = default;
};

struct CatalogueEntry {
    TopicPartition name;
    Uuid topic_id;
    Offset recovery_point{0};
    Offset log_start{0};
    Offset high_watermark{0};
    /// Where the last cleaning ended; kNoOffset if there was none.
    Offset cleaned = kNoOffset;
    /// Of the log in the journal; 0 in a recovered catalogue.
    uint64_t instance = 0;
    /// The newest group of the journal when this was noted.
    uint64_t group = 0;

    /// Whoever noted it had opened the log: no torn end is left in its files, what a walk finds is damage.
    bool complete = false;
    /// Its picture was damaged, and perhaps nothing else knows all its leader epochs: it has to be walked.
    bool picture_lost = false;
    /// Only `epochs` of the picture are there, and they are true: of a log whose picture is not.
    bool epochs_known = false;
    /// The picture: what follows is there.
    bool whole = false;
    Offset end{0};
    std::vector<SegmentEntry> segments;
    std::vector<EpochStart> epochs;
    /// The epochs' file says less.
    bool epochs_changed = false;
    std::vector<Offset> snapshots;
    /// ProducerState::image; nothing if it was not at hand.
    std::optional<Buffer> producers;
    /// In a recovered catalogue: from the picture's last segment on, in order.
    std::vector<GrownSegment> grown;
    bool operator==(const CatalogueEntry&) const = default;
};

struct Catalogue {
    Uuid directory_id;
    /// Of the shard that wrote it; 0: recovered.
    uint64_t journal_id = 0;
    /// Recovered: the journals whose catalogues it speaks for.
    std::vector<uint64_t> replaces;
    std::vector<CatalogueEntry> entries;
    /// What is wrong with one of the parts; if it is the first, there are no pictures.
    std::optional<std::string> damage;
    bool operator==(const Catalogue&) const = default;
};

std::string catalogue_file_name(ShardIndex shard);

/// Entries are added one by one, so that a shard can rest between them.
class CatalogueWriter {
public:
    CatalogueWriter(const Uuid& directory_id,
                    uint64_t journal_id,
                    const std::vector<uint64_t>& replaces = {});
    void add(const CatalogueEntry& entry);
    Buffer finish();

private:
    CompactWriter out_;
    CompactWriter plain_;
};

/// Runs of its entries are slices of `bytes`.
Result<Catalogue> parse_catalogue(const Buffer& bytes);

}  // namespace ottla::storage
