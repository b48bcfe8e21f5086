// SPDX-License-Identifier: Apache-2.0
// The pure formats: indexes, names, checkpoint texts, journal groups and entries.
#include <gtest/gtest.h>

#include "base/uuid.h"
#include "storage/file_names.h"
#include "storage/journal_format.h"
#include "storage/meta_properties.h"
#include "storage/offset_checkpoint.h"
#include "storage/offset_index.h"
#include "storage/time_index.h"

namespace ottla::storage {
namespace {

std::string hex(std::span<const std::byte> bytes) {
    std::string text;
    for (const std::byte b : bytes) text += fmt::format("{:02x}", static_cast<unsigned>(b));
    return text;
}

TEST(OffsetIndex, LookupReturnsLastEntryAtOrBelowTarget) {
    OffsetIndex index(Offset{100}, 1024);
    index.append(Offset{110}, 50);
    index.append(Offset{120}, 90);
    EXPECT_EQ(index.lookup(Offset{105}), (OffsetIndex::Entry{Offset{100}, 0}));
    EXPECT_EQ(index.lookup(Offset{110}), (OffsetIndex::Entry{Offset{110}, 50}));
    EXPECT_EQ(index.lookup(Offset{119}), (OffsetIndex::Entry{Offset{110}, 50}));
    EXPECT_EQ(index.lookup(Offset{500}), (OffsetIndex::Entry{Offset{120}, 90}));
}

TEST(OffsetIndex, BytesAreRelativeOffsetAndPositionBigEndian) {
    OffsetIndex index(Offset{100}, 1024);
    index.append(Offset{110}, 0x1234);
    EXPECT_EQ(hex(index.bytes().span()), "0000000a00001234");
}

TEST(OffsetIndex, LoadStopsAtThePreallocatedTail) {
    OffsetIndex index(Offset{0}, 1024);
    index.append(Offset{10}, 100);
    std::vector<std::byte> bytes(64);
    std::memcpy(bytes.data(), index.bytes().data(), 8);
    OffsetIndex loaded(Offset{0}, 1024);
    ASSERT_TRUE(loaded.load(bytes, 1000));
    EXPECT_EQ(loaded.size(), 1U);
    EXPECT_EQ(loaded.last(), (OffsetIndex::Entry{Offset{10}, 100}));
}

TEST(OffsetIndex, LoadRefusesEntriesThatDoNotRiseOrPointBehindTheLog) {
    OffsetIndex index(Offset{0}, 1024);
    index.append(Offset{10}, 100);
    OffsetIndex loaded(Offset{0}, 1024);
    EXPECT_EQ(loaded.load(index.bytes().span(), 100).error().code, ErrorCode::corrupt);
    std::vector<std::byte> twice(16);
    std::memcpy(twice.data(), index.bytes().data(), 8);
    std::memcpy(twice.data() + 8, index.bytes().data(), 8);
    EXPECT_EQ(loaded.load(twice, 1000).error().code, ErrorCode::corrupt);
    EXPECT_EQ(loaded.load(std::span(twice).first(9), 1000).error().code, ErrorCode::corrupt);
}

TEST(OffsetIndex, TruncateDropsEntriesAtAndAboveTheOffset) {
    OffsetIndex index(Offset{0}, 1024);
    index.append(Offset{10}, 100);
    index.append(Offset{20}, 200);
    index.truncate_to(Offset{20});
    EXPECT_EQ(index.size(), 1U);
}

TEST(TimeIndex, KeepsOnlyRisingTimestampsAndFindsTheLastAtOrBefore) {
    TimeIndex index(Offset{0}, 1200);
    index.maybe_append(WallTime{50}, Offset{5});
    index.maybe_append(WallTime{50}, Offset{6});
    index.maybe_append(WallTime{40}, Offset{7});
    index.maybe_append(WallTime{70}, Offset{9});
    EXPECT_EQ(index.size(), 2U);
    EXPECT_EQ(index.lookup(WallTime{49}), (TimeIndex::Entry{kNoTimestamp, Offset{0}}));
    EXPECT_EQ(index.lookup(WallTime{69}), (TimeIndex::Entry{WallTime{50}, Offset{5}}));
    EXPECT_EQ(hex(index.bytes().span()), "000000000000003200000005000000000000004600000009");
}

TEST(TimeIndex, AFirstEntryOfZerosIsRealUnlessMoreZerosFollow) {
    const std::vector<std::byte> one(12);
    const std::vector<std::byte> many(48);
    TimeIndex index(Offset{0}, 1200);
    ASSERT_TRUE(index.load(one));
    EXPECT_EQ(index.size(), 1U);
    ASSERT_TRUE(index.load(many));
    EXPECT_EQ(index.size(), 0U);
}

TEST(FileNames, SegmentNamesHaveTwentyDigits) {
    EXPECT_EQ(offset_file_name(Offset{42}, kLogSuffix), "00000000000000000042.log");
    EXPECT_EQ(parse_offset_file("00000000000000000042.log", kLogSuffix), Offset{42});
    EXPECT_FALSE(parse_offset_file("0000000000000000042.log", kLogSuffix));
    EXPECT_FALSE(parse_offset_file("0000000000000000004x.log", kLogSuffix));
    EXPECT_FALSE(parse_offset_file("00000000000000000042.index", kLogSuffix));
}

TEST(FileNames, TopicsMayHoldDashesAndDots) {
    const auto name = parse_log_directory("a-b.c-12");
    ASSERT_TRUE(name);
    EXPECT_EQ(name->log, (TopicPartition{"a-b.c", PartitionIndex{12}}));
    EXPECT_EQ(name->kind, LogDirectoryKind::log);
    const auto gone = parse_log_directory("t-0.0123456789abcdef0123456789abcdef-delete");
    ASSERT_TRUE(gone);
    EXPECT_EQ(gone->kind, LogDirectoryKind::deleted);
    EXPECT_EQ(gone->log.topic, "t");
    EXPECT_FALSE(parse_log_directory(".ottla"));
    EXPECT_FALSE(parse_log_directory("-1"));
}

TEST(FileNames, DeletedDirectoriesStayWithinTheLimitOfAFileName) {
    const TopicPartition longest{std::string(249, 't'), PartitionIndex{100000}};
    const std::string name = deleted_directory_name(longest, 7);
    EXPECT_LE(name.size(), 255U);
    ASSERT_TRUE(parse_log_directory(name));
    EXPECT_EQ(parse_log_directory(name)->kind, LogDirectoryKind::deleted);
}

TEST(FileNames, ACopysFolderIsNamedAsKafkaNamesItOrNotAtAll) {
    const TopicPartition log{"a.b-c", PartitionIndex{12}};
    const auto name = future_directory_name(log, 0xabc, 5);
    ASSERT_TRUE(name);
    EXPECT_EQ(*name, "a.b-c-12.0000000000000abc0000000000000005-future");
    const auto parsed = parse_log_directory(*name);
    ASSERT_TRUE(parsed);
    EXPECT_EQ(parsed->kind, LogDirectoryKind::future);
    EXPECT_EQ(parsed->log, log);
    EXPECT_FALSE(future_directory_name({std::string(230, 't'), PartitionIndex{0}}, 1, 1));
}
TEST(OffsetCheckpoint, TextIsKafkasAndComesBack) {
    OffsetCheckpoint entries;
    entries[{"b", PartitionIndex{1}}] = Offset{7};
    entries[{"a", PartitionIndex{0}}] = Offset{12};
    EXPECT_EQ(to_text(entries), "0\n2\na 0 12\nb 1 7\n");
    EXPECT_EQ(parse_offset_checkpoint(to_text(entries)), entries);
}

TEST(OffsetCheckpoint, EmptyFileHasNoEntries) {
    // Apache Kafka, stopped before it had a topic: replication-offset-checkpoint has no byte.
    EXPECT_EQ(parse_offset_checkpoint(""), OffsetCheckpoint{});
    EXPECT_FALSE(parse_offset_checkpoint("\n"));
}

TEST(OffsetCheckpoint, DamageNamesTheLine) {
    EXPECT_EQ(parse_offset_checkpoint("1\n0\n").error().code, ErrorCode::malformed);
    EXPECT_EQ(parse_offset_checkpoint("0\n2\na 0 12\n").error().code, ErrorCode::malformed);
    EXPECT_NE(parse_offset_checkpoint("0\n1\na x 12\n").error().detail.find("line 3"),
              std::string::npos);
}

TEST(PartitionMetadata, TextIsKafkas) {
    Uuid id;
    id.bytes[0] = 0xff;
    const std::string text = partition_metadata_text(id);
    EXPECT_EQ(text, "version: 0\ntopic_id: " + to_string(id));
    EXPECT_EQ(parse_partition_metadata(text), id);
    EXPECT_FALSE(parse_partition_metadata("version: 0\n"));
}

TEST(MetaPropertiesFile, ComesBackAndTakesJavasEscapes) {
    MetaProperties meta;
    meta.cluster_id = "MkU3OEVBNTcwNTJENDM2Qg";
    meta.node_id = BrokerId{3};
    meta.directory_id.bytes[3] = 1;
    EXPECT_EQ(parse_meta_properties(to_text(meta)), meta);
    const auto escaped = parse_meta_properties(
        "#\n#Sat Nov 21\ncluster.id=a\\=\\=\nversion=1\nnode.id=4\ndirectory.id=" +
        to_string(meta.directory_id) + "\n");
    ASSERT_TRUE(escaped);
    EXPECT_EQ(escaped->cluster_id, "a==");
    EXPECT_EQ(parse_meta_properties("version=0\nbroker.id=1\n").error().code, ErrorCode::corrupt);
}

std::vector<std::byte> sealed_group(const std::string& payload, const GroupHeader& header) {
    std::vector<std::byte> group(kGroupHeaderBytes + payload.size());
    std::memcpy(group.data() + kGroupHeaderBytes, payload.data(), payload.size());
    seal_group(group, header);
    return group;
}

TEST(JournalGroup, HeaderComesBackAndEveryBitIsCovered) {
    GroupHeader header;
    header.journal_id = 77;
    header.file_sequence = 3;
    header.sequence = 12;
    header.previous_crc = 9;
    header.oldest_needed = 10;
    header.files = 4;
    const auto group = sealed_group("payload", header);
    const auto found = read_group_header(group);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->sequence, 12U);
    EXPECT_EQ(found->oldest_needed, 10U);
    EXPECT_EQ(found->files, 4U);
    EXPECT_EQ(found->blocks_bytes(), kJournalBlockBytes);
    EXPECT_TRUE(group_is_intact(group, *found));
    for (size_t bit = 0; bit < group.size() * 8; ++bit) {
        auto damaged = group;
        damaged[bit / 8] ^= std::byte{static_cast<uint8_t>(1U << (bit % 8))};
        const auto seen = read_group_header(damaged);
        EXPECT_FALSE(seen && group_is_intact(damaged, *seen)) << bit;
    }
}

TEST(JournalEntry, EveryKindComesBack) {
    JournalEntry declare;
    declare.kind = EntryKind::declare;
    declare.instance = 5;
    declare.topic_id.bytes[2] = 4;
    declare.log = {"topic", PartitionIndex{6}};
    declare.directory_name = "topic-6";
    JournalEntry truncate;
    truncate.kind = EntryKind::truncate;
    truncate.instance = 5;
    truncate.offset = Offset{30};
    truncate.segment_base = Offset{20};
    truncate.position = 400;
    JournalEntry erase;
    erase.kind = EntryKind::erase;
    erase.instance = 5;
    JournalEntry rename;
    rename.kind = EntryKind::rename;
    rename.instance = 5;
    rename.directory_name = "topic-7";
    const std::string bytes =
        encode_entry(declare) + encode_entry(truncate) + encode_entry(erase) + encode_entry(rename);
    EntryCursor cursor(as_bytes(bytes));
    const auto first = cursor.next();
    ASSERT_TRUE(first && *first);
    EXPECT_EQ((*first)->log, declare.log);
    EXPECT_EQ((*first)->topic_id, declare.topic_id);
    EXPECT_EQ((*first)->directory_name, "topic-6");
    const auto second = cursor.next();
    ASSERT_TRUE(second && *second);
    EXPECT_EQ((*second)->offset, Offset{30});
    EXPECT_EQ((*second)->segment_base, Offset{20});
    EXPECT_EQ((*second)->position, 400U);
    const auto third = cursor.next();
    ASSERT_TRUE(third && *third);
    EXPECT_EQ((*third)->kind, EntryKind::erase);
    const auto fourth = cursor.next();
    ASSERT_TRUE(fourth && *fourth);
    EXPECT_EQ((*fourth)->kind, EntryKind::rename);
    EXPECT_EQ((*fourth)->directory_name, "topic-7");
    const auto end = cursor.next();
    ASSERT_TRUE(end);
    EXPECT_FALSE(*end);
}

TEST(JournalEntry, BytesCutAnywhereAreAnErrorAndNothingElse) {
    JournalEntry declare;
    declare.kind = EntryKind::declare;
    declare.log = {"topic", PartitionIndex{6}};
    declare.directory_name = "topic-6";
    const std::string bytes = encode_entry(declare);
    for (size_t size = 1; size < bytes.size(); ++size) {
        EntryCursor cursor(as_bytes(std::string_view(bytes).substr(0, size)));
        EXPECT_FALSE(cursor.next()) << size;
    }
    std::string unknown = bytes;
    unknown[0] = 99;
    EntryCursor cursor(as_bytes(unknown));
    EXPECT_FALSE(cursor.next());
}

}  // namespace
}  // namespace ottla::storage
