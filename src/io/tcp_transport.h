// SPDX-License-Identifier: Apache-2.0
// TcpTransport: one shard's Transport. `listen` resolves a name on the spot (it happens at start-up);
// `connect` asks an I/O thread for names that are not literal addresses and tries every address
// in order until the deadline.
#pragma once

#include "io/io_threads.h"
#include "io/net_address.h"
#include "io/tcp_listener.h"

namespace ottla::io {

class TcpTransport final : public Transport {
public:
    TcpTransport(ShardNetwork& network, Acceptors& acceptors, IoThreads& threads, IoHome& home)
        : network_(network), acceptors_(acceptors), threads_(threads), home_(home) {}
    Result<std::unique_ptr<Listener>> listen(const Endpoint& endpoint, int backlog) override;
    Task<Result<std::unique_ptr<Stream>>> connect(Endpoint endpoint, Instant deadline) override;

private:
    Task<Result<std::unique_ptr<Stream>>> connect_to(SocketAddress address, Instant deadline);

    ShardNetwork& network_;
    Acceptors& acceptors_;
    IoThreads& threads_;
    IoHome& home_;
};

}  // namespace ottla::io
