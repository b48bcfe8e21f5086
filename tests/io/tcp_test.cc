// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <deque>

#include "tests/io/tcp_pair.h"

namespace ottla::io::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// ---- streams ----------------------------------------------------------------------------------

Task<int> knows_addresses(Ports ports) {
    Pair pair = co_await connected(ports);
    EXPECT_EQ(pair.client->peer(), pair.listener->local());
    EXPECT_EQ(pair.server->local(), pair.listener->local());
    EXPECT_EQ(pair.server->peer(), pair.client->local());
    EXPECT_NE(pair.client->local().port, 0);
    co_return 0;
}

TEST(TcpStream, BothEndsKnowTheirAddresses) {
    Process process;
    process.run(knows_addresses(process.on(0)));
}

Task<int> gathers(Ports ports) {
    Pair pair = co_await connected(ports);
    Chain chain;
    for (uint32_t i = 0; i < 3000; ++i) chain.append(pattern(1 + i * 7 % 900, i));
    const Buffer expected = chain.flatten();
    Status ended = fail(ErrorCode::unknown_server_error);
    ports.runtime.spawn(write_all(*pair.client, std::move(chain), ended));
    auto received = co_await read_exactly(*pair.server, expected.size());
    EXPECT_TRUE(received.value() == expected);
    co_await ports.runtime.yield();
    EXPECT_TRUE(ended.has_value());
    co_return 0;
}

TEST(TcpStream, AWriteGathersThreeThousandPiecesInOrder) {
    Process process;
    process.run(gathers(process.on(0)));
}

Task<int> waits_for_a_slow_reader(Ports ports) {
    Pair pair = co_await connected(ports);
    const Buffer big = pattern(size_t{16} << 20U, 5);
    Status ended = fail(ErrorCode::unknown_server_error);
    ports.runtime.spawn(write_all(*pair.client, big, ended));
    for (int i = 0; i < 50; ++i) co_await ports.runtime.yield();
    EXPECT_FALSE(ended.has_value()) << "16 MiB do not fit the kernel's buffers";
    auto received = co_await read_exactly(*pair.server, big.size());
    EXPECT_TRUE(received.value() == big);
    while (!ended) co_await ports.runtime.yield();
    co_return 0;
}

TEST(TcpStream, AWriteLargerThanTheKernelsBufferGoesOnWhenThereIsRoom) {
    Process process(1, 64 * 1024);
    process.run(waits_for_a_slow_reader(process.on(0)));
}

/// Sends `size` bytes over and reads them back as one borrowed slice per piece that arrived.
Task<> count_turns(Runtime& runtime, const bool& ended, size_t& turns) {
    while (!ended) {
        co_await runtime.yield();
        ++turns;
    }
}

Task<> write_to_the_end(Stream& stream, Chain chain, bool& ended) {
    const Status written = co_await stream.write(std::move(chain));
    EXPECT_TRUE(written.has_value());
    ended = true;
}

Task<int> shares_its_turns(Ports ports) {
    Pair pair = co_await connected(ports);
    const size_t size = 8UZ * 1024 * 1024;
    Chain chain;
    for (const size_t piece : {100UZ, size, 77UZ}) chain.append(pattern(piece, 5));
    const Buffer sent = chain.flatten();
    bool ended = false;
    size_t turns = 0;
    ports.runtime.spawn(count_turns(ports.runtime, ended, turns));
    ports.runtime.spawn(write_to_the_end(*pair.client, std::move(chain), ended));
    const auto got = co_await read_exactly(*pair.server, sent.size());
    EXPECT_EQ(got.value(), sent);
    while (!ended) co_await ports.runtime.yield();
    EXPECT_GE(turns, size / (1024UZ * 1024));
    co_return 0;
}

TEST(TcpStream, OthersHaveTheirTurnsWhileALargeWriteGoesOut) {
    Process process;
    process.run(shares_its_turns(process.on(0)));
}

Task<Buffer> send_and_borrow(Pair& pair, size_t size, uint32_t salt) {
    const Buffer sent = pattern(size, salt);
    (void)co_await pair.client->write(sent);
    auto got = co_await pair.server->read();
    EXPECT_TRUE(got.value() == sent);
    co_return std::move(got).value();
}

Task<int> reuses_blocks(Ports ports) {
    Pair pair = co_await connected(ports);
    const Block* first = nullptr;
    const std::byte* start = nullptr;
    for (uint32_t i = 0; i < 100; ++i) {
        const Buffer lent = co_await send_and_borrow(pair, 1000, i);
        if (first == nullptr) {
            first = lent.block().get();
            start = lent.data();
        }
        EXPECT_EQ(lent.data(), start) << "nothing was kept: the block starts over";
    }
    std::deque<Buffer> kept;
    std::vector<Buffer> expected;
    for (uint32_t i = 0; i < 200; ++i) {
        kept.push_back(co_await send_and_borrow(pair, 1000, i));
        expected.push_back(pattern(1000, i));
    }
    EXPECT_NE(kept.back().block().get(), first) << "kept slices pin their block";
    for (size_t i = 0; i < kept.size(); ++i) EXPECT_TRUE(kept[i] == expected[i]);
    co_return 0;
}

TEST(TcpStream, ABlockStartsOverWhenNothingOfItIsKeptAndIsLeftAloneWhenSomethingIs) {
    Process process(1, 16 * 1024);
    process.run(reuses_blocks(process.on(0)));
}

Task<int> keep_a_slice(Ports ports, Buffer& kept) {
    Pair pair = co_await connected(ports);
    kept = co_await send_and_borrow(pair, 100, 1);
    co_return 0;
}

TEST(TcpStream, ASliceMayOutliveTheBackend) {
    Buffer kept;
    {
        Process process;
        process.run(keep_a_slice(process.on(0), kept));
    }
    EXPECT_TRUE(kept == pattern(100, 1));
}

Task<> read_once(Stream& stream, Result<Buffer>& got) { got = co_await stream.read(); }

Task<int> close_cancels(Ports ports) {
    Pair pair = co_await connected(ports);
    Result<Buffer> got = fail(ErrorCode::none);
    Status wrote;
    ports.runtime.spawn(read_once(*pair.server, got));
    ports.runtime.spawn(write_all(*pair.server, pattern(size_t{16} << 20U, 1), wrote));
    co_await ports.runtime.yield();
    pair.server->close();
    co_await ports.runtime.yield();
    EXPECT_EQ(got.error().code, ErrorCode::cancelled);
    EXPECT_EQ(wrote.error().code, ErrorCode::cancelled);
    const auto later = co_await pair.server->read();
    EXPECT_EQ(later.error().code, ErrorCode::cancelled);
    const auto written = co_await pair.server->write(pattern(1, 1));
    EXPECT_EQ(written.error().code, ErrorCode::cancelled);
    pair.server.reset();
    co_return 0;
}

TEST(TcpStream, CloseCancelsWhatIsPendingAndEverythingLater) {
    Process process;
    process.run(close_cancels(process.on(0)));
}

Task<int> ends_are_told_apart(Ports ports) {
    Pair pair = co_await connected(ports);
    pair.client->close();
    const auto orderly = co_await pair.server->read();
    EXPECT_EQ(orderly.error().code, ErrorCode::end_of_stream);

    Pair reset = co_await connected(ports);
    (void)co_await reset.server->write(pattern(10, 1));
    (void)co_await ports.runtime.sleep_for(milliseconds(1));
    reset.client->close();  // Bytes nobody read: the kernel sends a reset.
    const auto broken = co_await reset.server->read();
    EXPECT_EQ(broken.error().code, ErrorCode::connection_reset);
    Status written;
    for (int i = 0; i < 100 && written; ++i) {
        written = co_await reset.server->write(pattern(10, 1));
    }
    EXPECT_EQ(written.error().code, ErrorCode::connection_reset);
    co_return 0;
}

TEST(TcpStream, TheOrderlyEndOfAPeerIsToldApartFromAReset) {
    Process process;
    process.run(ends_are_told_apart(process.on(0)));
}

Task<int> reads_after_a_timeout(Ports ports) {
    Pair pair = co_await connected(ports);
    for (uint32_t i = 0; i < 3; ++i) {
        auto cut = pair.server->read();
        const Instant soon = ports.runtime.now() + milliseconds(1);
        const auto none = co_await with_deadline(ports.runtime, cut, soon);
        EXPECT_EQ(none.error().code, ErrorCode::request_timed_out);
        const Buffer got = co_await send_and_borrow(pair, 50, i);
        EXPECT_EQ(got.size(), 50U);
    }
    co_return 0;
}

TEST(TcpStream, AReadThatTimedOutLosesNoBytes) {
    Process process;
    process.run(reads_after_a_timeout(process.on(0)));
}

Task<> cancel_once_some_came(Stream& receiver, Op& write) {
    const auto some = co_await receiver.read();
    EXPECT_TRUE(some.has_value());
    cancel(write);
}

Task<int> torn_write_fails(Ports ports) {
    Pair pair = co_await connected(ports);
    auto big = pair.client->write(pattern(size_t{64} << 20U, 1));
    ports.runtime.spawn(cancel_once_some_came(*pair.server, big));
    const Status cut = co_await big;
    EXPECT_EQ(cut.error().code, ErrorCode::cancelled);
    const auto later = co_await pair.client->write(pattern(1, 1));
    EXPECT_EQ(later.error().code, ErrorCode::connection_reset);
    co_return 0;
}

TEST(TcpStream, AfterAWriteThatWasCutShortNothingMoreIsSent) {
    Process process;
    process.run(torn_write_fails(process.on(0)));
}

// ---- connecting -------------------------------------------------------------------------------

Task<ErrorCode> connect_fails(Ports ports, Endpoint endpoint, Duration patience) {
    const auto stream = co_await ports.transport.connect(endpoint, ports.runtime.now() + patience);
    co_return stream ? ErrorCode::none : stream.error().code;
}

Task<int> connect_errors(Ports ports) {
    auto listener = ports.transport.listen({"127.0.0.1", 0}, 16).value();
    const Endpoint endpoint = listener->local();
    listener->close();
    const ErrorCode refused = co_await connect_fails(ports, endpoint, seconds(5));
    EXPECT_EQ(refused, ErrorCode::connection_refused);
    const ErrorCode unknown =
        co_await connect_fails(ports, {"no-such-host.invalid", 9092}, seconds(20));
    EXPECT_EQ(unknown, ErrorCode::not_found);
    co_return 0;
}

TEST(TcpTransport, ConnectingTellsRefusedFromUnknown) {
    Process process;
    process.run(connect_errors(process.on(0)));
}

/// A socket that listens without room: the kernel drops further connection requests, so connecting hangs.
class FullListener {
public:
    FullListener() : descriptor_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        address_.sin_family = AF_INET;
        address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof(address_);
        ::bind(descriptor_, reinterpret_cast<sockaddr*>(&address_), size);
        ::listen(descriptor_, 0);
        ::getsockname(descriptor_, reinterpret_cast<sockaddr*>(&address_), &size);
        for (int& filler : fillers_) {
            filler = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
            (void)::connect(filler, reinterpret_cast<sockaddr*>(&address_), size);
        }
    }
    FullListener(const FullListener&) = delete;
    FullListener& operator=(const FullListener&) = delete;
    ~FullListener() {
        for (const int filler : fillers_) ::close(filler);
        ::close(descriptor_);
    }
    [[nodiscard]] Endpoint endpoint() const { return {"127.0.0.1", ntohs(address_.sin_port)}; }

private:
    int descriptor_;
    sockaddr_in address_{};
    std::array<int, 4> fillers_{};
};

Task<int> connect_times_out(Ports ports, Endpoint endpoint) {
    const Instant start = ports.runtime.now();
    const ErrorCode code = co_await connect_fails(ports, endpoint, milliseconds(20));
    EXPECT_EQ(code, ErrorCode::request_timed_out);
    EXPECT_GE(ports.runtime.now() - start, milliseconds(20));
    co_return 0;
}

TEST(TcpTransport, ConnectingGivesUpAtItsDeadline) {
    const FullListener full;
    Process process;
    process.run(connect_times_out(process.on(0), full.endpoint()));
}

Task<int> reaches(Ports ports, Endpoint listen_on, std::string dial) {
    auto listener = ports.transport.listen(listen_on, 16).value();
    EXPECT_NE(listener->local().port, 0);
    const Instant deadline = ports.runtime.now() + seconds(5);
    auto client = co_await ports.transport.connect({dial, listener->local().port}, deadline);
    EXPECT_TRUE(client.has_value()) << client.error().detail;
    auto server = co_await listener->accept();
    EXPECT_EQ(server.value()->peer(), client.value()->local());
    co_return 0;
}

TEST(TcpTransport, WildcardsAndNamesResolveAndAnIpv4PeerIsShownAsIpv4) {
    for (const auto& [host, dial] : std::vector<std::pair<std::string, std::string>>{
             {"0.0.0.0", "127.0.0.1"}, {"::", "127.0.0.1"}, {"", "localhost"},
             {"localhost", "localhost"}}) {
        SCOPED_TRACE(host + " dialled as " + dial);
        Process process;
        process.run(reaches(process.on(0), {host, 0}, dial));
    }
}

// ---- listening --------------------------------------------------------------------------------

Task<int> port_is_taken(Ports ports) {
    auto first = ports.transport.listen({"127.0.0.1", 0}, 16).value();
    const Endpoint endpoint = first->local();
    const auto second = ports.transport.listen(endpoint, 16);
    EXPECT_EQ(second.error().code, ErrorCode::already_exists);
    first->close();
    auto third = ports.transport.listen(endpoint, 16);
    EXPECT_TRUE(third.has_value()) << "a closed port is free at once";
    co_return 0;
}

TEST(TcpListener, APortIsTakenOnceAndFreeAgainAfterClose) {
    Process process;
    process.run(port_is_taken(process.on(0)));
}

Task<> accept_once(Listener& listener, Result<std::unique_ptr<Stream>>& got) {
    got = co_await listener.accept();
}

Task<int> close_ends_accept(Ports ports) {
    auto listener = ports.transport.listen({"127.0.0.1", 0}, 16).value();
    Result<std::unique_ptr<Stream>> got = nullptr;
    ports.runtime.spawn(accept_once(*listener, got));
    listener->close();
    co_await ports.runtime.yield();
    EXPECT_EQ(got.error().code, ErrorCode::cancelled);
    const auto later = co_await listener->accept();
    EXPECT_EQ(later.error().code, ErrorCode::cancelled);
    co_return 0;
}

TEST(TcpListener, CloseEndsThePendingAcceptAndLaterOnes) {
    Process process;
    process.run(close_ends_accept(process.on(0)));
}

struct ShardServer {
    std::unique_ptr<Listener> listener;
    std::vector<std::unique_ptr<Stream>> streams;
};

Task<int> listen_here(Ports ports, Endpoint endpoint, ShardServer& server, int backlog) {
    server.listener = ports.transport.listen(endpoint, backlog).value();
    co_return 0;
}
struct ListenThere {
    Ports ports;
    Endpoint endpoint;
    ShardServer& server;
    int backlog;
    Task<int> operator()(Runtime&) const { return listen_here(ports, endpoint, server, backlog); }
};

Task<int> accept_here(Runtime& runtime, ShardServer& server, size_t count) {
    while (server.streams.size() < count) {
        auto accepting = server.listener->accept();
        auto stream = co_await with_deadline(runtime, accepting, runtime.now() + seconds(5));
        if (!stream) break;
        server.streams.push_back(std::move(stream).value());
    }
    co_return static_cast<int>(server.streams.size());
}
struct AcceptThere {
    ShardServer& server;
    size_t count;
    Task<int> operator()(Runtime& there) const { return accept_here(there, server, count); }
};

Task<int> stop_here(ShardServer& server) {
    server.listener->close();
    server.streams.clear();
    co_return 0;
}
struct StopThere {
    ShardServer& server;
    Task<int> operator()(Runtime&) const { return stop_here(server); }
};

Task<int> spreads_connections(Process& process, bool by_real_port) {
    Ports ports = process.on(0);
    std::array<ShardServer, 3> servers;
    Endpoint endpoint{"127.0.0.1", 0};
    for (uint32_t i = 0; i < 3; ++i) {
        (void)co_await call_on(ports.runtime, ShardIndex{i},
                               ListenThere{process.on(i), endpoint, servers[i], 64});
        if (by_real_port) endpoint = servers[0].listener->local();
    }
    EXPECT_EQ(servers[0].listener->local(), servers[2].listener->local());
    std::vector<std::unique_ptr<Stream>> clients;
    for (int i = 0; i < 30; ++i) {
        auto client = co_await ports.transport.connect(servers[0].listener->local(), kNever);
        clients.push_back(std::move(client).value());
    }
    size_t total = 0;
    for (uint32_t i = 1; i < 3; ++i) {
        const int got = co_await call_on(ports.runtime, ShardIndex{i}, AcceptThere{servers[i], 10});
        EXPECT_EQ(got, 10);
        total += servers[i].streams.size();
    }
    EXPECT_EQ(total, 20U) << "the clients of shard 0 count as its load";
    for (uint32_t i = 0; i < 3; ++i) {
        (void)co_await call_on(ports.runtime, ShardIndex{i}, StopThere{servers[i]});
    }
    co_return 0;
}

TEST(TcpListener, ConnectionsAreSpreadOverTheShardsThatListen) {
    for (const bool by_real_port : {false, true}) {
        Process process(3);
        process.run(spreads_connections(process, by_real_port));
    }
}

Task<int> holds_back(Process& process) {
    Ports ports = process.on(0);
    ShardServer server;
    server.listener = ports.transport.listen({"127.0.0.1", 0}, 2).value();
    std::vector<std::unique_ptr<Stream>> clients;
    for (int i = 0; i < 5; ++i) {  // Two wait here, three in the kernel's queue of 2 + 1.
        auto client = co_await ports.transport.connect(server.listener->local(), kNever);
        clients.push_back(std::move(client).value());
    }
    const int accepted = co_await accept_here(ports.runtime, server, 5);
    EXPECT_EQ(accepted, 5);
    server.listener->close();
    co_return 0;
}

TEST(TcpListener, WithItsQueueFullConnectionsWaitAndAreNotLost) {
    Process process;
    process.run(holds_back(process));
}

Task<> accept_in_vain(Runtime& runtime, Listener& listener) {
    auto cut = listener.accept();
    const auto none = co_await with_deadline(runtime, cut, runtime.now() + milliseconds(150));
    EXPECT_FALSE(none.has_value());
}

Task<int> survives_exhaustion(Process& process) {
    Ports ports = process.on(0);
    Pair pair = co_await connected(ports);
    // Once with descriptors: UBSan looks at a type the first time with the help of a pipe.
    co_await accept_in_vain(ports.runtime, *pair.listener);
    rlimit before{};
    ::getrlimit(RLIMIT_NOFILE, &before);
    const int client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    rlimit tight = before;
    tight.rlim_cur = static_cast<rlim_t>(client) + 1;
    std::vector<int> holes;  // Every lower number in use, so that the limit bites.
    while (true) {
        const int filler = ::dup(client);
        if (filler < 0 || filler > client) {
            if (filler >= 0) ::close(filler);
            break;
        }
        holes.push_back(filler);
    }
    ::setrlimit(RLIMIT_NOFILE, &tight);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(pair.listener->local().port);
    EXPECT_EQ(::connect(client, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    co_await accept_in_vain(ports.runtime, *pair.listener);
    ::setrlimit(RLIMIT_NOFILE, &before);
    EXPECT_GE(process.warnings.size(), 1U);
    EXPECT_LE(process.warnings.size(), 3U) << "it pauses and does not spin";
    const auto stream = co_await pair.listener->accept();
    EXPECT_TRUE(stream.has_value());
    process.warnings.clear();
    for (const int hole : holes) ::close(hole);
    ::close(client);
    co_return 0;
}

TEST(TcpListener, OutOfDescriptorsItPausesAndGoesOn) {
    Process process;
    process.run(survives_exhaustion(process));
}

}  // namespace
}  // namespace ottla::io::test
