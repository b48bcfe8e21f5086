// SPDX-License-Identifier: Apache-2.0
// Listening, once per process.
//
//   Acceptors     every address this process listens on (shared by the shards, a mutex inside)
//   Acceptor      one address: a root on shard 0 accepts and hands each connection to a seat
//   ListenQueue   a seat: one shard's connections that nobody took yet, at most `backlog`
//   TcpListener   the port that this shard's code sees
//
// A connection goes to the seat whose shard has the fewest, ties in turn; with every queue full it
// stays in the kernel's. Out of descriptors or memory: a warning, and a pause instead of a spin.
// A shard that closes takes its seat away; the last one shuts the socket down, which wakes the root.
// Port 0: the first call binds, the same call from another shard joins it.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "io/tcp_stream.h"

namespace ottla::io {

/// Told, on shard 0, what an operator should read: at most one line per pause.
using Warn = std::function<void(const std::string&)>;

class ListenQueue final : public OpOwner {
public:
    ListenQueue(ShardNetwork& network, int backlog, Endpoint local)
        : network_(network), backlog_(static_cast<size_t>(backlog)), local_(std::move(local)) {}

    // On the shard itself.
    void start(AcceptOp& op);
    void cancel(Op& op) noexcept override;
    void deliver(int descriptor);
    void close();

    // From shard 0.
    [[nodiscard]] bool is_full() const { return expected_.load() >= backlog_; }
    void expect_one() {
        expected_.fetch_add(1);
        network_.connections.fetch_add(1);
    }
    [[nodiscard]] ShardNetwork& network() const { return network_; }
    [[nodiscard]] const Endpoint& local() const { return local_; }

private:
    ShardNetwork& network_;
    const size_t backlog_;
    const Endpoint local_;
    std::deque<std::unique_ptr<Stream>> streams_;
    AcceptOp* pending_ = nullptr;
    bool closed_ = false;
    std::atomic<size_t> expected_{0};  ///< Handed over by shard 0, not yet taken by an accept.
};

class Acceptor {
public:
    Acceptor(int descriptor, Endpoint asked, Endpoint local)
        : descriptor_(descriptor), asked_(std::move(asked)), local_(std::move(local)) {}
    /// Accepts until the last seat is gone. A root of shard 0.
    static Task<> serve(std::shared_ptr<Acceptor> self, RuntimeLoop& home, const Warn& warn);

    /// Null when closing or when this shard sits here already.
    std::shared_ptr<ListenQueue> join(ShardNetwork& network, int backlog);
    void leave(const ListenQueue& queue);
    [[nodiscard]] bool answers_to(const Endpoint& endpoint) const {
        return endpoint == asked_ || endpoint == local_;
    }
    [[nodiscard]] bool is_closing();
    [[nodiscard]] const Endpoint& local() const { return local_; }

private:
    enum class Burst : uint8_t { drained, go_on, all_full, out_of_resources };
    Burst accept_burst(std::string& problem);
    std::shared_ptr<ListenQueue> pick();

    const int descriptor_;
    const Endpoint asked_;
    const Endpoint local_;
    std::mutex mutex_;
    std::vector<std::shared_ptr<ListenQueue>> seats_;
    size_t turn_ = 0;
    bool closing_ = false;
};

class Acceptors {
public:
    Acceptors(RuntimeLoop& home, Warn warn) : home_(home), warn_(std::move(warn)) {}
    Result<std::unique_ptr<Listener>> listen(ShardNetwork& network, const Endpoint& endpoint,
                                             int backlog);

private:
    RuntimeLoop& home_;
    const Warn warn_;
    std::mutex mutex_;
    std::vector<std::shared_ptr<Acceptor>> open_;
};

class TcpListener final : public Listener {
public:
    TcpListener(std::shared_ptr<Acceptor> acceptor, std::shared_ptr<ListenQueue> queue)
        : acceptor_(std::move(acceptor)), queue_(std::move(queue)) {}
    ~TcpListener() override { close(); }
    void start(AcceptOp& op) override { queue_->start(op); }
    void close() override;
    const Endpoint& local() const override { return queue_->local(); }

private:
    std::shared_ptr<Acceptor> acceptor_;
    std::shared_ptr<ListenQueue> queue_;
};

}  // namespace ottla::io
