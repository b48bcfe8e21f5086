// SPDX-License-Identifier: Apache-2.0
// A lean native load for any broker that speaks Kafka's protocol: so many connections, so many requests in
// flight on each, for so many seconds after a warm-up. One thread, no retries, no checks of
// checksums: what it measures is the broker. With --pid it says what the broker's process spent.
#include "app/cli.h"
#include "io/backend.h"
#include "load/load.h"

namespace ottla::bench {
namespace {

using Connections = std::vector<std::unique_ptr<client::Connection>>;

Task<Status> open_connections(Ports ports, const Load& load, int64_t count, Connections& into) {
    const Instant patience = ports.runtime.now() + std::chrono::seconds(load.patience);
    for (int64_t i = 0; i < count; ++i) {
        CO_TRY(auto opened,
               co_await client::Connection::open(ports, load.bootstrap[0], {}, patience));
        into.push_back(std::move(opened));
    }
    CO_TRY_STATUS(co_await create_topic(*into[0], load, patience));
    while (true) {
        const auto ends = co_await ends_of(*into[0], load, patience);
        if (ends) break;
        if (ports.runtime.now() > patience) co_return std::unexpected(ends.error());
        co_await ports.runtime.sleep_for(std::chrono::milliseconds(20));
    }
    if (load.mode == "fetch") co_return Status{};
    co_return co_await write_to_all(*into[0], load, ports.runtime.wall_time(), patience);
}

std::vector<Task<int>> tasks_of(Bench& bench, const Connections& connections) {
    std::vector<Task<int>> tasks;
    tasks.push_back(referee(bench));
    if (bench.load.mode == "latency") {
        tasks.push_back(read_tail(bench, *connections[0]));
        tasks.push_back(send_at_rate(bench, *connections[1]));
        return tasks;
    }
    int32_t partition = 0;
    for (const auto& connection : connections) {
        for (int64_t i = 0; i < bench.load.in_flight; ++i) {
            tasks.push_back(bench.load.mode == "produce"
                                ? produce_loop(bench, *connection, partition)
                                : fetch_loop(bench, *connection, partition));
            partition += bench.load.request_partitions;
        }
    }
    return tasks;
}

Task<int> run_load(Ports ports, const Load& load) {
    Connections connections;
    const int64_t count = load.mode == "latency" ? 2 : load.connections;
    const Status opened = co_await open_connections(ports, load, count, connections);
    int code = opened ? 0 : app::complain(opened.error());
    if (opened && load.mode != "topic") {
        Bench bench{ports,
                    load,
                    ports.runtime.now() + std::chrono::seconds(load.warmup + load.seconds),
                    {},
                    load.connections * load.in_flight};
        std::vector<Task<int>> tasks = tasks_of(bench, connections);
        const std::vector<int> codes = co_await when_all(ports.runtime, std::move(tasks));
        code = codes[0];
        for (auto& connection : connections) co_await connection->close();
        co_return code;
    }
    for (auto& connection : connections) co_await connection->close();
    co_return code;
}

}  // namespace
}  // namespace ottla::bench

int main(int argc, char** argv) {
    ottla::app::Arguments arguments(std::vector<std::string>(argv + 1, argv + argc));
    const auto load = ottla::bench::read_arguments(arguments);
    if (!load) return ottla::app::complain(load.error());
    ottla::io::Backend backend({.shards = 1});
    const ottla::Ports ports = backend.ports(ottla::ShardIndex{0});
    const bool starting = load->mode == "first" || load->mode == "reread";
    return backend.run(starting ? ottla::bench::first_record(ports, *load)
                                : ottla::bench::run_load(ports, *load));
}
