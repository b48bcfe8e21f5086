// SPDX-License-Identifier: Apache-2.0
// A client's connection against a scripted broker, over the simulated network.
#include "client/connection.h"

#include <gtest/gtest.h>

#include "protocol/metadata.h"
#include "tests/sim/machine.h"

namespace ottla::client {
namespace {

using namespace std::chrono_literals;
using protocol::ApiVersionsResponse;
using protocol::MetadataRequest;
using protocol::MetadataResponse;

const Endpoint kAddress{"machine", 9092};

/// What the scripted broker does with the requests behind ApiVersions.
enum class Script : uint8_t { answer, answer_with_wrong_id, stay_silent, hang_up };

Chain versions_answer(int32_t id) {
    ApiVersionsResponse response;
    response.api_keys.push_back({.api_key = 3, .min_version = 0, .max_version = 9});
    return protocol::response_frame(id, 3, response);
}

/// The cluster id tells which request was answered.
Chain metadata_answer(int32_t id) {
    MetadataResponse response;
    response.cluster_id = std::to_string(id);
    return protocol::response_frame(id, 9, response);
}

Task<Status> answer_frame(Stream& stream, Buffer frame, Script script) {
    protocol::Reader in(std::move(frame));
    CO_TRY(const auto header, protocol::decode_request_header(in));
    const int32_t id = header.correlation_id;
    if (header.request_api_key == 18) co_return co_await stream.write(versions_answer(id));
    if (script == Script::answer) co_return co_await stream.write(metadata_answer(id));
    if (script == Script::answer_with_wrong_id) {
        co_return co_await stream.write(metadata_answer(id + 1000));
    }
    if (script == Script::hang_up) stream.close();
    co_return Status{};
}

Task<> serve(Ports ports, Script script) {
    auto listener = ports.transport.listen(kAddress, 5);
    CHECK(listener.has_value(), "the port is free");
    auto stream = co_await (*listener)->accept();
    if (!stream) co_return;
    protocol::FrameReader reader(1 << 20);
    while (true) {
        const auto bytes = co_await (*stream)->read();
        if (!bytes) break;
        std::vector<Buffer> frames;
        if (!reader.feed(*bytes, frames)) break;
        for (Buffer& frame : frames) {
            const Status done = co_await answer_frame(**stream, std::move(frame), script);
            if (!done) break;
        }
    }
    (*stream)->close();
    (*listener)->close();
}

class ClientConnection : public testing::Test {
protected:
    /// Opens a connection to a broker that follows `script`.
    std::unique_ptr<Connection> open(Script script) {
        bench_.runtime().spawn(serve(ports(), script));
        auto opened = bench_.run(Connection::open(ports(), kAddress, {}, in(10s)));
        CHECK(opened.has_value(), "the scripted broker accepts");
        return *std::move(opened);
    }
    Ports ports() { return bench_.process.ports(0); }
    Instant in(Duration span) { return bench_.runtime().now() + span; }
    std::vector<Result<MetadataResponse>> ask(Connection& connection,
                                              int count,
                                              Duration patience) {
        std::vector<Task<Result<MetadataResponse>>> calls;
        for (int i = 0; i < count; ++i) {
            calls.push_back(connection.call(MetadataRequest{}, in(patience)));
        }
        return bench_.run(when_all(bench_.runtime(), std::move(calls)));
    }

    sim::Bench bench_{7};
};

TEST_F(ClientConnection, ManyRequestsInFlightEachGetTheirOwnAnswer) {
    auto connection = open(Script::answer);
    const auto answers = ask(*connection, 20, 10s);
    for (size_t i = 0; i < answers.size(); ++i) {
        ASSERT_TRUE(answers[i]);
        EXPECT_EQ(answers[i]->cluster_id, std::to_string(i + 2)) << "1 was ApiVersions";
    }
    bench_.run(connection->close());
}

TEST_F(ClientConnection, TheNewestVersionOfBothSidesIsUsedAndNoneInCommonIsAnError) {
    auto connection = open(Script::answer);
    EXPECT_EQ(connection->version_of(protocol::ApiKey::metadata).value(), 9);
    EXPECT_EQ(connection->version_of(protocol::ApiKey::metadata, 4).value(), 4);
    EXPECT_EQ(connection->version_of(protocol::ApiKey::fetch).error().code,
              ErrorCode::unsupported_version);
    bench_.run(connection->close());
}

TEST_F(ClientConnection, AWrongCorrelationIdEndsItForEverybody) {
    auto connection = open(Script::answer_with_wrong_id);
    for (const auto& answer : ask(*connection, 3, 10s)) {
        ASSERT_FALSE(answer);
        EXPECT_EQ(answer.error().code, ErrorCode::malformed);
    }
    EXPECT_TRUE(connection->has_ended());
    bench_.run(connection->close());
}

TEST_F(ClientConnection, AnAnswerThatDoesNotComeInTimeEndsItForEverybody) {
    auto connection = open(Script::stay_silent);
    for (const auto& answer : ask(*connection, 2, 3s)) {
        ASSERT_FALSE(answer);
        EXPECT_EQ(answer.error().code, ErrorCode::request_timed_out);
    }
    EXPECT_FALSE(bench_.run(connection->call(MetadataRequest{}, in(1s))));
    bench_.run(connection->close());
}

Task<> note_end(Task<Result<MetadataResponse>> call, int& ended) {
    static_cast<void>(co_await std::move(call));
    ++ended;
}

// The simulated clients found it: a call that had its error, but not its turn, came back to a
// connection that another user of the Client had closed and destroyed meanwhile.
TEST_F(ClientConnection, CloseReturnsOnlyWhenNoCallIsInsideAnyMore) {
    for (int round = 0; round < 20; ++round) {
        bench_.kill();
        auto connection = open(Script::stay_silent);
        int ended = 0;
        for (int i = 0; i < 3; ++i) {
            bench_.runtime().spawn(note_end(connection->call(MetadataRequest{}, in(10s)), ended));
        }
        bench_.run(connection->close());
        EXPECT_EQ(ended, 3);
    }
}

TEST_F(ClientConnection, AHangUpFailsWhatIsInFlight) {
    auto connection = open(Script::hang_up);
    EXPECT_FALSE(ask(*connection, 1, 10s)[0]);
    EXPECT_TRUE(connection->has_ended());
    bench_.run(connection->close());
}

}  // namespace
}  // namespace ottla::client
