// SPDX-License-Identifier: Apache-2.0
// Two ends of a TCP connection on one backend, and bytes that are recognised when they come out of it.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <cstring>
#include <memory>
#include <vector>

#include "tests/io/with_backend.h"

namespace ottla::io::test {

inline Buffer pattern(size_t size, uint32_t salt) {
    BlockRef block = make_block(size);
    for (size_t i = 0; i < size; ++i) {
        block->data()[i] = static_cast<std::byte>((i * 31 + salt * 17 + (i >> 8)) & 0xff);
    }
    return {std::move(block), 0, size};
}

struct Pair {
    std::unique_ptr<Listener> listener;
    std::unique_ptr<Stream> client;
    std::unique_ptr<Stream> server;
};

inline Task<Pair> connected(Ports ports) {
    Pair pair;
    pair.listener = ports.transport.listen({"127.0.0.1", 0}, 16).value();
    const Instant deadline = ports.runtime.now() + std::chrono::seconds(5);
    auto client = co_await ports.transport.connect(pair.listener->local(), deadline);
    pair.client = std::move(client).value();
    auto server = co_await pair.listener->accept();
    pair.server = std::move(server).value();
    co_return pair;
}

/// Reads exactly `size` bytes, mixing borrowed and filled reads.
inline Task<Result<Buffer>> read_exactly(Stream& stream, size_t size) {
    BlockRef block = make_block(size);
    CO_TRY(Buffer first, co_await stream.read());
    size_t have = std::min(first.size(), size);
    EXPECT_LE(first.size(), size);
    std::memcpy(block->data(), first.data(), have);
    first = {};
    while (have < size) {
        CO_TRY(const size_t count, co_await stream.read_into(block, have, size - have));
        have += count;
    }
    co_return Buffer(std::move(block), 0, size);
}

inline Task<> write_all(Stream& stream, Chain chain, Status& ended) {
    ended = co_await stream.write(std::move(chain));
}

}  // namespace ottla::io::test
