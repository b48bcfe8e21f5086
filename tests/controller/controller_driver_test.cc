// SPDX-License-Identifier: Apache-2.0
// The metadata quorum of one on the simulated disk: format, restart, crashes at every event.
#include <gtest/gtest.h>

#include <set>

#include "storage/atomic_file.h"
#include "tests/controller/quorum_bench.h"

namespace ottla::controller {
namespace {

using test::QuorumBench;

TEST(ControllerDriver, FormatsItselfAndLeads) {
    QuorumBench bench(1);
    bench.start();
    EXPECT_TRUE(bench.identity.formatted_now);
    EXPECT_TRUE(bench.driver->is_active());
    EXPECT_EQ(bench.image().metadata_version(), metadata::kNewClusterMetadataVersion);
    EXPECT_EQ(bench.image().kraft_version, 1);
    EXPECT_TRUE(bench.image().is_alive(BrokerId{1}));
    EXPECT_EQ(bench.image().broker(BrokerId{1})->epoch.value(), bench.broker_epoch);
    EXPECT_EQ(bench.driver->raft().epoch(), LeaderEpoch{1});
    // Kafka's file, byte for byte.
    const auto state = bench.bench.run(storage::read_file(
        bench.ports().files, "/data/a/__cluster_metadata-0/quorum-state", 1000));
    ASSERT_TRUE(state);
    EXPECT_EQ(state->text(),
              R"({"leaderId":1,"leaderEpoch":1,"votedId":-1,)"
              R"("votedDirectoryId":"AAAAAAAAAAAAAAAAAAAAAA","data_version":1})");
}

TEST(ControllerDriver, TopicsSurviveARestart) {
    QuorumBench bench(2);
    bench.start();
    EXPECT_EQ(bench.bench.run(bench.create("one")), int16_t{0});
    EXPECT_EQ(bench.bench.run(bench.create("two")), int16_t{0});
    EXPECT_EQ(bench.bench.run(bench.remove("one")), int16_t{0});
    const Uuid two = bench.image().topic("two")->id;
    bench.kill();
    bench.start();
    EXPECT_FALSE(bench.identity.formatted_now);
    EXPECT_EQ(bench.image().topic("one"), nullptr);
    ASSERT_NE(bench.image().topic("two"), nullptr);
    EXPECT_EQ(bench.image().topic("two")->id, two);
    EXPECT_EQ(*bench.image().config_value(metadata::ResourceType::topic, "two", "retention.ms"),
              "1000");
}

TEST(ControllerDriver, ARestartAfterKillMovesEveryLeaderEpoch) {
    QuorumBench bench(3);
    bench.start();
    ASSERT_TRUE(bench.bench.run(bench.create("t")));
    const auto leader_epoch = [&bench] {
        const metadata::Partition* partition = bench.image().partition("t", PartitionIndex{1});
        EXPECT_EQ(partition->leader, BrokerId{1});
        EXPECT_EQ(partition->isr, std::vector{BrokerId{1}});
        return partition->leader_epoch.value();
    };
    EXPECT_EQ(leader_epoch(), 0);
    const int64_t first = bench.broker_epoch;
    bench.kill();
    bench.start();  // No wait for a session: the lock proves that the old process is gone.
    EXPECT_EQ(leader_epoch(), 2);
    EXPECT_GT(bench.broker_epoch, first);
    EXPECT_LT(bench.bench.world.now(), std::chrono::seconds(1));
}

TEST(ControllerDriver, ProposalsShareASync) {
    QuorumBench bench(4);
    bench.start();
    const size_t before = bench.images.size();
    std::vector<Task<Result<int16_t>>> tasks;
    for (int i = 0; i < 50; ++i) tasks.push_back(bench.create(fmt::format("t{}", i), 1));
    const auto done = bench.bench.run(when_all(bench.ports().runtime, std::move(tasks)));
    for (const auto& one : done) EXPECT_EQ(one, int16_t{0});
    // The first goes alone, the others meanwhile: far fewer rounds than proposals.
    EXPECT_LE(bench.images.size() - before, 5U);
    EXPECT_EQ(bench.image().topics.size(), 50U);
}

TEST(ControllerDriver, AnAnswerWithoutRecordsWaitsForWhatItRead) {
    QuorumBench bench(5);
    bench.start();
    std::vector<Task<Result<int16_t>>> tasks;
    tasks.push_back(bench.create("t"));
    tasks.push_back(bench.create("t"));  // Decided against a proposal that is not committed yet.
    const auto done = bench.bench.run(when_all(bench.ports().runtime, std::move(tasks)));
    EXPECT_EQ(done[0], int16_t{0});
    EXPECT_EQ(done[1], wire_code(ErrorCode::topic_already_exists));
    EXPECT_NE(bench.image().topic("t"), nullptr);
}

TEST(ControllerDriver, SmallSegmentsRollAndAreReadBack) {
    QuorumBench bench(6);
    bench.segment_bytes = 2000;
    bench.start();
    for (int i = 0; i < 60; ++i) {
        ASSERT_EQ(bench.bench.run(bench.create(fmt::format("t{}", i))), int16_t{0});
    }
    const auto files = bench.bench.run(bench.ports().files.list("/data/a/__cluster_metadata-0"));
    ASSERT_TRUE(files);
    EXPECT_GT(files->size(), 20U);
    bench.kill();
    bench.start();
    EXPECT_EQ(bench.image().topics.size(), 60U);
}

TEST(ControllerDriver, AFailedSyncIsFinal) {
    QuorumBench bench(7);
    bench.start();
    sim::PlannedFailure failure;
    failure.file_kind = FileOp::Kind::sync;
    failure.path = "__cluster_metadata-0";
    bench.bench.disk().plan(failure);
    const auto doubtful = bench.bench.run(bench.create("doubtful"));
    ASSERT_FALSE(doubtful);
    ASSERT_EQ(bench.failures.size(), 1U);
    EXPECT_EQ(bench.image().topic("doubtful"), nullptr);
    // The next sync would succeed and prove nothing: nobody may try it.
    const auto late = bench.bench.run(bench.create("late"));
    ASSERT_FALSE(late);
    EXPECT_EQ(late.error().code, ErrorCode::not_controller);
    EXPECT_FALSE(bench.bench.run(bench.driver->close()));
}

TEST(ControllerDriver, CloseFailsWhatIsOpenAndRefusesTheRest) {
    QuorumBench bench(8);
    bench.start();
    ASSERT_TRUE(bench.bench.run(bench.driver->close()));
    const auto late = bench.bench.run(bench.create("late"));
    ASSERT_FALSE(late);
    EXPECT_EQ(late.error().code, ErrorCode::not_controller);
    bench.kill();
    bench.start();
    EXPECT_EQ(bench.image().topic("late"), nullptr);
}

/// What a client was told, and what was on its way when the lights went out.
struct Told {
    std::set<std::string> created;
    std::set<std::string> deleted;
    bool booted = false;
};

Task<bool> work(QuorumBench& bench, Told& told) {
    const Status booted = co_await bench.boot();
    EXPECT_TRUE(booted) << booted.error().detail;
    told.booted = true;
    for (int i = 0; i < 3; ++i) {
        const std::string name = fmt::format("t{}", i);
        const auto made = co_await bench.create(name);
        EXPECT_EQ(made, int16_t{0});
        told.created.insert(name);
    }
    const auto gone = co_await bench.remove("t0");
    EXPECT_EQ(gone, int16_t{0});
    told.deleted.insert("t0");
    co_return true;
}

/// Strikes after `events` events; false when the work was over before.
bool strike(uint64_t seed, uint64_t events, bool power) {
    QuorumBench bench(seed);
    Told told;
    const auto done = sim::try_run(bench.bench.world, bench.bench.runtime(), work(bench, told), events);
    const std::string cluster = told.booted ? bench.identity.cluster_id : "";
    const int64_t broker_epoch = told.booted ? bench.broker_epoch : -1;
    const int32_t raft_epoch = told.booted ? bench.driver->raft().epoch().value() : 0;
    power ? bench.power_cut() : bench.kill();

    const Status booted = bench.bench.run(bench.boot());
    EXPECT_TRUE(booted) << booted.error().detail;
    if (!booted) return false;
    const metadata::MetadataImage image = bench.image();
    if (told.booted) {
        EXPECT_EQ(bench.identity.cluster_id, cluster);
        EXPECT_GT(bench.broker_epoch, broker_epoch);
        EXPECT_GT(bench.driver->raft().epoch().value(), raft_epoch);
    }
    for (const std::string& name : told.created) {
        if (name != "t0") {
            EXPECT_NE(image.topic(name), nullptr) << name;
        }
    }
    if (told.deleted.contains("t0")) {
        EXPECT_EQ(image.topic("t0"), nullptr);
    }
    for (const auto& [name, topic] : image.topics) {
        EXPECT_EQ(topic->partitions.size(), 2U);  // A topic is there whole or not at all.
        EXPECT_FALSE(image.config(metadata::ResourceType::topic, name).empty());
    }
    EXPECT_EQ(bench.bench.run(bench.create("after")), int16_t{0});
    // What this process only found in the page cache must not depend on it any more.
    const auto known = image.topics;
    bench.power_cut();
    bench.start();
    for (const auto& [name, topic] : known) EXPECT_NE(bench.image().topic(name), nullptr) << name;
    EXPECT_NE(bench.image().topic("after"), nullptr);
    return !done.has_value();
}

TEST(ControllerDriver, SurvivesAKillAtEveryEvent) {
    uint64_t events = 0;
    while (strike(11, events, false) && !testing::Test::HasFailure()) ++events;
    EXPECT_GT(events, 100U) << "the work was over at once";
}

TEST(ControllerDriver, SurvivesAPowerCutAtEveryEvent) {
    for (uint64_t seed = 21; seed < 24; ++seed) {
        uint64_t events = 0;
        while (strike(seed, events, true) && !testing::Test::HasFailure()) ++events;
        EXPECT_GT(events, 100U) << "the work was over at once";
        if (testing::Test::HasFailure()) {
            ADD_FAILURE() << "seed " << seed << " event " << events;
            break;
        }
    }
}

}  // namespace
}  // namespace ottla::controller
