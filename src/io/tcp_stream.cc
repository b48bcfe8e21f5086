// SPDX-License-Identifier: Apache-2.0
#include "io/tcp_stream.h"

#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>

#include "io/net_address.h"
#include "io/posix_error.h"

namespace ottla::io {

namespace {

constexpr size_t kPiecesPerCall = 1024;  // IOV_MAX on Linux.
/// Sending copies, on loopback it even receives: so much, in one write or many, and others have their turn.
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
    piece_ = 0;
    piece_sent_ = 0;
    if (send() == Progress::blocked) {
        wait_writable();
    } else {
        writing_ = nullptr;
        op.complete_inline();
    }
}

TcpConnection::Progress TcpConnection::send() {
    const std::vector<Buffer>& pieces = writing_->bytes.pieces();
    std::array<iovec, kPiecesPerCall> vectors;
    while (piece_ < pieces.size()) {
        const size_t left = kBytesPerTurn - sent_in_turn_;
        if (left == 0) return Progress::blocked;
        size_t count = 0;
        size_t bytes = 0;
        for (size_t i = piece_; i < pieces.size() && count < vectors.size() && bytes < left; ++i) {
            const size_t skip = i == piece_ ? piece_sent_ : 0;
            const size_t size = std::min(pieces[i].size() - skip, left - bytes);
            vectors[count++] = {const_cast<std::byte*>(pieces[i].data()) + skip, size};
            bytes += size;
        }
        msghdr message{};
        message.msg_iov = vectors.data();
        message.msg_iovlen = count;
        const ssize_t sent = ::sendmsg(descriptor_, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent >= 0) {
            sent_in_turn_ += static_cast<size_t>(sent);
            advance(static_cast<size_t>(sent));
        } else if (errno == EAGAIN) {
            return Progress::blocked;
        } else if (errno != EINTR) {
            writing_->set_error({ErrorCode::connection_reset, socket_error("send", errno).detail});
            return Progress::failed;
        }
    }
    return Progress::done;
}

void TcpConnection::advance(size_t sent) {
    const std::vector<Buffer>& pieces = writing_->bytes.pieces();
    sent += piece_sent_;
    while (piece_ < pieces.size() && sent >= pieces[piece_].size()) sent -= pieces[piece_++].size();
    piece_sent_ = sent;
}

void TcpConnection::wait_writable() {
    if (std::exchange(write_armed_, true)) return;
    socket_.async_wait(Socket::wait_write, Handler{shared_from_this(), false});
}

void TcpConnection::on_writable() {
    write_armed_ = false;
    sent_in_turn_ = 0;
    if (closed_ || writing_ == nullptr) return;
    if (send() == Progress::blocked) {
        wait_writable();
    } else {
        network_.runtime.ready(*std::exchange(writing_, nullptr));
    }
}

void TcpConnection::cancel(Op& op) noexcept {
    if (&op == lending_) {
        lending_ = nullptr;
    } else if (&op == filling_) {
        filling_ = nullptr;
    } else {
        writing_ = nullptr;
        torn_ = torn_ || piece_ != 0 || piece_sent_ != 0;
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
    asio_error ignored;
    socket_.close(ignored);
    network_.connections.fetch_sub(1, std::memory_order_relaxed);
}

std::unique_ptr<Stream> make_tcp_stream(ShardNetwork& network, int descriptor) {
    return std::make_unique<TcpStream>(std::make_shared<TcpConnection>(network, descriptor));
}

}  // namespace ottla::io
