// SPDX-License-Identifier: Apache-2.0
// preallocate: room that a new segment gets in advance, whom it costs what, and that it is gone wherever
// Kafka looks.
// covers storage/log_flush, storage/segment, storage/log_load
#include <gtest/gtest.h>

#include "storage/file_names.h"
#include "storage/log_parts.h"
#include "tests/storage/store_bench.h"

namespace ottla::storage::test {
namespace {

using Values = std::vector<std::string>;
using namespace std::chrono_literals;

constexpr uint64_t kMiB = 1024ULL * 1024;
constexpr uint64_t kSegment = 64ULL * 1024;

const std::string kFirst = kDirectory + "/t-0/00000000000000000000.log";

StorageSettings quick_settings() {
    StorageSettings settings = StoreBench::small_settings();
    settings.flush_delay = 0ms;
    settings.checkpoint_interval = 50ms;
    // Every group in a file of its own: the journal forgets at once what is synced.
    settings.journal_first_file_bytes = 8UZ * 1024;
    settings.journal_file_bytes = 8UZ * 1024;
    return settings;
}

uint64_t file_size_of(StoreBench& bench, const std::string& path) {
    const auto bytes = bench.bench.disk().contents(path);
    return bytes ? bytes->size() : 0;
}

class Preallocate : public testing::Test {
protected:
    Preallocate() : bench(11, quick_settings()) {
        bench.config.preallocate = true;
        bench.config.segment_bytes = kSegment;
    }

    /// In the file, synced, in a catalogue, and forgotten by the journal.
    void append(Log& log, const std::string& value) {
        ASSERT_TRUE(bench.append(log, value));
        bench.settle(log);
        written.push_back(value);
        ASSERT_TRUE(bench.bench.run(bench.store->checkpoint()));
    }
    Log& found() { return *bench.find("t"); }
    uint64_t file_size(const std::string& path) { return file_size_of(bench, path); }
    /// Ends in zeros, `size` bytes long, and holds whole batches before.
    void expect_reserved(const std::string& path, uint64_t data) {
        const auto bytes = bench.bench.disk().contents(path);
        ASSERT_TRUE(bytes);
        EXPECT_EQ(bytes->size(), kSegment);
        EXPECT_EQ(bytes->find_first_not_of('\0', data), std::string::npos);
        EXPECT_GT(data, 0U);
    }
    void expect_everything() {
        ASSERT_NE(bench.find("t"), nullptr);
        EXPECT_EQ(bench.values(found()), written);
        EXPECT_EQ(bench.directory->damage().size(), 0U);
    }

    StoreBench bench;
    Values written;
};

TEST_F(Preallocate, ASegmentIsAsLongAsItMayBecomeFromItsFirstRecordOn) {
    bench.start();
    Log& log = bench.create("t");
    bench.run_for(200ms);
    EXPECT_EQ(file_size(kFirst), 0U);  // 20,000 of them would be a disk.
    append(log, "one");
    expect_reserved(kFirst, log.size_bytes());
    append(log, "two");
    expect_reserved(kFirst, log.size_bytes());
    expect_everything();
}

TEST_F(Preallocate, ACleanStopAndARollEndTheFileBehindItsLastBatch) {
    bench.start();
    Log& log = bench.create("t");
    append(log, "one");
    const uint64_t first = log.size_bytes();
    ASSERT_TRUE(log.roll());
    append(log, "two");
    const uint64_t second = log.size_bytes() - first;
    const std::string next = kDirectory + "/t-0/00000000000000000001.log";
    EXPECT_EQ(file_size(kFirst), first);
    expect_reserved(next, second);
    bench.clean_stop();
    EXPECT_EQ(file_size(kFirst), first);
    EXPECT_EQ(file_size(next), second);
    bench.disown();  // As Kafka, which takes all there is for batches.
    bench.start();
    expect_everything();
    EXPECT_EQ(found().log_end(), Offset{2});
}

TEST_F(Preallocate, ALogThatTwoLivesDidNotTouchIsTrimmedByTheThirdOnesCleanStop) {
    bench.start();
    append(bench.create("t"), "one");
    const uint64_t data = found().size_bytes();
    for (int i = 0; i < 2; ++i) {
        // Until the journal has nothing to say of it.
        Log& other = bench.create(fmt::format("other-{}", i));
        for (int n = 0; n < 12; ++n) {
            append(other, "x");
            written.pop_back();
        }
        bench.kill();
        bench.start();
        expect_reserved(kFirst, data);
        expect_everything();
    }
    bench.clean_stop();
    EXPECT_EQ(file_size(kFirst), data);
}

TEST_F(Preallocate, WithoutAPictureZerosAreCutAndAreNoDamage) {
    for (const bool closed : {false, true}) {
        SCOPED_TRACE(closed);
        StoreBench other(5, quick_settings());
        other.config = bench.config;
        other.start();
        Log& log = other.create("t");
        ASSERT_TRUE(other.append(log, "one"));
        other.settle(log);
        ASSERT_TRUE(other.bench.run(other.store->checkpoint()));
        const uint64_t data = log.size_bytes();
        ASSERT_TRUE(other.append(log, "two"));
        other.settle(log);
        ASSERT_TRUE(other.bench.run(other.store->checkpoint()));
        if (closed) {
            ASSERT_TRUE(log.roll());
            ASSERT_TRUE(other.append(log, "three"));
            other.settle(log);
        }
        other.kill();
        // Nothing knows where the files end but they themselves; all is walked.
        const std::string catalogue = kDirectory + "/.ottla-catalogue-0";
        ASSERT_TRUE(other.bench.disk().flip_bit(catalogue, 40, 1));
        other.start();
        Log& stood = *other.find("t");
        const Values wanted = closed ? Values{"one", "two", "three"} : Values{"one", "two"};
        EXPECT_EQ(other.values(stood), wanted);
        EXPECT_TRUE(stood.parts().damaged.empty());
        EXPECT_EQ(file_size_of(other, kFirst), stood.parts().segments.front()->size());
        EXPECT_GT(stood.parts().segments.front()->size(), data);
        EXPECT_TRUE(other.append(stood, "four"));
    }
}

TEST_F(Preallocate, ATruncationGivesTheRoomBackAndTheNextSegmentHasItsOwn) {
    bench.start();
    Log& log = bench.create("t");
    append(log, "one");
    const uint64_t one = log.size_bytes();
    append(log, "two");
    ASSERT_TRUE(bench.bench.run(log.truncate_to(Offset{1})));
    written.pop_back();
    ASSERT_TRUE(bench.bench.run(bench.store->checkpoint()));
    bench.run_for(200ms);
    EXPECT_EQ(file_size(kFirst), one);
    append(log, "three");
    EXPECT_EQ(file_size(kFirst), log.size_bytes());
    bench.kill();
    bench.start();
    expect_everything();
    ASSERT_TRUE(found().roll());
    append(found(), "four");
    expect_reserved(kDirectory + "/t-0/00000000000000000002.log",
                    found().size_bytes() - file_size(kFirst));
}

TEST_F(Preallocate, ThereIsOneOnlyWhereItTakesNoMoreThanHalfOfTheRoom) {
    bench.settings.disk_reserve_bytes = kMiB;
    bench.config.segment_bytes = 4 * kMiB;
    bench.bench.disk().set_capacity(8 * kMiB);
    bench.start();
    append(bench.create("t"), "one");
    EXPECT_EQ(file_size(kFirst), found().size_bytes());
    EXPECT_EQ(bench.disk_full, 0);
    bench.bench.disk().set_capacity(12 * kMiB);
    bench.run_for(2s);
    append(found(), "two");
    bench.run_for(2s);
    ASSERT_TRUE(found().roll());
    append(found(), "three");
    EXPECT_EQ(file_size(kDirectory + "/t-0/00000000000000000002.log"), 4 * kMiB);
    expect_everything();
}

TEST_F(Preallocate, WhatIsReservedIsNotTakenFromFreeSpaceAgain) {
    bench.settings.disk_reserve_bytes = kMiB;
    bench.config.segment_bytes = 4 * kMiB;
    bench.bench.disk().set_capacity(12 * kMiB);
    bench.start();
    Log& log = bench.create("t");
    append(log, "first");
    bench.run_for(2s);
    // Somebody takes nearly everything beyond the reserve: less than the records to come.
    sim::SimDisk& disk = bench.bench.disk();
    disk.set_capacity(disk.capacity() - disk.free_space() + kMiB + 256UZ * 1024);
    bench.run_for(2s);
    for (int i = 0; i < 40; ++i) append(log, std::string(20'000, 'r') + std::to_string(i));
    EXPECT_EQ(bench.disk_full, 0);
    expect_everything();
    bench.config.preallocate = false;
    Log& other = bench.create("other");
    int taken = 0;
    while (taken < 40 && bench.append(other, std::string(20'000, 'o'))) {
        bench.settle(other);
        ASSERT_TRUE(bench.bench.run(bench.store->checkpoint()));
        ++taken;
    }
    EXPECT_LT(taken, 40);
}

TEST_F(Preallocate, ADiskThatHasNoneToGiveIsWrittenToAsEver) {
    for (const ErrorCode error : {ErrorCode::no_space, ErrorCode::invalid_argument}) {
        StoreBench other(5, quick_settings());
        other.config = bench.config;
        other.start();
        Log& log = other.create("t");
        other.bench.disk().plan({.of_file = true,
                                 .file_kind = FileOp::Kind::allocate,
                                 .name_kind = FileSystemOp::Kind::open,
                                 .path = kFirst,
                                 .error = error});
        ASSERT_TRUE(other.append(log, "one"));
        other.settle(log);
        ASSERT_TRUE(other.bench.run(other.store->checkpoint()));
        EXPECT_EQ(file_size_of(other, kFirst), log.size_bytes());
        EXPECT_EQ(other.disk_full, 0);
        other.kill();
        other.start();
        EXPECT_EQ(other.values(*other.find("t")), Values{"one"});
    }
}

TEST_F(Preallocate, WhatKafkaLeftAfterAKillIsReadAndTrimmed) {
    bench.start();
    Log& log = bench.create("t");
    append(log, "one");
    append(log, "two");
    const uint64_t data = log.size_bytes();
    bench.clean_stop();
    bench.disown();
    // As Kafka leaves it: no clean shutdown, zeros up to segment.bytes, indexes of full size.
    sim::SimDisk& disk = bench.bench.disk();
    ASSERT_TRUE(bench.bench.run(bench.ports().files.unlink(kDirectory + "/.kafka_cleanshutdown")));
    std::string bytes = *disk.contents(kFirst);
    bytes.resize(kSegment, '\0');
    disk.put(kFirst, bytes);
    disk.put(kDirectory + "/t-0/00000000000000000000.index", std::string(4096, '\0'));
    disk.put(kDirectory + "/t-0/00000000000000000000.timeindex", std::string(4092, '\0'));
    bench.start();
    expect_everything();
    EXPECT_EQ(file_size(kFirst), data);
    append(found(), "three");
    bench.clean_stop();
    bench.start();
    expect_everything();
}

}  // namespace
}  // namespace ottla::storage::test
