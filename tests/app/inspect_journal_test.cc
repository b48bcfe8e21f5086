// SPDX-License-Identifier: Apache-2.0
// covers app/inspect/journal
#include <gtest/gtest.h>

#include <cstring>

#include "storage/journal_format.h"
#include "tests/app/inspect_bench.h"
#include "tests/records/samples.h"

namespace ottla::app {
namespace {

using storage::EntryKind;
using storage::GroupHeader;
using storage::JournalEntry;
using storage::kJournalBlockBytes;

/// Builds a journal file group by group, as journal.cc writes it.
class JournalFile {
public:
    explicit JournalFile(uint64_t file_sequence, uint64_t first_group = 1)
        : file_sequence_(file_sequence), next_(first_group) {}

    JournalFile& group(const std::string& payload) {
        std::string bytes(storage::kGroupHeaderBytes, '\0');
        bytes += payload;
        GroupHeader header;
        header.journal_id = 0xABCD;
        header.file_sequence = file_sequence_;
        header.sequence = next_++;
        header.previous_crc = crc_;
        header.shard = 3;
        header.oldest_needed = 1;
        header.directory_id = kMetadataTopicId;
        crc_ = storage::seal_group(std::as_writable_bytes(std::span(bytes)), header);
        bytes.resize(storage::round_up_to_block(bytes.size()));
        text += bytes;
        return *this;
    }

    std::string text;

private:
    uint64_t file_sequence_;
    uint64_t next_;
    uint32_t crc_ = 0;
};

std::string declare_and_create() {
    return storage::encode_entry({.kind = EntryKind::declare,
                                  .instance = 77,
                                  .topic_id = kMetadataTopicId,
                                  .log = {"orders", PartitionIndex{4}},
                                  .directory_name = "orders-4"}) +
           storage::encode_entry(
               {.kind = EntryKind::create, .instance = 77, .offset = Offset{500}});
}

std::string append_entry(int64_t offset) {
    const Buffer batch = samples::build({{0, 1, "k", "v", {}}, {1, 1, "k", "v", {}}},
                                        {.base_offset = Offset{offset}});
    std::array<std::byte, storage::kAppendHeaderBytes> head{};
    storage::write_append_header(head, 77, Offset{500}, 42, batch.size());
    return std::string(as_text(head)) + std::string(batch.text());
}

JournalFile three_groups() {
    JournalFile file(6, 10);
    file.group(declare_and_create());
    file.group(append_entry(500) + append_entry(502));
    file.group(storage::encode_entry({.kind = EntryKind::truncate,
                                      .instance = 77,
                                      .offset = Offset{502},
                                      .segment_base = Offset{500},
                                      .position = 42}));
    return file;
}

Sample journal(std::string bytes, bool entries = false) {
    return {FileKind::journal, ".ottla-journal-3-0", std::move(bytes), {false, entries}};
}

TEST(InspectJournal, PrintsOneLineForEachGroup) {
    const Printed printed = print_sample(journal(three_groups().text));
    ASSERT_TRUE(printed.intact) << printed.verdict;
    ASSERT_EQ(printed.lines.size(), 3U);
    for (size_t i = 0; i < 3; ++i) {
        EXPECT_EQ(field(printed.lines[i], "group"), std::to_string(10 + i));
        EXPECT_EQ(field(printed.lines[i], "position"), std::to_string(4096 * i));
        EXPECT_EQ(field(printed.lines[i], "state"), "\"current\"");
        EXPECT_EQ(field(printed.lines[i], "entries"), i == 2 ? "1" : "2");
        EXPECT_EQ(field(printed.lines[i], "file_sequence"), "6");
    }
    EXPECT_EQ(field(printed.lines[1], "previous_crc"), field(printed.lines[0], "crc"));
}

TEST(InspectJournal, PrintsEntriesWhenAsked) {
    const Printed printed = print_sample(journal(three_groups().text, true));
    ASSERT_TRUE(printed.intact) << printed.verdict;
    ASSERT_EQ(printed.lines.size(), 5U);
    EXPECT_EQ(field(printed.lines[0], "kind"), "\"declare\"");
    EXPECT_EQ(field(printed.lines[0], "topic"), "\"orders\"");
    EXPECT_EQ(field(printed.lines[0], "partition"), "4");
    EXPECT_EQ(field(printed.lines[0], "offset"), "null");
    EXPECT_EQ(field(printed.lines[1], "kind"), "\"create\"");
    EXPECT_EQ(field(printed.lines[1], "offset"), "500");
    EXPECT_EQ(field(printed.lines[3], "kind"), "\"append\"");
    EXPECT_EQ(field(printed.lines[3], "offset"), "502");
    EXPECT_EQ(field(printed.lines[3], "last_offset"), "503");
    EXPECT_EQ(field(printed.lines[3], "segment_base"), "500");
    EXPECT_EQ(field(printed.lines[3], "segment_position"), "42");
    EXPECT_EQ(field(printed.lines[4], "kind"), "\"truncate\"");
    EXPECT_EQ(field(printed.lines[4], "batch_bytes"), "null");
}

TEST(InspectJournal, ARenameHasItsFoldersNewName) {
    JournalFile file(6, 10);
    file.group(declare_and_create() +
               storage::encode_entry(
                   {.kind = EntryKind::rename, .instance = 77, .directory_name = "orders-4"}));
    const Printed printed = print_sample(journal(file.text, true));
    ASSERT_TRUE(printed.intact) << printed.verdict;
    ASSERT_EQ(printed.lines.size(), 3U);
    EXPECT_EQ(field(printed.lines[2], "kind"), "\"rename\"");
    EXPECT_EQ(field(printed.lines[2], "offset"), "null");
    EXPECT_EQ(field(printed.lines[2], "directory"), "\"orders-4\"");
}

TEST(InspectJournal, GroupsOfAnOlderUseAreStaleAndNoDamage) {
    JournalFile older(2, 1);
    for (int i = 0; i < 5; ++i) older.group(append_entry(100 + 2 * i));
    std::string bytes = older.text;
    const std::string newer = three_groups().text;
    bytes.replace(0, newer.size(), newer);
    const Printed printed = print_sample(journal(bytes + std::string(64 * 1024, '\0')));
    ASSERT_TRUE(printed.intact) << printed.verdict;
    ASSERT_EQ(printed.lines.size(), 5U);
    EXPECT_EQ(field(printed.lines[2], "state"), "\"current\"");
    EXPECT_EQ(field(printed.lines[3], "state"), "\"stale\"");
    EXPECT_EQ(field(printed.lines[4], "group"), "5");
}

TEST(InspectJournal, TornLastGroupIsANoteAndOneInTheMiddleDamage) {
    std::string bytes = three_groups().text;
    std::string torn = bytes;
    torn[2 * kJournalBlockBytes + 90] ^= 1;
    const Printed end = print_sample(journal(torn));
    EXPECT_TRUE(end.intact);
    EXPECT_EQ(end.lines.size(), 2U);
    EXPECT_NE(end.verdict.find("position 8192: a torn group ends the journal"), std::string::npos)
        << end.verdict;
    for (const size_t at : {size_t{3}, size_t{90}, kJournalBlockBytes + 200}) {
        std::string bad = bytes;
        bad[at] ^= 1;
        const Printed middle = print_sample(journal(bad));
        EXPECT_FALSE(middle.intact) << at;
        EXPECT_EQ(middle.lines.size(), 2U);
        EXPECT_NE(middle.verdict.find("no intact group, and group 1"), std::string::npos)
            << middle.verdict;
    }
}

TEST(InspectJournal, AFileOfZerosWasNotUsedYetAndOneWithoutAnyGroupIsNoJournal) {
    const Printed unused = print_sample(journal(std::string(2 * kJournalBlockBytes, '\0')));
    EXPECT_TRUE(unused.intact);
    EXPECT_EQ(unused.verdict, "");
    const Printed foreign = print_sample(journal(std::string(2 * kJournalBlockBytes, 'x')));
    EXPECT_FALSE(foreign.intact);
    EXPECT_NE(foreign.verdict.find("no group is in this file"), std::string::npos)
        << foreign.verdict;
}

TEST(InspectJournal, GroupThatDoesNotNameTheOneBeforeItIsDamage) {
    const std::string bytes = JournalFile(6, 10).group(declare_and_create()).text +
                              JournalFile(6, 12).group(append_entry(500)).text;
    const Printed printed = print_sample(journal(bytes));
    EXPECT_FALSE(printed.intact);
    EXPECT_NE(printed.verdict.find("position 4096: group 12 does not name group 10 before it"),
              std::string::npos)
        << printed.verdict;
}

TEST(InspectJournal, ForgedEntriesUnderARightCrcAreSurvived) {
    const std::string good = declare_and_create() + append_entry(500);
    for (size_t at = 0; at < good.size(); ++at) {
        for (const int mask : {0x01, 0x7F, 0xFF}) {
            std::string payload = good;
            payload[at] = static_cast<char>(payload[at] ^ mask);
            const Sample sample = journal(JournalFile(1).group(payload).text, true);
            expect_sound(sample, print_sample(sample));
        }
        const Sample cut = journal(JournalFile(1).group(good.substr(0, at)).text, true);
        expect_sound(cut, print_sample(cut));
    }
}

TEST(InspectJournal, AnyDamageIsSurvived) {
    std::string bytes = three_groups().text;
    bytes.resize(2 * kJournalBlockBytes + 200);  // The padding of the last group adds nothing.
    expect_prefixes_of(journal(bytes));
    expect_prefixes_of(journal(bytes, true));
    // Only where there is something: headers and payloads.
    for (size_t block = 0; block < bytes.size(); block += kJournalBlockBytes) {
        for (size_t at = block; at < std::min(block + 420, bytes.size()); ++at) {
            std::string bad = bytes;
            bad[at] = static_cast<char>(bad[at] ^ 0x15);
            expect_sound(journal(bad, true), print_sample(journal(bad, true)));
        }
    }
}

}  // namespace
}  // namespace ottla::app
