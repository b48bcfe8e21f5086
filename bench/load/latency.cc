// SPDX-License-Identifier: Apache-2.0
// End to end at a fixed rate: every record carries when it was due, the reader of all partitions takes the
// difference when it comes out. A sender that falls behind does not hide it: a record's time begins
// at most one tick of the timer (1 ms) after it was due, whenever it really leaves.
#include "load/load.h"
#include "protocol/fetch.h"
#include "protocol/produce.h"
#include "records/records.h"

namespace ottla::bench {

namespace {

constexpr Duration kTick = std::chrono::milliseconds(1);
constexpr Duration kAnswerLimit = std::chrono::seconds(60);

Buffer stamped(Codecs& codecs, WallTime now, Instant due, int64_t record_bytes) {
    std::string value(static_cast<size_t>(record_bytes), 'x');
    const int64_t stamp = due.since_start.count();
    std::memcpy(value.data(), &stamp, sizeof(stamp));
    BatchBuilder builder(codecs, {});
    builder.append(now, std::nullopt, as_bytes(value));
    return *builder.finish();
}

Task<> send_one(Bench& bench, client::Connection& connection, Buffer batch, int32_t partition) {
    protocol::ProduceRequest request;
    request.acks = bench.load.acks;
    request.timeout_ms = 30'000;
    auto& topic = request.topic_data.emplace_back();
    topic.name = bench.load.topic;
    topic.partition_data.push_back({.index = partition, .records = std::move(batch)});
    const Instant deadline = bench.ports.runtime.now() + kAnswerLimit;
    const auto answer =
        co_await connection.call_version<protocol::ProduceRequest>(std::move(request), 9, deadline);
    if (connection.has_ended()) co_return;
    const bool good = answer && answer->responses[0].partition_responses[0].error_code == 0;
    bench.score.requests += 1;
    bench.score.errors += good ? 0 : 1;
}

protocol::FetchRequest tail_request(const Load& load, const std::vector<int64_t>& offsets) {
    protocol::FetchRequest request;
    request.max_wait_ms = 500;
    request.min_bytes = 1;
    request.max_bytes = 50 * 1024 * 1024;
    auto& topic = request.topics.emplace_back();
    topic.topic = load.topic;
    for (size_t i = 0; i < offsets.size(); ++i) {
        auto& asked = topic.partitions.emplace_back();
        asked.partition = static_cast<int32_t>(i);
        asked.fetch_offset = offsets[i];
        asked.partition_max_bytes = 1024 * 1024;
    }
    return request;
}

void take(Bench& bench, const Buffer& bytes, int64_t& offset) {
    BatchCursor batches(bytes.span());
    while (batches.next() == BatchStep::batch) {
        const BatchView batch = batches.batch();
        RecordIterator records(batch, batch.payload());
        Record record;
        while (records.next(record)) {
            int64_t stamp = 0;
            if (!record.value || record.value->size() < sizeof(stamp)) continue;
            std::memcpy(&stamp, record.value->data(), sizeof(stamp));
            const auto passed = bench.ports.runtime.now().since_start.count() - stamp;
            bench.score.latencies_us.push_back(passed / 1000);
            bench.score.records += 1;
        }
        offset = batch.offset_end().value();
    }
    bench.score.bytes += static_cast<int64_t>(bytes.size());
}

}  // namespace

Task<int> send_at_rate(Bench& bench, client::Connection& connection) {
    Runtime& runtime = bench.ports.runtime;
    Codecs codecs;
    const Instant began = runtime.now();
    for (int64_t sent = 0; bench.goes_on(connection); ++sent) {
        const Instant due = began + Duration{sent * 1'000'000'000 / bench.load.rate};
        if (due > runtime.now()) co_await runtime.sleep_until(due);
        const Instant starts = std::min(runtime.now(), due + kTick);
        const auto partition = static_cast<int32_t>(sent % bench.load.partitions);
        runtime.spawn(send_one(
            bench, connection,
            stamped(codecs, runtime.wall_time(), starts, bench.load.record_bytes), partition));
    }
    co_return 0;
}

Task<int> read_tail(Bench& bench, client::Connection& connection) {
    Runtime& runtime = bench.ports.runtime;
    auto offsets = co_await ends_of(connection, bench.load, runtime.now() + kAnswerLimit);
    if (!offsets) co_return 1;
    while (bench.goes_on(connection)) {
        const auto answer = co_await connection.call_version<protocol::FetchRequest>(
            tail_request(bench.load, *offsets), 12, runtime.now() + kAnswerLimit);
        if (!answer) continue;
        for (const auto& topic : answer->responses) {
            for (const auto& data : topic.partitions) {
                if (!data.records) continue;
                take(bench, data.records->flatten(),
                     (*offsets)[static_cast<size_t>(data.partition_index)]);
            }
        }
    }
    co_return 0;
}

}  // namespace ottla::bench
