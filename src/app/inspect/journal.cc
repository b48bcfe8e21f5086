// SPDX-License-Identifier: Apache-2.0
// A journal file is used again and again: behind the groups of its newest use lie those of an older
// one, and zeros. So the file is read once to find the intact groups and which use is the newest,
// and then printed. Damage is only what replay would call so (journal_replay.h): an intact group of
// the newest use behind something that is none, or that does not name the group before it.
#include <fmt/format.h>

#include <array>

#include "app/inspect/printers.h"
#include "base/uuid.h"
#include "records/batch.h"
#include "storage/journal_format.h"

namespace ottla::app {
namespace {

using storage::EntryKind;
using storage::GroupHeader;
using storage::JournalEntry;
using storage::kGroupHeaderBytes;
using storage::kJournalBlockBytes;

constexpr std::array kGroupColumns = {
    Column{"group", 8},         Column{"position", 10},   Column{"state", 7},
    Column{"entries"},          Column{"payload_bytes"},  Column{"shard"},
    Column{"file_sequence"},    Column{"oldest_needed"},  Column{"crc", 10},
    Column{"previous_crc", 10}, Column{"journal_id", 16}, Column{"directory_id"},
    Column{"files"},
};
constexpr std::array kEntryColumns = {
    Column{"group", 8},    Column{"position", 10},     Column{"state", 7},
    Column{"kind", 9},     Column{"log_instance", 16}, Column{"offset", 10},
    Column{"last_offset"}, Column{"segment_base", 12}, Column{"segment_position"},
    Column{"batch_bytes"}, Column{"topic_id", 22},     Column{"topic"},
    Column{"partition"},   Column{"directory"},
};

/// More than one group can hold: a larger length is not a length.
constexpr uint64_t kMostGroupBytes = uint64_t{512} << 20;

struct FoundGroup {
    uint64_t position = 0;
    GroupHeader header;
};

class JournalWalk {
public:
    JournalWalk(Source& source, Report& report)
        : source_(source), window_(source), report_(report) {}

    void find_groups();
    /// Header and payload of a group that was found; empty if it cannot be read any more.
    std::span<const std::byte> bytes_of(const FoundGroup& group);
    [[nodiscard]] const std::vector<FoundGroup>& groups() const { return groups_; }
    /// Of the file's newest use, or left over from an older one?
    [[nodiscard]] bool is_current(const FoundGroup& group) const {
        return newest_ && group.header.journal_id == newest_->journal_id &&
               group.header.file_sequence == newest_->file_sequence;
    }
    /// The newest use's groups follow each other without a hole.
    void check_order();

private:
    bool find_group_at(uint64_t position);
    void check_unused();
    void report_hole(uint64_t position, uint64_t next_sequence);

    Source& source_;
    Window window_;
    Report& report_;
    std::vector<FoundGroup> groups_;
    std::optional<GroupHeader> newest_;
    std::vector<uint64_t> broken_;  ///< places with a group's magic and no intact group
};

bool JournalWalk::find_group_at(uint64_t position) {
    auto bytes = window_.view(position, kGroupHeaderBytes);
    if (!bytes) {
        report_.damage(position, bytes.error().detail);
        return false;
    }
    const auto header = storage::read_group_header(*bytes);
    if (!header) return false;
    const uint64_t length = kGroupHeaderBytes + uint64_t{header->payload_bytes};
    if (length <= kMostGroupBytes && length <= window_.size() - position) {
        bytes = window_.view(position, static_cast<size_t>(length));
        if (bytes && storage::group_is_intact(*bytes, *header)) {
            groups_.push_back({position, *header});
            if (!newest_ || header->file_sequence >= newest_->file_sequence) newest_ = header;
            return true;
        }
    }
    broken_.push_back(position);
    return false;
}

void JournalWalk::find_groups() {
    for (uint64_t at = 0; at < window_.size();) {
        at += find_group_at(at) ? groups_.back().header.blocks_bytes() : kJournalBlockBytes;
    }
}

std::span<const std::byte> JournalWalk::bytes_of(const FoundGroup& group) {
    const size_t length = kGroupHeaderBytes + group.header.payload_bytes;
    const auto bytes = window_.view(group.position, length);
    if (bytes && storage::group_is_intact(*bytes, group.header)) return *bytes;
    report_.note(group.position, "the group was overwritten while it was read");
    return {};
}

/// A running broker may have filled the place after it was looked at.
void JournalWalk::report_hole(uint64_t position, uint64_t next_sequence) {
    Window again(source_);
    const auto head = again.view(position, kGroupHeaderBytes);
    const auto header = head ? storage::read_group_header(*head) : std::nullopt;
    const bool filled = header && header->file_sequence == newest_->file_sequence &&
                        header->sequence < next_sequence;
    if (filled && header->payload_bytes <= kMostGroupBytes) {
        const auto group = again.view(position, kGroupHeaderBytes + header->payload_bytes);
        if (group && storage::group_is_intact(*group, *header)) {
            return report_.note(position, "the journal was written while it was read");
        }
    }
    report_.damage(position,
                   fmt::format("no intact group, and group {} comes behind it", next_sequence));
}

void JournalWalk::check_order() {
    const FoundGroup* last = nullptr;
    uint64_t expected = 0;  // Where the next group of this use must begin.
    for (const FoundGroup& group : groups_) {
        if (!is_current(group)) continue;
        if (group.position != expected) {
            report_hole(expected, group.header.sequence);
        } else if (last != nullptr && (group.header.sequence != last->header.sequence + 1 ||
                                       group.header.previous_crc != last->header.crc)) {
            report_.damage(group.position,
                           fmt::format("group {} does not name group {} before it",
                                       group.header.sequence, last->header.sequence));
        }
        last = &group;
        expected = group.position + group.header.blocks_bytes();
    }
    for (const uint64_t position : broken_) {
        if (position == expected) report_.note(position, "a torn group ends the journal");
    }
    if (groups_.empty() && broken_.empty()) check_unused();
}

/// Behind the newest group may lie the inside of an older one; a file without any group was never used.
void JournalWalk::check_unused() {
    const auto block = window_.view(0, std::min<uint64_t>(window_.size(), kJournalBlockBytes));
    const auto is_zero = [](std::byte one) { return one == std::byte{0}; };
    if (!block || std::ranges::all_of(*block, is_zero)) return;
    report_.damage(0, "no group is in this file, and it is not zeros either");
}

std::string id_text(uint64_t id) { return fmt::format("{:016x}", id); }

std::string_view name_of(EntryKind kind) {
    switch (kind) {
        case EntryKind::declare: return "declare";
        case EntryKind::create: return "create";
        case EntryKind::append: return "append";
        case EntryKind::roll: return "roll";
        case EntryKind::truncate: return "truncate";
        case EntryKind::erase: return "erase";
        case EntryKind::erased: return "erased";
        case EntryKind::log_start: return "log_start";
        case EntryKind::replaced: return "replaced";
        case EntryKind::rename: return "rename";
    }
    return "other";
}

class GroupPrinter {
public:
    GroupPrinter(const FoundGroup& group, std::string state, Report& report)
        : group_(group), state_(std::move(state)), report_(report) {}

    void print_group(int64_t entries) {
        const GroupHeader& header = group_.header;
        report_.row({number_cell(header.sequence), number_cell(group_.position), state_, entries,
                     int64_t{header.payload_bytes}, int64_t{header.shard},
                     number_cell(header.file_sequence), number_cell(header.oldest_needed),
                     crc_cell(header.crc), crc_cell(header.previous_crc),
                     id_text(header.journal_id), to_string(header.directory_id),
                     int64_t{header.files}});
    }
    /// Gives their number; prints them if asked.
    int64_t walk(std::span<const std::byte> bytes, bool print) {
        storage::EntryCursor cursor(bytes.subspan(std::min(bytes.size(), kGroupHeaderBytes)));
        for (int64_t count = 0;; ++count) {
            const auto entry = cursor.next();
            if (!entry) report_.damage(group_.position, entry.error().detail);
            if (!entry || !*entry) return count;
            if (print) print_entry(**entry);
        }
    }

private:
    void print_entry(const JournalEntry& entry) {
        const bool declares = entry.kind == EntryKind::declare;
        const bool placed = entry.kind == EntryKind::append || entry.kind == EntryKind::truncate;
        const bool erases = entry.kind == EntryKind::erase || entry.kind == EntryKind::erased;
        const bool renames = entry.kind == EntryKind::rename;
        Cell offset = declares || erases || renames ? nothing() : Cell{entry.offset.value()};
        Cell last_offset = nothing();
        if (entry.kind == EntryKind::append) offset = last_offset = "damaged";
        if (const auto batch = parse_batch(entry.batch); batch) {
            offset = batch->base_offset().value();
            last_offset = wrapping_sum(batch->base_offset().value(), batch->last_offset_delta());
        } else if (entry.kind == EntryKind::append) {
            report_.damage(group_.position,
                           fmt::format("an append of no batch: {}", batch.error().detail));
        }
        report_.row({number_cell(group_.header.sequence), number_cell(group_.position), state_,
                     std::string(name_of(entry.kind)), id_text(entry.instance), offset, last_offset,
                     placed ? Cell{entry.segment_base.value()} : nothing(),
                     placed ? Cell{int64_t{entry.position}} : nothing(),
                     entry.batch.empty() ? nothing() : number_cell(entry.batch.size()),
                     declares ? Cell{to_string(entry.topic_id)} : nothing(),
                     declares ? Cell{entry.log.topic} : nothing(),
                     declares ? Cell{int64_t{entry.log.partition.value()}} : nothing(),
                     declares || renames ? Cell{entry.directory_name} : nothing()});
    }

    const FoundGroup& group_;
    const std::string state_;
    Report& report_;
};

}  // namespace

void print_journal(Source& source, const InspectOptions& options, Report& report) {
    JournalWalk journal(source, report);
    journal.find_groups();
    journal.check_order();
    report.begin(options.entries ? std::span<const Column>(kEntryColumns)
                                 : std::span<const Column>(kGroupColumns));
    for (const FoundGroup& group : journal.groups()) {
        const auto bytes = journal.bytes_of(group);
        if (bytes.empty()) continue;
        GroupPrinter printer(group, journal.is_current(group) ? "current" : "stale", report);
        const int64_t entries = printer.walk(bytes, options.entries);
        if (!options.entries) printer.print_group(entries);
    }
}

}  // namespace ottla::app
