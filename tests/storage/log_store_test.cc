// SPDX-License-Identifier: Apache-2.0
// Directories and stores: what a start finds, what a stop leaves, what trouble of the disk does.
#include <gtest/gtest.h>

#include "storage/close_directories.h"
#include "storage/file_names.h"
#include "tests/storage/store_bench.h"

namespace ottla::storage::test {
namespace {

using Values = std::vector<std::string>;

Values append_some(StoreBench& bench, Log& log, int count, const std::string& what = "value") {
    Values values;
    for (int i = 0; i < count; ++i) {
        values.push_back(fmt::format("{} {}", what, i));
        while (!bench.append(log, values.back())) {
            CHECK(!log.is_offline(), "the disk is well");
            bench.bench.run(bench.store->wait_for_room(kDirectory));
        }
        bench.settle(log);
    }
    return values;
}

std::string first_journal(StoreBench& bench) {
    for (const std::string& path : bench.bench.disk().files()) {
        if (path.find(".ottla-journal-") != std::string::npos) return path;
    }
    return {};
}

TEST(LogStore, AppendedBatchIsReadableAtOnceAndDurableAfterItsGroup) {
    StoreBench bench;
    bench.start();
    Log& log = bench.create("t");
    const auto first = bench.append(log, "one");
    ASSERT_TRUE(first);
    EXPECT_EQ(first->base_offset, Offset{0});
    EXPECT_EQ(log.log_end(), Offset{1});
    EXPECT_EQ(log.durable_end(), Offset{0});
    EXPECT_EQ(bench.values(log), Values{"one"});
    bench.settle(log);
    EXPECT_EQ(log.durable_end(), Offset{1});
}

TEST(LogStore, CleanStopAndStartKeepEverything) {
    StoreBench bench;
    bench.start();
    const Values wanted = append_some(bench, bench.create("t"), 300);
    bench.clean_stop();
    bench.start();
    ASSERT_NE(bench.find("t"), nullptr);
    EXPECT_TRUE(bench.directory->was_clean());
    EXPECT_EQ(bench.directory->previous_broker_epoch(), BrokerEpoch{77});
    EXPECT_EQ(bench.find("t")->log_end(), Offset{300});
    EXPECT_EQ(bench.values(*bench.find("t")), wanted);
}

TEST(LogStore, ACleanlyStoppedDirectoryHoldsKafkasFilesAndTwoPlainOnes) {
    StoreBench bench;
    bench.config.segment_bytes = 400;
    bench.start();
    append_some(bench, bench.create("t"), 8, std::string(50, 'v'));
    static_cast<void>(bench.create("empty", 3));
    bench.clean_stop();
    Values names;
    for (const std::string& path : bench.bench.disk().files()) {
        names.push_back(path.substr(kDirectory.size() + 1));
    }
    const Values golden{".kafka_cleanshutdown",
                        ".lock",
                        ".ottla-catalogue-0",
                        ".ottla-sums",  // Ours; Kafka passes over them.
                        "empty-3/partition.metadata",
                        "log-start-offset-checkpoint",
                        "meta.properties",
                        "recovery-point-offset-checkpoint",
                        "replication-offset-checkpoint",
                        "t-0/00000000000000000000.index",
                        "t-0/00000000000000000000.log",
                        "t-0/00000000000000000000.timeindex",
                        "t-0/00000000000000000003.index",
                        "t-0/00000000000000000003.log",
                        "t-0/00000000000000000003.snapshot",
                        "t-0/00000000000000000003.timeindex",
                        "t-0/00000000000000000006.index",
                        "t-0/00000000000000000006.log",
                        "t-0/00000000000000000006.snapshot",
                        "t-0/00000000000000000006.timeindex",
                        "t-0/00000000000000000008.snapshot",
                        "t-0/leader-epoch-checkpoint",
                        "t-0/partition.metadata"};
    EXPECT_EQ(names, golden);
    EXPECT_FALSE(bench.bench.disk().exists(kDirectory + "/.ottla"));
    EXPECT_EQ(bench.bench.disk().contents(kDirectory + "/.kafka_cleanshutdown"),
              "{\"version\":0,\"brokerEpoch\":77}");
    EXPECT_EQ(bench.bench.disk().contents(kDirectory + "/recovery-point-offset-checkpoint"),
              "0\n2\nempty 3 0\nt 0 8\n");
    EXPECT_EQ(bench.bench.disk().contents(kDirectory + "/t-0/leader-epoch-checkpoint"),
              "0\n1\n0 0\n");
}

TEST(LogStore, TheGuardIsThereWhileWeRunAndAfterAKill) {
    StoreBench bench;
    bench.start();
    append_some(bench, bench.create("t"), 1);
    EXPECT_TRUE(bench.bench.disk().exists(kDirectory + "/.ottla"));
    EXPECT_FALSE(bench.bench.disk().exists(kDirectory + "/.kafka_cleanshutdown"));
    bench.power_cut();
    EXPECT_TRUE(bench.bench.disk().exists(kDirectory + "/.ottla"));
}

TEST(LogStore, CloseDirectoryMakesAKilledDirectoryClean) {
    StoreBench bench;
    bench.start();
    const Values wanted = append_some(bench, bench.create("t"), 20);
    bench.kill();
    const Status closed =
        bench.bench.run(close_directories(bench.ports(), {kDirectory}, bench.settings));
    ASSERT_TRUE(closed) << closed.error().detail;
    EXPECT_FALSE(bench.bench.disk().exists(kDirectory + "/.ottla"));
    EXPECT_TRUE(first_journal(bench).empty());
    bench.kill();
    bench.start();
    EXPECT_TRUE(bench.directory->was_clean());
    EXPECT_EQ(bench.values(*bench.find("t")), wanted);
}

TEST(LogStore, CloseDirectoryMakesNothingWhereNoLogDirectoryIs) {
    StoreBench bench;
    const auto close = [&](const std::string& path) {
        return bench.bench.run(close_directories(bench.ports(), {path}, bench.settings));
    };
    const Status absent = close("/absent");
    ASSERT_FALSE(absent);
    EXPECT_EQ(absent.error().code, ErrorCode::not_found);
    EXPECT_FALSE(bench.bench.disk().exists("/absent"));
    ASSERT_TRUE(bench.bench.run(bench.ports().files.make_directory("/foreign")));
    const Status foreign = close("/foreign");
    ASSERT_FALSE(foreign);
    EXPECT_EQ(foreign.error().code, ErrorCode::not_found);
    EXPECT_FALSE(bench.bench.disk().exists("/foreign/.lock"));
}

TEST(LogStore, JournalsOfAnotherShardCountAreReplayed) {
    StoreBench bench(1, StoreBench::small_settings(), 2);
    bench.start();
    // A second shard with a store of its own on the same directory.
    LogStore other(bench.ports(1), bench.settings);
    std::vector<ServedDirectory> served;
    served.push_back(bench.directory->served());
    ASSERT_TRUE(bench.bench.run(other.open(served)));
    append_some(bench, bench.create("mine"), 3, "mine");
    NewLog wanted;
    wanted.name = {"others", PartitionIndex{0}};
    wanted.log_dir = kDirectory;
    auto log = other.create_log(wanted);
    ASSERT_TRUE(log);
    append_some(bench, **log, 4, "other");
    bench.kill();
    bench.start();  // One shard replays both journals.
    ASSERT_NE(bench.find("mine"), nullptr);
    ASSERT_NE(bench.find("others"), nullptr);
    EXPECT_EQ(bench.values(*bench.find("others")).size(), 4U);
    EXPECT_EQ(bench.values(*bench.find("mine")).size(), 3U);
}

TEST(LogStore, ASecondProcessIsRefusedByTheLock) {
    StoreBench bench;
    bench.start();
    auto& second = bench.bench.machine.add_process("second", 1);
    second.start();
    const auto refused =
        bench.bench.run(LogDirectory::open(second.ports(0), kDirectory, bench.settings));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::locked);
}

TEST(LogStore, ADeletedNameMayBeUsedAgainAndIsAnotherLog) {
    StoreBench bench;
    bench.start();
    Log& log = bench.create("t");
    append_some(bench, log, 5, "old");
    bench.run_for(std::chrono::seconds(1));
    ASSERT_TRUE(bench.bench.run(bench.store->delete_log(log)));
    EXPECT_EQ(bench.find("t"), nullptr);
    const Values wanted = append_some(bench, bench.create("t"), 2, "new");
    bench.kill();
    bench.start();
    EXPECT_EQ(bench.values(*bench.find("t")), wanted);
}

TEST(LogStore, AFlippedBitInTheMiddleOfTheJournalIsNamedAndNothingIsServed) {
    StoreBench bench;
    bench.settings.flush_delay = std::chrono::seconds(1000);
    bench.start();
    append_some(bench, bench.create("t"), 10);
    bench.kill();
    const std::string journal = first_journal(bench);
    ASSERT_TRUE(bench.bench.disk().flip_bit(journal, 4 * 4096 + 100, 2));
    const Status booted = bench.bench.run(bench.boot());
    ASSERT_FALSE(booted);
    EXPECT_EQ(booted.error().code, ErrorCode::corrupt);
    EXPECT_NE(booted.error().detail.find("journal group 5"), std::string::npos)
        << booted.error().detail;
}

TEST(LogStore, ATornLastGroupIsDropped) {
    StoreBench bench;
    bench.settings.flush_delay = std::chrono::seconds(1000);
    bench.start();
    const Values wanted = append_some(bench, bench.create("t"), 10);
    bench.kill();
    // As if the sectors of the last group had not all arrived.
    const std::string journal = first_journal(bench);
    ASSERT_TRUE(bench.bench.disk().flip_bit(journal, 9 * 4096 + 100, 2));
    bench.start();
    EXPECT_EQ(bench.values(*bench.find("t")), Values(wanted.begin(), wanted.end() - 1));
}

TEST(LogStore, WhatARecycledJournalFileHeldBeforeIsNotReplayed) {
    StoreBench bench;
    bench.start();
    Log& log = bench.create("t");
    Values wanted;
    // Enough for every file to be used several times.
    for (int i = 0; i < 600; ++i) {
        wanted.push_back(fmt::format("{} {}", i, std::string(5000, 'z')));
        while (!bench.append(log, wanted.back())) {
            bench.bench.run(bench.store->wait_for_room(kDirectory));
        }
        if (i % 7 == 0) bench.settle(log);
    }
    bench.settle(log);
    size_t journals = 0;
    for (const std::string& path : bench.bench.disk().files()) {
        if (path.find(".ottla-journal-") != std::string::npos) ++journals;
    }
    EXPECT_LE(journals, 9U);
    bench.power_cut();
    bench.start();
    EXPECT_EQ(bench.values(*bench.find("t")), wanted);
}

TEST(LogStore, BytesThatSomebodyElseWroteAreNotReplayedOver) {
    StoreBench bench;
    bench.start();
    append_some(bench, bench.create("t"), 3);
    bench.run_for(std::chrono::seconds(1));
    bench.kill();
    const Buffer other = make_batch(bench.codecs, "written by another broker, longer than ours");
    bench.bench.disk().put(kDirectory + "/t-0/00000000000000000000.log", other.text());
    // Nobody starts on the guard: whoever wrote took it away.
    ASSERT_TRUE(bench.bench.run(bench.ports().files.remove_directory(kDirectory + "/.ottla")));
    const Status booted = bench.bench.run(bench.boot());
    ASSERT_FALSE(booted);
    EXPECT_EQ(booted.error().code, ErrorCode::corrupt);
    EXPECT_NE(booted.error().detail.find("t-0/00000000000000000000.log"), std::string::npos);
}

TEST(LogStore, AfterAFailedSyncNothingInDoubtIsAcknowledgedAndTheDirectoryIsOffline) {
    StoreBench bench;
    bench.start();
    Log& log = bench.create("t");
    const Values wanted = append_some(bench, log, 3);
    sim::PlannedFailure failure;
    failure.file_kind = FileOp::Kind::sync;
    failure.path = ".ottla-journal";
    bench.bench.disk().plan(failure);
    ASSERT_TRUE(bench.append(log, "in doubt"));
    bench.run_for(std::chrono::seconds(20));  // Later syncs would succeed.
    EXPECT_EQ(log.durable_end(), Offset{3});
    EXPECT_TRUE(log.is_offline());
    EXPECT_EQ(bench.append(log, "more").error().code, ErrorCode::kafka_storage_error);
    EXPECT_EQ(bench.failures.size(), 1U);
    bench.power_cut();
    bench.start();
    const Values found = bench.values(*bench.find("t"));
    ASSERT_GE(found.size(), 3U);
    EXPECT_EQ(Values(found.begin(), found.begin() + 3), wanted);
}

TEST(LogStore, AFailedSyncOfASegmentTakesTheDirectoryOffline) {
    StoreBench bench;
    bench.start();
    Log& log = bench.create("t");
    const Values wanted = append_some(bench, log, 3);
    sim::PlannedFailure failure;
    failure.file_kind = FileOp::Kind::sync;
    failure.path = "t-0/";
    bench.bench.disk().plan(failure);
    bench.run_for(std::chrono::seconds(20));
    EXPECT_TRUE(log.is_offline());
    bench.power_cut(sim::Survival{sim::Survival::Kind::nothing, 0});
    bench.start();
    EXPECT_EQ(bench.values(*bench.find("t")), wanted);
}

TEST(LogStore, IndexFilesThatAreMissingOrWrongAreBuiltAnew) {
    StoreBench bench;
    bench.config.segment_bytes = 2000;
    bench.config.index_interval_bytes = 300;
    bench.start();
    const Values wanted = append_some(bench, bench.create("t"), 60);
    bench.clean_stop();
    const std::string index = kDirectory + "/t-0/00000000000000000000.index";
    const auto before = bench.bench.disk().contents(index);
    ASSERT_TRUE(before && !before->empty());
    bench.bench.disk().put(index, "12345678" + *before);
    bench.disown();
    bench.start();
    EXPECT_EQ(bench.values(*bench.find("t")), wanted);
    EXPECT_EQ(bench.bench.disk().contents(index), before);
}

TEST(LogStore, DamageInACleanSegmentIsAnErrorThatNamesIt) {
    StoreBench bench;
    bench.start();
    append_some(bench, bench.create("t"), 5);
    bench.clean_stop();
    const std::string path = kDirectory + "/t-0/00000000000000000000.log";
    ASSERT_TRUE(bench.bench.disk().flip_bit(path, 100, 1));
    bench.disown();
    const Status booted = bench.bench.run(bench.boot());
    ASSERT_TRUE(booted) << booted.error().detail;
    const Values found = bench.values(*bench.find("t"));
    ASSERT_EQ(found.size(), 2U);
    EXPECT_TRUE(found.back().starts_with("<" + path + " at ")) << found.back();
}

}  // namespace
}  // namespace ottla::storage::test
