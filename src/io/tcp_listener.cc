// SPDX-License-Identifier: Apache-2.0
#include "io/tcp_listener.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "io/net_address.h"
#include "io/posix_error.h"
#include "io/socket_wait.h"

namespace ottla::io {

namespace {

constexpr int kAcceptsPerTurn = 64;
constexpr Duration kFullPause = std::chrono::milliseconds(10);
constexpr Duration kResourcePause = std::chrono::milliseconds(100);

/// A connection on its way to its shard; the message owns itself.
class Handover final : public Message {
public:
    Handover(std::shared_ptr<ListenQueue> queue, int descriptor)
        : queue_(std::move(queue)), descriptor_(descriptor) {}
    void run(Runtime&) override {
        queue_->deliver(descriptor_);
        delete this;
    }

private:
    std::shared_ptr<ListenQueue> queue_;
    int descriptor_;
};

class StartServing final : public Message {
public:
    StartServing(std::shared_ptr<Acceptor> acceptor, RuntimeLoop& home, const Warn& warn)
        : acceptor_(std::move(acceptor)), home_(home), warn_(warn) {}
    void run(Runtime& here) override {
        here.spawn(Acceptor::serve(std::move(acceptor_), home_, warn_));
        delete this;
    }

private:
    std::shared_ptr<Acceptor> acceptor_;
    RuntimeLoop& home_;
    const Warn& warn_;
};

Result<int> open_listening(const SocketAddress& address, int backlog, const std::string& name) {
    const int descriptor =
        ::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return std::unexpected(socket_error("listen on " + name, errno));
    const int on = 1;
    const int off = 0;
    ::setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (address.family() == AF_INET6) {  // "::" takes IPv4 too, as a Java server socket does.
        ::setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    }
    const bool bound = ::bind(descriptor, address.get(), address.size) == 0;
    if (!bound || ::listen(descriptor, backlog) != 0) {
        const Error error = socket_error("listen on " + name, errno);
        ::close(descriptor);
        return std::unexpected(error);
    }
    return descriptor;
}

Result<int> open_listening(const Endpoint& endpoint, int backlog) {
    TRY(const auto addresses, resolve(endpoint));
    const std::string name = to_string(endpoint);
    auto opened = open_listening(addresses.front(), backlog, name);
    const bool any_address = endpoint.host.empty() || endpoint.host == "::";
    if (opened || !any_address || opened.error().code != ErrorCode::invalid_argument) return opened;
    TRY(const auto v4, parse_literal({"0.0.0.0", endpoint.port}));  // A machine without IPv6.
    return open_listening(v4, backlog, name);
}

}  // namespace

// ---- ListenQueue ------------------------------------------------------------------------------

void ListenQueue::start(AcceptOp& op) {
    CHECK(pending_ == nullptr, "one accept is pending on a listener");
    op.begin(*this);
    if (closed_) {
        op.set_error({ErrorCode::cancelled, "the listener is closed"});
        op.complete_inline();
    } else if (streams_.empty()) {
        pending_ = &op;
    } else {
        op.stream = std::move(streams_.front());
        streams_.pop_front();
        expected_.fetch_sub(1);
        op.complete_inline();
    }
}

void ListenQueue::cancel(Op& op) noexcept {
    pending_ = nullptr;
    op.set_error({ErrorCode::cancelled, {}});
    network_.runtime.ready(op);
}

void ListenQueue::deliver(int descriptor) {
    auto stream = make_tcp_stream(network_, descriptor);
    if (closed_) return;
    if (pending_ == nullptr) {
        streams_.push_back(std::move(stream));
        return;
    }
    pending_->stream = std::move(stream);
    expected_.fetch_sub(1);
    network_.runtime.ready(*std::exchange(pending_, nullptr));
}

void ListenQueue::close() {
    closed_ = true;
    streams_.clear();
    if (pending_ != nullptr) cancel(*pending_);
}

// ---- Acceptor ---------------------------------------------------------------------------------

std::shared_ptr<ListenQueue> Acceptor::join(ShardNetwork& network, int backlog) {
    const std::lock_guard lock(mutex_);
    if (closing_) return nullptr;
    for (const auto& seat : seats_) {
        if (&seat->network() == &network) return nullptr;
    }
    return seats_.emplace_back(std::make_shared<ListenQueue>(network, backlog, local_));
}

void Acceptor::leave(const ListenQueue& queue) {
    const std::lock_guard lock(mutex_);
    std::erase_if(seats_, [&queue](const auto& seat) { return seat.get() == &queue; });
    if (!seats_.empty() || closing_) return;
    closing_ = true;
    ::shutdown(descriptor_, SHUT_RDWR);  // Frees the port now; `serve` wakes and closes.
}

bool Acceptor::is_closing() {
    const std::lock_guard lock(mutex_);
    return closing_;
}

std::shared_ptr<ListenQueue> Acceptor::pick() {
    const std::lock_guard lock(mutex_);
    std::shared_ptr<ListenQueue> best;
    size_t fewest = SIZE_MAX;
    ++turn_;
    for (size_t i = 0; i < seats_.size(); ++i) {
        const auto& seat = seats_[(turn_ + i) % seats_.size()];
        const size_t load = seat->network().connections.load();
        if (!seat->is_full() && load < fewest) {
            best = seat;
            fewest = load;
        }
    }
    return best;
}

Acceptor::Burst Acceptor::accept_burst(std::string& problem) {
    for (int i = 0; i < kAcceptsPerTurn; ++i) {
        auto seat = pick();
        if (!seat) return Burst::all_full;
        const int descriptor =
            ::accept4(descriptor_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (descriptor >= 0) {
            seat->expect_one();
            RuntimeLoop& target = seat->network().runtime;
            target.deliver(*new Handover(std::move(seat), descriptor));
            continue;
        }
        switch (errno) {
            case EAGAIN: return Burst::drained;
            case EMFILE:
            case ENFILE:
            case ENOBUFS:
            case ENOMEM:
                problem = socket_error("accept on " + to_string(local_), errno).detail;
                return Burst::out_of_resources;
            default: break;  // That one connection failed, or the socket was shut down.
        }
        if (is_closing()) return Burst::drained;
    }
    return Burst::go_on;
}

Task<> Acceptor::serve(std::shared_ptr<Acceptor> self, RuntimeLoop& home, const Warn& warn) {
    Socket socket(home.context());
    asio_error error;
    socket.assign(asio::ip::tcp::v4(), self->descriptor_, error);
    CHECK(!error, "epoll takes a fresh descriptor");
    while (!self->is_closing()) {
        std::string problem;
        const Burst burst = self->accept_burst(problem);
        if (burst == Burst::drained) {
            SocketWait wait(home, socket, Socket::wait_read);
            (void)co_await wait;
        } else if (burst == Burst::go_on) {
            co_await home.yield();
        } else if (burst == Burst::all_full) {
            (void)co_await home.sleep_for(kFullPause);
        } else {
            if (warn) warn(problem);
            (void)co_await home.sleep_for(kResourcePause);
        }
    }
    socket.close(error);
}

// ---- Acceptors --------------------------------------------------------------------------------

Result<std::unique_ptr<Listener>> Acceptors::listen(ShardNetwork& network, const Endpoint& endpoint,
                                                    int backlog) {
    CHECK(backlog > 0, "somebody must be able to wait");
    const std::lock_guard lock(mutex_);
    std::erase_if(open_, [](const auto& acceptor) { return acceptor->is_closing(); });
    for (const auto& acceptor : open_) {
        if (!acceptor->answers_to(endpoint)) continue;
        if (auto queue = acceptor->join(network, backlog); queue) {
            return std::make_unique<TcpListener>(acceptor, std::move(queue));
        }
    }
    TRY(const int descriptor, open_listening(endpoint, backlog));
    const Endpoint bound = local_endpoint(descriptor);
    const Endpoint local{endpoint.host.empty() ? bound.host : endpoint.host, bound.port};
    auto acceptor = std::make_shared<Acceptor>(descriptor, endpoint, local);
    auto queue = acceptor->join(network, backlog);
    open_.push_back(acceptor);
    home_.deliver(*new StartServing(acceptor, home_, warn_));
    return std::make_unique<TcpListener>(std::move(acceptor), std::move(queue));
}

void TcpListener::close() {
    queue_->close();
    acceptor_->leave(*queue_);
}

}  // namespace ottla::io
