// SPDX-License-Identifier: Apache-2.0
// A catalogue: a row for each log, or with `entries` a row for each thing that its picture holds. The broker's own
// parser reads it, so nothing is called intact here that a start would refuse.
#include <fmt/format.h>

#include <array>

#include "app/inspect/printers.h"
#include "base/endian.h"
#include "base/uuid.h"
#include "storage/catalogue.h"
#include "storage/offset_index.h"
#include "storage/producer_state.h"
#include "storage/time_index.h"
#include "storage/transaction_index.h"

namespace ottla::app {
namespace {

using storage::CatalogueEntry;
using storage::EpochStart;
using storage::SegmentEntry;

constexpr std::array kLogColumns = {
    Column{"topic", 30},
    Column{"partition"},
    Column{"topic_id", 22},
    Column{"log_start"},
    Column{"recovery_point"},
    Column{"high_watermark"},
    Column{"cleaned"},
    Column{"end"},
    Column{"segments"},
    Column{"last_segment"},
    Column{"last_bytes"},
    Column{"grown_bytes"},
    Column{"journal_id", 16, true},
    Column{"journal_group", 0, true},
    Column{"log_instance", 16, true},
    Column{"no_torn_end", 0, true},
    Column{"picture_lost", 0, true},
    Column{"epochs_changed", 0, true},
    Column{"directory_id", 22, true},
};
constexpr std::array kThingColumns = {
    Column{"topic", 30},     Column{"partition"},         Column{"kind", 11},
    Column{"offset", 10},    Column{"last_offset"},       Column{"bytes", 10},
    Column{"leader_epoch"},  Column{"producer_id"},       Column{"producer_epoch"},
    Column{"last_sequence"}, Column{"max_timestamp", 24}, Column{"finished"},
    Column{"index_entries"}, Column{"time_entries"},      Column{"more_index"},
    Column{"more_time"},     Column{"aborted"},
};

constexpr size_t kSnapshotHeader = 10;
constexpr size_t kSnapshotEntry = 46;

/// One thing of a picture; what does not apply to its kind is nothing.
struct Thing {
    std::string_view kind;
    Cell offset = nothing();
    Cell last_offset = nothing();
    Cell bytes = nothing();
    Cell leader_epoch = nothing();
    Cell producer_id = nothing();
    Cell producer_epoch = nothing();
    Cell last_sequence = nothing();
    Cell max_timestamp = nothing();
    Cell finished = nothing();
    Cell index_entries = nothing();
    Cell time_entries = nothing();
    Cell more_index = nothing();
    Cell more_time = nothing();
    Cell aborted = nothing();
};

class LogPrinter {
public:
    LogPrinter(const storage::Catalogue& catalogue, const CatalogueEntry& entry, Report& report)
        : catalogue_(catalogue), entry_(entry), report_(report) {}

    void print_log() {
        const bool pictured = entry_.whole;
        const SegmentEntry last = pictured ? entry_.segments.back() : SegmentEntry{};
        const auto if_pictured = [pictured](uint64_t value) {
            return pictured ? number_cell(value) : nothing();
        };
        report_.row({entry_.name.topic, int64_t{entry_.name.partition.value()},
                     to_string(entry_.topic_id), entry_.log_start.value(),
                     entry_.recovery_point.value(), entry_.high_watermark.value(),
                     entry_.cleaned.value(), if_pictured(static_cast<uint64_t>(entry_.end.value())),
                     if_pictured(entry_.segments.size()),
                     if_pictured(static_cast<uint64_t>(last.base.value())), if_pictured(last.bytes),
                     entry_.grown.empty() ? nothing() : number_cell(entry_.grown.back().bytes),
                     fmt::format("{:016x}", catalogue_.journal_id), number_cell(entry_.group),
                     fmt::format("{:016x}", entry_.instance), entry_.complete, entry_.picture_lost,
                     entry_.epochs_changed, to_string(catalogue_.directory_id)});
    }

    void print_things() {
        for (const EpochStart& start : entry_.epochs) {
            print({.kind = "epoch",
                   .offset = start.start.value(),
                   .leader_epoch = int64_t{start.epoch.value()}});
        }
        for (const SegmentEntry& segment : entry_.segments) print_segment(segment);
        for (const storage::GrownSegment& grown : entry_.grown) {
            print(
                {.kind = "grown", .offset = grown.base.value(), .bytes = number_cell(grown.bytes)});
        }
        for (const Offset snapshot : entry_.snapshots) {
            print({.kind = "snapshot", .offset = snapshot.value()});
        }
        print_producers();
    }

private:
    void print_segment(const SegmentEntry& segment) {
        Thing thing{.kind = "segment",
                    .offset = segment.base.value(),
                    .bytes = number_cell(segment.bytes),
                    .max_timestamp = time_cell(segment.max_timestamp.value()),
                    .finished = segment.finished};
        if (segment.inlined) {
            thing.index_entries = number_cell(segment.in_files.offsets);
            thing.time_entries = number_cell(segment.in_files.times);
            thing.more_index =
                number_cell(segment.offsets.size() / storage::OffsetIndex::kEntryBytes);
            thing.more_time = number_cell(segment.times.size() / storage::TimeIndex::kEntryBytes);
            thing.aborted =
                number_cell(segment.transactions.size() / storage::TransactionIndex::kEntryBytes);
        }
        print(thing);
    }

    void print_producers() {
        if (!entry_.producers) return;
        storage::ProducerState state;
        const Status loaded = state.load_image(*entry_.producers);
        if (!loaded) {
            return report_.damage(
                0, fmt::format("{}-{}: {}", entry_.name.topic, entry_.name.partition.value(),
                               loaded.error().detail));
        }
        // As its snapshot file would have them: the newest batch of each.
        const Buffer snapshot = state.snapshot();
        for (size_t at = kSnapshotHeader; at < snapshot.size(); at += kSnapshotEntry) {
            const std::byte* one = snapshot.data() + at;
            print({.kind = "producer",
                   .offset = number_or(load_be<int64_t>(one + 38), -1),
                   .last_offset = number_or(load_be<int64_t>(one + 14), -1),
                   .producer_id = load_be<int64_t>(one),
                   .producer_epoch = int64_t{load_be<int16_t>(one + 8)},
                   .last_sequence = number_or(load_be<int32_t>(one + 10), -1),
                   .max_timestamp = time_cell(load_be<int64_t>(one + 26))});
        }
    }

    void print(const Thing& thing) {
        report_.row({entry_.name.topic, int64_t{entry_.name.partition.value()},
                     std::string(thing.kind), thing.offset, thing.last_offset, thing.bytes,
                     thing.leader_epoch, thing.producer_id, thing.producer_epoch,
                     thing.last_sequence, thing.max_timestamp, thing.finished, thing.index_entries,
                     thing.time_entries, thing.more_index, thing.more_time, thing.aborted});
    }

    const storage::Catalogue& catalogue_;
    const CatalogueEntry& entry_;
    Report& report_;
};

}  // namespace

void print_catalogue(std::string_view bytes, const InspectOptions& options, Report& report) {
    report.begin(options.entries ? std::span<const Column>(kThingColumns) : kLogColumns);
    const auto catalogue = storage::parse_catalogue(Buffer::copy_of(bytes));
    if (!catalogue) return report.damage(0, catalogue.error().detail);
    if (catalogue->damage) report.damage(0, *catalogue->damage);
    for (const CatalogueEntry& entry : catalogue->entries) {
        LogPrinter printer(*catalogue, entry, report);
        options.entries ? printer.print_things() : printer.print_log();
    }
}

}  // namespace ottla::app
