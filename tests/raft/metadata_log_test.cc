// SPDX-License-Identifier: Apache-2.0
#include "raft/metadata_log.h"

#include <gtest/gtest.h>

#include "records/control.h"
#include "storage/atomic_file.h"
#include "tests/sim/machine.h"

namespace ottla::raft {
namespace {

const std::string kDirectory = "/data/__cluster_metadata-0";
const std::string kSegment = kDirectory + "/00000000000000000000.log";

class MetadataLogTest : public testing::Test {
protected:
    void SetUp() override {
        bench.disk().prepare_directory("/data");
        ASSERT_TRUE(bench.run(bench.files().make_directory(kDirectory)));
    }
    Result<std::unique_ptr<MetadataLog>> open(LastWriter writer = LastWriter::ours) {
        return bench.run(
            MetadataLog::open(bench.process.ports(0), kDirectory, limits, nullptr, writer));
    }
    std::unique_ptr<MetadataLog> opened() {
        auto log = open();
        EXPECT_TRUE(log) << log.error().detail;
        return *std::move(log);
    }
    static Buffer batch(Offset base, int32_t epoch, size_t records = 1) {
        std::vector<VersionedRecord> all(records, {protocol::NoOpRecord{}, 0});
        return encode_batch(base, LeaderEpoch{epoch}, WallTime{1000}, all);
    }
    void append(MetadataLog& log, int32_t epoch, size_t records = 1) {
        ASSERT_TRUE(bench.run(log.append({batch(log.end(), epoch, records)})));
    }
    Buffer segment() {
        auto bytes = bench.run(storage::read_file(bench.files(), kSegment, 1 << 24));
        EXPECT_TRUE(bytes);
        return *bytes;
    }
    void overwrite(Buffer content) {
        ASSERT_TRUE(bench.run(storage::write_file(bench.files(), kSegment, content)));
    }
    /// The segment with one bit of its byte `at` flipped.
    void damage(size_t at) {
        const Buffer bytes = segment();
        BlockRef block = make_block(bytes.size());
        std::memcpy(block->data(), bytes.data(), bytes.size());
        block->data()[at] ^= std::byte{1};
        overwrite(Buffer{block, 0, bytes.size()});
    }

    /// Its end is not waited for.
    static Task<> append_unheard(MetadataLog& log, std::vector<Buffer> batches) {
        static_cast<void>(co_await log.append(std::move(batches)));
    }

    sim::Bench bench{5};
    storage::SegmentLimits limits;
};

TEST_F(MetadataLogTest, GivesBackWhatWasAppended) {
    auto log = opened();
    append(*log, 1, 3);
    append(*log, 1, 2);
    append(*log, 2);
    log = opened();
    EXPECT_EQ(log->end(), Offset{6});
    EXPECT_EQ(log->last_epoch(), LeaderEpoch{2});
    const auto all = bench.run(log->read(Offset{0}, 1 << 20));
    ASSERT_TRUE(all);
    EXPECT_EQ(all->size(), 3U);
    const auto some = bench.run(log->read(Offset{4}, 1));  // inside the second batch
    ASSERT_TRUE(some);
    EXPECT_EQ(BatchView{some->front().span()}.base_offset(), Offset{3});
    EXPECT_TRUE(bench.run(log->read(Offset{6}, 1 << 20))->empty());
    const auto epochs = bench.run(
        storage::read_file(bench.files(), kDirectory + "/leader-epoch-checkpoint", 1000));
    EXPECT_EQ(epochs->text(), "0\n2\n1 0\n2 5\n");
}

TEST_F(MetadataLogTest, ATornTailIsCut) {
    auto log = opened();
    append(*log, 1);
    append(*log, 1, 50);
    const Buffer bytes = segment();
    overwrite(bytes.slice(0, bytes.size() - 7));
    log = opened();
    EXPECT_EQ(log->end(), Offset{1});
    EXPECT_EQ(segment().size(), batch(Offset{0}, 1).size());
    append(*log, 2);
    EXPECT_EQ(opened()->end(), Offset{2});
}

TEST_F(MetadataLogTest, UpToWhereItWasClosedNothingIsTakenForATornTail) {
    auto log = opened();
    append(*log, 1);
    append(*log, 1, 50);
    ASSERT_TRUE(bench.run(log->close()));
    const auto end = log->file_end();
    ASSERT_TRUE(end);
    log.reset();
    const auto reopen = [&] {
        return bench.run(MetadataLog::open(bench.process.ports(0), kDirectory, limits, nullptr,
                                           LastWriter::ours, end));
    };
    const Buffer whole = segment();
    const size_t first = batch(Offset{0}, 1).size();
    EXPECT_EQ((*reopen())->end(), Offset{51});
    for (const size_t left : {0UZ, 30UZ, first, whole.size() - 1}) {
        overwrite(whole.slice(0, left));
        const auto cut = reopen();
        ASSERT_FALSE(cut) << left;
        EXPECT_EQ(cut.error().code, ErrorCode::corrupt);
        EXPECT_EQ(segment().size(), left) << "a refusal changes nothing";
    }
    for (const size_t at : {first + 20, whole.size() - 1}) {
        overwrite(whole);
        damage(at);
        EXPECT_EQ(reopen().error().code, ErrorCode::corrupt) << at;
    }
    ASSERT_TRUE(bench.run(bench.files().unlink(kSegment)));
    EXPECT_EQ(reopen().error().code, ErrorCode::corrupt);
    overwrite(whole);
    EXPECT_EQ((*reopen())->end(), Offset{51});
}

TEST_F(MetadataLogTest, ZerosBehindTheEndAreATornTail) {
    auto log = opened();
    append(*log, 1);
    const Buffer bytes = segment();
    BlockRef block = make_block(bytes.size() + 4096);
    std::memset(block->data(), 0, bytes.size() + 4096);
    std::memcpy(block->data(), bytes.data(), bytes.size());
    overwrite(Buffer{block, 0, bytes.size() + 4096});
    EXPECT_EQ(opened()->end(), Offset{1});
}

TEST_F(MetadataLogTest, DamageBeforeALaterEpochIsNotCut) {
    auto log = opened();
    append(*log, 1);
    const size_t second = segment().size();
    append(*log, 1);
    append(*log, 2);  // A leader of epoch 2 had everything before it on the disk.
    damage(second + 30);
    const auto refused = open();
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::corrupt);
    EXPECT_NE(refused.error().detail.find(kSegment), std::string::npos) << refused.error().detail;
}

/// One append of Kafka's controller began an epoch, and the power cut left the later of its batches.
TEST_F(MetadataLogTest, WhatKafkaTornOfAnAppendThatBeganAnEpochIsCut) {
    auto log = opened();
    append(*log, 1);
    const size_t second = segment().size();
    append(*log, 2, 40);
    append(*log, 2);
    damage(second + 100);
    const Buffer before = segment();
    const auto refused = open(LastWriter::ours);
    ASSERT_FALSE(refused) << "we would have synced the first before the second was written";
    EXPECT_EQ(segment().size(), before.size()) << "a refusal changes nothing";
    auto cut = open(LastWriter::anybody);
    ASSERT_TRUE(cut) << cut.error().detail;
    EXPECT_EQ((*cut)->end(), Offset{1});
    EXPECT_EQ((*cut)->last_epoch(), LeaderEpoch{1});
    append(**cut, 3);
    EXPECT_EQ(opened()->end(), Offset{2});
}

TEST_F(MetadataLogTest, ASnapshotBehindWhatKafkaToreRefusesTheCut) {
    auto log = opened();
    append(*log, 1);
    const size_t second = segment().size();
    append(*log, 2, 40);
    append(*log, 2);
    log.reset();
    const SnapshotId id{Offset{41}, LeaderEpoch{2}};
    SnapshotWriting content;
    content.id = id;
    const Buffer snapshot = encode_snapshot(content);
    const std::string path = kDirectory + "/" + snapshot_file_name(id);
    ASSERT_TRUE(bench.run(storage::write_file(bench.files(), path, snapshot)));
    ASSERT_TRUE(open(LastWriter::anybody)) << "the snapshot itself is sound";
    damage(second + 100);
    const auto refused = open(LastWriter::anybody);
    ASSERT_FALSE(refused) << "what a snapshot stands for was committed";
    EXPECT_EQ(refused.error().code, ErrorCode::corrupt);
}

TEST_F(MetadataLogTest, DamageFarBeforeTheEndIsRefusedWhoeverWrote) {
    auto log = opened();
    append(*log, 1);
    const size_t second = segment().size();
    append(*log, 2, 2000);
    const size_t one = segment().size() - second;
    for (size_t bytes = one; bytes <= (9UL << 20U); bytes += one) append(*log, 2, 2000);
    damage(second + 100);
    EXPECT_FALSE(open(LastWriter::anybody)) << "more than one append holds lies behind it";
}

TEST_F(MetadataLogTest, ATornAppendThatBeginsAnEpochIsNoDamage) {
    for (uint64_t seed = 1; seed <= 200; ++seed) {
        sim::Bench one{seed};
        one.disk().prepare_directory(kDirectory);
        auto log = one.run(MetadataLog::open(one.process.ports(0), kDirectory, {}));
        ASSERT_TRUE(log);
        ASSERT_TRUE(one.run((*log)->append({batch(Offset{0}, 1)})));
        one.runtime().spawn(append_unheard(**log, {batch(Offset{1}, 2, 2000), batch(Offset{2001}, 2)}));
        for (uint64_t i = 0; i < seed % 20; ++i) one.world.step();
        one.process.kill();
        log->reset();
        one.power_cut();
        log = one.run(MetadataLog::open(one.process.ports(0), kDirectory, {}));
        ASSERT_TRUE(log) << "seed " << seed << ": " << log.error().detail;
        EXPECT_GE((*log)->end(), Offset{1});
    }
}

TEST_F(MetadataLogTest, WhatAFailedSyncLeftInTheCacheIsDurableOnceItWasFound) {
    for (uint64_t seed = 1; seed <= 40; ++seed) {
        sim::Bench one{seed};
        one.disk().prepare_directory(kDirectory);
        const auto reopen = [&one] {
            return one.run(MetadataLog::open(one.process.ports(0), kDirectory, {}));
        };
        auto log = reopen();
        ASSERT_TRUE(log);
        ASSERT_TRUE(one.run((*log)->append({batch(Offset{0}, 1)})));
        one.disk().plan({.of_file = true,
                         .file_kind = FileOp::Kind::sync,
                         .name_kind = FileSystemOp::Kind::open,
                         .path = kSegment,
                         .error = ErrorCode::io_error});
        ASSERT_FALSE(one.run((*log)->append({batch(Offset{1}, 1, 50)})));
        log->reset();
        one.kill();
        log = reopen();
        ASSERT_TRUE(log);
        const Offset found = (*log)->end();
        log->reset();
        one.power_cut();
        log = reopen();
        ASSERT_TRUE(log) << "seed " << seed;
        EXPECT_EQ((*log)->end(), found) << "seed " << seed;
    }
}

TEST_F(MetadataLogTest, DamageInAClosedSegmentIsNotCut) {
    limits.segment_bytes = 100;
    auto log = opened();
    append(*log, 1);
    append(*log, 1);
    damage(40);
    EXPECT_EQ(open().error().code, ErrorCode::corrupt);
}

TEST_F(MetadataLogTest, AGapIsRefused) {
    overwrite(batch(Offset{0}, 1));
    const Buffer first = segment();
    Chain both(first);
    both.append(batch(Offset{5}, 1));
    overwrite(both.flatten());
    EXPECT_EQ(open().error().code, ErrorCode::corrupt);
}

TEST_F(MetadataLogTest, ALogWithoutItsBeginningIsRefused) {
    const std::string late = kDirectory + "/00000000000000000010.log";
    ASSERT_TRUE(bench.run(storage::write_file(bench.files(), late, batch(Offset{10}, 1))));
    EXPECT_EQ(open().error().code, ErrorCode::corrupt);
}

TEST_F(MetadataLogTest, BeginsBehindItsSnapshot) {
    SnapshotWriting content;
    content.id = {Offset{10}, LeaderEpoch{3}};
    content.records = {{protocol::TopicRecord{"t", kMetadataTopicId}, 0}};
    const std::string path = kDirectory + "/" + snapshot_file_name(content.id);
    ASSERT_TRUE(bench.run(
        storage::write_file(bench.files(), path, encode_snapshot(content))));
    const auto log = opened();
    EXPECT_EQ(log->end(), Offset{10});
    EXPECT_EQ(log->last_epoch(), LeaderEpoch{3});
    EXPECT_EQ(log->snapshot().records.size(), 1U);
}

TEST_F(MetadataLogTest, VotersOfTheLogWinOverThoseOfTheSnapshot) {
    const auto voters_of = [](int32_t id) {
        Voter voter;
        voter.key.id = BrokerId{id};
        return VoterSet{{voter}};
    };
    SnapshotWriting content;
    content.kraft_version = 1;
    content.voters = voters_of(1);
    const std::string path = kDirectory + "/" + snapshot_file_name(content.id);
    ASSERT_TRUE(bench.run(
        storage::write_file(bench.files(), path, encode_snapshot(content))));
    auto log = opened();
    EXPECT_FALSE(log->voters_in_log());
    EXPECT_EQ(log->quorum().voters, voters_of(1));
    const Buffer value = encode_voters(voters_of(2));
    const ControlRecord record{ControlType::kraft_voters, value.span()};
    ASSERT_TRUE(bench.run(log->append(
        {build_control_batch({WallTime{1}, Offset{0}, LeaderEpoch{1}}, {&record, 1})})));
    log = opened();
    EXPECT_TRUE(log->voters_in_log());
    EXPECT_EQ(log->quorum().voters, voters_of(2));
}

TEST_F(MetadataLogTest, ADamagedQuorumStateIsNamed) {
    opened();
    const std::string path = kDirectory + "/quorum-state";
    ASSERT_TRUE(bench.run(
        storage::write_file(bench.files(), path, Buffer::copy_of("{"))));
    const auto refused = open();
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().detail.find(path), std::string::npos);
}

}  // namespace
}  // namespace ottla::raft
