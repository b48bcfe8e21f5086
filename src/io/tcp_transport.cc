// SPDX-License-Identifier: Apache-2.0
#include "io/tcp_transport.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "io/posix_error.h"
#include "io/socket_wait.h"
#include "ottla/sync.h"

namespace ottla::io {

namespace {

/// Waits for a name's addresses. Cancelling lets go of the look-up, which nothing can stop.
class ResolveOp final : public Awaitable<ResolveOp>, public OpOwner {
public:
    ResolveOp(Endpoint endpoint, IoQueue& queue, IoHome& home)
        : endpoint_(std::move(endpoint)), queue_(queue), home_(home) {}
    void start() {
        begin(*this);
        auto job = std::make_unique<Job>(*this);
        job_ = job.get();
        queue_.push(std::move(job));
    }
    Result<std::vector<SocketAddress>> result() {
        if (failed()) return std::unexpected(error());
        return std::move(addresses_);
    }
    void cancel(Op&) noexcept override {
        job_->asker = nullptr;
        set_error({ErrorCode::cancelled, {}});
        home_.loop().ready(*this);
    }

private:
    struct Job final : IoJob {
        explicit Job(ResolveOp& op) : IoJob(op.home_), asker(&op), endpoint(op.endpoint_) {}
        void perform(IoScratch&) override { found = resolve(endpoint); }
        void come_home() override {
            if (asker != nullptr) asker->done(std::move(found));
        }
        ResolveOp* asker;  // The shard's; the thread does not look at it.
        const Endpoint endpoint;
        Result<std::vector<SocketAddress>> found;
    };
    void done(Result<std::vector<SocketAddress>> found) {
        if (found) {
            addresses_ = *std::move(found);
        } else {
            set_error(std::move(found).error());
        }
        home_.loop().ready(*this);
    }

    const Endpoint endpoint_;
    IoQueue& queue_;
    IoHome& home_;
    Job* job_ = nullptr;
    std::vector<SocketAddress> addresses_;
};

}  // namespace

Result<std::unique_ptr<Listener>> TcpTransport::listen(const Endpoint& endpoint, int backlog) {
    return acceptors_.listen(network_, endpoint, backlog);
}

Task<Result<std::unique_ptr<Stream>>> TcpTransport::connect(Endpoint endpoint, Instant deadline) {
    std::vector<SocketAddress> addresses;
    if (auto literal = parse_literal(endpoint); literal) {
        addresses.push_back(*literal);
    } else {
        ResolveOp look_up(endpoint, threads_.names(), home_);
        CO_TRY(addresses, co_await with_deadline(network_.runtime, look_up, deadline));
    }
    Error last;
    for (const SocketAddress& address : addresses) {
        auto stream = co_await connect_to(address, deadline);
        if (stream) co_return stream;
        last = std::move(stream).error();
        if (network_.runtime.now() >= deadline) break;
    }
    last.detail = fmt::format("connect to {}: {}", to_string(endpoint), last.detail);
    co_return std::unexpected(std::move(last));
}

Task<Result<std::unique_ptr<Stream>>> TcpTransport::connect_to(SocketAddress address,
                                                               Instant deadline) {
    const int descriptor =
        ::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0) co_return std::unexpected(socket_error("socket", errno));
    Socket socket(network_.runtime.context());
    asio_error error;
    socket.assign(asio::ip::tcp::v4(), descriptor, error);
    CHECK(!error, "epoll takes a fresh descriptor");
    if (::connect(descriptor, address.get(), address.size) != 0) {
        if (errno != EINPROGRESS) co_return std::unexpected(socket_error("connect", errno));
        SocketWait wait(network_.runtime, socket, Socket::wait_write);
        CO_TRY_STATUS(co_await with_deadline(network_.runtime, wait, deadline));
        int failure = 0;
        socklen_t size = sizeof(failure);
        ::getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &failure, &size);
        if (failure != 0) co_return std::unexpected(socket_error("connect", failure));
    }
    socket.release(error);
    network_.connections.fetch_add(1, std::memory_order_relaxed);
    co_return make_tcp_stream(network_, descriptor);
}

}  // namespace ottla::io
