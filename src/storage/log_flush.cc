// SPDX-License-Identifier: Apache-2.0
// From journal memory into segment files (DESIGN 7.2). Where memory is short (StorageSettings'
// direct_flush) whatever is large goes past the page cache, so that it evicts nothing and waits for
// nobody's write-back; elsewhere all is buffered and the page cache serves readers that lag.
//
//   file     ...........|  written  |h|    whole blocks     |tail|
//                                   ^ begin                 ^ end of a direct run
//
// A run is what one trip writes: bytes of one segment, behind each other. One with enough whole blocks
// is written direct; in front of it at most a block's rest (`h`) buffered, where an earlier run ended within a
// block. The tail, less than a block, waits in memory for the next run (`flushed_part`), so that runs
// follow each other without any buffered write, unless everything is wanted: then it is a run of its
// own, buffered like all small ones. Direct and buffered writes never touch the same block at once, and
// nobody reads what is behind flush_cursor from files.
#include <algorithm>

#include "storage/log_parts.h"
#include "storage/shard_directory.h"

namespace ottla::storage {
namespace {

constexpr uint64_t block_floor(uint64_t position) {
    return position / kDirectAlignment * kDirectAlignment;
}
constexpr uint64_t block_ceiling(uint64_t position) {
    return block_floor(position + kDirectAlignment - 1);
}

Chain part_of(const Chain& bytes, uint64_t skipped, uint64_t size) {
    Chain part;
    for (const Buffer& piece : bytes.pieces()) {
        if (skipped >= piece.size()) {
            skipped -= piece.size();
            continue;
        }
        const size_t taken = std::min<uint64_t>(piece.size() - skipped, size);
        part.append(piece.slice(skipped, taken));
        skipped = 0;
        size -= taken;
        if (size == 0) break;
    }
    return part;
}

}  // namespace

LogParts::FlushRun LogParts::next_run() const {
    const TailBatch& head = tail.at(flush_cursor);
    FlushRun run;
    run.first = run.behind = flush_cursor;
    run.base = head.position;
    run.begin = run.end = head.position + flushed_part;
    uint64_t follows = head.position;
    while (run.behind < tail.end() && run.size() < home.settings().flush_piece_bytes) {
        const TailBatch& next = tail.at(run.behind);
        const bool goes_on = next.segment_base == head.segment_base && next.position == follows;
        if (!goes_on || !next.group->durable) break;
        follows = run.end = next.position_end();
        ++run.behind;
    }
    const uint64_t blocks_from = block_ceiling(run.begin);
    const uint64_t blocks_end = block_floor(run.end);
    if (home.writes_direct() &&
        blocks_end >=
            blocks_from + std::max(home.settings().direct_least_bytes, kDirectAlignment)) {
        run.direct_from = blocks_from;
        run.end = blocks_end;
        while (tail.at(run.behind - 1).position >= run.end) --run.behind;
    }
    run.whole = run.behind;
    if (run.behind > run.first && tail.at(run.behind - 1).position_end() > run.end) {
        --run.whole;
        run.part = static_cast<uint32_t>(run.end - tail.at(run.whole).position);
    }
    return run;
}

bool LogParts::has_unflushed(size_t least) const {
    if (flush_cursor >= tail.end() || !tail.at(flush_cursor).group->durable) return false;
    if (least == 0) return true;
    const TailBatch& first = tail.at(flush_cursor);
    uint64_t behind = tail.find(durable_end);
    // Of a relaxed log the end runs ahead of the journal's syncs.
    while (behind > flush_cursor && !tail.at(behind - 1).group->durable) --behind;
    if (behind == flush_cursor) return false;
    const TailBatch& last = tail.at(behind - 1);
    if (last.segment_base != first.segment_base) return true;
    return last.position_end() - first.position - flushed_part >= least;
}

Task<Status> LogParts::flush_piece() {
    const FlushRun run = next_run();
    const std::shared_ptr<Segment> segment =
        segments[segment_index(tail.at(run.first).segment_base)];
    CHECK(segment->base() == tail.at(run.first).segment_base, "an unflushed batch has its segment");
    Chain bytes = tail.gather(run.first, run.behind);
    const bool cut_off = run.begin > run.base || bytes.size() > run.end - run.base;
    if (cut_off) bytes = part_of(bytes, run.begin - run.base, run.size());
    in_flight_end = run.behind;
    const Status written = co_await write_run(segment, run, std::move(bytes));
    const uint64_t end = *std::exchange(in_flight_end, std::nullopt);
    if (!written && written.error().code == ErrorCode::invalid_argument && run.direct_from) {
        // It opens direct files and takes no such write: the lane goes on with a buffered one.
        home.found_no_direct();
        co_return Status();
    }
    CO_TRY_STATUS(written);
    const bool counts_all = home.settings().faults.count_unwritten_rest;
    const uint64_t whole = counts_all ? run.behind : run.whole;
    const uint64_t counted = std::min({end, tail.end(), whole});
    for (uint64_t number = run.first; number < counted; ++number) settle(tail.at(number));
    if (counted > run.first) {
        flush_cursor = counted;
        flushed_end = tail.at(counted - 1).last + 1;
        flushed_part = 0;
    }
    // A batch of which a part is written may have been cut away meanwhile; another took its number.
    if (run.part > 0 && end == run.behind && counted == run.whole) flushed_part = run.part;
    co_return Status();
}

Task<Status> LogParts::write_run(std::shared_ptr<Segment> segment, FlushRun run, Chain bytes) {
    if (config.preallocate && run.begin == 0) CO_TRY_STATUS(co_await reserve(segment));
    std::shared_ptr<File> file;
    if (run.direct_from) {
        CO_TRY(file, co_await direct_file_of(segment));
    }
    if (file == nullptr) co_return co_await segment->write(run.begin, std::move(bytes));
    const uint64_t head = *run.direct_from - run.begin;
    if (head > 0) {
        CO_TRY_STATUS(co_await segment->write(run.begin, part_of(bytes, 0, head)));
        bytes = part_of(bytes, head, run.size() - head);
    }
    co_return co_await segment->write_direct(file, *run.direct_from, std::move(bytes));
}

/// With its first bytes a new segment gets room for all of it, if it is still the one that grows and the
/// disk has plenty: others do not go short for what may never be written.
Task<Status> LogParts::reserve(std::shared_ptr<Segment> segment) {
    CO_TRY([[maybe_unused]] const auto made, co_await segment->file(true));
    const bool is_new = segment->take_made();
    const auto bytes = static_cast<uint64_t>(config.segment_bytes);
    if (!is_new || segment != segments.back() || !home.spares(bytes)) co_return Status();
    home.took(bytes);
    const Status reserved = co_await segment->reserve(bytes);
    home.settled(bytes);
    co_return reserved;
}

Task<Result<std::shared_ptr<File>>> LogParts::direct_file_of(std::shared_ptr<Segment> segment) {
    if (direct != nullptr && direct->segment == segment && direct->file.is_open()) {
        co_return direct->file.use();
    }
    direct.reset();
    CO_TRY([[maybe_unused]] const auto made, co_await segment->file(true));
    OpenOptions options;
    options.write = true;
    options.direct = true;
    auto opened = co_await home.files().open(segment->log_path(), options);
    // Without one, for want of descriptors or whatever, it is written buffered.
    if (!opened) co_return nullptr;
    if (!(*opened)->is_direct()) {
        home.found_no_direct();
        co_return nullptr;
    }
    direct = std::make_unique<DirectFile>(std::move(segment), home.open_files());
    std::shared_ptr<File> file = *std::move(opened);
    direct->file.keep(file);
    co_return file;
}

}  // namespace ottla::storage
