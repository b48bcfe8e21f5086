// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <array>

#include "app/inspect/printers.h"
#include "base/crc32c.h"
#include "base/endian.h"

namespace ottla::app {
namespace {

constexpr std::array kColumns = {
    Column{"producer_id", 12},   Column{"producer_epoch"},
    Column{"last_sequence"},     Column{"last_offset", 12},
    Column{"offset_delta"},      Column{"timestamp", 24},
    Column{"coordinator_epoch"}, Column{"current_transaction_first_offset"},
};

constexpr size_t kHeaderBytes = 10;
constexpr size_t kEntryBytes = 46;
constexpr size_t kCrcCoversFrom = 6;

void print_entry(const std::byte* at, Report& report) {
    report.row({load_be<int64_t>(at), int64_t{load_be<int16_t>(at + 8)},
                number_or(load_be<int32_t>(at + 10), -1), number_or(load_be<int64_t>(at + 14), -1),
                int64_t{load_be<int32_t>(at + 22)}, time_cell(load_be<int64_t>(at + 26)),
                int64_t{load_be<int32_t>(at + 34)}, number_or(load_be<int64_t>(at + 38), -1)});
}

/// CRC-32C of everything from kCrcCoversFrom on.
Result<uint32_t> crc_of(Window& window) {
    uint32_t crc = 0;
    for (uint64_t at = kCrcCoversFrom; at < window.size();) {
        TRY(const auto bytes, window.view(at, Window::kPiece));
        if (bytes.empty()) return fail(ErrorCode::io_error, "the file became shorter");
        crc = crc32c(crc, bytes);
        at += bytes.size();
    }
    return crc;
}

}  // namespace

void print_producer_snapshot(Source& source, Report& report) {
    report.begin(kColumns);
    Window window(source);
    const auto head = window.view(0, kHeaderBytes);
    if (!head || head->size() < kHeaderBytes) {
        report.damage(0, head ? fmt::format("{} bytes, less than a header", head->size())
                              : head.error().detail);
        return;
    }
    const auto version = load_be<int16_t>(head->data());
    const auto stored_crc = load_be<uint32_t>(head->data() + 2);
    const auto count = load_be<int32_t>(head->data() + 6);
    if (version != 1) return report.damage(0, fmt::format("version {}, not 1", version));
    const auto crc = crc_of(window);
    if (!crc) return report.damage(0, crc.error().detail);
    if (*crc != stored_crc) {
        report.damage(2,
                      fmt::format("the CRC is {:08x}, the header says {:08x}", *crc, stored_crc));
    }
    uint64_t at = kHeaderBytes;
    for (int32_t i = 0; i < count; ++i, at += kEntryBytes) {
        const auto entry = window.view(at, kEntryBytes);
        if (!entry || entry->size() < kEntryBytes) {
            return report.damage(at, entry
                                         ? fmt::format("{} producers, the header says {}", i, count)
                                         : entry.error().detail);
        }
        print_entry(entry->data(), report);
    }
    if (at < window.size()) {
        report.damage(
            at, fmt::format("{} bytes behind the last of {} producers", window.size() - at, count));
    }
}

}  // namespace ottla::app
