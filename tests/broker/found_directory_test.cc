// SPDX-License-Identifier: Apache-2.0
// Directories as somebody else left them: which are refused, and that a refused start changes
// nothing. Covers controller/found_metadata, raft/metadata_log, broker/node.
#include "metadata/delta.h"
#include "protocol/list_offsets.h"
#include "raft/snapshot.h"
#include "records/control.h"
#include "storage/atomic_file.h"
#include "storage/file_names.h"
#include "tests/broker/broker_world.h"

namespace ottla {
namespace {

const std::string kLog = "/data/__cluster_metadata-0/00000000000000000000.log";

protocol::MetadataRecord level(const std::string& name, int16_t number) {
    protocol::FeatureLevelRecord record;
    record.name = name;
    record.feature_level = number;
    return record;
}

class FoundDirectoryTest : public test::BrokerWorld {
protected:
    using Tree = std::map<std::string, std::string>;

    /// A broker ran here and was stopped cleanly.
    void SetUp() override {
        inspector_.start();
        ASSERT_TRUE(start());
        auto raw = client();
        const Uuid id = create_topic(*raw, "t", 2);
        const auto response = ask(*raw, 13, produce_request(13, "t", id, 0, batch_of({"a", "b"})));
        ASSERT_EQ(response.responses.at(0).partition_responses.at(0).error_code, 0);
        stop();
    }
    FileSystem& disk() { return inspector_.ports(0).files; }
    template <class T>
    T on_disk(Task<T> task) {
        return sim::run(world_, inspector_.runtime(0), std::move(task));
    }
    Buffer read(std::string path) { return *on_disk(storage::read_file(disk(), path, 1 << 24)); }
    /// What another program appended to the metadata log before it stopped.
    void append(const std::vector<protocol::MetadataRecord>& records) {
        const Buffer log = read(kLog);
        BatchCursor cursor(log.span());
        Offset end{0};
        LeaderEpoch epoch{0};
        while (cursor.next() == BatchStep::batch) {
            end = cursor.batch().offset_end();
            epoch = cursor.batch().leader_epoch();
        }
        std::vector<raft::VersionedRecord> versioned;
        for (const auto& record : records) versioned.push_back({record, 0});
        Chain both(log);
        both.append(raft::encode_batch(end, epoch, WallTime{1}, versioned));
        ASSERT_TRUE(on_disk(storage::replace_file(disk(), kLog, both.flatten())));
    }
    void add_tree(const std::string& path, Tree& tree) {
        for (const DirectoryEntry& entry : *on_disk(disk().list(path))) {
            const std::string name = storage::join_path(path, entry.name);
            if (entry.is_directory) {
                tree[name] = "a folder";
                add_tree(name, tree);
            } else {
                tree[name] = std::string(read(name).text());
            }
        }
    }
    Tree tree() {
        Tree found;
        add_tree("/data", found);
        return found;
    }
    /// A start that fails with `why`, and leaves every name and byte.
    void expect_refused(const std::string& why) {
        const Tree before = tree();
        const Status started = start();
        ASSERT_FALSE(started);
        EXPECT_NE(started.error().detail.find(why), std::string::npos) << started.error().detail;
        stop();
        EXPECT_TRUE(log_.errors.empty()) << log_.errors.front();
        EXPECT_EQ(tree(), before);
    }

    sim::Process& inspector_ = server_machine_.add_process("inspector", 1);
};

TEST_F(FoundDirectoryTest, ANewerLevelIsRefusedByNameAndNothingIsTouched) {
    append({level("metadata.version", metadata::kNewestMetadataVersion + 1)});
    expect_refused("metadata.version at level 34; this version of Ottla supports 21 to 33");
    expect_refused(kLog);
}

TEST_F(FoundDirectoryTest, AnUnknownFeatureIsRefusedByNameAndNothingIsTouched) {
    append({level("tomorrow.version", 1)});
    expect_refused("tomorrow.version");
}

TEST_F(FoundDirectoryTest, AfterACleanStopAMetadataLogThatLostItsEndIsRefusedByName) {
    const Buffer whole = read(kLog);
    ASSERT_TRUE(on_disk(storage::replace_file(disk(), kLog, whole.slice(0, whole.size() - 1))));
    expect_refused(kLog);
    std::string text(whole.text());
    text.back() = static_cast<char>(text.back() ^ 4);
    ASSERT_TRUE(on_disk(storage::replace_file(disk(), kLog, Buffer::copy_of(text))));
    expect_refused(kLog);
    ASSERT_TRUE(on_disk(storage::replace_file(disk(), kLog, whole)));
    EXPECT_TRUE(start());
}

TEST_F(FoundDirectoryTest, TransactionsThatKafkaLeftHideFromWhoReadsCommitted) {
    const std::string path = "/data/t-0/00000000000000000000.log";
    const auto written = [](int64_t producer, int64_t at) {
        Codecs codecs;
        BatchBuilder builder(codecs, {.transactional = true,
                                      .base_offset = Offset{at},
                                      .leader_epoch = LeaderEpoch{0},
                                      .producer_id = ProducerId{producer},
                                      .producer_epoch = ProducerEpoch{0},
                                      .base_sequence = 0});
        builder.append(WallTime{1000}, std::nullopt, as_bytes("hidden"));
        return *builder.finish();
    };
    Chain log(read(path));  // 0 and 1, then one aborted and one open transaction.
    log.append(written(7, 2));
    log.append(build_end_transaction_batch({.producer_id = ProducerId{7},
                                            .producer_epoch = ProducerEpoch{0},
                                            .timestamp = WallTime{1000},
                                            .base_offset = Offset{3},
                                            .leader_epoch = LeaderEpoch{0}},
                                           {.committed = false}));
    log.append(written(8, 4));
    ASSERT_TRUE(on_disk(storage::replace_file(disk(), path, log.flatten())));
    ASSERT_TRUE(on_disk(disk().unlink("/data/.kafka_cleanshutdown")));
    ASSERT_TRUE(start());
    auto raw = client();
    for (const int8_t isolation : {int8_t{0}, int8_t{1}}) {
        auto request = fetch_request(12, "t", Uuid(), {{0, 0}});
        request.isolation_level = isolation;
        const auto response = ask(*raw, 12, std::move(request));
        const auto& found = response.responses.at(0).partitions.at(0);
        EXPECT_EQ(found.error_code, 0);
        EXPECT_EQ(found.high_watermark, 5);
        EXPECT_EQ(found.last_stable_offset, 4);
        EXPECT_EQ(found.records->flatten().size(),
                  log.size() - (isolation ? written(8, 4).size() : 0));
        ASSERT_EQ(found.aborted_transactions.has_value(), isolation == 1);
        if (isolation == 1) {
            ASSERT_EQ(found.aborted_transactions->size(), 1U);
            EXPECT_EQ(found.aborted_transactions->at(0).producer_id, 7);
            EXPECT_EQ(found.aborted_transactions->at(0).first_offset, 2);
        }
        protocol::ListOffsetsRequest listing;
        listing.replica_id = -1;
        listing.isolation_level = isolation;
        listing.topics.push_back({"t", {{0, -1, -1}}});
        const auto listed = ask(*raw, 5, std::move(listing));
        EXPECT_EQ(listed.topics.at(0).partitions.at(0).offset, isolation == 1 ? 4 : 5);
    }
}

TEST_F(FoundDirectoryTest, ADirectoryOfALaterLevelIsServedAtThatLevel) {
    append({level("metadata.version", metadata::kNewestMetadataVersion),
            level("eligible.leader.replicas.version", 1), level("transaction.version", 2)});
    for (int round = 0; round < 2; ++round) {
        const Status started = start();
        ASSERT_TRUE(started) << started.error().detail;
        auto raw = client();
        const Uuid id = create_topic(*raw, fmt::format("new-{}", round), 1);
        const auto fetched = ask(*raw, 13, fetch_request(13, "", id, {{0, 0}}));
        EXPECT_EQ(fetched.responses.at(0).partitions.at(0).error_code, 0);
        stop();
    }
    EXPECT_TRUE(log_.errors.empty());
}

}  // namespace
}  // namespace ottla
