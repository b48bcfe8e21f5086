// SPDX-License-Identifier: Apache-2.0
#include "storage/segment_swap.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "storage/atomic_file.h"
#include "storage/file_names.h"

namespace ottla::storage {
namespace {

constexpr std::string_view kIndexSuffixes[] = {kOffsetIndexSuffix, kTimeIndexSuffix,
                                               kTransactionIndexSuffix};

/// Renames, and removes the target where there is nothing to put.
Task<Status> rename_or_remove(FileSystem& files, std::string from, std::string to) {
    const Status renamed = co_await files.rename(from, to);
    if (renamed) co_return Status();
    if (renamed.error().code != ErrorCode::not_found) co_return renamed;
    co_return co_await remove_file(files, to);
}

/// The log last: it is what counts.
Task<Status> rename_segment(FileSystem& files,
                            std::string directory,
                            Offset base,
                            std::string from,
                            std::string to) {
    for (const std::string_view suffix : kIndexSuffixes) {
        const std::string name = join_path(directory, offset_file_name(base, suffix));
        CO_TRY_STATUS(co_await rename_or_remove(files, name + from, name + to));
    }
    const std::string name = join_path(directory, offset_file_name(base, kLogSuffix));
    CO_TRY_STATUS(co_await files.rename(name + from, name + to));
    co_return co_await files.sync_directory(directory);
}

Task<Status> remove_segment(FileSystem& files, std::string directory, Offset base) {
    for (const std::string_view suffix : kIndexSuffixes) {
        const std::string name = join_path(directory, offset_file_name(base, suffix));
        CO_TRY_STATUS(co_await remove_file(files, name));
    }
    const std::string log = join_path(directory, offset_file_name(base, kLogSuffix));
    co_return co_await remove_file(files, log);
}

/// Files of a directory that end in `.cleaned` or `.swap`.
struct Leftovers {
    std::set<std::string> cleaned;
    std::optional<Offset> first_cleaned;
    std::map<Offset, std::set<std::string>> swaps;
    std::vector<Offset> logs;
};

std::optional<Offset> base_of(std::string_view name) {
    for (const std::string_view suffix :
         {kLogSuffix, kOffsetIndexSuffix, kTimeIndexSuffix, kTransactionIndexSuffix}) {
        const auto base = parse_offset_file(name, suffix);
        if (base) return base;
    }
    return std::nullopt;
}

Leftovers find_leftovers(const std::vector<DirectoryEntry>& entries) {
    Leftovers found;
    for (const DirectoryEntry& entry : entries) {
        const std::string_view name = entry.name;
        if (const auto log = parse_offset_file(name, kLogSuffix)) {
            found.logs.push_back(*log);
        } else if (name.ends_with(kCleanedSuffix)) {
            found.cleaned.insert(entry.name);
            const auto base = base_of(name.substr(0, name.size() - kCleanedSuffix.size()));
            if (base) found.first_cleaned = std::min(found.first_cleaned.value_or(*base), *base);
        } else if (name.ends_with(kSwapSuffix)) {
            const auto base = base_of(name.substr(0, name.size() - kSwapSuffix.size()));
            if (base) found.swaps[*base].insert(entry.name);
        }
    }
    return found;
}

class IgnoreBatches final : public BatchVisitor {
public:
    void visit(const BatchView&, uint64_t) override {}
};

/// Finishes what steps 3 and 4 had to do for one `.log.swap`.
Task<Status> finish_swap(FileSystem& files,
                         std::string directory,
                         Offset base,
                         std::vector<Offset> logs) {
    Segment swapped(files, directory, base, {}, WallTime{0});
    swapped.set_extension(std::string(kSwapSuffix));
    IgnoreBatches nothing;
    CO_TRY(const SegmentEnd end, co_await swapped.walk(0, BatchCursor::Crc::check, nothing));
    if (end.damage) co_return std::unexpected(*end.damage);
    for (const Offset old : logs) {
        if (old > base && old < end.offset) {
            CO_TRY_STATUS(co_await remove_segment(files, directory, old));
        }
    }
    CO_TRY_STATUS(co_await files.sync_directory(directory));
    // An index that was renamed before the crash lies in place already.
    for (const std::string_view suffix : kIndexSuffixes) {
        const std::string name = join_path(directory, offset_file_name(base, suffix));
        const Status renamed = co_await files.rename(name + std::string(kSwapSuffix), name);
        if (!renamed && renamed.error().code != ErrorCode::not_found) co_return renamed;
    }
    const std::string log = join_path(directory, offset_file_name(base, kLogSuffix));
    CO_TRY_STATUS(co_await files.rename(log + std::string(kSwapSuffix), log));
    // Which of them that was is not known: only the walk that builds them anew is.
    CO_TRY_STATUS(co_await remove_file(
        files, join_path(directory, offset_file_name(base, kOffsetIndexSuffix))));
    co_return Status();
}

}  // namespace

Task<Status> swap_segments(FileSystem& files,
                           std::string directory,
                           std::vector<std::shared_ptr<Segment>> old,
                           std::shared_ptr<Segment> fresh) {
    const Offset base = fresh->base();
    const std::string cleaned(kCleanedSuffix);
    const std::string swap(kSwapSuffix);
    // Those of the old ones are gone for certain before anything is renamed: they never meet the new.
    for (const auto& segment : old) {
        const std::string sums = offset_file_name(segment->base(), kSumsSuffix);
        CO_TRY_STATUS(co_await remove_file(files, join_path(directory, sums)));
    }
    CO_TRY_STATUS(co_await files.sync_directory(directory));
    CO_TRY_STATUS(co_await rename_segment(files, directory, base, cleaned, swap));
    for (const auto& segment : old) {
        CO_TRY([[maybe_unused]] auto held, co_await segment->file(false));
        segment->retire();
        if (segment->base() == base) continue;
        CO_TRY_STATUS(co_await remove_segment(files, directory, segment->base()));
    }
    CO_TRY_STATUS(co_await files.sync_directory(directory));
    CO_TRY_STATUS(co_await rename_segment(files, directory, base, swap, ""));
    fresh->set_extension("");
    co_return Status();
}

Task<Result<bool>> settle_swaps(FileSystem& files, std::string directory) {
    CO_TRY(const auto entries, co_await files.list(directory));
    const Leftovers found = find_leftovers(entries);
    if (found.cleaned.empty() && found.swaps.empty()) co_return false;
    for (const auto& [base, names] : found.swaps) {
        const std::string log = offset_file_name(base, kLogSuffix) + std::string(kSwapSuffix);
        const bool counts = !found.first_cleaned || base < *found.first_cleaned;
        if (counts && names.contains(log)) {
            CO_TRY_STATUS(co_await finish_swap(files, directory, base, found.logs));
            continue;
        }
        for (const std::string& name : names) {
            CO_TRY_STATUS(co_await remove_file(files, join_path(directory, name)));
        }
        if (!counts) continue;
        // Its log is in place, this index is not: the segment's are built again.
        CO_TRY_STATUS(co_await remove_file(
            files, join_path(directory, offset_file_name(base, kOffsetIndexSuffix))));
    }
    CO_TRY_STATUS(co_await files.sync_directory(directory));
    // Last: while they are there nothing of their cleaning counts.
    for (const std::string& name : found.cleaned) {
        CO_TRY_STATUS(co_await remove_file(files, join_path(directory, name)));
    }
    CO_TRY_STATUS(co_await files.sync_directory(directory));
    co_return true;
}

}  // namespace ottla::storage
