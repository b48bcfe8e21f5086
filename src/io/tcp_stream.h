// SPDX-License-Identifier: Apache-2.0
// TcpStream: one connection on one shard. The reactor says when the socket is ready; receiving and sending
// are our own calls, so that memory is chosen only when bytes are there.
//
// Reading: after a receive that filled all it was given there is probably more, so the next one tries
// at once; else it waits first. A wait that nobody needs any more (its read was cancelled) stays armed
// for the next read.
//
// Writing: a small write tries at once and is usually done inside `start`; after a mebibyte of them the
// connection waits for the reactor even if there is room, so that others have their turn. A large one is
// sent by a thread of `IoThreads::sends` (ADR 0062): sending copies, and a shard that copies what scans ask for is one
// that the scheduler lets wait for its core. At most one such job is on its way per connection; it
// holds the connection and the bytes, so the descriptor is closed only when it is home (`close` shuts it down).
// A cancelled write that had sent a part, or may have, leaves the peer a torn frame: later writes fail.
// TLS will be another Stream over this one, put around it in `TcpListener` and `TcpTransport::connect`.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>

#include "io/asio.h"
#include "io/io_threads.h"
#include "io/receive_buffer.h"
#include "io/runtime_loop.h"
#include "io/tcp_send.h"
#include "ottla/transport.h"

namespace ottla::io {

/// What the connections of one shard share.
struct ShardNetwork {
    ShardNetwork(RuntimeLoop& loop, IoThreads& threads, IoHome& home, size_t block_bytes)
        : runtime(loop), sends(threads.sends()), home(home), receive(block_bytes) {}
    RuntimeLoop& runtime;
    IoQueue& sends;
    IoHome& home;
    ReceiveBuffer receive;
    std::atomic<size_t> connections{0};  ///< Open or on their way here: what "least loaded" means.
};

/// The connection itself; waiting handlers share it, so a closed stream may go before they come back.
class TcpConnection final : public std::enable_shared_from_this<TcpConnection>, public OpOwner {
public:
    /// Takes over a connected, non-blocking descriptor, already counted in `network.connections`.
    TcpConnection(ShardNetwork& network, int descriptor);
    ~TcpConnection();

    void start(ReadOp& op);
    void start(FillOp& op);
    void start(WriteOp& op);
    void close();
    void cancel(Op& op) noexcept override;
    [[nodiscard]] const Endpoint& local() const { return local_; }
    [[nodiscard]] const Endpoint& peer() const { return peer_; }

private:
    struct Handler;
    class SendJob;

    void start_reading(Op& op);
    void receive();
    void take_received(size_t size);
    void wait_readable();
    void wait_writable();
    void on_readable();
    void on_writable();
    void finish_read(Error error);
    Sent send_here();
    void hand_over();
    [[nodiscard]] bool take_job_back();
    void on_sent(const SendJob& job);
    void go_on(const Sent& sent);
    [[nodiscard]] static bool is_over(const Sent& sent);
    static void finish(WriteOp& op, const Sent& sent);
    void close_socket();

    ShardNetwork& network_;
    Socket socket_;
    int descriptor_;
    Endpoint local_;
    Endpoint peer_;

    ReadOp* lending_ = nullptr;  ///< The pending read is one of these two.
    FillOp* filling_ = nullptr;
    WriteOp* writing_ = nullptr;
    SendPlace place_;  ///< In `writing_`.
    size_t left_ = 0;  ///< Of it.
    size_t sent_in_turn_ = 0;  ///< Since the reactor last said that there is room.
    SendJob* job_ = nullptr;   ///< On its way.
    bool more_expected_ = false;
    bool read_armed_ = false;
    bool write_armed_ = false;
    bool torn_ = false;
    bool closed_ = false;
    HandlerMemory read_memory_;
    HandlerMemory write_memory_;
};

class TcpStream final : public Stream {
public:
    explicit TcpStream(std::shared_ptr<TcpConnection> connection)
        : connection_(std::move(connection)) {}
    ~TcpStream() override { connection_->close(); }
    void start(ReadOp& op) override { connection_->start(op); }
    void start(FillOp& op) override { connection_->start(op); }
    void start(WriteOp& op) override { connection_->start(op); }
    void close() override { connection_->close(); }
    const Endpoint& local() const override { return connection_->local(); }
    const Endpoint& peer() const override { return connection_->peer(); }

private:
    std::shared_ptr<TcpConnection> connection_;
};

/// A stream over a connected descriptor that the caller has counted in `network.connections`.
std::unique_ptr<Stream> make_tcp_stream(ShardNetwork& network, int descriptor);

}  // namespace ottla::io
