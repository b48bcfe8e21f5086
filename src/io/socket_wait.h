// SPDX-License-Identifier: Apache-2.0
// SocketWait: an Op that completes when a socket is readable or writable. For the few waits that are not a
// stream's: a listening socket's and a connecting one's. The socket outlives it; closing the
// socket, as `cancel` does, ends it.
#pragma once

#include "io/asio.h"
#include "io/runtime_loop.h"

namespace ottla::io {

class SocketWait final : public Awaitable<SocketWait>, public OpOwner {
public:
    SocketWait(RuntimeLoop& runtime, Socket& socket, Socket::wait_type what)
        : runtime_(runtime), socket_(socket), what_(what) {}
    void start() {
        begin(*this);
        socket_.async_wait(what_, [this](const asio_error& error) {
            if (error) set_error({ErrorCode::cancelled, {}});
            runtime_.ready(*this);
        });
    }
    Status result() const { return status(); }
    /// Of this socket everything: nobody waits twice for one socket here.
    void cancel(Op&) noexcept override {
        asio_error ignored;
        socket_.cancel(ignored);
    }

private:
    RuntimeLoop& runtime_;
    Socket& socket_;
    const Socket::wait_type what_;
};

}  // namespace ottla::io
