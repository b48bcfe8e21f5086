// SPDX-License-Identifier: Apache-2.0
// The closed loops and what all modes share.
#include <fmt/format.h>

#include "app/cli.h"
#include "load/load.h"
#include "load/sequences.h"
#include "protocol/create_topics.h"
#include "protocol/fetch.h"
#include "protocol/list_offsets.h"
#include "protocol/produce.h"
#include "records/records.h"

namespace ottla::bench {

namespace {

constexpr int16_t kProduceVersion = 9;  // the newest that names topics in both brokers
constexpr int16_t kFetchVersion = 12;
constexpr Duration kAnswerLimit = std::chrono::seconds(60);
constexpr Duration kPauseAfterError = std::chrono::milliseconds(10);
constexpr int32_t kAnswerBytes = 50 * 1024 * 1024;
constexpr Duration kLook = std::chrono::milliseconds(2);

constexpr int16_t kNoAnswer = -1;

int16_t error_of(const Result<protocol::ProduceResponse>& answer) {
    if (!answer) return kNoAnswer;
    for (const auto& topic : answer->responses) {
        for (const auto& partition : topic.partition_responses) {
            if (partition.error_code != 0) return partition.error_code;
        }
    }
    return 0;
}

}  // namespace

Buffer make_batch(int64_t count, int64_t record_bytes, WallTime timestamp) {
    Codecs codecs;
    BatchBuilder builder(codecs, {});
    std::string value(static_cast<size_t>(record_bytes), 'x');
    uint64_t state = 7;
    for (int64_t i = 0; i < count; ++i) {
        for (char& c : value) {
            state = state * 6364136223846793005U + 1442695040888963407U;
            c = static_cast<char>('a' + (state >> 60U));
        }
        builder.append(timestamp, std::nullopt, as_bytes(value));
    }
    return *builder.finish();
}

Task<Status> create_topic(client::Connection& connection, const Load& load, Instant deadline) {
    protocol::CreateTopicsRequest request;
    auto& topic = request.topics.emplace_back();
    topic.name = load.topic;
    topic.num_partitions = load.partitions;
    topic.replication_factor = 1;
    for (const auto& [name, value] : load.configs) topic.configs.push_back({name, value});
    request.timeout_ms = 30'000;
    CO_TRY(const auto answer, co_await connection.call(std::move(request), deadline));
    const auto code = static_cast<ErrorCode>(answer.topics[0].error_code);
    if (code != ErrorCode::none && code != ErrorCode::topic_already_exists) {
        co_return fail(code, answer.topics[0].error_message.value_or(""));
    }
    co_return Status{};
}

Task<Result<std::vector<int64_t>>> ends_of(client::Connection& connection,
                                           const Load& load,
                                           Instant deadline) {
    protocol::ListOffsetsRequest request;
    request.replica_id = -1;
    auto& topic = request.topics.emplace_back();
    topic.name = load.topic;
    for (int32_t i = 0; i < load.partitions; ++i) {
        topic.partitions.push_back({.partition_index = i, .timestamp = -1});
    }
    CO_TRY(const auto answer, co_await connection.call(std::move(request), deadline, 5));
    std::vector<int64_t> ends(static_cast<size_t>(load.partitions), 0);
    for (const auto& part : answer.topics[0].partitions) {
        const auto code = static_cast<ErrorCode>(part.error_code);
        if (code != ErrorCode::none) co_return fail(code, "a partition has no leader yet");
        ends[static_cast<size_t>(part.partition_index)] = part.offset;
    }
    co_return ends;
}

Task<Status> write_to_all(client::Connection& connection,
                          const Load& load,
                          WallTime now,
                          Instant deadline) {
    const Buffer batch = make_batch(1, load.record_bytes, now);
    for (int32_t partition = 0; partition < load.partitions; ++partition) {
        protocol::ProduceRequest request;
        request.acks = -1;
        request.timeout_ms = 30'000;
        auto& topic = request.topic_data.emplace_back();
        topic.name = load.topic;
        topic.partition_data.push_back({.index = partition, .records = batch});
        const auto answer = co_await connection.call_version<protocol::ProduceRequest>(
            std::move(request), kProduceVersion, deadline);
        const int16_t error = error_of(answer);
        if (error != 0) {
            co_return fail(static_cast<ErrorCode>(error), "the first record was not taken");
        }
    }
    co_return Status{};
}

Task<int> produce_loop(Bench& bench, client::Connection& connection, int32_t first_partition) {
    Runtime& runtime = bench.ports.runtime;
    const Load& load = bench.load;
    const int64_t each = std::max<int64_t>(1, load.batch_bytes / load.record_bytes);
    const Buffer batch = make_batch(each, load.record_bytes, runtime.wall_time());
    int32_t partition = first_partition % load.partitions;
    // Each producer keeps to some partitions, or every partition would know all of them.
    int64_t stride = load.request_partitions;
    Sequences sequences;
    if (load.idempotent) {
        stride *= load.connections * load.in_flight;
        const Status opened =
            co_await sequences.open(connection, load.partitions, runtime.now() + kAnswerLimit);
        if (!opened) co_return app::complain(opened.error());
    }
    while (bench.goes_on(connection)) {
        protocol::ProduceRequest request;
        request.acks = load.acks;
        request.timeout_ms = 30'000;
        auto& topic = request.topic_data.emplace_back();
        topic.name = load.topic;
        for (int32_t i = 0; i < load.request_partitions; ++i) {
            const int32_t index = (partition + i) % load.partitions;
            topic.partition_data.push_back(
                {.index = index, .records = sequences.stamped(batch, index)});
        }
        const Instant began = runtime.now();
        const auto answer = co_await connection.call_version<protocol::ProduceRequest>(
            std::move(request), kProduceVersion, began + kAnswerLimit);
        bench.count(began);
        const int16_t error = error_of(answer);
        if (error == 0) {
            for (int32_t i = 0; i < load.request_partitions; ++i) {
                sequences.acknowledged((partition + i) % load.partitions,
                                       static_cast<int32_t>(each));
            }
            bench.score.bytes += static_cast<int64_t>(batch.size()) * load.request_partitions;
            bench.score.records += each * load.request_partitions;
        } else {
            bench.score.errors += 1;
            bench.score.last_error = error;
            co_await runtime.sleep_for(kPauseAfterError);
        }
        // An idempotent loop stays until its batch is stored.
        if (error == 0 || !load.idempotent) {
            partition = static_cast<int32_t>((partition + stride) % load.partitions);
        }
    }
    co_return 0;
}

Task<int> fetch_loop(Bench& bench, client::Connection& connection, int32_t partition) {
    Runtime& runtime = bench.ports.runtime;
    int64_t offset = 0;
    while (bench.goes_on(connection)) {
        protocol::FetchRequest request;
        request.max_wait_ms = 0;  // At the end of a partition it starts again.
        request.min_bytes = 0;
        request.max_bytes = kAnswerBytes;
        auto& topic = request.topics.emplace_back();
        topic.topic = bench.load.topic;
        auto& asked = topic.partitions.emplace_back();
        asked.partition = partition % bench.load.partitions;
        asked.fetch_offset = offset;
        asked.partition_max_bytes = static_cast<int32_t>(bench.load.fetch_bytes);
        const Instant began = runtime.now();
        const auto answer = co_await connection.call_version<protocol::FetchRequest>(
            std::move(request), kFetchVersion, began + kAnswerLimit);
        bench.count(began);
        const bool has_answer = answer && !answer->responses.empty();
        const int16_t error =
            has_answer ? answer->responses[0].partitions[0].error_code : kNoAnswer;
        if (error != 0) {
            bench.score.errors += 1;
            bench.score.last_error = error;
            co_await runtime.sleep_for(kPauseAfterError);
            continue;
        }
        const auto& data = answer->responses[0].partitions[0];
        if (!data.records || data.records->empty()) {
            if (bench.load.once) break;
            offset = 0;  // From the beginning again: the loop measures reading, not waiting.
            continue;
        }
        const Buffer bytes = data.records->flatten();
        BatchCursor batches(bytes.span());
        while (batches.next() == BatchStep::batch) {
            offset = batches.batch().offset_end().value();
            bench.score.records += batches.batch().record_count();
        }
        bench.score.bytes += static_cast<int64_t>(bytes.size());
    }
    --bench.loops_that_read;
    co_return 0;
}

Task<int> referee(Bench& bench) {
    Runtime& runtime = bench.ports.runtime;
    co_await runtime.sleep_for(std::chrono::seconds(bench.load.warmup));
    bench.score = {};
    const double cpu_before = cpu_seconds(bench.load.pid);
    const Instant began = runtime.now();
    while (runtime.now() < bench.until && !bench.is_read()) {
        const Instant look = bench.load.once ? runtime.now() + kLook : bench.until;
        co_await runtime.sleep_until(look);
    }
    const double elapsed = static_cast<double>((runtime.now() - began).count()) / 1e9;
    const double cpu = cpu_seconds(bench.load.pid) - cpu_before;
    app::print(render(bench.load, bench.score, elapsed, cpu));
    co_return bench.score.errors == 0 ? 0 : 1;
}

}  // namespace ottla::bench
