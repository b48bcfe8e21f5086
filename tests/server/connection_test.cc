// SPDX-License-Identifier: Apache-2.0
#include "server/connection.h"

#include <gtest/gtest.h>

#include <map>

#include "tests/base/manual_runtime.h"
#include "tests/server/fake_stream.h"

namespace ottla::server {
namespace {

using namespace std::chrono_literals;

class LinesLogger final : public Logger {
public:
    void write(LogLevel, std::string_view line) override { lines.emplace_back(line); }
    std::vector<std::string> lines;
};

/// A frame is one letter for its flow (p, o, a; x is refused) and a name. Names that begin with '.'
/// are answered at once, '!' closes, '0' has no answer; everything else waits until the test lets
/// it go.
class LetterDispatcher final : public Dispatcher {
public:
    explicit LetterDispatcher(Runtime& runtime) : changed_(runtime) {}

    Result<Request> admit(const Session&, Buffer frame) override {
        const std::string_view text = frame.text();
        if (text.starts_with('x')) return fail(ErrorCode::unsupported_version, "no such request");
        Request request;
        request.flow = text[0] == 'p'   ? Flow::pipelined
                       : text[0] == 'o' ? Flow::one_at_a_time
                                        : Flow::alone;
        request.body = frame.slice(1, frame.size() - 1);
        return request;
    }
    Task<Answer> serve(Session& session, Request request) override {
        const std::string name(request.body.text());
        started.push_back(name);
        if (name[0] == '!') co_return Answer::closing("asked to");
        if (name[0] == '0') co_return Answer{};
        while (name[0] != '.' && !released_.contains(name) && !session.is_gone) {
            auto released = changed_.wait();
            auto gone = session.gone.wait();
            auto any = when_any(released, gone);
            (void)co_await any;
        }
        if (slices.contains(name)) co_return Answer{.frame = Chain(slices[name])};
        const auto size = released_.contains(name) ? released_[name] : 0;
        co_return Answer{.frame =
                             Chain(Buffer::copy_of("<" + name + std::string(size, '+') + ">"))};
    }
    void release(const std::string& name, size_t extra = 0) {
        released_[name] = extra;
        changed_.notify_all();
    }
    std::vector<std::string> started;
    std::map<std::string, Buffer> slices;  ///< answers of the test's own

private:
    std::map<std::string, size_t> released_;
    Event changed_;
};

std::string frame(std::string_view payload) {
    const auto size = static_cast<uint32_t>(payload.size());
    std::string bytes;
    for (const int shift : {24, 16, 8, 0}) bytes.push_back(static_cast<char>(size >> shift));
    return bytes.append(payload);
}

class Nobody final : public broker::ClientBytes::Owner {
public:
    void evict(const std::string&) override {}
};

class ConnectionTest : public testing::Test {
protected:
    static Task<> reserve(broker::ClientBytes& all, const bool* gives_up) {
        auto reserving = all.reserve(100, gives_up);
        const auto reservation = co_await std::move(reserving);
        (void)co_await all.runtime().sleep_for(1s);
    }
    /// Roots use the connection: they go first (in production the Server outlives them).
    ~ConnectionTest() override { runtime_.destroy_roots(); }
    void open(ConnectionLimits limits = {}, int64_t budget = 1 << 20) {
        frame_bytes_ = std::make_unique<Budget>(runtime_, budget);
        client_bytes_ = std::make_unique<broker::ClientBytes>(runtime_, client_limit_, 30s);
        services_ = std::make_unique<ConnectionServices>(
            ConnectionServices{runtime_, dispatcher_, *frame_bytes_, *client_bytes_, log_, limits});
        auto stream = std::make_unique<test::FakeStream>(runtime_);
        stream_ = stream.get();
        connection_ = std::make_unique<Connection>(*services_, std::move(stream), "PLAINTEXT");
        runtime_.spawn(run());
        runtime_.run();
    }
    Task<> run() {
        auto running = connection_->run();
        co_await std::move(running);
        ended_ = true;
    }
    void arrive(std::string_view bytes) {
        stream_->arrive(bytes);
        runtime_.run();
    }
    void release(const std::string& name, size_t extra = 0) {
        dispatcher_.release(name, extra);
        runtime_.run();
    }

    test::ManualRuntime runtime_;
    LetterDispatcher dispatcher_{runtime_};
    LinesLogger log_;
    std::unique_ptr<Budget> frame_bytes_;
    Nobody nobody_;
    size_t client_limit_ = 1 << 20;
    std::unique_ptr<broker::ClientBytes> client_bytes_;
    std::unique_ptr<ConnectionServices> services_;
    std::unique_ptr<Connection> connection_;
    test::FakeStream* stream_ = nullptr;
    bool ended_ = false;
};

TEST_F(ConnectionTest, AnswersLeaveInRequestOrderHoweverTheyFinish) {
    open();
    arrive(frame("pa") + frame("pb") + frame("pc"));
    EXPECT_EQ(dispatcher_.started, (std::vector<std::string>{"a", "b", "c"}));
    release("c");
    release("b");
    EXPECT_EQ(stream_->written, "");
    release("a");
    EXPECT_EQ(stream_->written, "<a><b><c>");
    EXPECT_EQ(stream_->writes, 1U);
}

TEST_F(ConnectionTest, ManyFramesOfOneReadAreAnsweredInOneWrite) {
    open();
    std::string bytes;
    for (int i = 0; i < 10; ++i) bytes += frame("p.");
    arrive(bytes);
    EXPECT_EQ(stream_->written.size(), 30U);
    EXPECT_EQ(stream_->writes, 1U);
}

TEST_F(ConnectionTest, TornFramesAreServedOnceTheyAreWhole) {
    open();
    for (const char byte : frame("p.abc") + frame("p.d")) arrive({&byte, 1});
    EXPECT_EQ(stream_->written, "<.abc><.d>");
}

TEST_F(ConnectionTest, AnOversizedFrameClosesWithOneLineAndNoAnswer) {
    open({.max_frame_bytes = 8});
    arrive(frame("p.") + frame("p.123456789"));
    EXPECT_EQ(stream_->written, "<.>");
    EXPECT_TRUE(stream_->closed);
    EXPECT_TRUE(ended_);
    EXPECT_EQ(log_.lines.size(), 1U);
}

TEST_F(ConnectionTest, WhatWasAskedBeforeGarbageIsStillAnswered) {
    open();
    arrive(frame("p.a") + frame("x") + frame("p.b"));
    EXPECT_EQ(stream_->written, "<.a>");
    EXPECT_EQ(dispatcher_.started, (std::vector<std::string>{".a"}));
    EXPECT_TRUE(ended_);
    ASSERT_EQ(log_.lines.size(), 1U);
    EXPECT_NE(log_.lines[0].find("no such request"), std::string::npos);
    EXPECT_NE(log_.lines[0].find("client.test"), std::string::npos);
}

TEST_F(ConnectionTest, AnAnswerThatClosesIsTheLast) {
    open();
    arrive(frame("p.a") + frame("p!") + frame("p.b"));
    EXPECT_EQ(stream_->written, "<.a>");
    EXPECT_TRUE(stream_->closed);
    EXPECT_TRUE(ended_);
}

TEST_F(ConnectionTest, ARequestWithoutAnswerTakesNoPlaceInTheStream) {
    open();
    arrive(frame("p.a") + frame("p0") + frame("p.b"));
    EXPECT_EQ(stream_->written, "<.a><.b>");
    EXPECT_FALSE(stream_->closed);
}

TEST_F(ConnectionTest, ARequestThatRunsAloneWaitsForThoseBeforeAndHoldsBackThoseBehind) {
    open();
    arrive(frame("pa") + frame("ab") + frame("p.c"));
    EXPECT_EQ(dispatcher_.started, (std::vector<std::string>{"a"}));
    release("a");
    EXPECT_EQ(dispatcher_.started, (std::vector<std::string>{"a", "b"}));
    release("b");
    EXPECT_EQ(stream_->written, "<a><b><.c>");
}

TEST_F(ConnectionTest, OnlyOneLongPollRunsAtATimeWhileOthersPassIt) {
    open();
    arrive(frame("oa") + frame("p.b"));
    EXPECT_EQ(dispatcher_.started, (std::vector<std::string>{"a", ".b"}));
    arrive(frame("oc"));
    EXPECT_EQ(dispatcher_.started.size(), 2U);
    release("a");
    EXPECT_EQ(dispatcher_.started.back(), "c");
}

TEST_F(ConnectionTest, AClientThatNeverReadsIsNotReadEither) {
    open({.queued_answer_bytes = 100});
    stream_->stalled = true;
    arrive(frame("pa"));
    release("a", 200);
    for (int i = 0; i < 50; ++i) arrive(frame("p.more"));
    EXPECT_FALSE(stream_->is_reading());
    EXPECT_EQ(dispatcher_.started.size(), 1U);
    EXPECT_LT(connection_->queued_answer_bytes(), 300U);
    stream_->resume_writes();
    runtime_.run();
    EXPECT_EQ(dispatcher_.started.size(), 51U);
    EXPECT_TRUE(stream_->is_reading());
}

TEST_F(ConnectionTest, RequestsInFlightAreBoundedInNumber) {
    open({.in_flight = 2});
    arrive(frame("pa") + frame("pb") + frame("pc"));
    EXPECT_EQ(dispatcher_.started.size(), 2U);
    EXPECT_FALSE(stream_->is_reading());
    release("a");
    EXPECT_EQ(dispatcher_.started.size(), 3U);
}

TEST_F(ConnectionTest, RequestsInFlightAreBoundedInBytesOverTheShard) {
    open({}, 6);
    arrive(frame("paaaa") + frame("pbbbb"));
    EXPECT_EQ(dispatcher_.started.size(), 1U);
    release("aaaa");
    EXPECT_EQ(dispatcher_.started.size(), 2U);
    release("bbbb");
    EXPECT_EQ(frame_bytes_->free(), 6);
}

TEST_F(ConnectionTest, ALargeAnswerLeavesInPiecesAndEachIsLetGoOnceItIsSent) {
    open();
    stream_->stalled = true;
    arrive(frame("pa"));
    release("a", 3'000'000);
    EXPECT_GT(connection_->queued_answer_bytes(), 3'000'000U);
    stream_->take_one_write();
    runtime_.run();
    EXPECT_LT(connection_->queued_answer_bytes(), 2'000'000U);
    stream_->resume_writes();
    runtime_.run();
    EXPECT_EQ(connection_->queued_answer_bytes(), 0U);
    EXPECT_EQ(stream_->written, "<a" + std::string(3'000'000, '+') + ">");
    EXPECT_EQ(client_bytes_->held(), 0U);
}

TEST_F(ConnectionTest, WhatWaitsDoesNotPinALargeBlock) {
    open();
    stream_->stalled = true;
    arrive(frame("p.first") + frame("pbig") + frame("psmall"));
    const BlockRef chunk = make_block(1 << 20);
    dispatcher_.slices["small"] = Buffer(chunk, 0, 100);
    dispatcher_.slices["big"] = Buffer(chunk, 0, 1 << 19);
    release("small");
    dispatcher_.slices.erase("small");
    dispatcher_.slices.erase("big");
    EXPECT_FALSE(chunk->is_shared());
}

TEST_F(ConnectionTest, UnderPressureAClientThatDoesNotReadLosesItsPlaceWithOneLine) {
    client_limit_ = 1000;
    open();
    stream_->stalled = true;
    arrive(frame("pa"));
    release("a", 2000);
    runtime_.advance(40s);
    EXPECT_FALSE(ended_);
    const bool never = false;
    runtime_.spawn(reserve(*client_bytes_, &never));
    runtime_.run();
    EXPECT_TRUE(ended_);
    ASSERT_EQ(log_.lines.size(), 1U);
    EXPECT_NE(log_.lines[0].find("client.test:50000: memory is short"), std::string::npos);
    connection_.reset();
    runtime_.advance(10s);
    EXPECT_EQ(client_bytes_->held(), 0U);
}

TEST_F(ConnectionTest, APartOfAFrameCountsAndItsClaimDoesNot) {
    open();
    std::string large = frame("p." + std::string(500'000, 'x'));
    arrive(std::string_view(large).substr(0, 10));
    EXPECT_LT(client_bytes_->held(), 10U);
    arrive(std::string_view(large).substr(10, 300'000));
    EXPECT_EQ(client_bytes_->held(), 300'006U);
    arrive(std::string_view(large).substr(300'010));
    EXPECT_EQ(client_bytes_->held(), 0U);
    EXPECT_EQ(dispatcher_.started.size(), 1U);
}

TEST_F(ConnectionTest, AFrameIsNotReadOnWhileTheShardHasNoMemoryAndAnotherGoesFirst) {
    client_limit_ = 1000;
    open();
    const bool never = false;
    broker::ClientBytes::Holder first(*client_bytes_, nobody_, broker::ClientBytes::Side::frames);
    runtime_.spawn(client_bytes_->wait_to_grow(first, 1000, &never));
    runtime_.run();
    const std::string large = frame("p." + std::string(5000, 'x'));
    arrive(std::string_view(large).substr(0, 1500));
    EXPECT_FALSE(stream_->is_reading());
    first.wait_for_client(false);
    arrive(std::string_view(large).substr(1500));
    EXPECT_EQ(dispatcher_.started.size(), 1U);
    EXPECT_TRUE(stream_->is_reading());
}

TEST_F(ConnectionTest, ClosingWhileAFrameWaitsForMemoryReturns) {
    client_limit_ = 1000;
    open();
    const bool never = false;
    broker::ClientBytes::Holder first(*client_bytes_, nobody_, broker::ClientBytes::Side::frames);
    runtime_.spawn(client_bytes_->wait_to_grow(first, 1000, &never));
    arrive(std::string_view(frame("p." + std::string(5000, 'x'))).substr(0, 1500));
    connection_->close();
    runtime_.run();
    EXPECT_TRUE(ended_);
}

TEST_F(ConnectionTest, TheEndOfTheClientEndsItsLongPoll) {
    open();
    arrive(frame("oa"));
    EXPECT_FALSE(ended_);
    stream_->end();
    runtime_.run();
    EXPECT_TRUE(ended_);
    EXPECT_EQ(frame_bytes_->free(), frame_bytes_->capacity());
}

TEST_F(ConnectionTest, ClosingWhileTheShardHasNoBytesLeftReturns) {
    open({}, 4);
    arrive(frame("paaa") + frame("pbbb"));
    connection_->close();
    runtime_.run();
    EXPECT_TRUE(ended_);
    EXPECT_EQ(frame_bytes_->free(), 4);
}

TEST_F(ConnectionTest, SilenceClosesButALongPollIsNotSilence) {
    open({.max_idle = 1s});
    arrive(frame("oa"));
    runtime_.advance(1500ms);
    EXPECT_FALSE(ended_);
    release("a");
    EXPECT_EQ(stream_->written, "<a>");
    runtime_.advance(2500ms);
    EXPECT_TRUE(ended_);
}

TEST_F(ConnectionTest, AWriteThatMakesNoProgressEndsTheConnection) {
    open({.max_idle = 1s});
    stream_->stalled = true;
    arrive(frame("p.a"));
    runtime_.advance(3s);
    EXPECT_TRUE(ended_);
}

}  // namespace
}  // namespace ottla::server
