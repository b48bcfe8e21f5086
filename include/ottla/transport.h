// SPDX-License-Identifier: Apache-2.0
// Transport: byte streams between processes. Implemented by src/io (TCP over epoll; TLS behind the same
// seam) and tests/sim (delay, loss of connections, resets in mid-frame, partitions).
//
// Contract. A Stream is reliable, ordered bytes until it ends. At most one read and one write are
// pending on it. `read()` borrows: it waits until bytes are there, then lends a slice of the shard's
// receive buffer, so that ten thousand idle connections pin nothing; keeping the Buffer keeps that piece alive, so
// whoever waits for the rest of a partial frame moves it into a block of its own and goes on with `read_into`.
// The peer's orderly end is end_of_stream; anything else is connection_reset. `write` takes all its
// bytes or fails; it completes when the kernel took them, which says nothing about the peer.
// `close` fails what is pending with `cancelled` and everything later; it may be called any time.
// A Stream belongs to the shard that accepted or connected it.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "ottla/buffer.h"
#include "ottla/op.h"
#include "ottla/result.h"
#include "ottla/task.h"
#include "ottla/types.h"

namespace ottla {

struct Endpoint {
    std::string host;  ///< a name or a literal address, without brackets
    uint16_t port = 0;
    auto operator<=>(const Endpoint&) const = default;
};
/// "host:port", with brackets around an IPv6 literal.
std::string to_string(const Endpoint& endpoint);

class Stream;

/// Waits for bytes and lends them; never an empty Buffer on success.
class ReadOp final : public Awaitable<ReadOp> {
public:
    explicit ReadOp(Stream& stream) : stream_(stream) {}
    void start();
    Result<Buffer> result() {
        if (failed()) return std::unexpected(error());
        return std::move(bytes);
    }
    Buffer bytes;  ///< out

private:
    Stream& stream_;
};

/// Waits for bytes and puts at least one, at most `size`, into a block of the caller.
class FillOp final : public Awaitable<FillOp> {
public:
    FillOp(Stream& stream, BlockRef destination, size_t at, size_t at_most)
        : block(std::move(destination)), offset(at), size(at_most), stream_(stream) {}
    void start();
    Result<size_t> result() const {
        if (failed()) return std::unexpected(error());
        return count;
    }
    const BlockRef block;
    const size_t offset;
    const size_t size;
    size_t count = 0;  ///< out

private:
    Stream& stream_;
};

class WriteOp final : public Awaitable<WriteOp> {
public:
    WriteOp(Stream& stream, Chain what) : bytes(std::move(what)), stream_(stream) {}
    void start();
    Status result() const { return status(); }
    const Chain bytes;

private:
    Stream& stream_;
};

class Stream {
public:
    virtual ~Stream() = default;  ///< Closed first, with nothing pending (simulation excepted).

    virtual void start(ReadOp& op) = 0;
    virtual void start(FillOp& op) = 0;
    virtual void start(WriteOp& op) = 0;
    virtual void close() = 0;

    /// The address the peer dialled (what auto-advertise answers with), and the peer's own.
    virtual const Endpoint& local() const = 0;
    virtual const Endpoint& peer() const = 0;
    /// With TLS and a client certificate: its principal's name; else empty.
    virtual std::string peer_principal() const { return {}; }

    ReadOp read() { return ReadOp{*this}; }
    FillOp read_into(BlockRef block, size_t offset, size_t size) {
        return {*this, std::move(block), offset, size};
    }
    WriteOp write(Chain bytes) { return {*this, std::move(bytes)}; }
};

class Listener;

/// The next connection, already on the shard that will own it (Listener::accept says how).
class AcceptOp final : public Awaitable<AcceptOp> {
public:
    explicit AcceptOp(Listener& listener) : listener_(listener) {}
    void start();
    Result<std::unique_ptr<Stream>> result() {
        if (failed()) return std::unexpected(error());
        return std::move(stream);
    }
    std::unique_ptr<Stream> stream;  ///< out

private:
    Listener& listener_;
};

/// A listening address as one shard sees it: the backend accepts once per process and hands the
/// connections out evenly, so every shard has a Listener of its own on the same endpoint.
class Listener {
public:
    virtual ~Listener() = default;
    virtual void start(AcceptOp& op) = 0;
    /// The pending accept fails with `cancelled`; connections nobody took are closed.
    virtual void close() = 0;
    /// With the real port when 0 was asked for.
    virtual const Endpoint& local() const = 0;
    AcceptOp accept() { return AcceptOp{*this}; }
};

class Transport {
public:
    virtual ~Transport() = default;
    /// Every shard that serves connections calls it with the same endpoint. already_exists when another
    /// process has the port. At most `backlog` connections wait unaccepted.
    virtual Result<std::unique_ptr<Listener>> listen(const Endpoint& endpoint, int backlog) = 0;
    /// connection_refused, not_found (name), request_timed_out.
    virtual Task<Result<std::unique_ptr<Stream>>> connect(Endpoint endpoint, Instant deadline) = 0;
};

}  // namespace ottla
