// SPDX-License-Identifier: Apache-2.0
// Large writes, which a thread sends (io/tcp_stream.h).
#include <gtest/gtest.h>

#include "tests/io/tcp_pair.h"

namespace ottla::io::test {
namespace {

Task<> write_alternately(Stream& stream, std::vector<Buffer> parts, bool& ended) {
    for (const Buffer& part : parts) {
        const Status written = co_await stream.write(part);
        EXPECT_TRUE(written.has_value());
    }
    ended = true;
}

Task<int> keeps_order(Ports ports) {
    Pair pair = co_await connected(ports);
    std::vector<Buffer> parts;
    Chain all;
    for (uint32_t i = 0; i < 12; ++i) {
        parts.push_back(pattern(i % 2 == 0 ? 700'000 + i : 100 + i, i));
        all.append(parts.back());
    }
    const Buffer expected = all.flatten();
    bool ended = false;
    ports.runtime.spawn(write_alternately(*pair.client, std::move(parts), ended));
    const auto got = co_await read_exactly(*pair.server, expected.size());
    EXPECT_EQ(got.value(), expected);
    while (!ended) co_await ports.runtime.yield();
    co_return 0;
}

TEST(TcpStream, LargeWritesThatAThreadSendsAndSmallOnesArriveInOrder) {
    Process process;
    process.run(keeps_order(process.on(0)));
}

Task<int> closes_under_a_send(Ports ports) {
    for (int turns = 0; turns < 60; ++turns) {
        Pair pair = co_await connected(ports);
        Status wrote = fail(ErrorCode::none);
        ports.runtime.spawn(write_all(*pair.client, pattern(size_t{16} << 20U, 1), wrote));
        for (int i = 0; i < turns; ++i) co_await ports.runtime.yield();
        pair.client->close();
        pair.client.reset();
        co_await ports.runtime.yield();
        EXPECT_NE(wrote.error().code, ErrorCode::none);
        auto end = co_await pair.server->read();
        while (end) end = co_await pair.server->read();  // Whatever got out, and then its end.
    }
    co_return 0;
}

TEST(TcpStream, AStreamMayBeClosedAtAnyMomentOfALargeWrite) {
    Process process;
    process.run(closes_under_a_send(process.on(0)));
}

Task<int> reset_under_a_send(Ports ports) {
    Pair pair = co_await connected(ports);
    Status wrote;
    ports.runtime.spawn(write_all(*pair.client, pattern(size_t{16} << 20U, 1), wrote));
    const auto some = co_await pair.server->read();
    EXPECT_TRUE(some.has_value());
    pair.server->close();  // Bytes nobody read: the kernel sends a reset.
    while (wrote) co_await ports.runtime.yield();
    EXPECT_EQ(wrote.error().code, ErrorCode::connection_reset);
    co_return 0;
}

TEST(TcpStream, AResetUnderALargeWriteFailsIt) {
    Process process;
    process.run(reset_under_a_send(process.on(0)));
}

}  // namespace
}  // namespace ottla::io::test
