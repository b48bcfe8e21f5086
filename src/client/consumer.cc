// SPDX-License-Identifier: Apache-2.0
#include "client/consumer.h"

#include <fmt/format.h>

#include "client/retry.h"
#include "protocol/list_offsets.h"

namespace ottla::client {

namespace {

constexpr int32_t kPartitionMaxBytes = 1024 * 1024;
constexpr int32_t kMaxBytes = 50 * 1024 * 1024;
constexpr size_t kMaxPlainBytes = 256 * 1024 * 1024;
constexpr Duration kAnswerSlack = std::chrono::seconds(30);
/// From this version on Fetch knows topics only by id.
constexpr int16_t kFirstFetchWithTopicId = 13;

std::optional<std::string> text_of(const OptionalBytes& bytes) {
    if (!bytes) return std::nullopt;
    return std::string(as_text(*bytes));
}

}  // namespace

Consumer::Consumer(Client& client, std::string topic) : client_(client), topic_(std::move(topic)) {}

Task<Status> Consumer::start(StartAt where, Instant deadline) {
    CO_TRY(const Topic topic, co_await client_.topic(topic_, false, deadline));
    for (const auto& [partition, leader] : topic.leaders) {
        CO_TRY(positions_[partition], co_await offset_at(partition, where, deadline));
    }
    co_return Status{};
}

Task<Result<Offset>> Consumer::offset_at(int32_t partition, StartAt where, Instant deadline) {
    CO_TRY(Connection * leader, co_await client_.leader(topic_, partition, deadline));
    protocol::ListOffsetsRequest request;
    request.replica_id = -1;
    auto& topic = request.topics.emplace_back();
    topic.name = topic_;
    topic.partitions.push_back(
        {.partition_index = partition, .timestamp = static_cast<int64_t>(where)});
    CO_TRY(auto answer, co_await leader->call(std::move(request), deadline));
    if (answer.topics.size() != 1 || answer.topics[0].partitions.size() != 1) {
        co_return fail(ErrorCode::malformed, "ListOffsets answered for other partitions");
    }
    const auto& found = answer.topics[0].partitions[0];
    if (found.error_code != 0) {
        const auto code = static_cast<ErrorCode>(found.error_code);
        co_return fail(code, fmt::format("{}-{}: {}", topic_, partition, name_of(code)));
    }
    co_return Offset{found.offset};
}

Task<Result<std::vector<ConsumedRecord>>> Consumer::poll(Duration wait) {
    const Instant until = client_.runtime().now() + wait;
    CO_TRY(const Topic topic, co_await client_.topic(topic_, false, until + kAnswerSlack));
    std::map<BrokerId, std::vector<int32_t>> by_leader;
    for (const auto& [partition, leader] : topic.leaders) {
        positions_.try_emplace(partition, Offset{0});
        by_leader[leader].push_back(partition);
    }
    std::vector<ConsumedRecord> records;
    for (auto& [leader, partitions] : by_leader) {
        const Duration share =
            records.empty() ? wait / static_cast<int64_t>(by_leader.size()) : Duration{};
        auto some = co_await poll_leader(leader, partitions, share);
        if (!some) {
            if (!is_retriable(some.error().code)) co_return some;
            client_.forget(topic_);
            continue;
        }
        std::ranges::move(*some, std::back_inserter(records));
    }
    co_return records;
}

protocol::FetchRequest Consumer::request_for(const std::vector<int32_t>& partitions,
                                             const Topic& topic,
                                             Duration wait) const {
    protocol::FetchRequest request;
    request.max_wait_ms =
        static_cast<int32_t>(std::chrono::duration_cast<std::chrono::milliseconds>(wait).count());
    request.min_bytes = 1;
    request.max_bytes = kMaxBytes;
    auto& asked = request.topics.emplace_back();
    asked.topic = topic_;
    asked.topic_id = topic.id;
    for (const int32_t partition : partitions) {
        auto& one = asked.partitions.emplace_back();
        one.partition = partition;
        one.fetch_offset = positions_.at(partition).value();
        one.partition_max_bytes = kPartitionMaxBytes;
    }
    return request;
}

Task<Result<std::vector<ConsumedRecord>>> Consumer::poll_leader(BrokerId leader,
                                                                std::vector<int32_t> partitions,
                                                                Duration wait) {
    const Instant deadline = client_.runtime().now() + wait + kAnswerSlack;
    CO_TRY(const Topic topic, co_await client_.topic(topic_, false, deadline));
    CO_TRY(Connection * connection, co_await client_.broker(leader, deadline));
    auto request = request_for(partitions, topic, wait);
    const int16_t at_most = topic.id.is_zero() ? kFirstFetchWithTopicId - 1 : 32767;
    CO_TRY(auto answer, co_await connection->call(std::move(request), deadline, at_most));
    if (answer.error_code != 0) {
        co_return fail(static_cast<ErrorCode>(answer.error_code), "Fetch was refused");
    }
    std::vector<ConsumedRecord> records;
    for (const auto& part : answer.responses) {
        for (const auto& data : part.partitions) CO_TRY_STATUS(take(data, records));
    }
    co_return records;
}

Status Consumer::take(const protocol::FetchResponse::PartitionData& data,
                      std::vector<ConsumedRecord>& out) {
    const auto code = static_cast<ErrorCode>(data.error_code);
    if (code != ErrorCode::none) {
        return fail(code, fmt::format("{}-{}: {}", topic_, data.partition_index, name_of(code)));
    }
    if (!data.records) return {};
    const Buffer bytes = data.records->flatten();
    BatchCursor batches(bytes.span(), BatchCursor::Crc::check);
    BatchStep step = batches.next();
    for (; step == BatchStep::batch; step = batches.next()) {
        TRY_STATUS(take_batch(data.partition_index, batches.batch(), out));
    }
    if (step == BatchStep::corrupt) return std::unexpected(batches.error());
    return {};  // A batch may be cut at the end; the next poll asks for it again.
}

Status Consumer::take_batch(int32_t partition,
                            const BatchView& batch,
                            std::vector<ConsumedRecord>& out) {
    Offset& position = positions_[partition];
    if (!batch.is_control() && batch.record_count() > 0) {
        TRY(const auto plain, codecs_.records_of(batch, kMaxPlainBytes));
        RecordIterator records(batch, plain);
        Record record;
        while (records.next(record)) {
            const Offset offset = batch.base_offset() + record.offset_delta;
            if (offset < position) continue;
            out.push_back({.partition = partition,
                           .offset = offset,
                           .timestamp = record.timestamp,
                           .key = text_of(record.key),
                           .value = text_of(record.value)});
        }
        TRY_STATUS(records.finish());
    }
    position = std::max(position, batch.offset_end());
    return {};
}

}  // namespace ottla::client
