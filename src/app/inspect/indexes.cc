// SPDX-License-Identifier: Apache-2.0
// The three indexes of a segment: rows of fixed size, read piece by piece.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "app/inspect/printers.h"
#include "base/endian.h"
#include "storage/offset_index.h"
#include "storage/time_index.h"

namespace ottla::app {
namespace {

constexpr std::array kOffsetColumns = {Column{"entry", 8}, Column{"offset", 12},
                                       Column{"relative_offset"}, Column{"file_position", 12},
                                       Column{"valid"}};
constexpr std::array kTimeColumns = {Column{"entry", 8}, Column{"timestamp", 24},
                                     Column{"offset", 12}, Column{"relative_offset"},
                                     Column{"valid"}};
constexpr std::array kTransactionColumns = {Column{"entry", 8},    Column{"version"},
                                            Column{"producer_id"}, Column{"first_offset", 12},
                                            Column{"last_offset"}, Column{"last_stable_offset"},
                                            Column{"valid"}};

constexpr size_t kTransactionEntryBytes = 34;

/// The entries of one file, in order.
class EntryWalk {
public:
    EntryWalk(Source& source, size_t entry_bytes, Report& report)
        : window_(source), entry_bytes_(entry_bytes), report_(report) {}

    bool next() {
        position_ = next_position_;
        if (position_ >= window_.size()) return false;
        const auto bytes = window_.view(position_, 2 * entry_bytes_);
        if (!bytes || bytes->size() < entry_bytes_) {
            report_.damage(position_, bytes ? fmt::format("{} bytes, of an entry of {}",
                                                          bytes->size(), entry_bytes_)
                                            : bytes.error().detail);
            return false;
        }
        entry_ = bytes->first(entry_bytes_);
        following_ = bytes->subspan(entry_bytes_);
        next_position_ += entry_bytes_;
        return true;
    }
    /// Kafka preallocates an index and cuts it at the end: from a row of zeros on nothing may come.
    void end_in_zeros() {
        const auto set = window_.skip_zeros(position_);
        if (!set) {
            report_.damage(position_, set.error().detail);
        } else if (*set < window_.size()) {
            report_.damage(position_, fmt::format("zeros, and data again at {}", *set));
        } else {
            report_.note(position_,
                         fmt::format("{} zeros up to the end, as a preallocated file has them",
                                     window_.size() - position_));
        }
    }
    [[nodiscard]] bool is_zero() const { return are_zeros(entry_); }
    [[nodiscard]] bool next_is_zero() const {
        return following_.size() == entry_bytes_ && are_zeros(following_);
    }
    /// False, and damage, unless the entry is right.
    bool expect(bool right, std::string_view what) {
        if (!right) report_.damage(position_, fmt::format("entry {}: {}", number(), what));
        return right;
    }
    template <class T>
    [[nodiscard]] T field(size_t at) const {
        return load_be<T>(entry_.data() + at);
    }
    [[nodiscard]] int64_t number() const { return static_cast<int64_t>(position_ / entry_bytes_); }

private:
    static bool are_zeros(std::span<const std::byte> bytes) {
        return std::ranges::all_of(bytes, [](std::byte b) { return b == std::byte{}; });
    }

    Window window_;
    const size_t entry_bytes_;
    Report& report_;
    std::span<const std::byte> entry_;
    std::span<const std::byte> following_;
    uint64_t position_ = 0;
    uint64_t next_position_ = 0;
};

}  // namespace

void print_offset_index(Source& source, Report& report) {
    EntryWalk walk(source, storage::OffsetIndex::kEntryBytes, report);
    const int64_t base = base_offset_of(report.file());
    report.begin(kOffsetColumns);
    int64_t last_relative = -1;
    int64_t last_position = 0;
    while (walk.next()) {
        // No entry points at the first batch.
        if (walk.is_zero()) return walk.end_in_zeros();
        const auto relative = walk.field<int32_t>(0);
        const auto position = walk.field<int32_t>(4);
        const bool right = walk.expect(relative > last_relative && position > last_position,
                                       "offset and position do not rise");
        report.row({walk.number(), wrapping_sum(base, relative), int64_t{relative},
                    int64_t{position}, right});
        last_relative = relative;
        last_position = position;
    }
}

void print_time_index(Source& source, Report& report) {
    EntryWalk walk(source, storage::TimeIndex::kEntryBytes, report);
    const int64_t base = base_offset_of(report.file());
    report.begin(kTimeColumns);
    int64_t last_timestamp = -1;
    int64_t last_relative = 0;
    while (walk.next()) {
        const auto timestamp = walk.field<int64_t>(0);
        const auto relative = walk.field<int32_t>(8);
        // A first entry of zeros is a record of 1970, unless more of them follow.
        if (walk.is_zero() && (walk.number() > 0 || walk.next_is_zero())) {
            return walk.end_in_zeros();
        }
        const bool right = walk.expect(timestamp > last_timestamp && relative >= last_relative,
                                       "timestamp or offset falls");
        report.row({walk.number(), time_cell(timestamp), wrapping_sum(base, relative),
                    int64_t{relative}, right});
        last_timestamp = timestamp;
        last_relative = relative;
    }
}

void print_transaction_index(Source& source, Report& report) {
    EntryWalk walk(source, kTransactionEntryBytes, report);
    report.begin(kTransactionColumns);
    int64_t last_marker = -1;
    while (walk.next()) {
        const auto version = walk.field<int16_t>(0);
        const auto producer = walk.field<int64_t>(2);
        const auto first = walk.field<int64_t>(10);
        const auto last = walk.field<int64_t>(18);
        const auto stable = walk.field<int64_t>(26);
        const bool right = walk.expect(version == 0, fmt::format("version {}, not 0", version)) &&
                           walk.expect(producer >= 0 && first >= 0 && first <= last && stable >= 0,
                                       "an impossible transaction") &&
                           walk.expect(last > last_marker, "the markers' offsets do not rise");
        report.row({walk.number(), int64_t{version}, producer, first, last, stable, right});
        last_marker = last;
    }
}

}  // namespace ottla::app
