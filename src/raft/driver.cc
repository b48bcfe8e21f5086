// SPDX-License-Identifier: Apache-2.0
#include "raft/driver.h"

#include <fmt/format.h>

#include "ottla/check.h"

namespace ottla::raft {
namespace {

/// Of the log at a time, when it is given to the listener from the disk.
constexpr size_t kReadPiece = 1024UZ * 1024;
/// Of batches that share a sync; MetadataLog judges damage by it.
constexpr size_t kLargestGroup = 4UZ * 1024 * 1024;

Result<RaftStart> start_of(const MetadataLog& log, const RaftOptions& options) {
    RaftStart start;
    start.self = options.self;
    start.kraft_version = log.quorum().kraft_version.value_or(0);
    start.voters = start.kraft_version > 0 && log.quorum().voters ? *log.quorum().voters
                                                                  : options.static_voters;
    if (start.voters.voters.empty()) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("{} names no voters and controller.quorum.voters is not set: was "
                                "this directory ever formatted?",
                                options.directory));
    }
    start.voters_in_log = log.voters_in_log();
    start.state = log.quorum_state().value_or(QuorumState{});
    start.log_end = log.end();
    start.last_epoch = log.last_epoch();
    return start;
}

}  // namespace

RaftDriver::RaftDriver(Ports ports,
                       std::unique_ptr<MetadataLog> log,
                       Raft raft,
                       int16_t kraft_version,
                       RaftListener& listener)
    : ports_(ports),
      log_(std::move(log)),
      raft_(std::move(raft)),
      kraft_version_(kraft_version),
      listener_(listener),
      applied_(log_->snapshot_id().end),
      wake_(ports.runtime),
      progress_(ports.runtime),
      gate_(ports.runtime) {}

Task<Result<std::unique_ptr<RaftDriver>>> RaftDriver::open(Ports ports,
                                                           RaftOptions options,
                                                           RaftListener& listener,
                                                           LogInspector* inspector) {
    CO_TRY(auto log, co_await MetadataLog::open(ports, options.directory, options.limits, inspector,
                                                options.last_writer, options.known_end));
    CO_TRY(RaftStart start, start_of(*log, options));
    const int16_t kraft_version = start.kraft_version;
    CO_TRY(Raft raft, Raft::create(std::move(start)));
    CO_TRY_STATUS(listener.load_snapshot(log->snapshot_id(), log->snapshot()));
    co_return std::unique_ptr<RaftDriver>(
        new RaftDriver(ports, std::move(log), std::move(raft), kraft_version, listener));
}

void RaftDriver::start() {
    started_ = true;
    ports_.runtime.spawn(run());
}

Result<Offset> RaftDriver::propose(Buffer batch) {
    if (stopped()) return fail(ErrorCode::not_controller, "the metadata quorum has stopped");
    TRY(const Offset end, raft_.propose(ports_.runtime.now(), std::move(batch)));
    wake_.notify_all();
    return end;
}

Task<Status> RaftDriver::wait_committed(Offset end) {
    while (applied_ < end && !stopped()) {
        co_await progress_.wait();
    }
    if (applied_ >= end) co_return Status();
    co_return fail(ErrorCode::not_controller, "the metadata quorum stopped before the commit");
}

Task<> RaftDriver::run() {
    const Gate::Pass inside = gate_.enter();
    if (!inside) co_return;
    raft_.tick(ports_.runtime.now(), ports_.runtime.wall_time());
    while (!stopped()) {
        RaftOutput output = raft_.take_output();
        if (output.nothing_to_do()) {
            co_await wake_.wait();
            continue;
        }
        const Status done = co_await perform(std::move(output));
        if (!done) fail_with(done.error());
    }
}

Task<Status> RaftDriver::perform(RaftOutput output) {
    if (output.quorum_state) {
        CO_TRY_STATUS(co_await log_->write_quorum_state(*output.quorum_state, kraft_version_,
                                                        raft_.voters()));
    }
    std::vector<Buffer> group;
    size_t group_bytes = 0;
    for (Buffer& batch : output.append) {
        if (!group.empty() && group_bytes + batch.size() > kLargestGroup) {
            CO_TRY_STATUS(co_await log_->append(std::exchange(group, {})));
            group_bytes = 0;
        }
        group_bytes += batch.size();
        unapplied_.push_back(batch);
        group.push_back(std::move(batch));
    }
    if (!output.append.empty()) {
        CO_TRY_STATUS(co_await log_->append(std::move(group)));
        raft_.persisted(log_->end());
    }
    if (output.high_watermark) CO_TRY_STATUS(co_await apply(*output.high_watermark));
    co_return Status();
}

Task<Status> RaftDriver::apply(Offset end) {
    // What an earlier process appended comes from the disk.
    while (applied_ < end) {
        if (!unapplied_.empty() && BatchView{unapplied_.front().span()}.base_offset() <= applied_) {
            break;
        }
        CO_TRY(std::vector<Buffer> batches, co_await log_->read(applied_, kReadPiece));
        while (!batches.empty() && BatchView{batches.back().span()}.offset_end() > end) {
            batches.pop_back();
        }
        if (batches.empty()) {
            co_return fail(
                ErrorCode::corrupt,
                fmt::format("the metadata log has nothing at offset {}", applied_.value()));
        }
        CO_TRY_STATUS(listener_.committed(batches));
        applied_ = BatchView{batches.back().span()}.offset_end();
    }
    std::vector<Buffer> batches;
    while (!unapplied_.empty() && BatchView{unapplied_.front().span()}.offset_end() <= end) {
        // A catch-up from the disk may have given it already.
        if (BatchView{unapplied_.front().span()}.offset_end() > applied_) {
            batches.push_back(std::move(unapplied_.front()));
        }
        unapplied_.pop_front();
    }
    if (!batches.empty()) {
        CO_TRY_STATUS(listener_.committed(batches));
        applied_ = BatchView{batches.back().span()}.offset_end();
    }
    listener_.caught_up();
    progress_.notify_all();
    co_return Status();
}

void RaftDriver::fail_with(Error why) {
    failure_ = std::move(why);
    listener_.failed(*failure_);
    progress_.notify_all();
}

Task<Status> RaftDriver::close() {
    closing_ = true;
    wake_.notify_all();
    progress_.notify_all();
    co_await gate_.close();
    if (failure_) co_return std::unexpected(*failure_);
    if (!started_) co_return Status();
    co_return co_await log_->close();
}

}  // namespace ottla::raft
