// SPDX-License-Identifier: Apache-2.0
#include "io/tcp_stream.h"

#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>

#include "io/net_address.h"
#include "io/posix_error.h"

namespace ottla::io {

namespace {

/// Sending copies, on loopback it even receives: 100 to 300 us a mebibyte. More than this of one write is
/// for the threads that send ...
constexpr size_t kMostInline = 256UZ * 1024;
/// ... and after so much in small ones others have their turn.
constexpr size_t kBytesPerTurn = 1024UZ * 1024;

Error closed_error() { return {ErrorCode::cancelled, "the stream is closed"}; }

asio::ip::tcp protocol_of(int descriptor) {
    sockaddr_storage address{};
    socklen_t size = sizeof(address);
    ::getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &size);
    return address.ss_family == AF_INET6 ? asio::ip::tcp::v6() : asio::ip::tcp::v4();
}

ssize_t receive_bytes(int descriptor, std::span<std::byte> into) {
    ssize_t count = 0;
    do {
        count = ::recv(descriptor, into.data(), into.size(), MSG_DONTWAIT);
    } while (count < 0 && errno == EINTR);
    return count;
}

}  // namespace

struct TcpConnection::Handler {
    using allocator_type = HandlerAllocator<std::byte>;
    [[nodiscard]] allocator_type get_allocator() const noexcept {
        return allocator_type(reads ? self->read_memory_ : self->write_memory_);
    }
    void operator()(const asio_error&) const {  // An error shows itself in the system call.
        if (reads) {
            self->on_readable();
        } else {
            self->on_writable();
        }
    }
    std::shared_ptr<TcpConnection> self;
    bool reads;
};

TcpConnection::TcpConnection(ShardNetwork& network, int descriptor)
    : network_(network), socket_(network.runtime.context()), descriptor_(descriptor),
      local_(local_endpoint(descriptor)), peer_(peer_endpoint(descriptor)) {
    const int on = 1;
    ::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    ::setsockopt(descriptor, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));  // As Kafka's brokers do.
    asio_error error;
    socket_.assign(protocol_of(descriptor), descriptor, error);
    CHECK(!error, "epoll takes a fresh descriptor");
}

TcpConnection::~TcpConnection() { close(); }

void TcpConnection::start(ReadOp& op) {
    CHECK(lending_ == nullptr && filling_ == nullptr, "one read is pending on a stream");
    op.begin(*this);
    lending_ = &op;
    start_reading(op);
}

void TcpConnection::start(FillOp& op) {
    CHECK(lending_ == nullptr && filling_ == nullptr, "one read is pending on a stream");
    CHECK(op.size > 0 && op.offset + op.size <= op.block->capacity(), "a read fits its block");
    op.begin(*this);
    filling_ = &op;
    start_reading(op);
}

void TcpConnection::start_reading(Op& op) {
    if (closed_) {
        lending_ = nullptr;
        filling_ = nullptr;
        op.set_error(closed_error());
        op.complete_inline();
    } else if (more_expected_) {
        receive();
    } else {
        wait_readable();
    }
}

void TcpConnection::receive() {
    const std::span<std::byte> space =
        lending_ != nullptr ? network_.receive.space()
                            : std::span(filling_->block->data() + filling_->offset, filling_->size);
    const ssize_t count = receive_bytes(descriptor_, space);
    if (count > 0) {
        more_expected_ = static_cast<size_t>(count) == space.size();
        take_received(static_cast<size_t>(count));
    } else if (count == 0) {
        finish_read({ErrorCode::end_of_stream, "the peer ended the connection"});
    } else if (errno == EAGAIN) {
        more_expected_ = false;
        wait_readable();
    } else {
        finish_read({ErrorCode::connection_reset, socket_error("receive", errno).detail});
    }
}

void TcpConnection::take_received(size_t size) {
    if (lending_ != nullptr) {
        lending_->bytes = network_.receive.lend(size);
        network_.runtime.ready(*std::exchange(lending_, nullptr));
    } else {
        filling_->count = size;
        network_.runtime.ready(*std::exchange(filling_, nullptr));
    }
}

void TcpConnection::finish_read(Error error) {
    Op* op = std::exchange(lending_, nullptr);
    if (op == nullptr) op = std::exchange(filling_, nullptr);
    if (op == nullptr) return;
    op->set_error(std::move(error));
    network_.runtime.ready(*op);
}

void TcpConnection::wait_readable() {
    if (std::exchange(read_armed_, true)) return;
    socket_.async_wait(Socket::wait_read, Handler{shared_from_this(), true});
}

void TcpConnection::on_readable() {
    read_armed_ = false;
    if (closed_) return;
    if (lending_ == nullptr && filling_ == nullptr) {
        more_expected_ = true;
    } else {
        receive();
    }
}

/// A large part of a write, sent by a thread that may copy as long as it likes.
class TcpConnection::SendJob final : public IoJob {
public:
    SendJob(std::shared_ptr<TcpConnection> connection, Chain chain, SendPlace from)
        : IoJob(connection->network_.home), place(from), connection_(std::move(connection)),
          chain_(std::move(chain)) {}
    void perform(IoScratch&) override {
        sent = send_pieces(connection_->descriptor_, chain_, place, chain_.size());
    }
    void come_home() override { connection_->on_sent(*this); }

    SendPlace place;
    Sent sent;

private:
    const std::shared_ptr<TcpConnection> connection_;
    const Chain chain_;
};

void TcpConnection::start(WriteOp& op) {
    CHECK(writing_ == nullptr, "one write is pending on a stream");
    op.begin(*this);
    if (closed_ || torn_) {
        op.set_error(closed_ ? closed_error()
                             : Error{ErrorCode::connection_reset, "a write was cut short before"});
        op.complete_inline();
        return;
    }
    writing_ = &op;
    place_ = {};
    left_ = op.bytes.size();
    if (left_ > kMostInline) {
        hand_over();
        return;
    }
    const Sent sent = send_here();
    if (is_over(sent)) {
        finish(op, sent);
        writing_ = nullptr;
        op.complete_inline();
    } else {
        wait_writable();
    }
}

bool TcpConnection::is_over(const Sent& sent) {
    return sent.end == Sent::End::all || sent.end == Sent::End::failed;
}

Sent TcpConnection::send_here() {
    const Sent sent =
        send_pieces(descriptor_, writing_->bytes, place_, kBytesPerTurn - sent_in_turn_);
    sent_in_turn_ += sent.bytes;
    left_ -= sent.bytes;
    return sent;
}

void TcpConnection::hand_over() {
    auto job = std::make_unique<SendJob>(shared_from_this(), writing_->bytes, place_);
    job_ = job.get();
    network_.sends.push(std::move(job));
}

bool TcpConnection::take_job_back() {
    const std::unique_ptr<IoJob> unsent = network_.sends.take_back(*job_);
    if (unsent) job_ = nullptr;
    return unsent != nullptr;
}

void TcpConnection::on_sent(const SendJob& job) {
    job_ = nullptr;
    sent_in_turn_ = 0;
    if (closed_) {
        close_socket();
    } else if (writing_ != nullptr) {
        place_ = job.place;
        left_ -= job.sent.bytes;
        go_on(job.sent);
    }
}

/// A write that did not end where it was started.
void TcpConnection::go_on(const Sent& sent) {
    if (is_over(sent)) {
        WriteOp& op = *std::exchange(writing_, nullptr);
        finish(op, sent);
        network_.runtime.ready(op);
    } else {
        wait_writable();
    }
}

void TcpConnection::finish(WriteOp& op, const Sent& sent) {
    if (sent.end != Sent::End::failed) return;
    op.set_error({ErrorCode::connection_reset, socket_error("send", sent.error).detail});
}

void TcpConnection::wait_writable() {
    if (std::exchange(write_armed_, true)) return;
    socket_.async_wait(Socket::wait_write, Handler{shared_from_this(), false});
}

void TcpConnection::on_writable() {
    write_armed_ = false;
    sent_in_turn_ = 0;
    if (closed_ || writing_ == nullptr || job_ != nullptr) return;
    if (left_ > kMostInline) {
        hand_over();
    } else {
        go_on(send_here());
    }
}

void TcpConnection::cancel(Op& op) noexcept {
    if (&op == lending_) {
        lending_ = nullptr;
    } else if (&op == filling_) {
        filling_ = nullptr;
    } else {
        const bool begun = left_ != writing_->bytes.size();
        writing_ = nullptr;
        torn_ = torn_ || begun || (job_ != nullptr && !take_job_back());
    }
    op.set_error({ErrorCode::cancelled, {}});
    network_.runtime.ready(op);
}

void TcpConnection::close() {
    if (std::exchange(closed_, true)) return;
    finish_read(closed_error());
    if (Op* op = std::exchange(writing_, nullptr); op != nullptr) {
        op->set_error(closed_error());
        network_.runtime.ready(*op);
    }
    network_.connections.fetch_sub(1, std::memory_order_relaxed);
    if (job_ != nullptr && !take_job_back()) {
        ::shutdown(descriptor_, SHUT_RDWR);  // A thread still has the descriptor: on_sent closes it.
    } else {
        close_socket();
    }
}

void TcpConnection::close_socket() {
    asio_error ignored;
    socket_.close(ignored);
}

std::unique_ptr<Stream> make_tcp_stream(ShardNetwork& network, int descriptor) {
    return std::make_unique<TcpStream>(std::make_shared<TcpConnection>(network, descriptor));
}

}  // namespace ottla::io
