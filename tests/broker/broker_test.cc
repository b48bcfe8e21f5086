// SPDX-License-Identifier: Apache-2.0
// The whole broker on a simulated machine: what it promises its clients, over raw frames. It
// covers broker/node, broker/log_directories, broker/partition_manager, broker/partition_calls,
// covers replication/partition, server/server, server/broker, raft/driver, controller/topics and
// covers server/handlers/produce, server/handlers/fetch, server/handlers/list_offsets.
#include "ottla/broker.h"

#include "protocol/api_versions.h"
#include "protocol/delete_topics.h"
#include "protocol/init_producer_id.h"
#include "protocol/list_offsets.h"
#include "protocol/metadata.h"
#include "tests/broker/broker_world.h"

namespace ottla {
namespace {

using namespace std::chrono_literals;
using protocol::ListOffsetsRequest;
using protocol::MetadataRequest;
using Values = std::vector<std::string>;

class BrokerTest : public test::BrokerWorld {
protected:
    int64_t produce(test::RawClient& raw,
                    int16_t version,
                    Uuid id,
                    int32_t partition,
                    Values values,
                    int16_t acks = -1) {
        const auto response =
            ask(raw, version,
                produce_request(version, "t", id, partition, batch_of(std::move(values)), acks));
        const auto& answer = response.responses.at(0).partition_responses.at(0);
        EXPECT_EQ(answer.error_code, 0) << answer.error_message.value_or("");
        return answer.base_offset;
    }
    Values fetch(test::RawClient& raw, int16_t version, Uuid id, int32_t partition, int64_t from) {
        const auto response =
            ask(raw, version, fetch_request(version, "t", id, {{partition, from}}));
        const auto& answer = response.responses.at(0).partitions.at(0);
        EXPECT_EQ(answer.error_code, 0);
        return values_of(answer.records);
    }
};

TEST_F(BrokerTest, ANewNodeFormatsItselfAndServes) {
    const Status started = start();
    ASSERT_TRUE(started) << started.error().detail;
    auto raw = client();
    MetadataRequest everything;
    const auto metadata = ask(*raw, 12, everything);
    ASSERT_EQ(metadata.brokers.size(), 1U);
    EXPECT_EQ(metadata.brokers[0].node_id, 1);
    EXPECT_EQ(metadata.brokers[0].host, "server");
    EXPECT_EQ(metadata.brokers[0].port, 9092);
    EXPECT_TRUE(metadata.cluster_id.has_value());
    EXPECT_TRUE(log_.errors.empty());
    stop();
}

TEST_F(BrokerTest, EveryVersionWritesAndReadsOnEveryShard) {
    ASSERT_TRUE(start());
    auto raw = client();
    const Uuid id = create_topic(*raw, "t", 4);
    for (int16_t version = 3; version <= 13; ++version) {
        for (int32_t partition = 0; partition < 4; ++partition) {
            const std::string value = fmt::format("v{}", version);
            EXPECT_EQ(produce(*raw, version, id, partition, {value}), version - 3);
        }
    }
    for (int16_t version = 4; version <= 18; ++version) {
        for (int32_t partition = 0; partition < 4; ++partition) {
            const Values values = fetch(*raw, version, id, partition, 0);
            ASSERT_EQ(values.size(), 11U) << version;
            EXPECT_EQ(values[0], "v3");
            EXPECT_EQ(values[10], "v13");
        }
    }
    stop();
}

TEST_F(BrokerTest, EveryVersionListsTheEnds) {
    ASSERT_TRUE(start());
    auto raw = client();
    const Uuid id = create_topic(*raw, "t", 1);
    produce(*raw, 13, id, 0, {"a", "b", "c"});
    for (int16_t version = 1; version <= 11; ++version) {
        ListOffsetsRequest request;
        request.replica_id = -1;
        request.topics.push_back({"t", {{0, -1, -1}}});
        EXPECT_EQ(ask(*raw, version, request).topics.at(0).partitions.at(0).offset, 3) << version;
        request.topics[0].partitions[0].timestamp = -2;
        EXPECT_EQ(ask(*raw, version, request).topics.at(0).partitions.at(0).offset, 0) << version;
        request.topics[0].partitions[0].timestamp = 500;
        const auto by_time = ask(*raw, version, request).topics.at(0).partitions.at(0);
        EXPECT_EQ(by_time.offset, 0);
        EXPECT_EQ(by_time.timestamp, 1000);
        request.topics[0].partitions[0].timestamp = 5000;
        EXPECT_EQ(ask(*raw, version, request).topics.at(0).partitions.at(0).offset, -1);
        request.topics[0].partitions[0].timestamp = -3;
        const auto newest = ask(*raw, version, request).topics.at(0).partitions.at(0);
        EXPECT_EQ(newest.error_code, version >= 7 ? 0 : 35) << version;
    }
    ListOffsetsRequest twice;
    twice.topics.push_back({"t", {{0, -1, -1}, {0, -1, -1}}});
    EXPECT_EQ(ask(*raw, 5, twice).topics.at(0).partitions.at(1).error_code, 42);
    stop();
}

TEST_F(BrokerTest, WhatWasAcknowledgedIsThereAfterACleanStop) {
    ASSERT_TRUE(start());
    auto raw = client();
    const Uuid id = create_topic(*raw, "t", 3);
    for (int32_t partition = 0; partition < 3; ++partition)
        produce(*raw, 13, id, partition, {"x", "y"});
    stop();
    ASSERT_TRUE(start());
    raw = client();
    for (int32_t partition = 0; partition < 3; ++partition) {
        EXPECT_EQ(fetch(*raw, 13, id, partition, 0), (Values{"x", "y"}));
        EXPECT_EQ(produce(*raw, 13, id, partition, {"z"}), 2);
    }
    EXPECT_TRUE(log_.errors.empty());
    stop();
}

TEST_F(BrokerTest, WhatWasAcknowledgedIsThereAfterAKillAndAPowerCut) {
    ASSERT_TRUE(start());
    auto raw = client();
    const Uuid id = create_topic(*raw, "t", 3);
    for (int32_t partition = 0; partition < 3; ++partition)
        produce(*raw, 13, id, partition, {"x", "y"});
    kill();
    ASSERT_TRUE(start());
    raw = client();
    for (int32_t partition = 0; partition < 3; ++partition) {
        EXPECT_EQ(fetch(*raw, 13, id, partition, 0), (Values{"x", "y"}));
        EXPECT_EQ(produce(*raw, 13, id, partition, {"z"}, 1), 2);
    }
    server_machine_.power_cut();
    server_machine_.switch_on();
    ASSERT_TRUE(start());
    raw = client();
    for (int32_t partition = 0; partition < 3; ++partition) {
        EXPECT_EQ(fetch(*raw, 13, id, partition, 0), (Values{"x", "y", "z"}));
    }
    EXPECT_TRUE(log_.errors.empty());
}

TEST_F(BrokerTest, ALongPollWakesWhenRecordsArriveOnAnyShard) {
    ASSERT_TRUE(start());
    auto reader = client();
    auto writer = client();
    const Uuid id = create_topic(*writer, "t", 4);
    const std::vector<std::pair<int32_t, int64_t>> all{{0, 0}, {1, 0}, {2, 0}, {3, 0}};
    for (int32_t partition = 0; partition < 4; ++partition) {
        std::vector<std::pair<int32_t, int64_t>> from = all;
        for (int32_t written = 0; written < partition; ++written)
            from[static_cast<size_t>(written)].second = 1;
        const Duration before = world_.now();
        const Chain frame = protocol::request_frame(100 + partition, "raw", 13,
                                                    fetch_request(13, "t", id, from, 20'000));
        ASSERT_TRUE(run(reader->send(frame)));
        produce(*writer, 13, id, partition, {"wake"});
        const auto answer = run(reader->receive());
        ASSERT_TRUE(answer);
        EXPECT_LT(world_.now() - before, 5s);
        protocol::Reader in(*answer);
        ASSERT_TRUE(protocol::decode_response_header(in, protocol::ApiKey::fetch, 13));
        protocol::FetchResponse response;
        ASSERT_TRUE(protocol::decode(in, 13, response));
        EXPECT_EQ(
            values_of(
                response.responses.at(0).partitions.at(static_cast<size_t>(partition)).records),
            Values{"wake"});
    }
    stop();
}

TEST_F(BrokerTest, ALongPollEndsAtItsDeadlineWithNothing) {
    ASSERT_TRUE(start());
    auto raw = client();
    const Uuid id = create_topic(*raw, "t", 2);
    const Duration before = world_.now();
    const auto response = ask(*raw, 13, fetch_request(13, "t", id, {{0, 0}, {1, 0}}, 3000));
    EXPECT_GE(world_.now() - before, 3s);
    EXPECT_LT(world_.now() - before, 4s);
    for (const auto& partition : response.responses.at(0).partitions) {
        EXPECT_EQ(partition.error_code, 0);
        EXPECT_EQ(partition.high_watermark, 0);
        EXPECT_TRUE(partition.records && partition.records->empty());
    }
    stop();
}

TEST_F(BrokerTest, PipelinedProduceKeepsItsOrderAndItsAnswersToo) {
    ASSERT_TRUE(start());
    auto raw = client();
    const Uuid id = create_topic(*raw, "t", 1);
    Chain frames;
    for (int32_t i = 0; i < 20; ++i) {
        const int16_t acks = i % 3 == 0 ? int16_t{1} : int16_t{-1};
        frames.append(protocol::request_frame(
            i, "raw", 13, produce_request(13, "t", id, 0, batch_of({std::to_string(i)}), acks)));
    }
    ASSERT_TRUE(run(raw->send(frames)));
    for (int32_t i = 0; i < 20; ++i) {
        const auto answer = run(raw->receive());
        ASSERT_TRUE(answer);
        protocol::Reader in(*answer);
        EXPECT_EQ(protocol::decode_response_header(in, protocol::ApiKey::produce, 13), i);
        protocol::ProduceResponse response;
        ASSERT_TRUE(protocol::decode(in, 13, response));
        EXPECT_EQ(response.responses.at(0).partition_responses.at(0).base_offset, i);
    }
    stop();
}

TEST_F(BrokerTest, AcksZeroIsNotAnsweredAndItsErrorCloses) {
    ASSERT_TRUE(start());
    auto raw = client();
    const Uuid id = create_topic(*raw, "t", 1);
    const auto good = produce_request(13, "t", id, 0, batch_of({"quiet"}), 0);
    ASSERT_TRUE(run(raw->send(protocol::request_frame(1, "raw", 13, good))));
    EXPECT_EQ(produce(*raw, 13, id, 0, {"loud"}), 1);
    const auto bad = produce_request(13, "t", id, 9, batch_of({"lost"}), 0);
    ASSERT_TRUE(run(raw->send(protocol::request_frame(2, "raw", 13, bad))));
    EXPECT_FALSE(run(raw->receive()));
    stop();
}

TEST_F(BrokerTest, RefusalsOfProduceNameTheirReason) {
    ASSERT_TRUE(start());
    auto raw = client();
    const Uuid id = create_topic(*raw, "t", 1);
    const auto error = [&](int16_t version, protocol::ProduceRequest request) {
        return ask(*raw, version, std::move(request)).responses.at(0).partition_responses.at(0);
    };
    EXPECT_EQ(error(12, produce_request(12, "nobody", id, 0, batch_of({"x"}))).error_code, 3);
    EXPECT_EQ(error(13, produce_request(13, "", Uuid{{9}}, 0, batch_of({"x"}))).error_code, 100);
    EXPECT_EQ(error(13, produce_request(13, "", id, 7, batch_of({"x"}))).error_code, 3);
    EXPECT_EQ(error(13, produce_request(13, "", id, 0, batch_of({"x"}), 2)).error_code, 21);
    EXPECT_EQ(error(13, produce_request(13, "", id, 0, Buffer())).error_code, 87);
    auto transactional = produce_request(13, "", id, 0, batch_of({"x"}));
    transactional.transactional_id = "tx";
    EXPECT_EQ(error(11, produce_request(11, "t", id, 0, batch_of({"x"}))).error_code, 0);
    EXPECT_EQ(error(13, transactional).error_code, 35);
    const auto refused = error(13, produce_request(13, "", id, 0, Buffer::copy_of("garbage")));
    EXPECT_NE(refused.error_code, 0);
    EXPECT_EQ(refused.base_offset, -1);
    // Kafka, too, says where the log starts only of a batch that it held against the log.
    EXPECT_EQ(refused.log_start_offset, -1);
    auto marker = Buffer::copy_of(batch_of({"x"}).text());
    EXPECT_EQ(error(13, produce_request(13, "", id, 0, marker)).log_start_offset, 0);
    stop();
}

TEST_F(BrokerTest, RefusalsOfFetchAreThoseClientsUnderstand) {
    ASSERT_TRUE(start());
    auto raw = client();
    const Uuid id = create_topic(*raw, "t", 1);
    produce(*raw, 13, id, 0, {"a", "b"});
    const auto first = [&](protocol::FetchRequest request) {
        return ask(*raw, 13, std::move(request)).responses.at(0).partitions.at(0);
    };
    const auto beyond = first(fetch_request(13, "", id, {{0, 3}}));
    EXPECT_EQ(beyond.error_code, 1);
    EXPECT_EQ(beyond.high_watermark, -1);
    EXPECT_TRUE(beyond.records.has_value());
    const auto at_end = first(fetch_request(13, "", id, {{0, 2}}));
    EXPECT_EQ(at_end.error_code, 0);
    EXPECT_EQ(at_end.high_watermark, 2);
    auto epochs = fetch_request(13, "", id, {{0, 0}});
    epochs.topics[0].partitions[0].current_leader_epoch = 1000;
    EXPECT_EQ(first(epochs).error_code, 75);
    EXPECT_EQ(first(fetch_request(13, "", Uuid{{9}}, {{0, 0}})).error_code, 100);
    auto session = fetch_request(13, "", id, {{0, 0}});
    session.session_id = 12;
    session.session_epoch = 3;
    EXPECT_EQ(ask(*raw, 13, session).error_code, 70);
    session.session_id = 0;
    session.session_epoch = 0;
    EXPECT_EQ(ask(*raw, 13, session).session_id, 0);
    stop();
}

TEST_F(BrokerTest, TheFirstBatchComesWhateverItsSizeAndTheLimitHoldsBehindIt) {
    ASSERT_TRUE(start());
    auto raw = client();
    const Uuid id = create_topic(*raw, "t", 2);
    for (const int32_t partition : {0, 1})
        produce(*raw, 13, id, partition, {std::string(5000, 'x')});
    auto request = fetch_request(13, "", id, {{0, 0}, {1, 0}});
    request.max_bytes = 100;
    request.topics[0].partitions[0].partition_max_bytes = 10;
    const auto response = ask(*raw, 13, request);
    EXPECT_EQ(values_of(response.responses.at(0).partitions.at(0).records).size(), 1U);
    EXPECT_TRUE(values_of(response.responses.at(0).partitions.at(1).records).empty());
    stop();
}

TEST_F(BrokerTest, ATopicIsCreatedOnFirstSightAndGoneAfterDeletion) {
    ASSERT_TRUE(start());
    auto raw = client();
    MetadataRequest request;
    request.topics.emplace();
    request.topics->push_back({{}, "t"});
    EXPECT_EQ(ask(*raw, 9, request).topics.at(0).error_code, 3);
    world_.run_for(1s);
    const auto metadata = ask(*raw, 12, request);
    ASSERT_EQ(metadata.topics.at(0).error_code, 0);
    const Uuid id = metadata.topics.at(0).topic_id;
    produce(*raw, 13, id, 0, {"short-lived"});
    protocol::DeleteTopicsRequest deletion;
    deletion.topics.push_back({"t", {}});
    EXPECT_EQ(ask(*raw, 6, deletion).responses.at(0).error_code, 0);
    const auto gone = ask(*raw, 13, produce_request(13, "t", id, 0, batch_of({"x"})));
    EXPECT_EQ(gone.responses.at(0).partition_responses.at(0).error_code, 100);
    const Uuid again = create_topic(*raw, "t", 1);
    EXPECT_NE(again, id);
    EXPECT_TRUE(fetch(*raw, 13, again, 0, 0).empty());
    EXPECT_EQ(produce(*raw, 13, again, 0, {"fresh"}), 0);
    stop();
}

TEST_F(BrokerTest, ARetryOfAnIdempotentProducerIsStoredOnceAlsoAfterAKill) {
    ASSERT_TRUE(start());
    auto raw = client();
    const Uuid id = create_topic(*raw, "t", 1);
    const auto producer = ask(*raw, 5, protocol::InitProducerIdRequest{});
    ASSERT_EQ(producer.error_code, 0);
    Codecs codecs;
    const BatchOptions options{.producer_id = ProducerId{producer.producer_id},
                               .producer_epoch = ProducerEpoch{0},
                               .base_sequence = 0};
    BatchBuilder builder(codecs, options);
    builder.append(WallTime{1000}, std::nullopt, as_bytes("once"));
    const Buffer batch = *builder.finish();
    for (int attempt = 0; attempt < 2; ++attempt) {
        const auto response = ask(*raw, 13, produce_request(13, "t", id, 0, batch));
        EXPECT_EQ(response.responses.at(0).partition_responses.at(0).error_code, 0);
        EXPECT_EQ(response.responses.at(0).partition_responses.at(0).base_offset, 0);
    }
    kill();
    ASSERT_TRUE(start());
    raw = client();
    const auto response = ask(*raw, 13, produce_request(13, "t", id, 0, batch));
    EXPECT_EQ(response.responses.at(0).partition_responses.at(0).base_offset, 0);
    EXPECT_EQ(fetch(*raw, 13, id, 0, 0), Values{"once"});
}

TEST_F(BrokerTest, GarbageClosesItsConnectionAndNobodyElses) {
    ASSERT_TRUE(start());
    auto bad = client();
    auto good = client();
    const std::string_view frame("\0\0\0\x08\x7f\x7f\0\0\0\0\0\x01", 12);
    ASSERT_TRUE(run(bad->send(Chain(Buffer::copy_of(frame)))));
    EXPECT_FALSE(run(bad->receive()));
    auto huge = client();
    ASSERT_TRUE(run(huge->send(Chain(Buffer::copy_of("\x7f\xff\xff\xff....")))));
    EXPECT_FALSE(run(huge->receive()));
    EXPECT_EQ(ask(*good, 0, protocol::ApiVersionsRequest{}).error_code, 0);
    stop();
}

TEST_F(BrokerTest, TornFramesAreAnsweredOnceTheyAreWhole) {
    ASSERT_TRUE(start());
    auto raw = client();
    const Uuid id = create_topic(*raw, "t", 1);
    const Buffer frame =
        protocol::request_frame(5, "raw", 13,
                                produce_request(13, "t", id, 0, batch_of({std::string(3000, 'x')})))
            .flatten();
    for (size_t at = 0; at < frame.size(); at += 700) {
        const size_t size = std::min<size_t>(700, frame.size() - at);
        ASSERT_TRUE(run(raw->send(Chain(frame.slice(at, size)))));
        world_.run_for(10ms);
    }
    EXPECT_TRUE(run(raw->receive()));
    EXPECT_EQ(fetch(*raw, 13, id, 0, 0).size(), 1U);
    stop();
}

TEST_F(BrokerTest, AClientThatNeverReadsDoesNotStopTheOthers) {
    ASSERT_TRUE(start());
    auto slow = client();
    auto good = client();
    const Uuid id = create_topic(*good, "t", 1);
    produce(*good, 13, id, 0, {std::string(500'000, 'x')});
    const auto request = fetch_request(13, "t", id, {{0, 0}});
    for (int32_t i = 0; i < 200; ++i) {
        ASSERT_TRUE(run(slow->send(protocol::request_frame(i, "slow", 13, request))));
    }
    world_.run_for(5s);
    EXPECT_EQ(fetch(*good, 13, id, 0, 0).size(), 1U);
    const auto first = run(slow->receive());
    ASSERT_TRUE(first);
    EXPECT_GT(first->size(), 500'000U);
    stop();
}

TEST_F(BrokerTest, SeveralDirectoriesShareTheLogsAndComeBackTogether) {
    ASSERT_TRUE(settings_.set("log.dirs", "/one,/deep/er/two", Settings::Source::command_line));
    ASSERT_TRUE(start());
    auto raw = client();
    const Uuid id = create_topic(*raw, "t", 4);
    for (int32_t partition = 0; partition < 4; ++partition) produce(*raw, 13, id, partition, {"x"});
    world_.run_for(1s);  // Files follow the journal.
    const auto listed =
        sim::run(world_, server_.runtime(0), server_.ports(0).files.list("/deep/er/two"));
    ASSERT_TRUE(listed);
    const auto logs = std::ranges::count_if(
        *listed, [](const DirectoryEntry& entry) { return entry.name.starts_with("t-"); });
    EXPECT_EQ(logs, 2);
    stop();
    ASSERT_TRUE(start());
    raw = client();
    for (int32_t partition = 0; partition < 4; ++partition) {
        EXPECT_EQ(fetch(*raw, 13, id, partition, 0), Values{"x"});
    }
    stop();
}

TEST_F(BrokerTest, AnotherNodesDirectoryIsRefusedByName) {
    ASSERT_TRUE(start());
    stop();
    ASSERT_TRUE(settings_.set("node.id", "2", Settings::Source::command_line));
    const Status refused = start();
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().detail.find("/data"), std::string::npos) << refused.error().detail;
    stop();
    ASSERT_TRUE(settings_.set("node.id", "1", Settings::Source::command_line));
    EXPECT_TRUE(start());
    stop();
}

TEST_F(BrokerTest, TheOlderNameOfTheNodeIdIsHeldAgainstTheNewOne) {
    server_.start();
    const auto with_ids = [this](std::string_view older, std::string_view newer) {
        Settings settings = settings_;
        if (!older.empty()) (void)settings.set("broker.id", older, Settings::Source::file);
        if (!newer.empty()) (void)settings.set("node.id", newer, Settings::Source::file);
        return make_broker({settings, server_.all_ports(), log_, {}});
    };
    const auto refused = with_ids("2", "1");
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().detail.find("broker.id=2"), std::string::npos);
    EXPECT_EQ((*with_ids("2", "2"))->id(), BrokerId{2});
    EXPECT_EQ((*with_ids("2", ""))->id(), BrokerId{2});
    EXPECT_EQ((*with_ids("", "2"))->id(), BrokerId{2});
    server_.kill();
}

TEST_F(BrokerTest, ASecondProcessOnTheDirectorySaysSo) {
    ASSERT_TRUE(start());
    sim::Process& second = server_machine_.add_process("second", 1);
    second.start();
    Settings settings = settings_;
    ASSERT_TRUE(settings.set("listeners", "PLAINTEXT://:9093", Settings::Source::command_line));
    {
        const auto other = make_broker({settings, second.all_ports(), log_, {}});
        ASSERT_TRUE(other);
        const Status refused = sim::run(world_, second.runtime(0), test::start_broker(**other));
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code, ErrorCode::locked);
        EXPECT_NE(refused.error().detail.find("/data"), std::string::npos);
        (void)sim::run(world_, second.runtime(0), (*other)->stop());
    }
    stop();
}

TEST_F(BrokerTest, AClientThatLeavesInTheMiddleOfALongPollHoldsNothing) {
    ASSERT_TRUE(start());
    auto raw = client();
    auto leaving = client();
    const Uuid id = create_topic(*raw, "t", 4);
    const auto poll = fetch_request(13, "t", id, {{0, 0}, {1, 0}, {2, 0}, {3, 0}}, 600'000);
    ASSERT_TRUE(run(leaving->send(protocol::request_frame(1, "raw", 13, poll))));
    world_.run_for(1s);
    leaving->close();
    world_.run_for(1s);
    const Duration before = world_.now();
    stop();
    EXPECT_LT(world_.now() - before, 10s);
    EXPECT_TRUE(log_.errors.empty());
}

TEST_F(BrokerTest, StoppingEndsALongPollAtOnce) {
    ASSERT_TRUE(start());
    auto raw = client();
    const Uuid id = create_topic(*raw, "t", 4);
    const auto poll = fetch_request(13, "t", id, {{0, 0}, {1, 0}, {2, 0}, {3, 0}}, 600'000);
    ASSERT_TRUE(run(raw->send(protocol::request_frame(1, "raw", 13, poll))));
    world_.run_for(1s);
    const Duration before = world_.now();
    stop();
    EXPECT_LT(world_.now() - before, 10s);
}

TEST_F(BrokerTest, AKillAtAnyEventOfAStartLeavesANodeThatStarts) {
    for (uint64_t events = 1; events < 400; events += 7) {
        server_.start([this](sim::Process& process) {
            auto program = std::make_unique<test::BrokerProgram>();
            program->broker = *make_broker({settings_, process.all_ports(), log_, {}});
            return program;
        });
        (void)sim::try_run(world_, server_.runtime(0), test::start_broker(broker()), events);
        kill();
    }
    const Status started = start();
    ASSERT_TRUE(started) << started.error().detail;
    auto raw = client();
    create_topic(*raw, "t", 1);
}

TEST(MakeBroker, SettingsThatCannotBeHonouredAreRefusedByName) {
    sim::World world(1);
    sim::Machine& machine = world.add_machine("server");
    sim::Process& process = machine.add_process("broker", 1);
    process.start();
    test::KeptLines log;
    const std::pair<const char*, const char*> cases[] = {
        {"process.roles", "broker"},
        {"controller.quorum.voters", "1@a:1,2@b:2"},
        {"controller.quorum.voters", "7@a:1"},
        {"listeners", "SSL://:9093"},
        {"listeners", "nonsense"},
        {"max.connections.per.ip.overrides", "127.0.0.1"},
        {"max.connections.per.ip.overrides", "127.0.0.1:-1"},
    };
    for (const auto& [name, value] : cases) {
        Settings settings;
        ASSERT_TRUE(settings.set(name, value, Settings::Source::file)) << name;
        const auto made = make_broker({settings, process.all_ports(), log, {}});
        ASSERT_FALSE(made) << name << "=" << value;
        EXPECT_EQ(made.error().code, ErrorCode::invalid_config);
        EXPECT_FALSE(made.error().detail.empty());
    }
}

}  // namespace
}  // namespace ottla
