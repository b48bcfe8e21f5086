// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <deque>

#include "ottla/sync.h"
#include "protocol/init_producer_id.h"
#include "protocol/produce.h"
#include "records/records.h"
#include "tests/sim/workload_client.h"

namespace ottla::sim {

namespace {

/// What a broker remembers of a producer: a retry is recognised while it is one of its last five.
constexpr size_t kInFlight = 5;
constexpr int16_t kFirstVersionWithTopicId = 13;
constexpr uint64_t kFirstVersionOfCodecs = 7;

struct SentBatch {
    uint64_t number = 0;
    Buffer bytes;
    std::vector<uint64_t> contents;
    std::optional<Result<Offset>> answer;
};

struct Lane {
    explicit Lane(Runtime& runtime) : answered(runtime) {}
    Partition where;
    int16_t acks = -1;
    ProducerId id = kNoProducer;
    ProducerEpoch epoch = kNoProducerEpoch;
    int32_t next_sequence = 0;
    uint64_t next_number = 0;
    std::deque<SentBatch> batches;  ///< not acknowledged, in the order of their sequences
    size_t running = 0;
    Event answered;
};

class ProducerProgram final : public WorkloadClient {
public:
    ProducerProgram(ClusterWorld& world, Process& process, uint32_t number)
        : WorkloadClient(world, process), lanes_left_(world.options.partitions) {
        for (uint32_t i = 0; i < world.options.partitions; ++i) {
            lanes_.push_back(std::make_unique<Lane>(runtime_));
            lanes_.back()->where = {.topic = topic_of_producer(number),
                                    .index = static_cast<int32_t>(i)};
            lanes_.back()->acks = acks_of(world.options, number, i);
            if (lanes_.back()->acks == -1) world.history.one_writer(lanes_.back()->where);
            runtime_.spawn(run(*lanes_.back()));
        }
    }

private:
    Task<> run(Lane& lane) {
        while (goes_on() && lane.acks == -1 && lane.id == kNoProducer) co_await ask_for_id(lane);
        while (goes_on()) {
            const size_t window = random_.between(1, kInFlight);
            const uint64_t target = world_.options.batches;
            while (may_make(lane, window) && lane.next_number < target) make_batch(lane);
            if (lane.batches.empty()) break;
            co_await send_all(lane);
            if (settle(lane)) continue;
            client_.forget(lane.where.topic);
            co_await back_off();
        }
        if (--lanes_left_ == 0) --world_.clients_running;
    }

    /// Counted from the oldest that is not acknowledged, or the broker could forget it before its
    /// retry comes.
    static bool may_make(const Lane& lane, size_t window) {
        return lane.batches.empty() || lane.next_number < lane.batches.front().number + window;
    }

    Task<> ask_for_id(Lane& lane) {
        const Instant until = deadline();
        auto connection = co_await client_.any(until);
        if (!connection) {
            co_await back_off();
            co_return;
        }
        protocol::InitProducerIdRequest request;
        request.transaction_timeout_ms = 60'000;
        auto answer = co_await (*connection)->call(std::move(request), until);
        if (!answer || answer->error_code != 0) {
            const ErrorCode code =
                answer ? static_cast<ErrorCode>(answer->error_code) : answer.error().code;
            expect_retriable({code, {}}, "InitProducerId");
            co_await back_off();
            co_return;
        }
        lane.id = ProducerId{answer->producer_id};
        world_.history.producer_named(answer->producer_id);
        lane.epoch = ProducerEpoch{answer->producer_epoch};
    }

    void make_batch(Lane& lane) {
        BatchOptions options;
        options.compression.codec = world_.mood.codec;
        options.producer_id = lane.id;
        options.producer_epoch = lane.epoch;
        if (lane.id != kNoProducer) options.base_sequence = lane.next_sequence;
        BatchBuilder builder(codecs_, options);
        SentBatch& batch = lane.batches.emplace_back();
        batch.number = lane.next_number;
        const uint64_t records = random_.between(1, 5);
        for (uint64_t i = 0; i < records; ++i) {
            const std::string value =
                fmt::format("{} batch {} record {} {}", to_string(lane.where), lane.next_number, i,
                            std::string(random_.below(world_.mood.record_bytes), '.'));
            builder.append(runtime_.wall_time(), std::nullopt, as_bytes(value));
            batch.contents.push_back(hash_of(value));
            world_.history.sent(lane.where, batch.contents.back());
        }
        ++lane.next_number;
        lane.next_sequence = sequence_after(lane.next_sequence, static_cast<int32_t>(records));
        Result<Buffer> bytes = builder.finish();
        CHECK(bytes.has_value(), "a plain batch is always built");
        batch.bytes = *std::move(bytes);
    }

    /// All batches at once, in order on one connection as an idempotent producer must (another
    /// connection could overtake); returns when each has an answer or an error.
    Task<> send_all(Lane& lane) {
        const Instant until = deadline();
        const Result<Way> way = co_await find_way(lane, until);
        for (SentBatch& batch : lane.batches) batch.answer.reset();
        if (!way) {
            for (SentBatch& batch : lane.batches) batch.answer = std::unexpected(way.error());
            co_return;
        }
        lane.running = lane.batches.size();
        for (SentBatch& batch : lane.batches) {
            const Instant patience = deadline();
            runtime_.spawn(send(lane, batch, *way, patience));
        }
        while (lane.running != 0) co_await lane.answered.wait();
    }

    struct Way {
        client::Connection* leader;
        Uuid topic;
        int16_t at_most;  ///< version of Produce: topics by name or by id
    };
    Task<Result<Way>> find_way(Lane& lane, Instant until) {
        CO_TRY(const client::Topic topic, co_await client_.topic(lane.where.topic, false, until));
        CO_TRY(client::Connection * leader,
               co_await client_.leader(lane.where.topic, lane.where.index, until));
        const uint64_t at_most = random_.between(kFirstVersionOfCodecs, kFirstVersionWithTopicId);
        co_return Way{
            .leader = leader, .topic = topic.id, .at_most = static_cast<int16_t>(at_most)};
    }

    Task<> send(Lane& lane, SentBatch& batch, Way way, Instant until) {
        batch.answer = co_await ask(lane, batch, way, until);
        if (--lane.running == 0) lane.answered.notify_all();
    }

    /// Posts the request before its first wait.
    Task<Result<Offset>> ask(Lane& lane, SentBatch& batch, Way way, Instant until) {
        protocol::ProduceRequest request;
        request.acks = lane.acks;
        request.timeout_ms = 1000;
        auto& data = request.topic_data.emplace_back();
        data.name = lane.where.topic;
        data.topic_id = way.topic;
        data.partition_data.push_back({.index = lane.where.index, .records = batch.bytes});
        if (lane.acks == 0) {
            CO_TRY(const int16_t version,
                   way.leader->version_of(protocol::ApiKey::produce, kFirstVersionWithTopicId - 1));
            CO_TRY_STATUS(way.leader->send(request, version));
            co_return kNoOffset;
        }
        CO_TRY(auto answer, co_await way.leader->call(std::move(request), until, way.at_most));
        if (answer.responses.size() != 1 || answer.responses[0].partition_responses.size() != 1) {
            co_return fail(ErrorCode::malformed, "an answer for other partitions");
        }
        const auto& one = answer.responses[0].partition_responses[0];
        const auto code = static_cast<ErrorCode>(one.error_code);
        if (code != ErrorCode::none) co_return fail(code, one.error_message.value_or(""));
        co_return Offset{one.base_offset};
    }

    /// Takes the acknowledged ones out; false when something has to be sent again.
    bool settle(Lane& lane) {
        bool first = true;
        std::deque<SentBatch> again;
        for (SentBatch& batch : lane.batches) {
            const Result<Offset>& answer = *batch.answer;
            if (answer && lane.acks != 0) {
                world_.history.acknowledged(lane.where, answer->value(), batch.contents);
            }
            const bool done = answer.has_value() || lane.acks != -1;
            if (!answer) complain(lane, answer.error(), first);
            if (!done) again.push_back(std::move(batch));
            first = first && answer.has_value();
        }
        lane.batches = std::move(again);
        return first;
    }

    void complain(Lane& lane, const Error& error, bool first) {
        // Behind a batch that failed, the next is out of sequence until that one is there.
        const bool follows = error.code == ErrorCode::out_of_order_sequence_number && !first;
        if (!follows) expect_retriable(error, "produce to " + to_string(lane.where));
    }

    Codecs codecs_;
    std::vector<std::unique_ptr<Lane>> lanes_;
    uint32_t lanes_left_;
};

}  // namespace

std::string topic_of_producer(uint32_t number) { return fmt::format("topic-{}", number); }

int16_t acks_of(const ClusterOptions& options, uint32_t producer, uint32_t partition) {
    if (producer + 1 != options.producers) return -1;
    return partition == 0 ? 1 : 0;
}

void start_producer(ClusterWorld& world, uint32_t number) {
    Machine& machine = world.world.add_machine(fmt::format("client-{}", number));
    ++world.clients_running;
    machine.add_process("producer", 1).start([&world, number](Process& process) {
        return std::make_unique<ProducerProgram>(world, process, number);
    });
}

}  // namespace ottla::sim
