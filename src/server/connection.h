// SPDX-License-Identifier: Apache-2.0
// Connection: one client's byte stream. Walk A, steps 1, 2 and 10.
//
//   read loop   waits until it may take more, borrows bytes, cuts frames, starts requests in order
//   requests    each a root of the runtime; their answers land in the slots of `answers_`
//   write loop  one gathered write of every answer that is complete from the front on
//
// Answers leave in request order. What a client can make us hold is bounded: frames in flight by
// the shard's budget, requests by `limits.in_flight`, answers by `limits.queued_answer_bytes`
// beyond which nothing more is started, and what it is slow to send or to read by the shard's
// ClientBytes. Garbage, an answer that closes, silence for connections.max.idle.ms and a write that
// makes no progress for as long end the connection; what was answered before garbage is still
// sent. Owned by the Server, which outlives every root.
#pragma once

#include <deque>
#include <memory>

#include "broker/client_bytes.h"
#include "ottla/log.h"
#include "ottla/ports.h"
#include "protocol/frame.h"
#include "server/request.h"

namespace ottla::server {

struct ConnectionLimits {
    size_t max_frame_bytes = 100UZ * 1024 * 1024;
    Duration max_idle = std::chrono::minutes(10);
    size_t in_flight = 500;
    size_t queued_answer_bytes = 1024UZ * 1024;
    /// One read into a partial frame: it is counted only afterwards.
    size_t fill_bytes = 256UZ * 1024;
};

/// What connections of one shard share.
struct ConnectionServices {
    Runtime& runtime;
    Dispatcher& dispatcher;
    Budget& frame_bytes;
    broker::ClientBytes& client_bytes;
    Logger& log;
    ConnectionLimits limits;
};

class Connection final : private broker::ClientBytes::Owner {
public:
    Connection(ConnectionServices& services, std::unique_ptr<Stream> stream, std::string listener);
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    /// Returns when the connection is closed and no request of it is left.
    Task<> run();
    /// At once: what is not written yet is lost. `run` returns soon after.
    void close();
    [[nodiscard]] const Session& session() const { return session_; }
    [[nodiscard]] size_t requests_in_flight() const { return answers_.size(); }
    [[nodiscard]] size_t queued_answer_bytes() const { return unsent_.bytes(); }

private:
    struct Slot {
        Answer answer;
        bool done = false;
    };

    Task<> read_loop();
    Task<Result<std::vector<Buffer>>> read_frames();
    Task<Result<std::vector<Buffer>>> borrow(Instant deadline);
    Task<Result<std::vector<Buffer>>> fill(Instant deadline);
    Task<Status> start(Buffer frame);
    Task<Status> wait_for_turn(Flow flow);
    Task<Status> take_bytes(int64_t bytes);
    Task<> serve(uint64_t sequence, Request request, int64_t bytes);
    Task<> write_loop();
    Task<bool> write_ready();
    Task<Status> write(Chain together);
    Task<Status> write_part(Chain part);
    Chain take_ready(bool& last);
    void evict(const std::string& why) override;
    void say_closing(const std::string& why);
    [[nodiscard]] bool may_start(Flow flow) const;
    void count(Flow flow, bool starts);
    void refuse(const Error& why);
    void put(uint64_t sequence, Answer answer);
    void tell_gone();

    ConnectionServices& services_;
    std::unique_ptr<Stream> stream_;
    Session session_;
    protocol::FrameReader frames_;
    Status broken_;  // the stream cannot be cut into frames any more
    std::deque<Slot> answers_;
    uint64_t first_sequence_ = 0;           // of answers_.front()
    broker::ClientBytes::Holder arriving_;  // frames that are not being served yet
    broker::ClientBytes::Holder unsent_;    // answers
    bool writing_ = false;
    size_t one_at_a_time_ = 0;  // such requests being served
    bool alone_ = false;        // one that holds back what follows is being served
    bool closing_ = false;
    Op* budget_wait_ = nullptr;
    Event changed_;   // the read loop may go on
    Event writable_;  // the write loop may have something
    Gate inside_;
};

}  // namespace ottla::server
