// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/echo_world.h"

#include <fmt/format.h>

namespace ottla::sim {

namespace {

constexpr uint16_t kPort = 7;

class EchoProgram final : public Program {
public:
    explicit EchoProgram(Process& process)
        : server_(process.all_ports(), "/data", Endpoint{.host = "server", .port = kPort}) {
        for (uint32_t i = 0; i < process.shard_count(); ++i) {
            process.runtime(i).spawn(serve(server_, ShardIndex{i}));
        }
    }

private:
    static Task<> serve(echo::Server& server, ShardIndex shard) {
        const Status ended = co_await server.serve(shard);
        CHECK(ended.has_value(), "the server opens its file and its port");
    }
    echo::Server server_;
};

}  // namespace

class EchoCaller final : public Program {
public:
    EchoCaller(EchoWorld& world, Process& process, uint32_t number, uint32_t calls)
        : client_(process.ports(0), Endpoint{.host = "server", .port = kPort}) {
        process.runtime(0).spawn(run(*this, world, process.runtime(0), number, calls));
    }

private:
    static Task<> run(
        EchoCaller& self, EchoWorld& world, Runtime& runtime, uint32_t number, uint32_t calls) {
        for (uint32_t i = 0; i < calls; ++i) {
            const uint64_t filling = runtime.random() % 700;
            std::string payload(1, static_cast<char>('a' + (number + i) % 26));
            payload += fmt::format("client {} call {} ", number, i);
            payload += std::string(filling, '.');
            bool done = false;
            while (!done) {
                const Instant deadline = runtime.now() + std::chrono::milliseconds(300);
                const Result<std::string> answer = co_await self.client_.call(payload, deadline);
                done = answer.has_value();
                if (!done)
                    static_cast<void>(co_await runtime.sleep_for(std::chrono::milliseconds(5)));
            }
            world.answered.push_back(payload);
        }
        --world.clients_running;
    }
    echo::Client client_;
};

EchoWorld::EchoWorld(const EchoOptions& options)
    : world(WorldOptions{.seed = options.seed, .shuffle = true, .verbose = options.verbose}),
      machine(world.add_machine("server")),
      server(machine.add_process("echo", options.shards)),
      options_(options) {
    start_server();
    for (uint32_t i = 0; i < options.clients; ++i) {
        Process& caller = world.add_machine(fmt::format("client-{}", i)).add_process("caller", 1);
        ++clients_running;
        caller.start([this, i](Process& process) {
            return std::make_unique<EchoCaller>(*this, process, i, options_.calls);
        });
    }
}

void EchoWorld::start_server() {
    server.start([](Process& process) { return std::make_unique<EchoProgram>(process); });
}

bool EchoWorld::run_to_end(Duration limit) {
    while (clients_running != 0 && world.now() < limit && world.step()) continue;
    return clients_running == 0;
}

std::vector<std::string> EchoWorld::missing() {
    std::set<std::string> kept;
    for (uint32_t i = 0; i < options_.shards; ++i) {
        const auto file = machine.disk().contents(fmt::format("/data/echo-{}.log", i));
        for (std::string& entry : echo::entries_of(file.value_or("")))
            kept.insert(std::move(entry));
    }
    std::vector<std::string> lost;
    for (const std::string& payload : answered) {
        if (!kept.contains(payload)) lost.push_back(payload);
    }
    return lost;
}

}  // namespace ottla::sim
