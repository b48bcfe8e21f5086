// SPDX-License-Identifier: Apache-2.0
// A broker that is just starting: when does it answer, take a record, give one back.
#include <fmt/format.h>

#include <chrono>

#include "app/cli.h"
#include "load/load.h"
#include "protocol/fetch.h"
#include "protocol/produce.h"
#include "records/records.h"

namespace ottla::bench {

namespace {

constexpr Duration kRetry = std::chrono::milliseconds(1);

int64_t monotonic_ns() { return std::chrono::steady_clock::now().time_since_epoch().count(); }

Task<Status> write_one(client::Connection& connection,
                       const Load& load,
                       WallTime now,
                       Instant deadline) {
    protocol::ProduceRequest request;
    request.acks = -1;
    request.timeout_ms = 30'000;
    auto& topic = request.topic_data.emplace_back();
    topic.name = load.topic;
    topic.partition_data.push_back({.index = 0, .records = make_batch(1, 100, now)});
    CO_TRY(const auto answer, co_await connection.call_version<protocol::ProduceRequest>(
                                  std::move(request), 9, deadline));
    const auto code = static_cast<ErrorCode>(answer.responses[0].partition_responses[0].error_code);
    if (code != ErrorCode::none) co_return fail(code, "the record was not taken");
    co_return Status{};
}

Task<Status> read_one(client::Connection& connection,
                      const Load& load,
                      WallTime,
                      Instant deadline) {
    protocol::FetchRequest request;
    request.max_wait_ms = 100;
    request.min_bytes = 1;
    request.max_bytes = 1024 * 1024;
    auto& topic = request.topics.emplace_back();
    topic.topic = load.topic;
    auto& asked = topic.partitions.emplace_back();
    asked.partition_max_bytes = 64 * 1024;
    CO_TRY(const auto answer, co_await connection.call_version<protocol::FetchRequest>(
                                  std::move(request), 12, deadline));
    if (answer.responses.empty())
        co_return fail(ErrorCode::unknown_topic_or_partition, "no answer");
    const auto& data = answer.responses[0].partitions[0];
    const auto code = static_cast<ErrorCode>(data.error_code);
    if (code != ErrorCode::none) co_return fail(code, "not readable yet");
    if (!data.records || data.records->empty()) co_return fail(ErrorCode::end_of_stream, "empty");
    co_return Status{};
}

Task<Status> create(client::Connection& connection, const Load& load, WallTime, Instant deadline) {
    return create_topic(connection, load, deadline);
}

using Step = Task<Status> (*)(client::Connection&, const Load&, WallTime, Instant);

/// Tries until it is done: the monotonic clock then, or 0 when patience ended.
Task<int64_t> insist(
    Ports ports, client::Client& client, const Load& load, Step step, Instant until) {
    Runtime& runtime = ports.runtime;
    while (runtime.now() < until) {
        auto connection = co_await client.any(until);
        if (connection) {
            const Status done = co_await step(**connection, load, runtime.wall_time(), until);
            if (done) co_return monotonic_ns();
        }
        co_await runtime.sleep_for(kRetry);
    }
    co_return 0;
}

}  // namespace

Task<int> first_record(Ports ports, const Load& load) {
    const Instant until = ports.runtime.now() + std::chrono::seconds(load.patience);
    client::Client client(ports, load.bootstrap);
    int64_t answered = 0;
    while (answered == 0 && ports.runtime.now() < until) {
        const auto connection = co_await client.any(until);
        if (connection) answered = monotonic_ns();
        co_await ports.runtime.sleep_for(kRetry);
    }
    int64_t written = 0;
    int64_t read = 0;
    if (load.mode == "first") {
        (void)co_await insist(ports, client, load, create, until);
        written = co_await insist(ports, client, load, write_one, until);
        read = co_await insist(ports, client, load, read_one, until);
    } else {
        read = co_await insist(ports, client, load, read_one, until);
        written = co_await insist(ports, client, load, write_one, until);
    }
    co_await client.close();
    app::print(fmt::format("{{\"answered_ns\": {}, \"written_ns\": {}, \"read_ns\": {}}}\n",
                           answered, written, read));
    co_return answered != 0 && written != 0 && read != 0 ? 0 : 1;
}

}  // namespace ottla::bench
