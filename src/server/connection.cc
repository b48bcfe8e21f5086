// SPDX-License-Identifier: Apache-2.0
#include "server/connection.h"

#include <fmt/format.h>

namespace ottla::server {

Connection::Connection(ConnectionServices& services,
                       std::unique_ptr<Stream> stream,
                       std::string listener)
    : services_(services),
      stream_(std::move(stream)),
      session_(services.runtime, std::move(listener), stream_->local(), stream_->peer()),
      frames_(services.limits.max_frame_bytes),
      changed_(services.runtime),
      writable_(services.runtime),
      inside_(services.runtime) {}

Task<> Connection::run() {
    services_.runtime.spawn(write_loop());
    co_await read_loop();
    tell_gone();
    co_await inside_.close();
    stream_->close();
}

void Connection::close() {
    if (closing_) return;
    closing_ = true;
    tell_gone();
    stream_->close();
    changed_.notify_all();
    writable_.notify_all();
    if (budget_wait_ != nullptr) cancel(*budget_wait_);
}

void Connection::tell_gone() {
    session_.is_gone = true;
    session_.gone.notify_all();
}

Task<> Connection::read_loop() {
    while (!closing_) {
        const Status room = co_await wait_for_turn(Flow::pipelined);
        if (!room) co_return;
        Result<std::vector<Buffer>> frames = co_await read_frames();
        if (!frames) {
            if (frames.error().code == ErrorCode::malformed) {
                refuse(frames.error());
            } else {
                close();
            }
            co_return;
        }
        for (Buffer& frame : *frames) {
            Buffer whole = std::move(frame);
            const Status started = co_await start(std::move(whole));
            if (!started) co_return;
        }
    }
}

Task<Result<std::vector<Buffer>>> Connection::read_frames() {
    CO_TRY_STATUS(broken_);
    const Instant deadline = services_.runtime.now() + services_.limits.max_idle;
    auto reading = frames_.destination().empty() ? borrow(deadline) : fill(deadline);
    Result<std::vector<Buffer>> frames = co_await std::move(reading);
    const bool silent = !frames && frames.error().code == ErrorCode::request_timed_out;
    if (silent && !answers_.empty()) co_return std::vector<Buffer>{};
    co_return frames;
}

Task<Result<std::vector<Buffer>>> Connection::borrow(Instant deadline) {
    std::vector<Buffer> frames;
    auto read = stream_->read();
    auto timed = with_deadline(services_.runtime, read, deadline);
    CO_TRY(Buffer lent, co_await timed);
    broken_ = frames_.feed(lent, frames);  // What came before the damage is served first.
    co_return frames;
}

Task<Result<std::vector<Buffer>>> Connection::fill(Instant deadline) {
    std::vector<Buffer> frames;
    const std::span<std::byte> into = frames_.destination();
    const BlockRef block = frames_.block();
    const auto offset = static_cast<size_t>(into.data() - block->data());
    auto read = stream_->read_into(block, offset, into.size());
    auto timed = with_deadline(services_.runtime, read, deadline);
    CO_TRY(const size_t count, co_await timed);
    frames_.filled(count, frames);
    co_return frames;
}

Task<Status> Connection::start(Buffer frame) {
    const auto bytes = static_cast<int64_t>(frame.size());
    Result<Request> request = services_.dispatcher.admit(session_, std::move(frame));
    if (!request) {
        refuse(request.error());
        co_return std::unexpected(request.error());
    }
    CO_TRY_STATUS(co_await wait_for_turn(request->flow));
    CO_TRY_STATUS(co_await take_bytes(bytes));
    const uint64_t sequence = first_sequence_ + answers_.size();
    answers_.emplace_back();
    count(request->flow, true);
    services_.runtime.spawn(serve(sequence, *std::move(request), bytes));
    co_return Status();
}

bool Connection::may_start(Flow flow) const {
    if (alone_ || answers_.size() >= services_.limits.in_flight) return false;
    if (queued_bytes_ > services_.limits.queued_answer_bytes) return false;
    switch (flow) {
        case Flow::pipelined: return true;
        case Flow::one_at_a_time: return one_at_a_time_ == 0;
        case Flow::alone: return answers_.empty();
    }
    return true;
}

void Connection::count(Flow flow, bool starts) {
    if (flow == Flow::alone) alone_ = starts;
    if (flow == Flow::one_at_a_time) starts ? ++one_at_a_time_ : --one_at_a_time_;
}

Task<Status> Connection::wait_for_turn(Flow flow) {
    while (!closing_ && !may_start(flow)) co_await changed_.wait();
    if (closing_) co_return fail(ErrorCode::cancelled, "the connection is closing");
    co_return Status();
}

Task<Status> Connection::take_bytes(int64_t bytes) {
    auto take = services_.frame_bytes.take(bytes);
    budget_wait_ = &take;
    const Status taken = co_await take;
    budget_wait_ = nullptr;
    if (taken && closing_) {
        services_.frame_bytes.give_back(bytes);
        co_return fail(ErrorCode::cancelled, "the connection is closing");
    }
    co_return taken;
}

Task<> Connection::serve(uint64_t sequence, Request request, int64_t bytes) {
    const Gate::Pass pass = inside_.enter();
    const Flow flow = request.flow;
    Answer answer = co_await services_.dispatcher.serve(session_, std::move(request));
    services_.frame_bytes.give_back(bytes);
    count(flow, false);
    put(sequence, std::move(answer));
}

void Connection::put(uint64_t sequence, Answer answer) {
    if (answer.close) {
        services_.log.write(LogLevel::warning,
                            fmt::format("closing the connection of {}: {}",
                                        to_string(session_.peer), answer.close_reason));
    }
    Slot& slot = answers_[sequence - first_sequence_];
    queued_bytes_ += answer.frame.size();
    slot = {std::move(answer), true};
    changed_.notify_all();
    if (answers_.front().done) writable_.notify_all();
}

void Connection::refuse(const Error& why) {
    const uint64_t sequence = first_sequence_ + answers_.size();
    answers_.emplace_back();
    put(sequence, Answer::closing(why.detail));
}

Task<> Connection::write_loop() {
    const Gate::Pass pass = inside_.enter();
    while (!closing_) {
        if (answers_.empty() || !answers_.front().done) {
            co_await writable_.wait();
            continue;
        }
        const bool go_on = co_await write_ready();
        if (!go_on) close();
    }
}

/// Everything that is complete from the front on, in one write. False: the connection ends here.
Task<bool> Connection::write_ready() {
    Chain together;
    bool last = false;
    while (!last && !answers_.empty() && answers_.front().done) {
        Answer answer = std::move(answers_.front().answer);
        answers_.pop_front();
        ++first_sequence_;
        last = answer.close;
        together.append(std::move(answer.frame));
    }
    const size_t bytes = together.size();
    if (bytes != 0) {
        const Instant deadline = services_.runtime.now() + services_.limits.max_idle;
        auto write = stream_->write(std::move(together));
        auto timed = with_deadline(services_.runtime, write, deadline);
        const Status written = co_await timed;
        queued_bytes_ -= bytes;
        if (!written) co_return false;
    }
    changed_.notify_all();
    co_return !last;
}

}  // namespace ottla::server
