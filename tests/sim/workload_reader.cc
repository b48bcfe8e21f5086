// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <map>

#include "client/consumer.h"
#include "protocol/fetch.h"
#include "protocol/list_offsets.h"
#include "records/records.h"
#include "tests/sim/workload_client.h"

namespace ottla::sim {

namespace {

constexpr uint64_t kFirstVersionOfCodecs = 10;
constexpr uint64_t kNewestVersion = 17;

/// Reads partitions of one topic in order; what a subclass does with a record is its own.
class TopicReader : public WorkloadClient {
protected:
    TopicReader(ClusterWorld& world, Process& process) : WorkloadClient(world, process) {}

    virtual void take(const Partition& where, int64_t offset, uint64_t content) = 0;

    /// One Fetch for every partition of `topic`; false when it failed.
    Task<bool> fetch(std::string topic, std::map<int32_t, int64_t>& positions) {
        const Instant until = deadline();
        const auto found = co_await client_.topic(topic, false, until);
        if (!found) co_return refused(topic, found.error());
        const auto leader = co_await client_.leader(topic, 0, until);
        if (!leader) co_return refused(topic, leader.error());
        protocol::FetchRequest request = request_for(*found, positions);
        std::map<int32_t, int64_t> told;
        for (const auto& [index, position] : positions) {
            told[index] = world_.history.told({.topic = topic, .index = index});
        }
        // Topics by name or by id, with hints and without.
        const uint64_t at_most = random_.between(kFirstVersionOfCodecs, kNewestVersion);
        const auto answer =
            co_await (*leader)->call(std::move(request), until, static_cast<int16_t>(at_most));
        if (!answer) co_return refused(topic, answer.error());
        if (answer->error_code != 0) {
            co_return refused(topic, {static_cast<ErrorCode>(answer->error_code), {}});
        }
        bool good = true;
        for (const auto& part : answer->responses) {
            for (const auto& data : part.partitions) {
                const Partition where{.topic = topic, .index = data.partition_index};
                good = take_data(where, data, told[where.index], positions) && good;
            }
        }
        co_return good;
    }

    /// The end of a partition (ListOffsets), or an error.
    Task<Result<int64_t>> end_of(Partition where) {
        const Instant until = deadline();
        CO_TRY(client::Connection * leader,
               co_await client_.leader(where.topic, where.index, until));
        protocol::ListOffsetsRequest request;
        request.replica_id = -1;
        auto& topic = request.topics.emplace_back();
        topic.name = where.topic;
        topic.partitions.push_back({.partition_index = where.index, .timestamp = -1});
        const int64_t told = world_.history.told(where);
        CO_TRY(const auto answer, co_await leader->call(std::move(request), until));
        if (answer.topics.size() != 1 || answer.topics[0].partitions.size() != 1) {
            co_return fail(ErrorCode::malformed, "an answer for other partitions");
        }
        const auto& one = answer.topics[0].partitions[0];
        if (one.error_code != 0) co_return fail(static_cast<ErrorCode>(one.error_code));
        world_.history.end_told(where, one.offset, told);
        co_return one.offset;
    }

    bool refused(const std::string& topic, const Error& error) {
        expect_retriable(error, "read " + topic);
        client_.forget(topic);
        return false;
    }

private:
    protocol::FetchRequest request_for(const client::Topic& topic,
                                       const std::map<int32_t, int64_t>& positions) {
        protocol::FetchRequest request;
        request.max_wait_ms = static_cast<int32_t>(random_.below(60));
        const uint64_t piece = random_.between(1000, world_.mood.fetch_bytes);
        request.min_bytes = static_cast<int32_t>(random_.below(2 * piece));
        request.max_bytes = static_cast<int32_t>(4 * piece);
        auto& asked = request.topics.emplace_back();
        asked.topic = topic.name;
        asked.topic_id = topic.id;
        for (const auto& [index, position] : positions) {
            auto& one = asked.partitions.emplace_back();
            one.partition = index;
            one.fetch_offset = position;
            one.partition_max_bytes = static_cast<int32_t>(piece);
        }
        return request;
    }

    bool take_data(const Partition& where,
                   const protocol::FetchResponse::PartitionData& data,
                   int64_t told,
                   std::map<int32_t, int64_t>& positions) {
        if (data.error_code != 0) {
            return refused(where.topic, {static_cast<ErrorCode>(data.error_code), "fetch"});
        }
        world_.history.end_told(where, data.high_watermark, told);
        if (!data.records) return true;
        int64_t& position = positions[where.index];
        const Buffer bytes = data.records->flatten();
        BatchCursor batches(bytes.span(), BatchCursor::Crc::check);
        BatchStep step = batches.next();
        for (; step == BatchStep::batch; step = batches.next()) {
            take_batch(where, batches.batch(), position);
        }
        if (step == BatchStep::corrupt) {
            world_.history.fail(to_string(where) + ": damaged bytes were served as data");
        }
        if (position > std::max(told, data.high_watermark)) {
            world_.history.fail(to_string(where) + ": records above the high watermark were read");
        }
        return true;
    }

    void take_batch(const Partition& where, const BatchView& batch, int64_t& position) {
        const auto plain = codecs_.records_of(batch, size_t{1} << 20U);
        if (!plain) return world_.history.fail(to_string(where) + ": " + plain.error().detail);
        RecordIterator records(batch, *plain);
        Record record;
        while (records.next(record)) {
            const int64_t offset = batch.base_offset().value() + record.offset_delta;
            if (offset < position) continue;
            if (offset != position) {
                world_.history.fail(fmt::format("{}: {} follows {}: a hole (invariant 3)",
                                                to_string(where), offset, position));
            }
            take(where, offset, hash_of(*record.value));
            position = offset + 1;
        }
    }

    Codecs codecs_;
};

/// Follows all topics until every producer has finished.
class ReaderProgram final : public TopicReader {
public:
    ReaderProgram(ClusterWorld& world, Process& process) : TopicReader(world, process) {
        runtime_.spawn(run());
    }

private:
    void take(const Partition& where, int64_t offset, uint64_t content) override {
        world_.history.exposed(where, offset, content);
    }
    Task<> run() {
        std::vector<std::map<int32_t, int64_t>> positions(world_.options.producers);
        for (auto& topic : positions) {
            for (uint32_t i = 0; i < world_.options.partitions; ++i)
                topic[static_cast<int32_t>(i)] = 0;
        }
        // The other readers and the admin wait for the producers, not for this.
        while (goes_on() && world_.clients_running > 1) {
            const auto number = static_cast<uint32_t>(random_.below(positions.size()));
            auto& own = positions[number];
            const bool read = co_await fetch(topic_of_producer(number), own);
            if (!read) co_await back_off();
            const auto index = static_cast<int32_t>(random_.below(own.size()));
            if (random_.below(6) == 0) {
                const Partition where{.topic = topic_of_producer(number), .index = index};
                const auto end = co_await end_of(where);
                if (!end) refused(where.topic, end.error());
            }
            if (random_.below(10) == 0) {
                own[index] =
                    static_cast<int64_t>(random_.below(static_cast<uint64_t>(own[index]) + 1));
            }
        }
        --world_.clients_running;
    }
};

/// Reads every partition from its start to its end, then every topic again as an ordinary consumer.
class CheckerProgram final : public TopicReader {
public:
    CheckerProgram(ClusterWorld& world, Process& process) : TopicReader(world, process) {
        runtime_.spawn(run());
    }

private:
    void take(const Partition&, int64_t, uint64_t content) override { whole_.push_back(content); }
    Task<> run() {
        for (uint32_t number = 0; number < world_.options.producers; ++number) {
            for (uint32_t i = 0; i < world_.options.partitions; ++i) {
                const Partition where{.topic = topic_of_producer(number),
                                      .index = static_cast<int32_t>(i)};
                co_await read_whole(where);
                wholes_[where.index] = std::exchange(whole_, {});
            }
            co_await consume(topic_of_producer(number));
        }
        --world_.clients_running;
    }
    Task<> read_whole(Partition where) {
        whole_.clear();
        int64_t end = -1;
        while (goes_on() && end < 0) {
            const auto told = co_await end_of(where);
            if (told) end = *told;
            if (!told) {
                refused(where.topic, told.error());
                co_await back_off();
            }
        }
        std::map<int32_t, int64_t> position{{where.index, 0}};
        while (goes_on() && position[where.index] < end) {
            const bool read = co_await fetch(where.topic, position);
            if (!read) co_await back_off();
        }
        if (goes_on()) world_.history.check_whole(where, whole_);
    }

    Task<> consume(std::string topic) {
        client::Consumer consumer(client_, topic);
        Status begun = fail(ErrorCode::none);
        while (goes_on() && !begun) {
            begun = co_await consumer.start(client::StartAt::earliest, deadline());
            if (!begun) refused(topic, begun.error());
            if (!begun) co_await back_off();
        }
        size_t left = 0;
        for (const auto& [index, whole] : wholes_) left += whole.size();
        std::map<int32_t, std::vector<uint64_t>> consumed;
        while (goes_on() && left > 0) {
            const auto records = co_await consumer.poll(std::chrono::milliseconds(100));
            if (!records) {
                refused(topic, records.error());
                co_await back_off();
                continue;
            }
            for (const client::ConsumedRecord& record : *records) {
                consumed[record.partition].push_back(hash_of(*record.value));
            }
            left -= std::min(left, records->size());
        }
        for (const auto& [index, whole] : wholes_) {
            if (!goes_on() || consumed[index] == whole) continue;
            world_.history.fail(
                fmt::format("{}-{}: the consumer read other records", topic, index));
        }
    }

    std::map<int32_t, std::vector<uint64_t>> wholes_;
    std::vector<uint64_t> whole_;
};

}  // namespace

void start_reader(ClusterWorld& world) {
    ++world.clients_running;
    world.world.add_machine("reader").add_process("reader", 1).start([&world](Process& process) {
        return std::make_unique<ReaderProgram>(world, process);
    });
}

void start_checker(ClusterWorld& world) {
    ++world.clients_running;
    world.world.add_machine("checker").add_process("checker", 1).start([&world](Process& process) {
        return std::make_unique<CheckerProgram>(world, process);
    });
}

}  // namespace ottla::sim
