// SPDX-License-Identifier: Apache-2.0
// What is formatted, what is completed, what is refused. Crashes in the middle of it are part of
// tests/controller/controller_driver_test.cc.
#include "raft/format.h"

#include <gtest/gtest.h>

#include "tests/controller/quorum_bench.h"

namespace ottla::raft {
namespace {

using controller::test::QuorumBench;

std::string refusal(QuorumBench& bench) {
    const Status booted = bench.bench.run(bench.boot());
    EXPECT_FALSE(booted);
    return booted ? "" : booted.error().detail;
}

bool says(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

TEST(Format, EveryDirectoryGetsAnIdOfItsOwnAndOneCluster) {
    QuorumBench bench(1);
    bench.start();
    ASSERT_EQ(bench.directories.size(), 2U);
    EXPECT_EQ(bench.directories[0]->meta()->cluster_id, bench.directories[1]->meta()->cluster_id);
    EXPECT_NE(bench.directories[0]->meta()->directory_id, bench.directories[1]->meta()->directory_id);
    EXPECT_EQ(bench.driver->raft().voters().voters.at(0).key.directory, bench.identity.directory_id);
    EXPECT_TRUE(bench.bench.run(bench.ports().files.status("/data/a/bootstrap.checkpoint")));
}

TEST(Format, TakesTheConfiguredClusterId) {
    QuorumBench bench(2);
    bench.format.cluster_id = "MkU3OEVBNTcwNTJENDM2Qg";
    bench.start();
    EXPECT_EQ(bench.identity.cluster_id, "MkU3OEVBNTcwNTJENDM2Qg");
    bench.kill();
    bench.format.cluster_id = "other";
    EXPECT_TRUE(says(refusal(bench), "belongs to cluster MkU3OEVBNTcwNTJENDM2Qg"));
}

TEST(Format, SeveralVotersAreRefusedByName) {
    QuorumBench bench(3);
    bench.format.configured_voters = 3;
    EXPECT_TRUE(says(refusal(bench), "controller.quorum.voters names 3 voters"));
    EXPECT_FALSE(bench.directories[0]->meta());
}

TEST(Format, AnotherNodesDirectoryIsRefused) {
    QuorumBench bench(4);
    bench.start();
    bench.kill();
    bench.format.node = BrokerId{2};
    EXPECT_TRUE(says(refusal(bench), "belongs to node 1, this is node 2"));
}

TEST(Format, AnAddedDirectoryJoins) {
    QuorumBench bench(5);
    bench.directory_paths = {"/data/a"};
    bench.start();
    bench.kill();
    bench.directory_paths = {"/data/a", "/data/new"};
    bench.start();
    EXPECT_EQ(bench.directories[1]->meta()->cluster_id, bench.identity.cluster_id);
    EXPECT_EQ(bench.image().broker(BrokerId{1})->log_dirs.size(), 2U);
}

TEST(Format, AMetadataDirectoryThatIsEmptyAmongOthersIsRefused) {
    QuorumBench bench(6);
    bench.start();
    bench.kill();
    bench.directory_paths = {"/data/empty", "/data/b"};
    bench.format.metadata_dir = "/data/empty";
    EXPECT_TRUE(says(refusal(bench), "/data/empty should hold the metadata log"));
}

TEST(Format, ALostMetadataLogIsRefusedWhileThereAreTopics) {
    QuorumBench bench(7);
    bench.start();
    FileSystem& files = bench.ports().files;
    ASSERT_TRUE(bench.bench.run(files.make_directory("/data/b/topic-0")));
    ASSERT_TRUE(bench.bench.run(
        files.rename("/data/a/__cluster_metadata-0", "/data/elsewhere")));
    bench.kill();
    EXPECT_TRUE(says(refusal(bench), "/data/b holds topics"));
}

TEST(Format, LogsWithoutMetaPropertiesAreRefused) {
    QuorumBench bench(8);
    FileSystem& files = bench.ports().files;
    ASSERT_TRUE(bench.bench.run(files.make_directory("/data/b")));
    ASSERT_TRUE(bench.bench.run(files.make_directory("/data/b/topic-0")));
    EXPECT_TRUE(says(refusal(bench), "/data/b holds logs but no meta.properties"));
}

}  // namespace
}  // namespace ottla::raft
