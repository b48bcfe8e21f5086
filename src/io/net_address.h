// SPDX-License-Identifier: Apache-2.0
// Addresses: between Endpoints, as configuration and clients write them, and the kernel's sockaddr.
// The empty host and "::" mean every address of both families; an IPv4 peer of such a socket
// is shown as plain IPv4. `resolve` may block on name servers and so runs on an I/O thread.
#pragma once

#include <sys/socket.h>

#include <vector>

#include "ottla/transport.h"

namespace ottla::io {

struct SocketAddress {
    sockaddr_storage storage{};
    socklen_t size = sizeof(sockaddr_storage);
    [[nodiscard]] const sockaddr* get() const;
    sockaddr* get();
    [[nodiscard]] int family() const { return storage.ss_family; }
};

/// A literal address, without asking anybody; invalid_argument for a name.
Result<SocketAddress> parse_literal(const Endpoint& endpoint);
/// Every address of a name or literal, in the order to try them; not_found.
Result<std::vector<SocketAddress>> resolve(const Endpoint& endpoint);
Endpoint to_endpoint(const SocketAddress& address);
Endpoint local_endpoint(int socket);
Endpoint peer_endpoint(int socket);

}  // namespace ottla::io
