// SPDX-License-Identifier: Apache-2.0
// What Produce, Fetch, ListOffsets and the topic requests promise beyond their usual case, over the
// wire of a whole broker: limits, epochs, refusals, and what happens beside a deletion. The facts
// are Kafka's (docs/KAFKA_TRAPS.md); numbers in comments are its traps.
#include "protocol/delete_records.h"
#include "protocol/delete_topics.h"
#include "protocol/init_producer_id.h"
#include "protocol/list_offsets.h"
#include "protocol/metadata.h"
#include "tests/broker/broker_world.h"

namespace ottla {
namespace {

using namespace std::chrono_literals;
using protocol::FetchRequest;
using protocol::FetchResponse;
using protocol::ProduceRequest;
using protocol::ProduceResponse;
using Values = std::vector<std::string>;

class RequestsTest : public test::BrokerWorld {
protected:
    void SetUp() override {
        ASSERT_TRUE(start());
        raw_ = client();
    }
    void TearDown() override { stop(); }

    Uuid make_topic(const std::string& name,
                    int32_t partitions,
                    std::vector<std::pair<std::string, std::string>> configs = {}) {
        protocol::CreateTopicsRequest request;
        auto& topic = request.topics.emplace_back();
        topic.name = name;
        topic.num_partitions = partitions;
        topic.replication_factor = 1;
        for (auto& [key, value] : configs) topic.configs.push_back({key, value});
        const auto response = ask(*raw_, 7, request);
        EXPECT_EQ(response.topics.at(0).error_code, 0)
            << response.topics.at(0).error_message.value_or("");
        return response.topics.at(0).topic_id;
    }
    ProduceResponse::PartitionProduceResponse produce(
        Uuid id, int32_t partition, Buffer batch, int16_t version = 13, int16_t acks = -1) {
        return ask(*raw_, version, produce_request(version, "t", id, partition, batch, acks))
            .responses.at(0)
            .partition_responses.at(0);
    }
    FetchResponse fetch(FetchRequest request, int16_t version = 13) {
        return ask(*raw_, version, std::move(request));
    }
    static const FetchResponse::PartitionData& at(const FetchResponse& response, size_t index) {
        return response.responses.at(0).partitions.at(index);
    }
    template <class Response>
    static Response decoded(const Result<Buffer>& frame, int16_t version, int32_t correlation) {
        CHECK(frame.has_value(), "an answer comes");
        protocol::Reader in(*frame);
        EXPECT_EQ(protocol::decode_response_header(in, Response::Request::kApiKey, version),
                  correlation);
        Response response;
        EXPECT_TRUE(protocol::decode(in, version, response));
        return response;
    }
    int32_t leader_epoch() {
        protocol::MetadataRequest everything;
        return ask(*raw_, 12, everything).topics.at(0).partitions.at(0).leader_epoch;
    }
    int16_t delete_topic(test::RawClient& through, const std::string& name) {
        protocol::DeleteTopicsRequest request;
        request.topics.push_back({name, {}});
        return ask(through, 6, request).responses.at(0).error_code;
    }

    std::unique_ptr<test::RawClient> raw_;
};

using FetchRules = RequestsTest;

TEST_F(FetchRules, MaxBytesHoldsOverAllPartitionsInRequestOrderBehindTheFirstBatch) {
    const Uuid id = make_topic("t", 4);
    for (int32_t p = 0; p < 4; ++p) {
        for (int i = 0; i < 2; ++i) {
            ASSERT_EQ(produce(id, p, batch_of({std::string(1000, 'a')})).error_code, 0);
        }
    }
    auto request = fetch_request(13, "", id, {{2, 0}, {0, 0}, {3, 0}, {1, 0}});
    request.max_bytes = 3500;
    const FetchResponse some = fetch(request);
    const auto count = [](const FetchResponse& response, size_t i) {
        return values_of(at(response, i).records).size();
    };
    EXPECT_EQ(count(some, 0), 2U);  // In the order of the request, not of partitions or shards.
    size_t bytes = 0;
    for (size_t i = 0; i < 4; ++i) {
        EXPECT_EQ(at(some, i).error_code, 0);
        EXPECT_EQ(at(some, i).high_watermark, 2);
        bytes += at(some, i).records->size();
    }
    EXPECT_GT(bytes, 2000U);
    EXPECT_LE(bytes, 3500U);
    // A partition's own limit is broken by the first of all only; an empty one before it is none.
    request = fetch_request(13, "", id, {{2, 2}, {0, 0}, {3, 0}});
    for (auto& partition : request.topics[0].partitions) partition.partition_max_bytes = 100;
    const FetchResponse first = fetch(request);
    EXPECT_EQ(count(first, 0), 0U);
    EXPECT_EQ(count(first, 1), 1U);
    EXPECT_EQ(count(first, 2), 0U);
    request.max_bytes = 0;
    EXPECT_EQ(count(fetch(request), 1), 1U);
}

TEST_F(FetchRules, MinBytesWaitsForTheSumOfAllPartitions) {
    const Uuid id = make_topic("t", 3);
    auto request = fetch_request(13, "", id, {{0, 0}, {1, 0}, {2, 0}}, 20'000);
    request.min_bytes = 3000;
    auto waiting = client();
    ASSERT_TRUE(run(waiting->send(protocol::request_frame(5, "raw", 13, request))));
    const Duration before = world_.now();
    for (int32_t p = 0; p < 3; ++p) {
        world_.run_for(1s);
        ASSERT_EQ(produce(id, p, batch_of({std::string(1000, 'm')})).error_code, 0);
    }
    const auto response = decoded<FetchResponse>(run(waiting->receive()), 13, 5);
    EXPECT_GE(world_.now() - before, 3s);
    EXPECT_LT(world_.now() - before, 5s);
    for (size_t i = 0; i < 3; ++i) EXPECT_EQ(values_of(at(response, i).records).size(), 1U);
}

TEST_F(FetchRules, AnErrorOrNothingToWaitForIsAnsweredAtOnce) {
    const Uuid id = make_topic("t", 2);
    const Duration before = world_.now();
    EXPECT_EQ(at(fetch(fetch_request(13, "", id, {{0, 0}, {7, 0}}, 20'000)), 1).error_code, 3);
    EXPECT_EQ(at(fetch(fetch_request(12, "gone", {}, {{0, 0}}, 20'000), 12), 0).error_code, 3);
    EXPECT_TRUE(fetch(fetch_request(13, "", id, {}, 20'000)).responses.at(0).partitions.empty());
    auto nothing = fetch_request(13, "", id, {{0, 0}}, 20'000);
    nothing.min_bytes = 0;
    EXPECT_EQ(at(fetch(nothing), 0).error_code, 0);
    EXPECT_LT(world_.now() - before, 2s);
}

TEST_F(FetchRules, OldAndNewLeaderEpochsAreToldApart) {
    const Uuid id = make_topic("t", 1);
    ASSERT_EQ(produce(id, 0, batch_of({"a"})).error_code, 0);
    stop();
    ASSERT_TRUE(start());
    raw_ = client();
    const int32_t epoch = leader_epoch();
    ASSERT_GT(epoch, 0);
    const int16_t expected[] = {74, 0, 75};
    for (int32_t i = 0; i < 3; ++i) {
        auto request = fetch_request(13, "", id, {{0, 0}});
        request.topics[0].partitions[0].current_leader_epoch = epoch - 1 + i;
        EXPECT_EQ(at(fetch(request), 0).error_code, expected[i]);
        protocol::ListOffsetsRequest offsets;
        offsets.topics.push_back({"t", {{0, epoch - 1 + i, -2}}});
        const auto found = ask(*raw_, 7, offsets).topics.at(0).partitions.at(0);
        EXPECT_EQ(found.error_code, expected[i]);
        // The record was written under the epoch before.
        if (expected[i] == 0) EXPECT_LT(found.leader_epoch, epoch);
    }
    auto fenced = fetch_request(16, "", id, {{0, 0}});
    fenced.topics[0].partitions[0].current_leader_epoch = epoch - 1;
    const FetchResponse hinted = fetch(fenced, 16);  // KIP-951
    EXPECT_EQ(at(hinted, 0).current_leader.leader_id, 1);
    EXPECT_EQ(at(hinted, 0).current_leader.leader_epoch, epoch);
    ASSERT_EQ(hinted.node_endpoints.size(), 1U);
    EXPECT_EQ(hinted.node_endpoints[0].host, "server");
}

TEST_F(FetchRules, SessionsAreAnsweredAsABrokerWithoutRoomForThem) {
    const Uuid id = make_topic("t", 1);
    struct Case {
        int32_t session;
        int32_t epoch;
        int16_t error;
    };
    const Case cases[] = {{0, -1, 0}, {0, 0, 0}, {0, 1, 70}, {5, 0, 70}, {5, 1, 70}, {5, -1, 0}};
    for (const Case& one : cases) {
        auto request = fetch_request(13, "", id, {{0, 0}});
        request.session_id = one.session;
        request.session_epoch = one.epoch;
        const FetchResponse response = fetch(request);
        EXPECT_EQ(response.error_code, one.error) << one.session << "/" << one.epoch;
        EXPECT_EQ(response.session_id, 0);
        EXPECT_EQ(response.responses.size(), one.error == 0 ? 1U : 0U);
    }
}

TEST_F(FetchRules, AFollowerThatNobodyKnowsIsRefused) {
    const Uuid id = make_topic("t", 1);
    auto request = fetch_request(15, "", id, {{0, 0}});
    request.replica_state.replica_id = 2;
    EXPECT_EQ(at(fetch(request, 15), 0).error_code, 6);
}

TEST_F(FetchRules, ADeletionEndsALongPollAndNothingIsReadAfterwards) {
    const Uuid id = make_topic("t", 2);
    auto waiting = client();
    const auto request = fetch_request(13, "", id, {{0, 0}, {1, 0}}, 600'000);
    ASSERT_TRUE(run(waiting->send(protocol::request_frame(5, "raw", 13, request))));
    world_.run_for(1s);
    const Duration before = world_.now();
    EXPECT_EQ(delete_topic(*raw_, "t"), 0);
    const auto response = decoded<FetchResponse>(run(waiting->receive()), 13, 5);
    EXPECT_LT(world_.now() - before, 5s);
    for (const auto& partition : response.responses.at(0).partitions) {
        // Whichever it saw first: no leader here any more, or no such topic.
        EXPECT_TRUE(partition.error_code == 6 || partition.error_code == 100)
            << partition.error_code;
        EXPECT_EQ(partition.high_watermark, -1);
    }
    EXPECT_EQ(at(fetch(fetch_request(13, "", id, {{0, 0}})), 0).error_code, 100);
    EXPECT_EQ(at(fetch(fetch_request(12, "t", id, {{0, 0}}), 12), 0).error_code, 3);
}

class SlowClients : public RequestsTest {
protected:
    void SetUp() override {
        // The least that a shard gets for slow clients is 4 MiB.
        ASSERT_TRUE(settings_.set("ottla.memory.bytes", "1", Settings::Source::file));
        // The records have timestamps of 1970, and this takes longer than the first retention.
        ASSERT_TRUE(settings_.set("log.retention.ms", "-1", Settings::Source::file));
        RequestsTest::SetUp();
    }
};

TEST_F(SlowClients, ThatNeverReadMakeRoomForTheOthersAndAreNamedInTheLog) {
    const Uuid id = make_topic("t", 1);
    for (int i = 0; i < 8; ++i) {
        ASSERT_EQ(produce(id, 0, batch_of({std::string(900'000, 'x')})).error_code, 0);
    }
    const auto request = fetch_request(13, "", id, {{0, 0}});
    std::vector<std::unique_ptr<test::RawClient>> slow;
    for (int i = 0; i < 30; ++i) {
        slow.push_back(client());
        for (int times = 0; times < 5; ++times) {
            const Chain frame = protocol::request_frame(times, "slow", 13, request);
            ASSERT_TRUE(run(slow.back()->send(frame)));
        }
    }
    const Duration begun = world_.now();
    for (int i = 0; i < 6; ++i) {
        auto good = client();
        const Duration before = world_.now();
        const auto response = ask(*good, 13, request);
        EXPECT_EQ(values_of(at(response, 0).records).size(), 1U);
        // Memory is handed out in turn, and each slow client costs its patience once.
        EXPECT_LT(world_.now() - before, 60s);
    }
    // Ten seconds of patience for each of the thirty.
    EXPECT_LT(world_.now() - begun, 310s);
    const auto evicted = std::ranges::count_if(log_.lines, [](const std::string& line) {
        return line.find("memory is short") != std::string::npos;
    });
    EXPECT_GT(evicted, 5);
    EXPECT_LE(evicted, 30);
    EXPECT_EQ(log_.errors.size(), 0U);
}

using ProduceRefusals = RequestsTest;

TEST_F(ProduceRefusals, EveryAcksWritesAndZeroSaysNothing) {
    const Uuid id = make_topic("t", 1);
    EXPECT_EQ(produce(id, 0, batch_of({"all"}), 13, -1).base_offset, 0);
    EXPECT_EQ(produce(id, 0, batch_of({"leader"}), 13, 1).base_offset, 1);
    const auto none = produce_request(13, "", id, 0, batch_of({"none"}), 0);
    ASSERT_TRUE(run(raw_->send(protocol::request_frame(1, "raw", 13, none))));
    EXPECT_EQ(produce(id, 0, batch_of({"after"})).base_offset, 3);
    for (const int acks : {-2, 2, 100}) {
        const auto answer = produce(id, 0, batch_of({"x"}), 13, static_cast<int16_t>(acks));
        EXPECT_EQ(answer.error_code, 21);
        EXPECT_EQ(answer.base_offset, -1);
    }
    const FetchResponse all = fetch(fetch_request(13, "", id, {{0, 0}}));
    EXPECT_EQ(values_of(at(all, 0).records), (Values{"all", "leader", "none", "after"}));
}

TEST_F(ProduceRefusals, SizesAndChecksumsAreHeldAgainstTheTopicsRules) {
    const Uuid id = make_topic("t", 1, {{"max.message.bytes", "2000"}});
    EXPECT_EQ(produce(id, 0, batch_of({std::string(3000, 'x')})).error_code, 10);
    const Buffer whole = batch_of({"value"});
    std::string damaged(whole.text());
    damaged[damaged.size() - 2] ^= 1;
    EXPECT_EQ(produce(id, 0, Buffer::copy_of(damaged)).error_code, 2);
    std::string old_magic(whole.text());
    old_magic[16] = 1;
    EXPECT_NE(produce(id, 0, Buffer::copy_of(old_magic)).error_code, 0);
    const std::string twice = std::string(whole.text()) + std::string(whole.text());
    EXPECT_EQ(produce(id, 0, Buffer::copy_of(twice)).error_code, 87);
    EXPECT_EQ(produce(id, 0, whole).base_offset, 0);
}

TEST_F(ProduceRefusals, OneBadPartitionDoesNotSpoilTheOthers) {
    const Uuid id = make_topic("t", 4);
    auto request = produce_request(13, "", id, 0, batch_of({"zero"}));
    std::string damaged(batch_of({"one"}).text());
    damaged.back() ^= 1;
    auto& partitions = request.topic_data[0].partition_data;
    partitions.push_back({1, Buffer::copy_of(damaged)});
    partitions.push_back({9, batch_of({"nine"})});
    partitions.push_back({3, batch_of({"three"})});
    auto& other = request.topic_data.emplace_back();
    other.topic_id = Uuid{{9}};
    other.partition_data.push_back({0, batch_of({"nowhere"})});
    const ProduceResponse response = ask(*raw_, 13, request);
    const auto& answers = response.responses.at(0).partition_responses;
    const int16_t expected[] = {0, 2, 3, 0};
    for (size_t i = 0; i < 4; ++i) EXPECT_EQ(answers.at(i).error_code, expected[i]) << i;
    EXPECT_EQ(response.responses.at(1).partition_responses.at(0).error_code, 100);
    const FetchResponse read = fetch(fetch_request(13, "", id, {{0, 0}, {1, 0}, {3, 0}}));
    EXPECT_EQ(values_of(at(read, 0).records), Values{"zero"});
    EXPECT_TRUE(values_of(at(read, 1).records).empty());
    EXPECT_EQ(values_of(at(read, 2).records), Values{"three"});
}

TEST_F(ProduceRefusals, InvalidRecordsAreNamedOneByOneFromVersionEight) {
    const Uuid id = make_topic("t", 1, {{"cleanup.policy", "compact"}});
    Codecs codecs;
    BatchBuilder builder(codecs, {});
    builder.append(WallTime{1000}, as_bytes("key"), as_bytes("fine"));
    builder.append(WallTime{1000}, std::nullopt, as_bytes("keyless"));
    builder.append(WallTime{1000}, std::nullopt, as_bytes("keyless too"));
    const Buffer batch = *builder.finish();
    const auto refused = produce(id, 0, batch, 8);
    EXPECT_EQ(refused.error_code, 87);
    ASSERT_EQ(refused.record_errors.size(), 2U);
    EXPECT_EQ(refused.record_errors[0].batch_index, 1);
    EXPECT_EQ(refused.record_errors[1].batch_index, 2);
    EXPECT_FALSE(refused.record_errors[0].batch_index_error_message.value_or("").empty());
    EXPECT_TRUE(refused.error_message.has_value());
    const auto old = produce(id, 0, batch, 7);
    EXPECT_EQ(old.error_code, 87);
    EXPECT_TRUE(old.record_errors.empty());
}

TEST_F(ProduceRefusals, TimestampsBeyondTheBoundsAreRefused) {
    const Uuid id = make_topic(
        "t", 1,
        {{"message.timestamp.before.max.ms", "1000"}, {"message.timestamp.after.max.ms", "1000"}});
    const int64_t now = laptop_.runtime(0).wall_time().value();
    Codecs codecs;
    const auto at_time = [&](int64_t timestamp) {
        BatchBuilder builder(codecs, {});
        builder.append(WallTime{timestamp}, std::nullopt, as_bytes("x"));
        return produce(id, 0, *builder.finish()).error_code;
    };
    EXPECT_EQ(at_time(now - 60'000), 32);
    EXPECT_EQ(at_time(now + 60'000), 32);
    EXPECT_EQ(at_time(now), 0);
    EXPECT_EQ(at_time(-1), 0);  // None given is none to refuse.
}

TEST_F(ProduceRefusals, LogAppendTimeIsTheBrokersAndIsTold) {
    const Uuid id = make_topic("t", 1, {{"message.timestamp.type", "LogAppendTime"}});
    const int64_t now = laptop_.runtime(0).wall_time().value();
    const auto answer = produce(id, 0, batch_of({"x"}));
    EXPECT_GE(answer.log_append_time_ms, now - 1000);
    protocol::ListOffsetsRequest request;
    request.topics.push_back({"t", {{0, -1, -3}}});
    EXPECT_EQ(ask(*raw_, 7, request).topics.at(0).partitions.at(0).timestamp,
              answer.log_append_time_ms);
}

TEST_F(ProduceRefusals, TransactionsAndInternalTopicsAreRefusedClearly) {
    const Uuid id = make_topic("t", 1);
    auto request = produce_request(13, "", id, 0, batch_of({"x"}));
    request.transactional_id = "tx";
    const auto refused = ask(*raw_, 13, request).responses.at(0).partition_responses.at(0);
    EXPECT_EQ(refused.error_code, 35);
    EXPECT_NE(refused.error_message.value_or("").find("transactions"), std::string::npos);
    Codecs codecs;
    BatchBuilder builder(codecs, {.transactional = true,
                                  .producer_id = ProducerId{1},
                                  .producer_epoch = ProducerEpoch{0},
                                  .base_sequence = 0});
    builder.append(WallTime{1000}, std::nullopt, as_bytes("x"));
    EXPECT_EQ(produce(id, 0, *builder.finish()).error_code, 35);
    const Uuid internal = make_topic("__consumer_offsets", 1);
    EXPECT_EQ(produce(internal, 0, batch_of({"x"})).error_code, 17);
}

TEST_F(ProduceRefusals, PipelinedRequestsOverShardsAreAnsweredInTheirOrder) {
    const Uuid id = make_topic("t", 4);
    Chain frames;
    for (int32_t i = 0; i < 40; ++i) {
        frames.append(protocol::request_frame(
            i, "raw", 13,
            produce_request(13, "", id, i * 7 % 4, batch_of({std::to_string(i)}),
                            i % 2 == 0 ? int16_t{1} : int16_t{-1})));
    }
    ASSERT_TRUE(run(raw_->send(frames)));
    std::map<int32_t, int64_t> next;
    for (int32_t i = 0; i < 40; ++i) {
        const auto response = decoded<ProduceResponse>(run(raw_->receive()), 13, i);
        const auto& answer = response.responses.at(0).partition_responses.at(0);
        EXPECT_EQ(answer.error_code, 0);
        EXPECT_EQ(answer.base_offset, next[answer.index]++);
    }
    EXPECT_EQ(next.size(), 4U);
}

TEST_F(ProduceRefusals, ADeletionUnderWritersLeavesNobodyWaiting) {
    const Uuid id = make_topic("t", 4);
    Chain frames;
    for (int32_t i = 0; i < 200; ++i) {
        frames.append(protocol::request_frame(i, "raw", 13,
                                              produce_request(13, "", id, i % 4, batch_of({"x"}))));
    }
    auto writer = client();
    ASSERT_TRUE(run(writer->send(frames)));
    EXPECT_EQ(delete_topic(*raw_, "t"), 0);
    bool refused = false;
    for (int32_t i = 0; i < 200; ++i) {
        const auto response = decoded<ProduceResponse>(run(writer->receive()), 13, i);
        const int16_t error = response.responses.at(0).partition_responses.at(0).error_code;
        const bool known = error == 0 || error == 3 || error == 6 || error == 100;
        EXPECT_TRUE(known) << error;
        refused = refused || error != 0;
    }
    const auto late = produce_request(13, "", id, 0, batch_of({"late"}));
    EXPECT_EQ(ask(*writer, 13, late).responses.at(0).partition_responses.at(0).error_code, 100);
    const Uuid again = make_topic("t", 4);
    EXPECT_EQ(produce(again, 0, batch_of({"fresh"})).base_offset, 0);
}

using TopicRules = RequestsTest;

TEST_F(TopicRules, BadNamesCountsAndSettingsAreRefusedByCode) {
    (void)make_topic("a.b", 1);
    struct Case {
        std::string name;
        int32_t partitions;
        int16_t replication;
        int16_t error;
        std::vector<protocol::CreateTopicsRequest::CreatableTopicConfig> configs = {};
    };
    const std::vector<Case> cases = {
        {"", 1, 1, 17},
        {".", 1, 1, 17},
        {"..", 1, 1, 17},
        {"no/slash", 1, 1, 17},
        {std::string(250, 'x'), 1, 1, 17},
        {"a_b", 1, 1, 17},
        {"a.b", 1, 1, 36},
        {"zero", 0, 1, 37},
        {"minus", -2, 1, 37},
        {"replicas", 1, 2, 38},
        {"none", 1, 0, 38},
        {"unknown", 1, 1, 40, {{"no.such.setting", "1"}}},
        {"value", 1, 1, 40, {{"retention.ms", "soon"}}},
        {"lags", 1, 1, 40, {{"min.compaction.lag.ms", "5"}, {"max.compaction.lag.ms", "4"}}},
        {"null", 1, 1, 40, {{"retention.ms", std::nullopt}}},
        {std::string(249, 'x'), 1, 1, 0},
        {"defaults", -1, -1, 0},
    };
    protocol::CreateTopicsRequest request;
    for (const Case& one : cases) {
        request.topics.push_back({one.name, one.partitions, one.replication, {}, one.configs});
    }
    request.topics.push_back({"stranger", -1, -1, {{0, {7}}}, {}});
    request.topics.push_back({"gap", -1, -1, {{0, {1}}, {2, {1}}}, {}});
    request.topics.push_back({"both", 1, 1, {{0, {1}}}, {}});
    const auto response = ask(*raw_, 7, request);
    for (size_t i = 0; i < cases.size(); ++i) {
        EXPECT_EQ(response.topics.at(i).error_code, cases[i].error) << cases[i].name;
        EXPECT_EQ(response.topics.at(i).error_message.has_value(), cases[i].error != 0);
    }
    EXPECT_EQ(response.topics.at(cases.size()).error_code, 39);
    EXPECT_EQ(response.topics.at(cases.size() + 1).error_code, 39);
    EXPECT_EQ(response.topics.at(cases.size() + 2).error_code, 42);
    protocol::MetadataRequest everything;
    EXPECT_EQ(ask(*raw_, 12, everything).topics.size(), 3U);
}

TEST_F(TopicRules, DeletedRecordsStayDeletedOverAPowerCutAndCompactionAloneDeletesNone) {
    const auto low_watermark = [&](const std::string& topic, int64_t before) {
        protocol::DeleteRecordsRequest request;
        request.topics.push_back({topic, {{0, before}}});
        const auto answer = ask(*raw_, 2, request).topics.at(0).partitions.at(0);
        return std::pair(answer.error_code, answer.low_watermark);
    };
    const Uuid id = make_topic("t", 1);
    (void)make_topic("table", 1, {{"cleanup.policy", "compact"}});
    (void)make_topic("both", 1, {{"cleanup.policy", "compact,delete"}});
    for (int i = 0; i < 3; ++i) ASSERT_EQ(produce(id, 0, batch_of({"a"})).error_code, 0);
    EXPECT_EQ(low_watermark("t", 2), std::pair(int16_t{0}, int64_t{2}));
    server_machine_.power_cut();
    server_machine_.switch_on();
    ASSERT_TRUE(start());
    raw_ = client();
    EXPECT_EQ(low_watermark("t", 0), std::pair(int16_t{0}, int64_t{2}));
    EXPECT_EQ(low_watermark("t", 4), std::pair(int16_t{1}, int64_t{-1}));
    EXPECT_EQ(low_watermark("table", -1), std::pair(int16_t{44}, int64_t{-1}));
    EXPECT_EQ(low_watermark("both", -1), std::pair(int16_t{0}, int64_t{0}));
    (void)make_topic("neither", 1, {{"cleanup.policy", ""}});
    EXPECT_EQ(low_watermark("neither", -1), std::pair(int16_t{0}, int64_t{0}));
}

TEST_F(TopicRules, ProducerIdsNeverComeTwiceAcrossStopsAndKills) {
    std::set<int64_t> seen;
    for (int round = 0; round < 6; ++round) {
        for (int i = 0; i < 3; ++i) {
            const auto response = ask(*raw_, 5, protocol::InitProducerIdRequest{});
            ASSERT_EQ(response.error_code, 0);
            EXPECT_TRUE(seen.insert(response.producer_id).second) << response.producer_id;
        }
        if (round == 3) {
            server_machine_.power_cut();
            server_machine_.switch_on();
        } else if (round % 2 == 0) {
            kill();
        } else {
            stop();
        }
        ASSERT_TRUE(start());
        raw_ = client();
    }
}

}  // namespace
}  // namespace ottla
