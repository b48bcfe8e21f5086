// SPDX-License-Identifier: Apache-2.0
// covers storage/catalogue, storage/known_logs, storage/producer_image
#include "storage/catalogue.h"

#include <gtest/gtest.h>

#include "base/endian.h"
#include "storage/known_logs.h"
#include "storage/producer_state.h"

namespace ottla::storage {
namespace {

TopicPartition named(std::string topic) { return {std::move(topic), PartitionIndex{3}}; }

CatalogueEntry idle_entry(std::string topic) {
    CatalogueEntry entry;
    entry.name = named(std::move(topic));
    entry.topic_id.bytes[4] = 9;
    entry.instance = 0xFEDC'BA98'7654'3210;
    entry.group = 12;
    entry.whole = true;
    SegmentEntry segment;
    segment.inlined = true;
    entry.segments.push_back(segment);
    entry.epochs.push_back({LeaderEpoch{0}, Offset{0}});
    entry.producers = ProducerState().image();
    return entry;
}

CatalogueEntry busy_entry() {
    CatalogueEntry entry = idle_entry("busy");
    entry.recovery_point = Offset{900};
    entry.log_start = Offset{5};
    entry.high_watermark = Offset{950};
    entry.cleaned = Offset{100};
    entry.end = Offset{1000};
    SegmentEntry closed;
    closed.base = Offset{0};
    closed.bytes = 4096;
    closed.max_timestamp = WallTime{1'700'000'000'000};
    closed.offset_of_max_timestamp = Offset{400};
    closed.first_timestamp = WallTime{-5};
    closed.finished = closed.has_transactions = true;
    SegmentEntry active = closed;
    active.base = active.offset_of_max_timestamp = Offset{500};
    active.finished = active.has_transactions = false;
    active.first_timestamp.reset();
    active.inlined = true;
    active.bytes_since_index_entry = 17;
    active.in_files = {.offsets = 3, .times = 2, .offsets_crc = 0xFFFF'FFFF, .times_crc = 1};
    active.offsets = Buffer::copy_of("12345678");
    active.times = Buffer::copy_of("123456789012");
    active.transactions = Buffer::copy_of(std::string(34, 't'));
    entry.segments = {closed, active};
    entry.epochs = {{LeaderEpoch{0}, Offset{0}}, {LeaderEpoch{7}, Offset{600}}};
    entry.epochs_changed = true;
    entry.snapshots = {Offset{0}, Offset{500}};
    entry.producers.reset();
    entry.complete = true;
    entry.grown = {{Offset{500}, 5000}, {Offset{1100}, 0}};
    return entry;
}

Buffer catalogue_of(const std::vector<CatalogueEntry>& entries, uint64_t journal = 77) {
    CatalogueWriter writer(kMetadataTopicId, journal, {1, UINT64_MAX});
    for (const CatalogueEntry& entry : entries) writer.add(entry);
    return writer.finish();
}

TEST(Catalogue, ComesBackAsItWasWritten) {
    CatalogueEntry basic = idle_entry("basic");
    basic.whole = false;
    basic.segments.clear();
    basic.epochs.clear();
    basic.producers.reset();
    basic.recovery_point = kNoOffset;
    CatalogueEntry epochs = basic;
    epochs.epochs_known = true;
    epochs.epochs = {{LeaderEpoch{2}, Offset{3}}, {LeaderEpoch{5}, Offset{9}}};
    const std::vector<CatalogueEntry> entries = {idle_entry("idle"), basic, busy_entry(), epochs};
    const auto parsed = parse_catalogue(catalogue_of(entries));
    ASSERT_TRUE(parsed) << parsed.error().detail;
    EXPECT_EQ(parsed->directory_id, kMetadataTopicId);
    EXPECT_EQ(parsed->journal_id, 77U);
    EXPECT_EQ(parsed->replaces, (std::vector<uint64_t>{1, UINT64_MAX}));
    EXPECT_EQ(parsed->entries, entries);
}

TEST(Catalogue, AnIdleLogCostsLittle) {
    const size_t one = catalogue_of({idle_entry("some-ordinary-topic")}).size();
    const size_t two =
        catalogue_of({idle_entry("some-ordinary-topic"), idle_entry("another-usual-topic")}).size();
    EXPECT_LT(two - one, 150U);
}

/// What is left without pictures.
std::vector<CatalogueEntry> ends_of(const std::vector<CatalogueEntry>& entries) {
    std::vector<CatalogueEntry> ends;
    for (const CatalogueEntry& entry : entries) {
        CatalogueEntry end;
        end.name = entry.name;
        end.topic_id = entry.topic_id;
        end.recovery_point = entry.recovery_point;
        end.log_start = entry.log_start;
        end.high_watermark = entry.high_watermark;
        end.cleaned = entry.cleaned;
        end.instance = entry.instance;
        end.group = entry.group;
        end.complete = entry.complete;
        end.picture_lost = true;
        ends.push_back(end);
    }
    return ends;
}

TEST(Catalogue, AChangedByteCostsPicturesButNeverTheEnds) {
    const std::vector<CatalogueEntry> entries = {idle_entry("idle"), busy_entry()};
    const std::vector<CatalogueEntry> ends = ends_of(entries);
    std::string bytes(catalogue_of(entries).text());
    size_t without = 0;
    for (char& byte : bytes) {
        byte = static_cast<char>(byte ^ 1);
        const auto parsed = parse_catalogue(Buffer::copy_of(bytes));
        byte = static_cast<char>(byte ^ 1);
        ASSERT_TRUE(parsed);
        EXPECT_TRUE(parsed->damage);
        const bool pictured = parsed->entries == entries;
        EXPECT_TRUE(pictured || parsed->entries == ends);
        without += pictured ? 0 : 1;
    }
    EXPECT_GT(without, catalogue_of(entries).size() / 2);
}

TEST(Catalogue, OneThatIsTornOrDamagedTwiceIsNoCatalogue) {
    const Buffer whole = catalogue_of({idle_entry("idle"), busy_entry()});
    const size_t plain = load_be<uint32_t>(whole.data() + whole.size() - 4);
    const size_t pictures = whole.size() - 4 - plain;
    for (size_t at = 0; at < pictures; ++at) EXPECT_FALSE(parse_catalogue(whole.slice(0, at))) << at;
    std::string bytes(whole.text());
    bytes[60] = static_cast<char>(bytes[60] ^ 1);
    for (size_t at = pictures; at < bytes.size(); ++at) {
        bytes[at] = static_cast<char>(bytes[at] ^ 1);
        EXPECT_FALSE(parse_catalogue(Buffer::copy_of(bytes))) << at;
        bytes[at] = static_cast<char>(bytes[at] ^ 1);
    }
}

TEST(Catalogue, EntriesThatCannotBeAreRefusedThoughTheChecksumIsRight) {
    const auto refused = [](auto&& spoil) {
        CatalogueEntry entry = busy_entry();
        spoil(entry);
        const auto parsed = parse_catalogue(catalogue_of({entry}));
        return !parsed || parsed->damage;
    };
    EXPECT_FALSE(refused([](CatalogueEntry&) {}));
    EXPECT_TRUE(refused([](CatalogueEntry& entry) { entry.segments.clear(); }));
    EXPECT_TRUE(refused([](CatalogueEntry& entry) { entry.segments[1].base = Offset{0}; }));
    EXPECT_TRUE(refused([](CatalogueEntry& entry) { entry.segments[1].inlined = false; }));
    EXPECT_TRUE(refused([](CatalogueEntry& entry) { entry.end = Offset{499}; }));
    EXPECT_TRUE(refused([](CatalogueEntry& entry) { entry.epochs[1].epoch = LeaderEpoch{0}; }));
    EXPECT_TRUE(refused([](CatalogueEntry& entry) { entry.snapshots[0] = Offset{501}; }));
    EXPECT_TRUE(refused([](CatalogueEntry& entry) { entry.grown[0].bytes = 4095; }));
    EXPECT_TRUE(refused([](CatalogueEntry& entry) { entry.grown[0].base = Offset{499}; }));
    EXPECT_TRUE(refused([](CatalogueEntry& entry) { entry.name.topic.assign(250, 'x'); }));
}

KnownLogs::Declared declared(const CatalogueEntry& entry, uint64_t instance, bool created) {
    return {.name = entry.name,
            .topic_id = entry.topic_id,
            .instance = instance,
            .journal_id = 77,
            .created = created};
}

TEST(KnownLogs, AnotherInstanceOfANameIsNotTakenForIt) {
    const CatalogueEntry entry = idle_entry("a");
    KnownLogs known;
    known.add(*parse_catalogue(catalogue_of({entry})));
    EXPECT_TRUE(known.of_declared(declared(entry, entry.instance, true)));
    EXPECT_FALSE(known.of_declared(declared(entry, 5, true)));
    EXPECT_FALSE(known.of_declared(declared(entry, 5, false)));
    EXPECT_TRUE(known.of_quiet(entry.name, {}));
    EXPECT_FALSE(known.of_quiet(entry.name, {entry.instance}));
}

TEST(KnownLogs, TheRecoveredCatalogueSpeaksOnlyWhereNoShardDoes) {
    CatalogueEntry old = idle_entry("a");
    old.instance = 0;
    CatalogueEntry young = idle_entry("a");
    young.high_watermark = Offset{4};
    KnownLogs known;
    known.add(*parse_catalogue(catalogue_of({old, idle_entry("b")}, 0)));
    known.add(*parse_catalogue(catalogue_of({young})));
    EXPECT_EQ(*known.of_quiet(young.name, {}), young);
    EXPECT_TRUE(known.of_quiet(named("b"), {}));
    EXPECT_TRUE(known.of_declared(declared(idle_entry("b"), 8, false)));
    EXPECT_FALSE(known.of_declared(declared(idle_entry("b"), 8, true)));
}

TEST(KnownLogs, ANameInTwoCatalogues) {
    CatalogueEntry there = idle_entry("a");
    there.instance = 2;
    KnownLogs known;
    known.add(*parse_catalogue(catalogue_of({idle_entry("a")}, 77)));
    known.add(*parse_catalogue(catalogue_of({there}, 78)));
    EXPECT_FALSE(known.of_quiet(there.name, {}));
    EXPECT_EQ(known.of_quiet(there.name, {idle_entry("a").instance})->instance, 2U);
    known.give_up();
    EXPECT_FALSE(known.of_quiet(there.name, {2}));
}

ProducerBatch batch_of(int64_t producer, int32_t sequence, int64_t offset) {
    ProducerBatch batch;
    batch.producer = ProducerId{producer};
    batch.epoch = ProducerEpoch{2};
    batch.first_sequence = sequence;
    batch.last_sequence = sequence + 1;
    batch.first_offset = Offset{offset};
    batch.last_offset = Offset{offset + 1};
    batch.max_timestamp = WallTime{1000 + offset};
    return batch;
}

TEST(ProducerImage, HasTheWholeWindowAndWhatIsNotReplicatedYet) {
    ProducerState state;
    for (int32_t i = 0; i < 7; ++i) state.appended(batch_of(5, 2 * i, 10 * i));
    ProducerBatch open = batch_of(6, 0, 100);
    open.transactional = true;
    state.appended(open);
    ProducerBatch ended = batch_of(7, 0, 200);
    ended.transactional = true;
    state.appended(ended);
    ended.first_offset = ended.last_offset = Offset{210};
    ended.control = true;
    state.marker_appended(ended, true, 3);

    ProducerState again;
    ASSERT_TRUE(again.load_image(state.image()));
    EXPECT_EQ(again, state);
    EXPECT_EQ(again.first_open_transaction(), Offset{100});
    const auto duplicate = again.check(batch_of(5, 4, 0));
    ASSERT_TRUE(duplicate && *duplicate);
    EXPECT_EQ((*duplicate)->first_offset, Offset{20});
    ProducerBatch abort = open;
    abort.first_offset = abort.last_offset = Offset{220};
    abort.control = true;
    again.marker_appended(abort, true, 3);
    EXPECT_EQ(again.first_unstable(), Offset{100});
    again.note_high_watermark(Offset{221});
    EXPECT_FALSE(again.first_unstable());
}

TEST(ProducerImage, HostileBytesAreRefused) {
    ProducerState state;
    state.appended(batch_of(5, 0, 0));
    const Buffer image = state.image();
    for (size_t at = 0; at < image.size(); ++at) {
        ProducerState other;
        EXPECT_FALSE(other.load_image(image.slice(0, at))) << at;
        EXPECT_EQ(other.size(), 0U);
        std::string bytes(image.text());
        bytes[at] = static_cast<char>(bytes[at] ^ 0x80);
        static_cast<void>(other.load_image(Buffer::copy_of(bytes)));
    }
}

}  // namespace
}  // namespace ottla::storage
