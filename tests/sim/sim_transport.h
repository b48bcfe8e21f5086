// SPDX-License-Identifier: Apache-2.0
// SimTransport: one shard's way into the simulated network; its streams and listeners.
// All shards of a process that listen on one endpoint share a port, and take its connections in
// turn.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include "ottla/transport.h"
#include "tests/sim/network.h"
#include "tests/sim/sim_runtime.h"

namespace ottla::sim {

class SimTransport final : public Transport, public OpOwner {
public:
    SimTransport(SimRuntime& runtime, Network& network, std::string host)
        : runtime_(runtime), network_(network), host_(std::move(host)) {}

    Result<std::unique_ptr<Listener>> listen(const Endpoint& endpoint, int backlog) override;
    Task<Result<std::unique_ptr<Stream>>> connect(Endpoint endpoint, Instant deadline) override;
    void cancel(Op& op) noexcept override;

    [[nodiscard]] SimRuntime& runtime() const { return runtime_; }
    [[nodiscard]] Network& network() const { return network_; }
    [[nodiscard]] const std::string& host() const { return host_; }
    [[nodiscard]] bool is_dead() const { return runtime_.is_dead(); }

private:
    friend class ConnectOp;
    struct PendingConnect {
        OpList op;
    };
    void start_connect(class ConnectOp& op);
    void attempt(PendingConnect& pending);
    void give_up(PendingConnect& pending);

    SimRuntime& runtime_;
    Network& network_;
    const std::string host_;
};

class ConnectOp final : public Awaitable<ConnectOp> {
public:
    ConnectOp(SimTransport& transport, Endpoint to, Instant until)
        : endpoint(std::move(to)), deadline(until), transport_(transport) {}
    void start() { transport_.start_connect(*this); }
    Result<std::unique_ptr<Stream>> result() {
        if (failed()) return std::unexpected(error());
        return std::move(stream);
    }
    const Endpoint endpoint;
    const Instant deadline;
    std::unique_ptr<Stream> stream;

private:
    SimTransport& transport_;
};

class SimStream final : public Stream, public OpOwner {
public:
    SimStream(std::shared_ptr<Connection> connection, size_t side)
        : connection_(std::move(connection)), side_(side) {}
    ~SimStream() override { connection_->close(side_); }

    void start(ReadOp& op) override;
    void start(FillOp& op) override;
    void start(WriteOp& op) override;
    void close() override { connection_->close(side_); }
    const Endpoint& local() const override { return connection_->side(side_).local; }
    const Endpoint& peer() const override { return connection_->side(side_).peer; }
    void cancel(Op& op) noexcept override;

private:
    std::shared_ptr<Connection> connection_;
    const size_t side_;
};

class SimListener final : public Listener, public OpOwner {
public:
    SimListener(SimTransport& transport, Endpoint endpoint, int backlog)
        : transport_(transport), endpoint_(std::move(endpoint)), backlog_(backlog) {}
    ~SimListener() override { close(); }

    void start(AcceptOp& op) override;
    void close() override;
    const Endpoint& local() const override { return endpoint_; }
    void cancel(Op& op) noexcept override;

    void bound_to(uint16_t port) { endpoint_.port = port; }
    [[nodiscard]] bool is_full() const { return waiting_.size() >= static_cast<size_t>(backlog_); }
    [[nodiscard]] SimTransport& transport() const { return transport_; }
    void take(std::unique_ptr<SimStream> stream);
    void forget_port() { closed_ = true; }

private:
    SimTransport& transport_;
    Endpoint endpoint_;
    const int backlog_;
    bool closed_ = false;
    OpList acceptor_;
    std::deque<std::unique_ptr<SimStream>> waiting_;
};

}  // namespace ottla::sim
