// SPDX-License-Identifier: Apache-2.0
#include "server/connection.h"

#include <fmt/format.h>

namespace ottla::server {

namespace {

/// One write: what is sent of a large answer is let go, and the client is seen to read.
constexpr size_t kWriteBytes = 1024UZ * 1024;
/// Answers that one connection may hold while the shard has no memory left for slow clients.
constexpr size_t kLeastQueued = 64UZ * 1024;
/// A slice smaller than this part of its block is copied when it has to wait.
constexpr size_t kPinned = 8;

size_t bytes_of(const std::vector<Buffer>& frames, size_t from) {
    size_t bytes = 0;
    for (size_t i = from; i < frames.size(); ++i) bytes += frames[i].size();
    return bytes;
}

/// Small slices do not hold large blocks (journal chunks) any more.
Chain compacted(const Chain& chain) {
    Chain compact;
    for (const Buffer& piece : chain.pieces()) {
        const bool pins = piece.size() * kPinned < piece.block()->capacity();
        compact.append(pins ? Buffer::copy_of(piece.span()) : piece);
    }
    return compact;
}

}  // namespace

Connection::Connection(ConnectionServices& services,
                       std::unique_ptr<Stream> stream,
                       std::string listener)
    : services_(services),
      stream_(std::move(stream)),
      session_(services.runtime, std::move(listener), stream_->local(), stream_->peer()),
      frames_(services.limits.max_frame_bytes),
      arriving_(services.client_bytes, *this, broker::ClientBytes::Side::frames),
      unsent_(services.client_bytes, *this, broker::ClientBytes::Side::answers),
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

void Connection::evict(const std::string& why) {
    say_closing(why);
    close();
}

void Connection::say_closing(const std::string& why) {
    services_.log.write(LogLevel::warning, fmt::format("closing the connection of {}: {}",
                                                       to_string(session_.peer), why));
}

void Connection::tell_gone() {
    session_.is_gone = true;
    session_.gone.notify_all();
    services_.client_bytes.stir();
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
        for (size_t i = 0; i < frames->size(); ++i) {
            Buffer whole = std::move((*frames)[i]);
            const Status started = co_await start(std::move(whole));
            if (!started) co_return;
            arriving_.hold(bytes_of(*frames, i + 1) + frames_.pending());
        }
    }
}

Task<Result<std::vector<Buffer>>> Connection::read_frames() {
    CO_TRY_STATUS(broken_);
    const bool is_torn = static_cast<bool>(frames_.block());
    if (is_torn) {
        auto growing = services_.client_bytes.wait_to_grow(arriving_, &closing_);
        co_await std::move(growing);
        if (closing_) co_return fail(ErrorCode::cancelled, "the connection is closing");
    }
    const Instant deadline = services_.runtime.now() + services_.limits.max_idle;
    auto reading = is_torn ? fill(deadline) : borrow(deadline);
    Result<std::vector<Buffer>> frames = co_await std::move(reading);
    if (frames) {
        if (!frames->empty()) arriving_.wait_for_client(false);
        arriving_.hold(bytes_of(*frames, 0) + frames_.pending());
    }
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
    auto read =
        stream_->read_into(block, offset, std::min(into.size(), services_.limits.fill_bytes));
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
    const size_t most = services_.client_bytes.is_full()
                            ? std::min(kLeastQueued, services_.limits.queued_answer_bytes)
                            : services_.limits.queued_answer_bytes;
    if (unsent_.bytes() > most) return false;
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
    if (answer.close) say_closing(answer.close_reason);
    Slot& slot = answers_[sequence - first_sequence_];
    const bool must_wait = writing_ || sequence != first_sequence_;
    if (must_wait) answer.frame = compacted(answer.frame);
    unsent_.hold(unsent_.bytes() + answer.frame.size());
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

/// Everything that is complete from the front on, together. False: the connection ends here.
Task<bool> Connection::write_ready() {
    bool last = false;
    Chain together = take_ready(last);
    if (!together.empty()) {
        writing_ = true;
        unsent_.wait_for_client(true);
        auto sending = write(std::move(together));
        const Status written = co_await std::move(sending);
        unsent_.wait_for_client(false);
        writing_ = false;
        if (!written) co_return false;
    }
    changed_.notify_all();
    co_return !last;
}

Chain Connection::take_ready(bool& last) {
    Chain together;
    while (!last && !answers_.empty() && answers_.front().done && together.size() < kWriteBytes) {
        Answer answer = std::move(answers_.front().answer);
        answers_.pop_front();
        ++first_sequence_;
        last = answer.close;
        together.append(std::move(answer.frame));
    }
    return together;
}

/// A large answer goes in several writes, and what is sent is let go.
Task<Status> Connection::write(Chain together) {
    if (together.size() <= kWriteBytes) co_return co_await write_part(std::move(together));
    std::vector<Buffer> pieces = together.pieces();
    together = Chain();
    Chain part;
    for (Buffer& piece : pieces) {
        const Buffer whole = std::move(piece);
        for (size_t at = 0; at < whole.size();) {
            const size_t size = std::min(whole.size() - at, kWriteBytes - part.size());
            part.append(whole.slice(at, size));
            at += size;
            if (part.size() < kWriteBytes) continue;
            CO_TRY_STATUS(co_await write_part(std::exchange(part, Chain())));
        }
    }
    if (part.empty()) co_return Status();
    co_return co_await write_part(std::move(part));
}

Task<Status> Connection::write_part(Chain part) {
    const size_t bytes = part.size();
    const Instant deadline = services_.runtime.now() + services_.limits.max_idle;
    auto sending = stream_->write(std::move(part));
    auto timed = with_deadline(services_.runtime, sending, deadline);
    CO_TRY_STATUS(co_await timed);
    unsent_.hold(unsent_.bytes() - bytes);
    unsent_.progressed();
    changed_.notify_all();
    co_return Status();
}

}  // namespace ottla::server
