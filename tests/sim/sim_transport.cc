// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/sim_transport.h"

#include <algorithm>

namespace ottla::sim {

// ---- streams

void SimStream::start(ReadOp& op) {
    op.begin(*this);
    connection_->start_read(side_, op, false);
}

void SimStream::start(FillOp& op) {
    op.begin(*this);
    connection_->start_read(side_, op, true);
}

void SimStream::start(WriteOp& op) {
    op.begin(*this);
    connection_->start_write(side_, op);
}

void SimStream::cancel(Op& op) noexcept {
    op.unlink();
    op.set_error({ErrorCode::cancelled, {}});
    connection_->side(side_).owner->runtime().ready(op);
}

// ---- listeners

void SimListener::start(AcceptOp& op) {
    op.begin(*this);
    if (transport_.is_dead()) return;
    if (closed_) {
        op.set_error({ErrorCode::cancelled, {}});
        transport_.runtime().ready(op);
        return;
    }
    if (waiting_.empty()) {
        acceptor_.push_back(op);
        return;
    }
    op.stream = std::move(waiting_.front());
    waiting_.pop_front();
    transport_.runtime().ready(op);
}

void SimListener::take(std::unique_ptr<SimStream> stream) {
    if (acceptor_.empty()) {
        waiting_.push_back(std::move(stream));
        return;
    }
    auto& op = static_cast<AcceptOp&>(acceptor_.pop_front());
    op.stream = std::move(stream);
    transport_.runtime().ready(op);
}

void SimListener::cancel(Op& op) noexcept {
    op.unlink();
    op.set_error({ErrorCode::cancelled, {}});
    transport_.runtime().ready(op);
}

void SimListener::close() {
    if (closed_) return;
    closed_ = true;
    transport_.network().unbind(transport_.host(), endpoint_.port, *this);
    if (!acceptor_.empty()) cancel(acceptor_.front());
    waiting_.clear();
}

// ---- transport

Result<std::unique_ptr<Listener>> SimTransport::listen(const Endpoint& endpoint, int backlog) {
    auto listener = std::make_unique<SimListener>(*this, endpoint, std::max(backlog, 1));
    const uint16_t port = network_.bind(host_, endpoint.port, *listener);
    if (port == 0) {
        listener->forget_port();
        return fail(ErrorCode::already_exists, "port taken: " + to_string(endpoint));
    }
    listener->bound_to(port);
    return listener;
}

Task<Result<std::unique_ptr<Stream>>> SimTransport::connect(Endpoint endpoint, Instant deadline) {
    ConnectOp op(*this, std::move(endpoint), deadline);
    co_return co_await op;
}

void SimTransport::cancel(Op& op) noexcept {
    op.unlink();
    op.set_error({ErrorCode::cancelled, {}});
    runtime_.ready(op);
}

void SimTransport::start_connect(ConnectOp& op) {
    op.begin(*this);
    if (is_dead()) return;
    auto pending = std::make_shared<PendingConnect>();
    pending->op.push_back(op);
    World& world = runtime_.world();
    const Duration there = network_.latency(host_, op.endpoint.host, 0);
    const Duration back = network_.latency(op.endpoint.host, host_, 0);
    world.schedule_in(there + back, EventKind::network, [this, pending] { attempt(*pending); });
    if (op.deadline == kNever) return;
    const Duration left = op.deadline - runtime_.now();
    world.schedule_in(left, EventKind::network, [this, pending] { give_up(*pending); });
}

void SimTransport::give_up(PendingConnect& pending) {
    if (pending.op.empty()) return;
    Op& op = pending.op.pop_front();
    op.set_error({ErrorCode::request_timed_out, "no answer to the connection attempt"});
    runtime_.ready(op);
}

void SimTransport::attempt(PendingConnect& pending) {
    if (pending.op.empty()) return;
    auto& op = static_cast<ConnectOp&>(pending.op.front());
    const bool own = op.endpoint.host == "localhost" || op.endpoint.host == "127.0.0.1";
    const std::string& to = own ? host_ : op.endpoint.host;
    const bool silent =
        network_.knows(to) && (!network_.has_power(to) || network_.is_blocked(host_, to) ||
                               network_.is_blocked(to, host_));
    if (silent && op.deadline != kNever) return;  // The deadline ends it.
    op.unlink();
    Network::Port* port = network_.port(to, op.endpoint.port);
    SimListener* listener = nullptr;
    for (size_t tried = 0; port != nullptr && !silent && tried < port->listeners.size(); ++tried) {
        SimListener* next = port->listeners[port->next++ % port->listeners.size()];
        if (next->is_full()) continue;
        listener = next;
        break;
    }
    if (listener == nullptr) {
        const ErrorCode code =
            network_.knows(to) ? ErrorCode::connection_refused : ErrorCode::not_found;
        op.set_error({code, "connect " + to_string(op.endpoint)});
        runtime_.ready(op);
        return;
    }
    auto connection = network_.make_connection();
    Connection::Side& mine = connection->side(0);
    Connection::Side& theirs = connection->side(1);
    mine.owner = this;
    mine.host = host_;
    theirs.owner = &listener->transport();
    theirs.host = to;
    mine.peer = theirs.local = op.endpoint;
    mine.local = theirs.peer = Endpoint{.host = host_, .port = network_.ephemeral_port()};
    op.stream = std::make_unique<SimStream>(connection, 0);
    runtime_.ready(op);
    listener->take(std::make_unique<SimStream>(connection, 1));
}

}  // namespace ottla::sim
