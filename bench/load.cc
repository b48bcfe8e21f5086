// SPDX-License-Identifier: Apache-2.0
// A lean closed-loop load: so many connections, so many requests in flight on each, for so many
// seconds; prints MB/s and, with --pid, what the broker's process spent (user + system) per GB.
//
//   ottla_load produce|fetch TOPIC [--partitions N] [--batch-bytes N] [--record-bytes N]
//   [--connections N]
//              [--in-flight N] [--seconds N] [--acks -1|0|1] [--pid PID] [--bootstrap-server
//              HOST:PORT]
#include <fmt/format.h>

#include <unistd.h>
#include <fstream>

#include "app/cli.h"
#include "client/client.h"
#include "io/backend.h"
#include "protocol/create_topics.h"
#include "protocol/fetch.h"
#include "protocol/produce.h"
#include "records/records.h"

namespace ottla {
namespace {

struct Load {
    std::string mode;
    std::string topic;
    std::vector<Endpoint> bootstrap;
    int32_t partitions = 8;
    int64_t batch_bytes = 64 * 1024;
    int64_t record_bytes = 1024;
    int64_t connections = 2;
    int64_t in_flight = 8;
    int64_t seconds = 10;
    int16_t acks = -1;
    int64_t pid = 0;
};

struct Score {
    int64_t bytes = 0;
    int64_t requests = 0;
    int64_t errors = 0;
    std::vector<int64_t> latencies_us;
};

/// User and system time of a process in seconds.
double cpu_seconds(int64_t pid) {
    std::ifstream file(fmt::format("/proc/{}/stat", pid));
    std::string line;
    std::getline(file, line);
    const size_t name_end = line.rfind(')');
    if (name_end == std::string::npos) return 0;
    std::istringstream rest(line.substr(name_end + 2));
    std::string skipped;
    for (int i = 0; i < 11; ++i) rest >> skipped;
    double user = 0;
    double system = 0;
    rest >> user >> system;
    return (user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

Buffer make_batch(const Load& load) {
    Codecs codecs;
    BatchBuilder builder(codecs, {});
    std::string value(static_cast<size_t>(load.record_bytes), 'x');
    uint64_t state = 7;
    const int64_t count = std::max<int64_t>(1, load.batch_bytes / load.record_bytes);
    for (int64_t i = 0; i < count; ++i) {
        for (char& c : value) {
            state = state * 6364136223846793005U + 1442695040888963407U;
            c = static_cast<char>('a' + (state >> 60U));
        }
        builder.append(WallTime{1'700'000'000'000}, std::nullopt, as_bytes(value));
    }
    return *builder.finish();
}

Task<> produce_loop(client::Connection& connection,
                    const Load& load,
                    Buffer batch,
                    Runtime& runtime,
                    Instant until,
                    int32_t partition,
                    Score& score) {
    while (runtime.now() < until && !connection.has_ended()) {
        protocol::ProduceRequest request;
        request.acks = load.acks;
        request.timeout_ms = 30'000;
        auto& topic = request.topic_data.emplace_back();
        topic.name = load.topic;
        topic.partition_data.push_back({.index = partition, .records = batch});
        partition = (partition + 1) % load.partitions;
        const Instant began = runtime.now();
        const auto answer = co_await connection.call_version<protocol::ProduceRequest>(
            std::move(request), 9, began + std::chrono::seconds(60));
        const bool good = answer && answer->responses[0].partition_responses[0].error_code == 0;
        score.errors += good ? 0 : 1;
        score.requests += 1;
        score.bytes += good ? static_cast<int64_t>(batch.size()) : 0;
        score.latencies_us.push_back((runtime.now() - began).count() / 1000);
    }
}

Task<> fetch_loop(client::Connection& connection,
                  const Load& load,
                  Runtime& runtime,
                  Instant until,
                  int32_t partition,
                  Score& score) {
    int64_t offset = 0;
    while (runtime.now() < until && !connection.has_ended()) {
        protocol::FetchRequest request;
        request.max_wait_ms = 500;
        request.min_bytes = 1;
        request.max_bytes = 50 * 1024 * 1024;
        auto& topic = request.topics.emplace_back();
        topic.topic = load.topic;
        auto& asked = topic.partitions.emplace_back();
        asked.partition = partition;
        asked.fetch_offset = offset;
        asked.partition_max_bytes = 1024 * 1024;
        const Instant began = runtime.now();
        const auto answer = co_await connection.call_version<protocol::FetchRequest>(
            std::move(request), 12, began + std::chrono::seconds(60));
        score.requests += 1;
        if (!answer || answer->responses.empty() ||
            answer->responses[0].partitions[0].error_code != 0) {
            score.errors += 1;
            continue;
        }
        score.latencies_us.push_back((runtime.now() - began).count() / 1000);
        const auto& data = answer->responses[0].partitions[0];
        if (!data.records || data.records->empty()) {
            offset = 0;  // From the beginning again: the loop measures reading, not waiting.
            continue;
        }
        const Buffer bytes = data.records->flatten();
        BatchCursor batches(bytes.span());
        while (batches.next() == BatchStep::batch) offset = batches.batch().offset_end().value();
        score.bytes += static_cast<int64_t>(bytes.size());
    }
}

Task<Status> create_topic(client::Client& client, const Load& load, Instant deadline) {
    CO_TRY(auto* connection, co_await client.any(deadline));
    protocol::CreateTopicsRequest request;
    auto& topic = request.topics.emplace_back();
    topic.name = load.topic;
    topic.num_partitions = load.partitions;
    topic.replication_factor = 1;
    request.timeout_ms = 30'000;
    CO_TRY(const auto answer, co_await connection->call(std::move(request), deadline));
    const auto code = static_cast<ErrorCode>(answer.topics[0].error_code);
    if (code != ErrorCode::none && code != ErrorCode::topic_already_exists) {
        co_return fail(code, answer.topics[0].error_message.value_or(""));
    }
    co_return Status{};
}

void report(const Load& load, Score score, double elapsed, double cpu) {
    std::ranges::sort(score.latencies_us);
    const auto percentile = [&score](double p) {
        if (score.latencies_us.empty()) return int64_t{0};
        const auto last = static_cast<double>(score.latencies_us.size() - 1);
        return score.latencies_us[static_cast<size_t>(p * last)];
    };
    const double megabytes = static_cast<double>(score.bytes) / 1e6;
    fmt::print("{}: {:.0f} MB/s, {:.0f} requests/s, p50 {} us, p99 {} us, errors {}", load.mode,
               megabytes / elapsed, static_cast<double>(score.requests) / elapsed, percentile(0.5),
               percentile(0.99), score.errors);
    if (load.pid != 0 && megabytes > 0) {
        fmt::print(", broker {:.2f} CPU-s/GB, {:.2f} us/request", cpu / megabytes * 1000,
                   cpu / static_cast<double>(score.requests) * 1e6);
    }
    fmt::print("\n");
}

Task<int> run_load(Ports ports, Load load) {
    Runtime& runtime = ports.runtime;
    client::Client client(ports, load.bootstrap);
    const Instant patience = runtime.now() + std::chrono::seconds(30);
    const Status created = co_await create_topic(client, load, patience);
    if (!created) co_return app::complain(created.error());
    std::vector<std::unique_ptr<client::Connection>> connections;
    for (int64_t i = 0; i < load.connections; ++i) {
        auto opened = co_await client::Connection::open(ports, load.bootstrap[0], {}, patience);
        if (!opened) co_return app::complain(opened.error());
        connections.push_back(*std::move(opened));
    }
    Score score;
    const Buffer batch = make_batch(load);
    const double cpu_before = cpu_seconds(load.pid);
    const Instant began = runtime.now();
    const Instant until = began + std::chrono::seconds(load.seconds);
    int32_t partition = 0;
    for (auto& connection : connections) {
        for (int64_t i = 0; i < load.in_flight;
             ++i, partition = (partition + 1) % load.partitions) {
            runtime.spawn(
                load.mode == "produce"
                    ? produce_loop(*connection, load, batch, runtime, until, partition, score)
                    : fetch_loop(*connection, load, runtime, until, partition, score));
        }
    }
    co_await runtime.sleep_until(until);
    const double elapsed = static_cast<double>((runtime.now() - began).count()) / 1e9;
    const double cpu = cpu_seconds(load.pid) - cpu_before;
    report(load, score, elapsed, cpu);
    for (auto& connection : connections) co_await connection->close();
    co_await client.close();
    co_return score.errors == 0 ? 0 : 1;
}

Result<Load> read_arguments(app::Arguments& arguments) {
    Load load;
    load.mode = arguments.word().value_or("");
    load.topic = arguments.word().value_or("");
    if ((load.mode != "produce" && load.mode != "fetch") || load.topic.empty()) {
        return fail(ErrorCode::invalid_argument, "usage: ottla_load produce|fetch TOPIC [...]");
    }
    TRY(const auto options, app::take_session_options(arguments));
    load.bootstrap = options.bootstrap;
    const auto take = [&arguments](std::string_view name, auto& into) -> Status {
        TRY(const auto value, arguments.number(name, -1, 1'000'000'000));
        if (value) into = static_cast<std::remove_reference_t<decltype(into)>>(*value);
        return {};
    };
    TRY_STATUS(take("--partitions", load.partitions));
    TRY_STATUS(take("--batch-bytes", load.batch_bytes));
    TRY_STATUS(take("--record-bytes", load.record_bytes));
    TRY_STATUS(take("--connections", load.connections));
    TRY_STATUS(take("--in-flight", load.in_flight));
    TRY_STATUS(take("--seconds", load.seconds));
    TRY_STATUS(take("--acks", load.acks));
    TRY_STATUS(take("--pid", load.pid));
    TRY_STATUS(arguments.finish());
    return load;
}

}  // namespace
}  // namespace ottla

int main(int argc, char** argv) {
    ottla::app::Arguments arguments(std::vector<std::string>(argv + 1, argv + argc));
    const auto load = ottla::read_arguments(arguments);
    if (!load) return ottla::app::complain(load.error());
    ottla::io::Backend backend({.shards = 1});
    return backend.run(ottla::run_load(backend.ports(ottla::ShardIndex{0}), *load));
}
