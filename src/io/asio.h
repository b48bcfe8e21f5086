// SPDX-License-Identifier: Apache-2.0
// The part of Boost.Asio that src/io uses: the reactor. Waiting for readiness is all it does for us; the
// system calls on sockets are our own. Nothing outside src/io includes this (tests/tidy holds that).
// Compiled once (asio_source.cc), concrete executor: both keep compile times low.
#pragma once

#define BOOST_ASIO_SEPARATE_COMPILATION 1
#define BOOST_ASIO_NO_DEPRECATED 1
#define BOOST_ASIO_DISABLE_VISIBILITY 1

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>

#include <array>
#include <cstddef>
#include <new>

namespace ottla::io {

namespace asio = boost::asio;
using asio_error = boost::system::error_code;
/// Any socket, listening ones too: all we ask of it is to wait.
using Socket = asio::basic_stream_socket<asio::ip::tcp, asio::io_context::executor_type>;

/// Room for one waiting handler, so that waiting allocates nothing.
class HandlerMemory {
public:
    HandlerMemory() = default;
    HandlerMemory(const HandlerMemory&) = delete;
    HandlerMemory& operator=(const HandlerMemory&) = delete;
    void* take(size_t bytes) {
        if (used_ || bytes > sizeof(room_)) return ::operator new(bytes);
        used_ = true;
        return room_.data();
    }
    void give(void* memory) noexcept {
        if (memory == room_.data()) {
            used_ = false;
        } else {
            ::operator delete(memory);
        }
    }

private:
    alignas(std::max_align_t) std::array<std::byte, 192> room_;
    bool used_ = false;
};

template <class T>
class HandlerAllocator {
public:
    using value_type = T;
    explicit HandlerAllocator(HandlerMemory& memory) noexcept : memory_(&memory) {}
    template <class U>
    HandlerAllocator(const HandlerAllocator<U>& other) noexcept : memory_(other.memory_) {}
    T* allocate(size_t count) { return static_cast<T*>(memory_->take(sizeof(T) * count)); }
    void deallocate(T* memory, size_t) noexcept { memory_->give(memory); }
    bool operator==(const HandlerAllocator&) const = default;

private:
    template <class U>
    friend class HandlerAllocator;
    HandlerMemory* memory_;
};

}  // namespace ottla::io
