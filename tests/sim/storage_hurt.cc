// SPDX-License-Identifier: Apache-2.0
// What a LogDriver demands of a log while a bit of some file is not what was written: nothing of it is
// served, what is lost is told, everything else is as it was.
#include <fmt/format.h>

#include <algorithm>

#include "storage/log_parts.h"
#include "tests/sim/storage_driver.h"

namespace ottla::sim {

namespace {

constexpr size_t kPieceBytes = 20'000;
constexpr uint64_t kLookups = 6;

}  // namespace

Task<Status> LogDriver::check_around_damage() {
    const std::string path = log_->path();
    LogState found{
        .exists = true, .start = log_->log_start(), .end = log_->log_end(), .batches = {}};
    size_t holes = 0;
    Offset at = found.start;
    while (at < found.end) {
        auto reading = log_->read_committed(at, kPieceBytes, found.end, true);
        const auto slice = co_await std::move(reading);
        if (!slice && was_overtaken(slice.error())) {
            found = {.exists = true, .start = log_->log_start(), .end = found.end, .batches = {}};
            at = found.start;
            holes = 0;
            continue;
        }
        if (!slice) {
            if (!world_.names_damage(slice.error())) co_return std::unexpected(slice.error());
            ++holes;
            const Offset behind = log_->parts().behind_damage(at);
            at = behind > at ? behind : at + 1;
            continue;
        }
        const Buffer bytes = slice->records.bytes.flatten();
        BatchCursor cursor(bytes.span(), BatchCursor::Crc::check);
        while (cursor.next() == BatchStep::batch) {
            found.batches.push_back(fact_of(cursor.batch(), cursor.batch().base_offset()));
        }
        if (slice->records.next <= at) break;  // A cleaner left nothing up to the end.
        at = slice->records.next;
    }
    note_found(found);
    const bool told = std::ranges::any_of(world_.reports, [&path](const storage::Damage& one) {
        return one.kind == storage::Damage::Kind::batch && one.path.starts_with(path + "/");
    });
    if (holes > 0 && !told) failed("records cannot be read, and nobody was told");
    const auto wrong = tested_.model.is_explained_with_a_hole(found);
    if (wrong) failed("around damage: " + *wrong);
    if (tested_.is_retained()) tested_.model.start_may_reach(log_->noted_high_watermark());
    ++world_.refusals;
    co_return Status{};
}

Task<Status> LogDriver::check_lookups(const LogState& found) {
    const uint64_t looks = std::min<uint64_t>(kLookups, found.batches.size());
    const std::vector<WallTime> times = read_times_;
    for (uint64_t i = 0; i < looks; ++i) {
        const uint64_t which = world_.random.below(found.batches.size());
        const BatchFact& batch = found.batches[which];
        if (batch.base < log_->log_start()) continue;
        const auto slice = co_await log_->read_committed(batch.base, 1, found.end, true);
        if (!slice && was_overtaken(slice.error())) continue;
        if (!slice) co_return std::unexpected(slice.error());
        const Buffer bytes = slice->records.bytes.flatten();
        BatchCursor cursor(bytes.span(), BatchCursor::Crc::check);
        const bool is_there = cursor.next() == BatchStep::batch;
        if (!is_there || cursor.batch().base_offset() != batch.base) {
            // A cleaning may have taken it since.
            if (!tested_.config.compacts) {
                failed(fmt::format("a read at {} does not find its batch", batch.base.value()));
            }
            continue;
        }
        if (tested_.config.compacts || times[which] == kNoTimestamp) continue;
        const Offset start = log_->log_start();
        const auto looked_up = co_await log_->offset_for_timestamp(times[which]);
        if (!looked_up && was_overtaken(looked_up.error())) continue;
        if (!looked_up) co_return std::unexpected(looked_up.error());
        if (start != log_->log_start()) continue;  // Retention was quicker.
        const auto first = std::ranges::find_if(times, [&](const WallTime& time) {
            const BatchFact& one = found.batches[static_cast<size_t>(&time - times.data())];
            return time >= times[which] && one.end() > start;
        });
        const BatchFact& wanted = found.batches[static_cast<size_t>(first - times.begin())];
        const bool right = *looked_up && (*looked_up)->offset >= wanted.base &&
                           (*looked_up)->offset < wanted.end();
        if (right) continue;
        failed(fmt::format("the first record not before {} is in the batch at {}, not at {}",
                           times[which].value(), wanted.base.value(),
                           *looked_up ? (*looked_up)->offset.value() : -1));
    }
    co_return Status{};
}

}  // namespace ottla::sim
