// SPDX-License-Identifier: Apache-2.0
// The program of tests/sim/echo on the real backend, unchanged: two shards, calls between them, an entry on
// the disk before each answer. The same source runs under every fault in the simulator.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <set>

#include "tests/io/with_backend.h"
#include "tests/sim/echo.h"

namespace ottla::io::test {
namespace {

constexpr uint32_t kShards = 2;
constexpr int kClients = 6;
constexpr int kCalls = 20;
constexpr size_t kReceiveBlock = size_t{64} * 1024;

std::string payload_of(int client, int call, size_t size) {
    std::string payload(1, static_cast<char>('a' + (client + call) % 26));
    payload += std::to_string(client) + "/" + std::to_string(call) + ":";
    payload.resize(std::max(size, payload.size()), static_cast<char>('A' + call % 26));
    return payload;
}

Task<> serve_root(echo::Server& server, ShardIndex shard) {
    const Status served = co_await server.serve(shard);
    EXPECT_TRUE(served.has_value()) << served.error().detail;
}

struct StartThere {
    echo::Server& server;
    Task<int> operator()(Runtime& there) const {
        there.spawn(serve_root(server, there.shard()));
        return until_started(server, there.shard());
    }
    static Task<int> until_started(echo::Server& server, ShardIndex shard) {
        co_await server.until_started(shard);
        co_return 0;
    }
};

Task<int> stop_there(echo::Server& server, ShardIndex shard) {
    co_await server.stop(shard);
    co_return 0;
}

struct StopThere {
    echo::Server& server;
    Task<int> operator()(Runtime& there) const { return stop_there(server, there.shard()); }
};

/// Both shards serve and the address is known when this returns.
Task<> start(Process& process, echo::Server& server) {
    Runtime& runtime = process.on(0).runtime;
    for (uint32_t shard = 0; shard < kShards; ++shard) {
        (void)co_await call_on(runtime, ShardIndex{shard}, StartThere{server});
    }
}

Task<> stop(Process& process, echo::Server& server) {
    for (uint32_t shard = 0; shard < kShards; ++shard) {
        (void)co_await call_on(process.on(0).runtime, ShardIndex{shard}, StopThere{server});
    }
}

Task<int> call_often(Ports ports, Endpoint endpoint, int id) {
    echo::Client client(ports, endpoint);
    for (int i = 0; i < kCalls; ++i) {
        const size_t size = i % 5 == 0 ? 3 * kReceiveBlock : 100;
        const std::string payload = payload_of(id, i, size);
        const Instant deadline = ports.runtime.now() + std::chrono::seconds(20);
        const auto answer = co_await client.call(payload, deadline);
        EXPECT_TRUE(answer.has_value()) << answer.error().detail;
        if (!answer) co_return 1;
        EXPECT_EQ(*answer, payload);
    }
    co_return 0;
}

struct CallThere {
    Ports ports;
    Endpoint endpoint;
    int id;
    Task<int> operator()(Runtime&) const { return call_often(ports, endpoint, id); }
};

std::set<std::string> stored_in(const TemporaryDirectory& directory) {
    std::set<std::string> stored;
    for (uint32_t shard = 0; shard < kShards; ++shard) {
        std::ifstream file(directory.file("echo-" + std::to_string(shard) + ".log"));
        const std::string all(std::istreambuf_iterator<char>(file), {});
        for (std::string& entry : echo::entries_of(all)) stored.insert(std::move(entry));
    }
    return stored;
}

Task<int> clients_call(Process& process, std::string directory) {
    echo::Server server({process.on(0), process.on(1)}, std::move(directory), {"127.0.0.1", 0});
    co_await start(process, server);
    Runtime& runtime = process.on(0).runtime;
    std::vector<Task<int>> tasks;
    for (int id = 0; id < kClients; ++id) {
        const auto shard = static_cast<uint32_t>(id) % kShards;
        CallThere call{process.on(shard), server.local(), id};
        tasks.push_back(call_on(runtime, ShardIndex{shard}, std::move(call)));
    }
    const std::vector<int> failures = co_await when_all(runtime, std::move(tasks));
    EXPECT_EQ(failures, std::vector<int>(kClients, 0));
    co_await stop(process, server);
    co_return 0;
}

TEST(Echo, EveryAnswerOverTwoShardsIsOnTheDisk) {
    const TemporaryDirectory directory;
    Process process(kShards, kReceiveBlock);
    process.run(clients_call(process, directory.path()));
    const std::set<std::string> stored = stored_in(directory);
    EXPECT_EQ(stored.size(), size_t{kClients} * kCalls);
    for (int id = 0; id < kClients; ++id) {
        EXPECT_TRUE(stored.contains(payload_of(id, 0, 3 * kReceiveBlock)));
        EXPECT_TRUE(stored.contains(payload_of(id, kCalls - 1, 100)));
    }
}

/// All frames in one write, all answers in their order: several frames per receive, and one over many.
Task<int> pipelines(Process& process, std::string directory) {
    echo::Server server({process.on(0), process.on(1)}, std::move(directory), {"127.0.0.1", 0});
    co_await start(process, server);
    Ports ports = process.on(0);
    const Instant deadline = ports.runtime.now() + std::chrono::seconds(20);
    auto connected = co_await ports.transport.connect(server.local(), deadline);
    const std::unique_ptr<Stream> stream = std::move(connected).value();
    Chain frames;
    for (int i = 0; i < 100; ++i) {
        const size_t size = i % 30 == 7 ? 2 * kReceiveBlock + 13 : 10;
        frames.append(Buffer::copy_of(echo::frame_of(payload_of(0, i, size))));
    }
    const Buffer expected = frames.flatten();
    const Status wrote = co_await stream->write(std::move(frames));
    EXPECT_TRUE(wrote.has_value());
    std::string answers;
    while (answers.size() < expected.size()) {
        const auto piece = co_await stream->read();
        EXPECT_TRUE(piece.has_value());
        if (!piece) break;
        answers += piece->text();
    }
    EXPECT_TRUE(answers == expected.text());
    stream->close();
    co_await stop(process, server);
    co_return 0;
}

TEST(Echo, PipelinedFramesLargerThanTheReceiveBlockComeBackInOrder) {
    const TemporaryDirectory directory;
    Process process(kShards, kReceiveBlock);
    process.run(pipelines(process, directory.path()));
}

}  // namespace
}  // namespace ottla::io::test
