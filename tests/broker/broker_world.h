// SPDX-License-Identifier: Apache-2.0
// A whole broker in a simulated world, and a client that speaks raw frames to it.
#pragma once

#include <gtest/gtest.h>

#include "ottla/broker.h"
#include "protocol/create_topics.h"
#include "protocol/fetch.h"
#include "protocol/frame.h"
#include "protocol/produce.h"
#include "records/records.h"
#include "tests/sim/machine.h"

namespace ottla::test {

using namespace std::chrono_literals;

class KeptLines final : public Logger {
public:
    void write(LogLevel level, std::string_view line) override {
        lines.emplace_back(line);
        if (level == LogLevel::error) errors.emplace_back(line);
    }
    std::vector<std::string> lines;
    std::vector<std::string> errors;
};

/// What runs in the simulated process.
struct BrokerProgram final : sim::Program {
    std::unique_ptr<Broker> broker;
};

/// One connection; requests are awaited one at a time unless the test writes frames itself.
class RawClient {
public:
    RawClient(Ports ports, Endpoint to) : ports_(ports), to_(std::move(to)) {}

    Task<Status> connect() {
        auto connecting = ports_.transport.connect(to_, ports_.runtime.now() + 5s);
        CO_TRY(stream_, co_await std::move(connecting));
        co_return Status();
    }
    Task<Status> send(Chain frames) { co_return co_await stream_->write(std::move(frames)); }
    /// The next answer's frame without its length; end_of_stream when the broker closed.
    Task<Result<Buffer>> receive() {
        while (frames_.empty()) {
            CO_TRY(const Buffer bytes, co_await stream_->read());
            CO_TRY_STATUS(reader_.feed(bytes, frames_));
        }
        Buffer first = frames_.front();
        frames_.erase(frames_.begin());
        co_return first;
    }
    template <class Request>
    Task<Result<typename Request::Response>> ask(int16_t version, Request request) {
        const int32_t id = ++correlation_;
        CO_TRY_STATUS(co_await send(protocol::request_frame(id, "raw", version, request)));
        CO_TRY(Buffer frame, co_await receive());
        protocol::Reader in(std::move(frame));
        CO_TRY(const int32_t answered,
               protocol::decode_response_header(in, Request::kApiKey, version));
        if (answered != id) co_return fail(ErrorCode::malformed, "an answer out of turn");
        typename Request::Response response;
        CO_TRY_STATUS(protocol::decode(in, version, response));
        CO_TRY_STATUS(in.finished());
        co_return response;
    }
    Stream& stream() { return *stream_; }
    void close() {
        if (stream_) stream_->close();
    }

private:
    Ports ports_;
    Endpoint to_;
    std::unique_ptr<Stream> stream_;
    protocol::FrameReader reader_{64UZ * 1024 * 1024};
    std::vector<Buffer> frames_;
    int32_t correlation_ = 0;
};

inline Task<Status> start_broker(Broker& broker) { co_return co_await broker.start(); }

class BrokerWorld : public testing::Test {
protected:
    static constexpr uint32_t kShards = 2;

    BrokerWorld()
        : world_(1),
          server_machine_(world_.add_machine("server")),
          client_machine_(world_.add_machine("laptop")),
          server_(server_machine_.add_process("broker", kShards)),
          laptop_(client_machine_.add_process("client", 1)) {
        (void)settings_.set("log.dirs", "/data", Settings::Source::file);
        laptop_.start();
    }

    /// Boots the process and waits until the broker serves.
    Status start() {
        server_.start([this](sim::Process& process) {
            auto program = std::make_unique<BrokerProgram>();
            auto made = make_broker({settings_, process.all_ports(), log_, {}});
            CHECK(made.has_value(), "the settings are fine");
            program->broker = *std::move(made);
            return program;
        });
        return sim::run(world_, server_.runtime(0), start_broker(broker()));
    }
    Broker& broker() { return *static_cast<BrokerProgram*>(server_.program())->broker; }
    void stop() {
        (void)sim::run(world_, server_.runtime(0), broker().stop());
        server_.kill();
    }
    void kill() { server_.kill(); }

    std::unique_ptr<RawClient> client() {
        auto made = std::make_unique<RawClient>(laptop_.ports(0), Endpoint{"server", 9092});
        const Status connected = run(made->connect());
        CHECK(connected.has_value(), "the broker accepts");
        return made;
    }
    template <class T>
    T run(Task<T> task) {
        return sim::run(world_, laptop_.runtime(0), std::move(task));
    }
    template <class Request>
    typename Request::Response ask(RawClient& raw, int16_t version, Request request) {
        auto answer = run(raw.ask(version, std::move(request)));
        CHECK(answer.has_value(), "an answer comes");
        return *std::move(answer);
    }

    Uuid create_topic(RawClient& raw, const std::string& name, int32_t partitions) {
        protocol::CreateTopicsRequest request;
        request.topics.push_back({name, partitions, 1, {}, {}});
        const auto response = ask(raw, 7, request);
        EXPECT_EQ(response.topics.at(0).error_code, 0)
            << response.topics.at(0).error_message.value_or("");
        return response.topics.at(0).topic_id;
    }
    static Buffer batch_of(std::vector<std::string> values) {
        Codecs codecs;
        BatchBuilder builder(codecs, {});
        for (const std::string& value : values) {
            builder.append(WallTime{1000}, std::nullopt, as_bytes(value));
        }
        return *builder.finish();
    }
    static protocol::ProduceRequest produce_request(int16_t version,
                                                    const std::string& topic,
                                                    Uuid id,
                                                    int32_t partition,
                                                    Buffer batch,
                                                    int16_t acks = -1) {
        protocol::ProduceRequest request;
        request.acks = acks;
        request.timeout_ms = 10'000;
        auto& data = request.topic_data.emplace_back();
        if (version >= 13) {
            data.topic_id = id;
        } else {
            data.name = topic;
        }
        data.partition_data.push_back({partition, std::move(batch)});
        return request;
    }
    static protocol::FetchRequest fetch_request(int16_t version,
                                                const std::string& topic,
                                                Uuid id,
                                                std::vector<std::pair<int32_t, int64_t>> from,
                                                int32_t wait_ms = 0) {
        protocol::FetchRequest request;
        request.max_wait_ms = wait_ms;
        request.min_bytes = 1;
        request.max_bytes = 10 << 20;
        auto& wanted = request.topics.emplace_back();
        if (version >= 13) {
            wanted.topic_id = id;
        } else {
            wanted.topic = topic;
        }
        for (const auto& [partition, offset] : from) {
            protocol::FetchRequest::FetchPartition one;
            one.partition = partition;
            one.fetch_offset = offset;
            one.partition_max_bytes = 1 << 20;
            wanted.partitions.push_back(one);
        }
        return request;
    }
    /// The values of all records in a partition's answer.
    static std::vector<std::string> values_of(const std::optional<Chain>& records) {
        std::vector<std::string> values;
        if (!records) return values;
        const Buffer bytes = records->flatten();
        BatchCursor cursor(bytes.span(), BatchCursor::Crc::check);
        while (cursor.next() == BatchStep::batch) {
            RecordIterator each(cursor.batch(), cursor.batch().payload());
            Record record;
            while (each.next(record)) values.emplace_back(as_text(*record.value));
        }
        return values;
    }

    sim::World world_;
    sim::Machine& server_machine_;
    sim::Machine& client_machine_;
    sim::Process& server_;
    sim::Process& laptop_;
    Settings settings_;
    KeptLines log_;
};

}  // namespace ottla::test
