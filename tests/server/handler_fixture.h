// SPDX-License-Identifier: Apache-2.0
// One shard with metadata of the test's own, a controller that is a script, and requests as bytes
// through the real dispatch: what a client would see, without sockets and disks.
#pragma once

#include <gtest/gtest.h>

#include "broker/shard.h"
#include "metadata/delta.h"
#include "protocol/message.h"
#include "server/dispatch.h"
#include "server/handlers/api_table.h"
#include "tests/base/manual_runtime.h"

namespace ottla::test {

class QuietLogger final : public Logger {
public:
    void write(LogLevel, std::string_view line) override { lines.emplace_back(line); }
    std::vector<std::string> lines;
};

/// No disk at all: whatever is asked for is not there.
class NoFiles final : public FileSystem {
public:
    explicit NoFiles(Runtime& runtime) : runtime_(runtime) {}
    void start(FileSystemOp& op) override {
        op.set_error({ErrorCode::not_found, "this test has no disk"});
        runtime_.ready(op);
    }

private:
    Runtime& runtime_;
};

class NoNetwork final : public Transport {
public:
    Result<std::unique_ptr<Listener>> listen(const Endpoint&, int) override {
        return fail(ErrorCode::io_error, "this test has no network");
    }
    Task<Result<std::unique_ptr<Stream>>> connect(Endpoint, Instant) override {
        co_return fail(ErrorCode::connection_refused, "this test has no network");
    }
};

class ScriptedController final : public broker::ControllerLink, public broker::DirectoryWatcher {
public:
    void directory_lost(const std::string&, const Error&) override {}
    Task<protocol::CreateTopicsResponse> create_topics(
        int16_t, protocol::CreateTopicsRequest request) override {
        protocol::CreateTopicsResponse response;
        for (const auto& topic : request.topics) {
            created.push_back(topic.name);
            auto& result = response.topics.emplace_back();
            result.name = topic.name;
            result.topic_id = Uuid{{7}};
        }
        co_return response;
    }
    Task<protocol::DeleteTopicsResponse> delete_topics(
        int16_t, protocol::DeleteTopicsRequest request) override {
        protocol::DeleteTopicsResponse response;
        for (const auto& topic : request.topics)
            response.responses.push_back({topic.name, {}, 0, {}});
        for (const auto& name : request.topic_names)
            response.responses.push_back({name, {}, 0, {}});
        co_return response;
    }
    Task<Result<broker::ProducerIdBlock>> allocate_producer_ids() override {
        ++blocks;
        co_return broker::ProducerIdBlock{blocks * 1000, 2};
    }
    Task<Status> assign_directories(std::vector<broker::AssignedLog>) override {
        co_return Status();
    }
    void log_moved(const broker::AssignedLog&) override {}
    std::vector<std::string> created;
    int64_t blocks = 0;
};

class HandlerTest : public testing::Test {
protected:
    static constexpr Uuid kTopicId{{1, 2, 3}};

    HandlerTest() {
        facts_.id = BrokerId{1};
        facts_.cluster_id = "test-cluster";
        facts_.auto_advertise = false;
        shard_ = std::make_unique<broker::Shard>(Ports{runtime_, files_, network_}, facts_, log_,
                                                 storage::StorageSettings{});
        broker::Shard* const all[] = {shard_.get()};
        shard_->join(all, controller_, controller_);
        dispatch_ = std::make_unique<server::Dispatch>(*shard_);
        publish_metadata();
    }

    /// Broker 1 on two listeners, topic "events" with partitions 0 (led by 1) and 1 (led by
    /// nobody).
    void publish_metadata() {
        metadata::MetadataImage image;
        metadata::Broker broker;
        broker.id = BrokerId{1};
        broker.fenced = false;
        broker.endpoints.push_back(
            {"PLAINTEXT", "advertised.test", 19092, metadata::SecurityProtocol::plaintext});
        image.brokers =
            image.brokers.with(broker.id, std::make_shared<const metadata::Broker>(broker));
        metadata::Topic topic;
        topic.name = "events";
        topic.id = kTopicId;
        for (const int32_t index : {0, 1}) {
            metadata::Partition partition;
            partition.replicas = {BrokerId{1}};
            partition.isr = {BrokerId{1}};
            partition.leader = index == 0 ? BrokerId{1} : kNoBroker;
            partition.leader_epoch = LeaderEpoch{4};
            topic.partitions = topic.partitions.with(
                PartitionIndex{index}, std::make_shared<const metadata::Partition>(partition));
        }
        const auto shared = std::make_shared<const metadata::Topic>(topic);
        image.topics = image.topics.with(topic.name, shared);
        image.topics_by_id = image.topics_by_id.with(topic.id, shared);
        image.features["metadata.version"] = 25;
        image.end = Offset{50};
        shard_->publish(std::make_shared<const metadata::MetadataImage>(image));
        runtime_.run();
    }

    /// The frame of a request, without its length.
    template <class Request>
    static Buffer frame_of(int16_t version, const Request& body) {
        const Chain whole = protocol::request_frame(77, "test-client", version, body);
        const Buffer flat = whole.flatten();
        return flat.slice(4, flat.size() - 4);
    }

    /// Admits, serves and runs until the answer is there.
    Result<server::Answer> serve(Buffer frame) {
        TRY(server::Request request, dispatch_->admit(session_, std::move(frame)));
        std::optional<server::Answer> answer;
        runtime_.spawn(keep(dispatch_->serve(session_, std::move(request)), answer));
        for (int turn = 0; turn < 100 && !answer; ++turn) runtime_.advance(std::chrono::seconds(1));
        CHECK(answer.has_value(), "every request is answered");
        return *std::move(answer);
    }
    static Task<> keep(Task<server::Answer> serving, std::optional<server::Answer>& into) {
        server::Answer answer = co_await std::move(serving);
        into.emplace(std::move(answer));
    }

    /// The typed answer, with its frame length and correlation id checked.
    template <class Request>
    typename Request::Response ask(int16_t version, const Request& body) {
        using Response = typename Request::Response;
        const Result<server::Answer> answer = serve(frame_of(version, body));
        CHECK(answer.has_value(), "the request is admitted");
        EXPECT_FALSE(answer->close) << answer->close_reason;
        const Buffer bytes = answer->frame.flatten();
        protocol::Reader reader(bytes);
        EXPECT_EQ(static_cast<size_t>(reader.int32()), bytes.size() - 4);
        const auto correlation =
            protocol::decode_response_header(reader, Request::kApiKey, version);
        EXPECT_EQ(correlation.value_or(-1), 77);
        Response response;
        const Status decoded = protocol::decode(reader, version, response);
        EXPECT_TRUE(decoded) << decoded.error().detail;
        EXPECT_TRUE(reader.finished()) << "version " << version;
        return response;
    }

    ManualRuntime runtime_;
    NoFiles files_{runtime_};
    NoNetwork network_;
    QuietLogger log_;
    ScriptedController controller_;
    broker::NodeFacts facts_;
    std::unique_ptr<broker::Shard> shard_;
    std::unique_ptr<server::Dispatch> dispatch_;
    server::Session session_{runtime_, "PLAINTEXT", {"dialled.test", 9092}, {"client.test", 4711}};
};

}  // namespace ottla::test
