// SPDX-License-Identifier: Apache-2.0
#include "client/producer.h"

#include <fmt/format.h>

#include "client/retry.h"
#include "protocol/init_producer_id.h"
#include "protocol/produce.h"

namespace ottla::client {

namespace {

OptionalBytes bytes_of(const std::optional<std::string>& text) {
    if (!text) return std::nullopt;
    return as_bytes(*text);
}

/// Older brokers know topics by name, newer ones by id.
constexpr int16_t kFirstVersionWithTopicId = 13;

}  // namespace

Producer::Producer(Client& client, ProducerOptions options)
    : client_(client), options_(std::move(options)), asking_for_id_(client.runtime(), 1) {}

Producer::Lane& Producer::lane(const std::string& topic, int32_t partition) {
    return lanes_.try_emplace({topic, partition}, client_.runtime()).first->second;
}

void Producer::start_over() {
    id_ = kNoProducer;
    for (auto& [name, lane] : lanes_) lane.next_sequence = 0;
}

Task<Status> Producer::ensure_id(Instant deadline) {
    CO_TRY_STATUS(co_await asking_for_id_.take(1));
    Status result;
    if (id_ == kNoProducer) {
        auto connection = co_await client_.any(deadline);
        if (!connection) {
            result = std::unexpected(connection.error());
        } else {
            protocol::InitProducerIdRequest request;
            request.transaction_timeout_ms = 60'000;
            auto answer = co_await (*connection)->call(std::move(request), deadline);
            if (!answer) {
                result = std::unexpected(answer.error());
            } else if (answer->error_code != 0) {
                result = fail(static_cast<ErrorCode>(answer->error_code), "no producer id");
            } else {
                id_ = ProducerId{answer->producer_id};
                epoch_ = ProducerEpoch{answer->producer_epoch};
            }
        }
    }
    asking_for_id_.give_back(1);
    co_return result;
}

Task<Result<Offset>> Producer::append(std::string topic,
                                      int32_t partition,
                                      std::vector<RecordToSend> records,
                                      Instant deadline) {
    CHECK(!records.empty(), "a batch has a record");
    Budget& turn = lane(topic, partition).one_at_a_time;
    CO_TRY_STATUS(co_await turn.take(1));
    auto result =
        co_await append_in_lane(std::move(topic), partition, std::move(records), deadline);
    turn.give_back(1);
    co_return result;
}

Task<Result<Offset>> Producer::append_in_lane(std::string topic,
                                              int32_t partition,
                                              std::vector<RecordToSend> records,
                                              Instant deadline) {
    Runtime& runtime = client_.runtime();
    Buffer batch;
    ProducerId batch_id = kNoProducer;
    while (true) {
        Result<Offset> result = fail(ErrorCode::none);
        const Status ready = co_await ensure_id(deadline);
        if (!ready) {
            result = std::unexpected(ready.error());
        } else {
            Lane& own = lane(topic, partition);
            if (batch.empty()) {
                batch_id = id_;
                BatchBuilder builder(codecs_, {.compression = options_.compression,
                                               .producer_id = id_,
                                               .producer_epoch = epoch_,
                                               .base_sequence = own.next_sequence});
                for (const RecordToSend& record : records) {
                    builder.append(runtime.wall_time(), bytes_of(record.key),
                                   bytes_of(record.value));
                }
                CO_TRY(batch, builder.finish());
            }
            result = co_await try_once(topic, partition, batch, deadline);
        }
        if (result) {
            Lane& own = lane(topic, partition);
            const auto count = static_cast<int32_t>(records.size());
            if (batch_id == id_) own.next_sequence = sequence_after(own.next_sequence, count);
            co_return result;
        }
        const bool late = runtime.now() + options_.retry_backoff >= deadline;
        if (!is_retriable(result.error().code) || late) {
            start_over();
            co_return result;
        }
        client_.forget(topic);
        co_await runtime.sleep_for(options_.retry_backoff);
    }
}

Task<Result<Offset>> Producer::try_once(std::string topic,
                                        int32_t partition,
                                        Buffer batch,
                                        Instant deadline) {
    CO_TRY(const Topic found, co_await client_.topic(topic, true, deadline));
    CO_TRY(Connection * leader, co_await client_.leader(topic, partition, deadline));
    protocol::ProduceRequest request;
    request.acks = -1;
    request.timeout_ms = static_cast<int32_t>(
        std::chrono::duration_cast<std::chrono::milliseconds>(options_.request_timeout).count());
    auto& data = request.topic_data.emplace_back();
    data.name = topic;
    data.topic_id = found.id;
    data.partition_data.push_back({.index = partition, .records = std::move(batch)});
    const int16_t at_most = found.id.is_zero() ? kFirstVersionWithTopicId - 1 : 32767;
    const Instant patience = std::min(deadline, client_.runtime().now() + options_.request_timeout);
    CO_TRY(auto answer, co_await leader->call(std::move(request), patience, at_most));
    if (answer.responses.size() != 1 || answer.responses[0].partition_responses.size() != 1) {
        co_return fail(ErrorCode::malformed, "Produce answered for other partitions");
    }
    const auto& outcome = answer.responses[0].partition_responses[0];
    const auto code = static_cast<ErrorCode>(outcome.error_code);
    if (code == ErrorCode::none) co_return Offset{outcome.base_offset};
    co_return fail(code, fmt::format("{}-{}: {}", topic, partition,
                                     outcome.error_message.value_or(std::string(name_of(code)))));
}

int32_t partition_of_key(std::string_view key, int32_t partitions) {
    constexpr uint32_t kMultiplier = 0x5bd1e995;
    const auto byte = [key](size_t at) {
        return static_cast<uint32_t>(static_cast<uint8_t>(key[at]));
    };
    uint32_t hash = 0x9747b28cU ^ static_cast<uint32_t>(key.size());
    size_t at = 0;
    for (; at + 4 <= key.size(); at += 4) {
        uint32_t word = byte(at) | byte(at + 1) << 8U | byte(at + 2) << 16U | byte(at + 3) << 24U;
        word *= kMultiplier;
        word ^= word >> 24U;
        word *= kMultiplier;
        hash *= kMultiplier;
        hash ^= word;
    }
    const size_t rest = key.size() - at;
    if (rest == 3) hash ^= byte(at + 2) << 16U;
    if (rest >= 2) hash ^= byte(at + 1) << 8U;
    if (rest >= 1) {
        hash ^= byte(at);
        hash *= kMultiplier;
    }
    hash ^= hash >> 13U;
    hash *= kMultiplier;
    hash ^= hash >> 15U;
    return static_cast<int32_t>((hash & 0x7fffffffU) % static_cast<uint32_t>(partitions));
}

}  // namespace ottla::client
