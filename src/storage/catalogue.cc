// SPDX-License-Identifier: Apache-2.0
#include "storage/catalogue.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/crc32c.h"
#include "base/endian.h"

namespace ottla::storage {
namespace {

constexpr uint64_t kMagic = 0x4F54'544C'4143'4154;  // "OTTLACAT"
constexpr int16_t kVersion = 2;
constexpr size_t kHeadBytes = 8 + 2 + 16 + 8;
constexpr size_t kCrcBytes = 4;
constexpr size_t kLengthBytes = 4;
constexpr size_t kLongestTopic = 249;
constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
constexpr int64_t kMostEntries = std::numeric_limits<int32_t>::max();

/// An entry begins with 1, their row ends with 0: nobody has to know their number beforehand.
constexpr int64_t kAnother = 1;
constexpr int64_t kNoMore = 0;

enum EntryFlag : uint8_t {
    kWhole = 1,
    kEpochsChanged = 2,
    kProducersKnown = 4,
    kEpochsKnown = 8,
    kPictureLost = 16,
    kComplete = 32,
};
constexpr int64_t kEntryFlags = 63;
enum SegmentFlag : uint8_t {
    kFinished = 1,
    kHasTransactions = 2,
    kHasFirstTimestamp = 4,
    kInlined = 8,
    kHasTail = 16,
};
constexpr int64_t kSegmentFlags = 31;

void write_segment(CompactWriter& out, const SegmentEntry& segment) {
    int64_t flags = segment.finished ? kFinished : 0;
    flags |= segment.has_transactions ? kHasTransactions : 0;
    flags |= segment.first_timestamp ? kHasFirstTimestamp : 0;
    flags |= segment.inlined ? kInlined : 0;
    flags |= segment.has_tail ? kHasTail : 0;
    out.number(flags);
    out.number(segment.base);
    out.count(segment.bytes);
    out.number(segment.max_timestamp);
    out.number(segment.offset_of_max_timestamp - segment.base);
    if (segment.first_timestamp) out.number(*segment.first_timestamp);
    out.number(segment.bytes_since_index_entry);
    if (!segment.inlined) return;
    out.count(segment.in_files.offsets);
    out.count(segment.in_files.times);
    out.number(int64_t{segment.in_files.offsets_crc});
    out.number(int64_t{segment.in_files.times_crc});
    out.run(segment.offsets.span());
    out.run(segment.times.span());
    out.run(segment.transactions.span());
}

SegmentEntry read_segment(CompactReader& in) {
    SegmentEntry segment;
    const int64_t flags = in.number(0, kSegmentFlags);
    segment.finished = (flags & kFinished) != 0;
    segment.has_transactions = (flags & kHasTransactions) != 0;
    segment.inlined = (flags & kInlined) != 0;
    segment.has_tail = (flags & kHasTail) != 0;
    segment.base = Offset{in.number(0, kMost)};
    segment.bytes = static_cast<uint64_t>(in.number(0, kMost));
    segment.max_timestamp = in.of<WallTime>();
    const int64_t most_relative = std::min<int64_t>(kMost - segment.base.value(), kMostEntries);
    segment.offset_of_max_timestamp = segment.base + in.number(0, most_relative);
    if ((flags & kHasFirstTimestamp) != 0) segment.first_timestamp = in.of<WallTime>();
    segment.bytes_since_index_entry = in.number(0, kMost);
    if (!segment.inlined) {
        if (!segment.finished) in.fail();
        return segment;
    }
    constexpr int64_t kMostCrc = std::numeric_limits<uint32_t>::max();
    segment.in_files.offsets = static_cast<size_t>(in.number(0, kMostEntries));
    segment.in_files.times = static_cast<size_t>(in.number(0, kMostEntries));
    segment.in_files.offsets_crc = static_cast<uint32_t>(in.number(0, kMostCrc));
    segment.in_files.times_crc = static_cast<uint32_t>(in.number(0, kMostCrc));
    segment.offsets = in.run();
    segment.times = in.run();
    segment.transactions = in.run();
    return segment;
}

void write_epochs(CompactWriter& out, const std::vector<EpochStart>& epochs) {
    out.count(epochs.size());
    for (const EpochStart& epoch : epochs) {
        out.number(int64_t{epoch.epoch.value()});
        out.number(epoch.start);
    }
}

std::vector<EpochStart> read_epochs(CompactReader& in) {
    std::vector<EpochStart> epochs;
    for (size_t left = in.count(); left > 0 && in.is_good(); --left) {
        const auto epoch = in.of<LeaderEpoch>();
        epochs.push_back({epoch, Offset{in.number(0, kMost)}});
    }
    const auto backwards = [](const EpochStart& a, const EpochStart& b) {
        return a.epoch >= b.epoch || a.start >= b.start;
    };
    if (std::ranges::adjacent_find(epochs, backwards) != epochs.end()) in.fail();
    return epochs;
}

void write_state(CompactWriter& out, const CatalogueEntry& entry) {
    out.number(entry.end);
    out.count(entry.segments.size());
    for (const SegmentEntry& segment : entry.segments) write_segment(out, segment);
    write_epochs(out, entry.epochs);
    out.count(entry.snapshots.size());
    for (const Offset snapshot : entry.snapshots) out.number(snapshot);
    if (entry.producers) out.run(entry.producers->span());
    out.count(entry.grown.size());
    for (const GrownSegment& grown : entry.grown) {
        out.number(grown.base);
        out.count(grown.bytes);
    }
}

/// Bases rise; what has grown begins with the last segment of the picture, or behind it.
bool is_in_order(const CatalogueEntry& entry) {
    if (entry.segments.empty()) return false;
    const auto rises = [](const auto& a, const auto& b) { return a.base >= b.base; };
    if (std::ranges::adjacent_find(entry.segments, rises) != entry.segments.end()) return false;
    if (std::ranges::adjacent_find(entry.grown, rises) != entry.grown.end()) return false;
    if (!std::ranges::is_sorted(entry.snapshots)) return false;
    const SegmentEntry& last = entry.segments.back();
    if (entry.end < last.base) return false;
    if (entry.grown.empty() || entry.grown.front().base > last.base) return true;
    return entry.grown.front().base == last.base && entry.grown.front().bytes >= last.bytes;
}

void read_state(CompactReader& in, int64_t flags, CatalogueEntry& entry) {
    entry.end = Offset{in.number(0, kMost)};
    for (size_t left = in.count(); left > 0 && in.is_good(); --left) {
        entry.segments.push_back(read_segment(in));
    }
    entry.epochs = read_epochs(in);
    for (size_t left = in.count(); left > 0 && in.is_good(); --left) {
        entry.snapshots.emplace_back(in.number(0, kMost));
    }
    if ((flags & kProducersKnown) != 0) entry.producers = in.run();
    for (size_t left = in.count(); left > 0 && in.is_good(); --left) {
        const Offset base{in.number(0, kMost)};
        entry.grown.push_back({base, static_cast<uint64_t>(in.number(0, kMost))});
    }
    if (!is_in_order(entry)) in.fail();
}

CatalogueEntry read_entry(CompactReader& in) {
    CatalogueEntry entry;
    const int64_t flags = in.number(0, kEntryFlags);
    const Buffer topic = in.run();
    if (topic.empty() || topic.size() > kLongestTopic) in.fail();
    entry.name.topic = topic.text();
    entry.name.partition =
        PartitionIndex{static_cast<int32_t>(in.number(0, std::numeric_limits<int32_t>::max()))};
    const Buffer id = in.raw(entry.topic_id.bytes.size());
    if (in.is_good()) std::memcpy(entry.topic_id.bytes.data(), id.data(), id.size());
    for (Offset* offset :
         {&entry.recovery_point, &entry.log_start, &entry.high_watermark, &entry.cleaned}) {
        *offset = Offset{in.number(kNoOffset.value(), kMost)};
    }
    entry.instance = static_cast<uint64_t>(in.number());
    entry.group = static_cast<uint64_t>(in.number(0, kMost));
    entry.whole = (flags & kWhole) != 0;
    entry.epochs_changed = (flags & kEpochsChanged) != 0;
    entry.complete = (flags & kComplete) != 0;
    entry.picture_lost = (flags & kPictureLost) != 0;
    entry.epochs_known = (flags & kEpochsKnown) != 0;
    if (entry.whole && entry.epochs_known) in.fail();
    if (entry.whole) read_state(in, flags, entry);
    if (entry.epochs_known) entry.epochs = read_epochs(in);
    return entry;
}

int64_t flags_without_picture(const CatalogueEntry& entry) {
    return (entry.complete ? kComplete : 0) | (entry.picture_lost ? kPictureLost : 0);
}

int64_t flags_of(const CatalogueEntry& entry) {
    int64_t flags = flags_without_picture(entry);
    flags |= entry.epochs_known ? kEpochsKnown : 0;
    if (!entry.whole) return flags;
    flags |= kWhole;
    flags |= entry.epochs_changed ? kEpochsChanged : 0;
    flags |= entry.producers ? kProducersKnown : 0;
    return flags;
}

void write_ends(CompactWriter& out, const CatalogueEntry& entry, int64_t flags) {
    out.number(kAnother);
    out.number(flags);
    out.run(entry.name.topic);
    out.number(int64_t{entry.name.partition.value()});
    out.raw(std::as_bytes(std::span(entry.topic_id.bytes)));
    out.number(entry.recovery_point);
    out.number(entry.log_start);
    out.number(entry.high_watermark);
    out.number(entry.cleaned);
    out.number(static_cast<int64_t>(entry.instance));
    out.count(entry.group);
}

/// Empty if the length at the end cannot be.
Buffer plain_part(const Buffer& bytes) {
    if (bytes.size() < kLengthBytes) return {};
    const size_t end = bytes.size() - kLengthBytes;
    const size_t length = load_be<uint32_t>(bytes.data() + end);
    return length > end ? Buffer{} : bytes.slice(end - length, length);
}

bool is_intact(const Buffer& part) {
    if (part.size() < kHeadBytes + kCrcBytes) return false;
    const size_t covered = part.size() - kCrcBytes;
    return load_be<uint32_t>(part.data() + covered) == crc32c(0, part.span().first(covered));
}

/// Whatever lies behind it is not looked at.
Result<Catalogue> parse_part(const Buffer& bytes) {
    if (bytes.size() < kHeadBytes + kCrcBytes || load_be<uint64_t>(bytes.data()) != kMagic) {
        return fail(ErrorCode::corrupt, "not a catalogue");
    }
    const auto version = load_be<int16_t>(bytes.data() + 8);
    if (version != kVersion) {
        return fail(ErrorCode::corrupt, fmt::format("a catalogue of version {}", version));
    }
    Catalogue found;
    std::memcpy(found.directory_id.bytes.data(), bytes.data() + 10, found.directory_id.bytes.size());
    found.journal_id = load_be<uint64_t>(bytes.data() + 26);
    CompactReader in(bytes.slice(kHeadBytes, bytes.size() - kHeadBytes));
    for (size_t left = in.count(); left > 0 && in.is_good(); --left) {
        found.replaces.push_back(static_cast<uint64_t>(in.number()));
    }
    while (in.is_good() && in.number(kNoMore, kAnother) == kAnother) {
        found.entries.push_back(read_entry(in));
    }
    const size_t covered = kHeadBytes + in.position();
    const Buffer crc = in.raw(kCrcBytes);
    if (!in.is_good()) {
        return fail(ErrorCode::corrupt, "an entry of a catalogue makes no sense");
    }
    if (load_be<uint32_t>(crc.data()) != crc32c(0, bytes.span().first(covered))) {
        return fail(ErrorCode::corrupt, "the checksum of a catalogue is wrong");
    }
    return found;
}

}  // namespace

std::string catalogue_file_name(ShardIndex shard) {
    return fmt::format("{}{}", kCataloguePrefix, shard.value());
}

CatalogueWriter::CatalogueWriter(const Uuid& directory_id,
                                 uint64_t journal_id,
                                 const std::vector<uint64_t>& replaces) {
    std::array<std::byte, kHeadBytes> head;
    store_be(head.data(), kMagic);
    store_be(head.data() + 8, kVersion);
    std::memcpy(head.data() + 10, directory_id.bytes.data(), directory_id.bytes.size());
    store_be(head.data() + 26, journal_id);
    for (CompactWriter* part : {&out_, &plain_}) {
        part->raw(head);
        part->count(replaces.size());
        for (const uint64_t id : replaces) part->number(static_cast<int64_t>(id));
    }
}

void CatalogueWriter::add(const CatalogueEntry& entry) {
    write_ends(out_, entry, flags_of(entry));
    if (entry.whole) write_state(out_, entry);
    if (entry.epochs_known) write_epochs(out_, entry.epochs);
    write_ends(plain_, entry, flags_without_picture(entry));
}

Buffer CatalogueWriter::finish() {
    for (CompactWriter* part : {&out_, &plain_}) {
        part->number(kNoMore);
        std::array<std::byte, kCrcBytes> crc;
        store_be(crc.data(), crc32c(0, part->span()));
        part->raw(crc);
    }
    std::array<std::byte, kLengthBytes> length;
    store_be(length.data(), static_cast<uint32_t>(plain_.size()));
    out_.raw(plain_.span());
    out_.raw(length);
    return out_.take();
}

Result<Catalogue> parse_catalogue(const Buffer& bytes) {
    const Buffer plain = plain_part(bytes);
    auto found = parse_part(bytes);
    if (found) {
        if (!is_intact(plain)) found->damage = "the part of a catalogue without pictures is damaged";
        return found;
    }
    auto ends = parse_part(plain);
    if (!ends) return found;
    ends->damage = found.error().detail;
    for (CatalogueEntry& entry : ends->entries) entry.picture_lost = true;
    return ends;
}

}  // namespace ottla::storage
