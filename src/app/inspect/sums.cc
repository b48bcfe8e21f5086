// SPDX-License-Identifier: Apache-2.0
// ottla inspect sums: `%020d.ottla-sums` of a segment, and `.ottla-sums` of a directory.
#include <fmt/format.h>

#include <array>

#include "app/inspect/printers.h"
#include "base/uuid.h"
#include "storage/directory_sums.h"
#include "storage/file_names.h"
#include "storage/segment_sums.h"

namespace ottla::app {
namespace {

constexpr std::array kSegmentColumns = {Column{"what", 9},         Column{"position", 10},
                                        Column{"bytes", 10},       Column{"crc", 10},
                                        Column{"reign", 22, true}, Column{"gaps", 0, true}};
constexpr std::array kDirectoryColumns = {Column{"name", 34}, Column{"bytes", 10},
                                          Column{"crc", 10}, Column{"reign", 22, true},
                                          Column{"stopped", 24, true}};
constexpr uint64_t kMostBytes = 16ULL * 1024 * 1024;

void print_directory(std::string_view text, Report& report) {
    report.begin(kDirectoryColumns);
    const auto sums = storage::parse_directory_sums(text);
    if (!sums) return report.damage(0, sums.error().detail);
    const Cell stopped = sums->stopped ? time_cell(sums->stopped->value()) : nothing();
    if (const auto& end = sums->metadata; end) {
        const std::string name = storage::offset_file_name(end->segment, storage::kLogSuffix);
        report.row({fmt::format("{}-0/{}", storage::kMetadataTopic, name), number_cell(end->bytes),
                    nothing(), to_string(sums->reign), stopped});
    }
    for (const auto& [name, sum] : sums->files) {
        report.row(
            {name, number_cell(sum.size), crc_cell(sum.crc), to_string(sums->reign), stopped});
    }
}

void print_segment_sums(std::span<const std::byte> bytes, Report& report) {
    report.begin(kSegmentColumns);
    const auto sums = storage::parse_sums(bytes);
    if (!sums) return report.damage(0, sums.error().detail);
    const auto row = [&](std::string what, uint64_t position, uint64_t size, uint32_t crc) {
        report.row({std::move(what), number_cell(position), number_cell(size), crc_cell(crc),
                    to_string(sums->reign), std::string(sums->has_gaps ? "yes" : "no")});
    };
    row("index", 0, sums->offsets.size, sums->offsets.crc);
    row("timeindex", 0, sums->times.size, sums->times.crc);
    row("txnindex", 0, sums->transactions.size, sums->transactions.crc);
    uint64_t begin = 0;
    for (const storage::HeadChunk& chunk : sums->chunks) {
        row("heads", begin, chunk.end - begin, chunk.crc);
        begin = chunk.end;
    }
}

}  // namespace

void print_sums(Source& source, Report& report) {
    Window window(source);
    if (source.size() > kMostBytes) {
        return report.damage(
            0, fmt::format("{} bytes are no sums: the limit is {}", source.size(), kMostBytes));
    }
    const auto bytes = window.view(0, static_cast<size_t>(source.size()));
    if (!bytes) return report.damage(0, bytes.error().detail);
    const bool of_segment = !bytes->empty() && bytes->front() == std::byte{'O'};
    if (of_segment) return print_segment_sums(*bytes, report);
    print_directory(as_text(*bytes), report);
}

}  // namespace ottla::app
