// SPDX-License-Identifier: Apache-2.0
#include "io/net_address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>

namespace ottla::io {

const sockaddr* SocketAddress::get() const { return reinterpret_cast<const sockaddr*>(&storage); }
sockaddr* SocketAddress::get() { return reinterpret_cast<sockaddr*>(&storage); }

namespace {

Result<std::vector<SocketAddress>> ask(const Endpoint& endpoint, int flags) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = flags | AI_NUMERICSERV;
    const std::string port = std::to_string(endpoint.port);
    addrinfo* found = nullptr;
    const int failure = ::getaddrinfo(endpoint.host.c_str(), port.c_str(), &hints, &found);
    if (failure != 0) {
        return fail(ErrorCode::not_found, endpoint.host + ": " + ::gai_strerror(failure));
    }
    std::vector<SocketAddress> addresses;
    for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
        SocketAddress address;
        std::copy_n(reinterpret_cast<const std::byte*>(at->ai_addr), at->ai_addrlen,
                    reinterpret_cast<std::byte*>(&address.storage));
        address.size = at->ai_addrlen;
        addresses.push_back(address);
    }
    ::freeaddrinfo(found);
    if (addresses.empty()) return fail(ErrorCode::not_found, endpoint.host + ": no address");
    return addresses;
}

}  // namespace

Result<SocketAddress> parse_literal(const Endpoint& endpoint) {
    auto addresses = ask({endpoint.host.empty() ? "::" : endpoint.host, endpoint.port},
                         AI_NUMERICHOST);
    if (!addresses) return fail(ErrorCode::invalid_argument, endpoint.host + ": a name");
    return addresses->front();
}

Result<std::vector<SocketAddress>> resolve(const Endpoint& endpoint) {
    if (auto literal = parse_literal(endpoint); literal) return std::vector{*literal};
    return ask(endpoint, 0);
}

Endpoint to_endpoint(const SocketAddress& address) {
    std::array<char, INET6_ADDRSTRLEN> text{};
    if (address.family() == AF_INET) {
        const auto* v4 = reinterpret_cast<const sockaddr_in*>(&address.storage);
        ::inet_ntop(AF_INET, &v4->sin_addr, text.data(), text.size());
        return {text.data(), ntohs(v4->sin_port)};
    }
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&address.storage);
    const uint8_t* bytes = v6->sin6_addr.s6_addr;
    if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
        ::inet_ntop(AF_INET, bytes + 12, text.data(), text.size());
    } else {
        ::inet_ntop(AF_INET6, bytes, text.data(), text.size());
    }
    return {text.data(), ntohs(v6->sin6_port)};
}

Endpoint local_endpoint(int socket) {
    SocketAddress address;
    if (::getsockname(socket, address.get(), &address.size) != 0) return {};
    return to_endpoint(address);
}

Endpoint peer_endpoint(int socket) {
    SocketAddress address;
    if (::getpeername(socket, address.get(), &address.size) != 0) return {};
    return to_endpoint(address);
}

}  // namespace ottla::io
