// SPDX-License-Identifier: Apache-2.0
// What a start makes of catalogues after an unclean stop: logs stand up without their files, exactly as
// their files would have made them, and whatever does not fit leads to the files.
// covers storage/log_catalogue, storage/segment_entry
#include <gtest/gtest.h>

#include <array>
#include <map>
#include <set>

#include "storage/file_names.h"
#include "storage/log_parts.h"
#include "tests/storage/store_bench.h"

namespace ottla::storage::test {
namespace {

using Values = std::vector<std::string>;
using namespace std::chrono_literals;

const std::string kCatalogue = kDirectory + "/.ottla-catalogue-0";
const std::string kRecovered = kDirectory + "/" + std::string(kRecoveredCatalogue);

void append_and_settle(StoreBench& bench, Log& log, const Values& values) {
    for (const std::string& value : values) ASSERT_TRUE(bench.append(log, value));
    bench.settle(log);
}

void checkpoint(StoreBench& bench) { ASSERT_TRUE(bench.bench.run(bench.store->checkpoint())); }

/// Every group in a file of its own, so that the journal forgets at once what is synced.
StorageSettings forgetful_settings() {
    StorageSettings settings = StoreBench::small_settings();
    settings.flush_delay = 0ms;
    settings.journal_first_file_bytes = 8UZ * 1024;
    settings.journal_file_bytes = 8UZ * 1024;
    return settings;
}

/// The journal has other things to say by now.
void forget(StoreBench& bench) {
    Log& other = bench.create("other");
    for (int i = 0; i < 12; ++i) {
        checkpoint(bench);
        append_and_settle(bench, other, {"something"});
    }
}

void fail_next(StoreBench& bench, FileSystemOp::Kind kind, std::string path) {
    bench.bench.disk().plan({.of_file = false,
                             .file_kind = FileOp::Kind::read,
                             .name_kind = kind,
                             .path = std::move(path),
                             .error = ErrorCode::io_error});
}

/// Nobody has met that failure yet.
bool still_fails(StoreBench& bench, FileSystemOp::Kind kind, const std::string& path) {
    FileSystem& files = bench.ports().files;
    if (kind == FileSystemOp::Kind::list) return !bench.bench.run(files.list(path));
    if (kind == FileSystemOp::Kind::status) return !bench.bench.run(files.status(path));
    return !bench.bench.run(files.open(path, OpenOptions{}));
}

Result<AppendResult> append_of_producer(StoreBench& bench, Log& log, int32_t sequence) {
    BatchOptions options;
    options.producer_id = ProducerId{7};
    options.producer_epoch = ProducerEpoch{0};
    options.base_sequence = sequence;
    return bench.append(log, fmt::format("of a producer {}", sequence), options);
}

/// All that a log knows, in words.
std::string described(StoreBench& bench, Log& log) {
    const LogParts& parts = log.parts();
    std::string text =
        fmt::format("start {} end {} hw {} size {} stable {}\n", log.log_start().value(),
                    log.log_end().value(), parts.high_watermark.value(), log.size_bytes(),
                    log.last_stable_offset().value());
    for (const auto& segment : parts.segments) {
        text += fmt::format("{}: {} bytes, first time {}\n", segment->base().value(),
                            segment->size(), segment->first_timestamp().value());
    }
    for (const std::string& value : bench.values(log)) text += value + "\n";
    return text;
}

/// Does the log know the leader epoch of each of its batches?
Task<bool> knows_epochs(Log& log) {
    for (Offset at = log.log_start(); at < log.log_end();) {
        auto slice = log.read(at, 64UZ * 1024, log.log_end(), true);
        if (!slice) slice = co_await log.read_cold(at, 64UZ * 1024, log.log_end(), true);
        if (!slice || slice->next <= at) co_return false;
        const Buffer bytes = slice->bytes.flatten();
        BatchCursor cursor(bytes.span());
        while (cursor.next() == BatchStep::batch) {
            const Offset offset = std::max(cursor.batch().base_offset(), log.log_start());
            if (log.epoch_at(offset) != cursor.batch().leader_epoch()) co_return false;
        }
        at = slice->next;
    }
    co_return true;
}

/// The recovered catalogue says where everything ends, and nothing more.
void remove_pictures(StoreBench& bench) {
    const auto bytes = bench.bench.disk().contents(kRecovered);
    ASSERT_TRUE(bytes);
    const auto catalogue = parse_catalogue(Buffer::copy_of(*bytes));
    ASSERT_TRUE(catalogue) << catalogue.error().detail;
    CatalogueWriter writer(catalogue->directory_id, 0, catalogue->replaces);
    for (CatalogueEntry entry : catalogue->entries) {
        entry.whole = false;
        writer.add(entry);
    }
    bench.bench.disk().put(kRecovered, writer.finish().text());
}

TEST(Restart, ALogThatTheJournalDoesNotSpeakOfIsNotLookedAt) {
    StoreBench bench(1, forgetful_settings());
    bench.start();
    Log& log = bench.create("t");
    const Values wanted = {"one", "two", "three"};
    append_and_settle(bench, log, wanted);
    forget(bench);
    bench.kill();
    constexpr std::array kKinds = {FileSystemOp::Kind::open, FileSystemOp::Kind::list,
                                   FileSystemOp::Kind::status};
    for (const auto kind : kKinds) fail_next(bench, kind, "/t-0");
    bench.start();
    ASSERT_NE(bench.find("t"), nullptr);
    EXPECT_EQ(bench.find("t")->log_end(), Offset{3});
    const std::string file = kDirectory + "/t-0/00000000000000000000.log";
    EXPECT_TRUE(still_fails(bench, FileSystemOp::Kind::open, file));
    EXPECT_TRUE(still_fails(bench, FileSystemOp::Kind::status, file));
    EXPECT_TRUE(still_fails(bench, FileSystemOp::Kind::list, kDirectory + "/t-0"));
    EXPECT_EQ(bench.values(*bench.find("t")), wanted);
    append_and_settle(bench, *bench.find("t"), {"four"});
    bench.kill();
    bench.start();
    EXPECT_EQ(bench.values(*bench.find("t")), (Values{"one", "two", "three", "four"}));
}

TEST(Restart, TheRecoveredCatalogueServesUntilAShardHasWritten) {
    StoreBench bench(1, forgetful_settings());
    bench.start();
    Log& log = bench.create("t");
    append_and_settle(bench, log, {"one", "two"});
    checkpoint(bench);
    append_and_settle(bench, log, {"three"});
    ASSERT_TRUE(log.roll());
    append_and_settle(bench, log, {"four"});
    // The first start replays; the others find no journal that speaks of the log.
    for (int i = 0; i < 3; ++i) {
        bench.kill();
        if (i > 0) fail_next(bench, FileSystemOp::Kind::list, "/t-0");
        bench.start();
        if (i > 0) {
            EXPECT_TRUE(still_fails(bench, FileSystemOp::Kind::list, kDirectory + "/t-0"));
        }
        EXPECT_EQ(bench.values(*bench.find("t")), (Values{"one", "two", "three", "four"})) << i;
    }
    ASSERT_TRUE(bench.bench.disk().contents(kRecovered));
    EXPECT_FALSE(bench.bench.disk().contents(kCatalogue));
}

TEST(Restart, AProducerIsKnownWithItsWholeWindow) {
    StoreBench bench(1, forgetful_settings());
    bench.start();
    Log& log = bench.create("t");
    for (int32_t i = 0; i < 7; ++i) ASSERT_TRUE(append_of_producer(bench, log, i));
    bench.settle(log);
    forget(bench);
    bench.kill();
    fail_next(bench, FileSystemOp::Kind::open, "/t-0");
    bench.start();
    Log& again = *bench.find("t");
    const auto retry = append_of_producer(bench, again, 2);
    ASSERT_TRUE(retry);
    EXPECT_EQ(retry->verdict, AppendResult::Verdict::duplicate);
    EXPECT_EQ(retry->base_offset, Offset{2});
    EXPECT_FALSE(append_of_producer(bench, again, 9));
    EXPECT_TRUE(append_of_producer(bench, again, 7));
}

TEST(Restart, ATruncationBehindThePictureLeadsToTheFiles) {
    for (uint64_t events = 0; events < 200; ++events) {
        StoreBench bench(events + 1, forgetful_settings());
        bench.start();
        Log& log = bench.create("t");
        append_and_settle(bench, log, {"one", "two", "three"});
        checkpoint(bench);
        ASSERT_TRUE(bench.bench.run(log.truncate_to(Offset{1})));
        ASSERT_TRUE(bench.append(log, "another two"));
        bench.settle(log);
        for (uint64_t i = 0; i < events; ++i) bench.bench.world.step();
        bench.power_cut();
        bench.start();
        ASSERT_EQ(bench.values(*bench.find("t")), (Values{"one", "another two"})) << events;
    }
}

TEST(Restart, ADamagedCatalogueLeadsToTheFiles) {
    StoreBench bench(1, forgetful_settings());
    bench.config.segment_bytes = 300;
    bench.start();
    Log& log = bench.create("t");
    Values wanted;
    for (int i = 0; i < 10; ++i) wanted.push_back(fmt::format("value {}", i));
    append_and_settle(bench, log, wanted);
    forget(bench);
    bench.kill();
    ASSERT_TRUE(bench.bench.disk().flip_bit(kCatalogue, 60, 1));
    bench.start();
    EXPECT_EQ(bench.values(*bench.find("t")), wanted);
    EXPECT_EQ(bench.find("t")->log_end(), Offset{10});
}

/// A log with so many index entries that most are in their files.
void fill_index(StoreBench& bench, Log& log) {
    for (int i = 0; i < 300; ++i) ASSERT_TRUE(bench.append(log, std::string(200, 'x')));
    bench.settle(log);
    forget(bench);
}

TEST(Restart, IndexEntriesThatAreNotThoseThatWereSyncedAreBuiltAnew) {
    for (const std::string_view suffix : {kOffsetIndexSuffix, kTimeIndexSuffix}) {
        for (const bool missing : {false, true}) {
            StoreBench bench(1, forgetful_settings());
            bench.config.index_interval_bytes = 200;
            bench.start();
            Log& log = bench.create("t");
            fill_index(bench, log);
            const std::string index = log.path() + "/" + offset_file_name(Offset{0}, suffix);
            ASSERT_TRUE(bench.bench.disk().contents(index)) << index;
            bench.kill();
            if (missing) bench.bench.disk().put(index, "");
            if (!missing && !bench.bench.disk().flip_bit(index, 3, 0)) {
                // Equal timestamps make no entries.
                ASSERT_EQ(suffix, kTimeIndexSuffix);
            }
            bench.start();
            const LogParts& parts = bench.find("t")->parts();
            EXPECT_GT(parts.segments.back()->offset_index().size(), 100U);
            EXPECT_EQ(bench.values(*bench.find("t"), Offset{150}).size(), 150U);
        }
    }
}

/// Their file has no checksum, and a closed segment that is synced is not walked.
TEST(Restart, EpochsAreThoseOfAPictureThatDoesNotFitTheFiles) {
    StoreBench bench(1, forgetful_settings());
    bench.config.segment_bytes = 30'000;
    bench.config.index_interval_bytes = 200;
    bench.start();
    Log& log = bench.create("t");
    bench.epoch = LeaderEpoch{1};
    append_and_settle(bench, log, Values(10, "of another leader"));
    bench.epoch = LeaderEpoch{2};
    fill_index(bench, log);
    const std::string epochs = log.path() + "/" + std::string(kLeaderEpochFile);
    const std::string index =
        log.path() + "/" + offset_file_name(log.parts().segments.back()->base(), ".index");
    ASSERT_GT(log.parts().segments.size(), 2U);
    bench.kill();
    const auto text = bench.bench.disk().contents(epochs);
    ASSERT_EQ(text, "0\n2\n1 0\n2 10\n");
    ASSERT_TRUE(bench.bench.disk().flip_bit(epochs, text->size() - 2, 0));
    ASSERT_TRUE(bench.bench.disk().flip_bit(index, 3, 0));
    bench.start();
    EXPECT_TRUE(bench.bench.run(knows_epochs(*bench.find("t"))));
}

TEST(Restart, WhatIsVouchedForOfAnIndexComesBackWithItsTail) {
    StoreBench bench(1, forgetful_settings());
    bench.config.index_interval_bytes = 200;
    bench.start();
    Log& log = bench.create("t");
    fill_index(bench, log);
    const size_t before = log.parts().segments.back()->offset_index().size();
    for (int i = 0; i < 3; ++i) {
        bench.kill();
        // Reading the log would say so.
        fail_next(bench, FileSystemOp::Kind::open, "/t-0/00000000000000000000.log");
        bench.start();
        const LogParts& parts = bench.find("t")->parts();
        ASSERT_EQ(parts.segments.back()->offset_index().size(), before);
        EXPECT_EQ(bench.values(*bench.find("t")).size(), 1U);  // <the planned error>
    }
    EXPECT_EQ(bench.values(*bench.find("t")).size(), 300U);
    bench.clean_stop();
    bench.start();
    EXPECT_EQ(bench.values(*bench.find("t"), Offset{150}).size(), 150U);
    EXPECT_EQ(bench.find("t")->parts().segments.back()->offset_index().size(), before);
}

TEST(Restart, AfterACleanStopNoLogIsLookedAt) {
    StoreBench bench;
    bench.start();
    Log& log = bench.create("t");
    bench.config.segment_bytes = 200;
    Values wanted;
    for (int i = 0; i < 9; ++i) wanted.push_back(fmt::format("value {}", i));
    append_and_settle(bench, log, wanted);
    ASSERT_TRUE(log.roll());
    for (int i = 0; i < 3; ++i) {
        bench.clean_stop();
        ASSERT_TRUE(bench.bench.disk().contents(kDirectory + "/.ottla-catalogue-0"));
        fail_next(bench, FileSystemOp::Kind::open, "/t-0");
        fail_next(bench, FileSystemOp::Kind::list, "/t-0");
        bench.start();
        EXPECT_FALSE(bench.bench.disk().contents(kDirectory + "/.ottla-catalogue-0"));
        EXPECT_TRUE(still_fails(bench, FileSystemOp::Kind::list, kDirectory + "/t-0"));
        EXPECT_TRUE(still_fails(bench, FileSystemOp::Kind::open, kDirectory + "/t-0/any"));
        EXPECT_EQ(bench.values(*bench.find("t")), wanted) << i;
        wanted.push_back(fmt::format("life {}", i));
        append_and_settle(bench, *bench.find("t"), {wanted.back()});
        if (i == 1) bench.kill();
        if (i == 1) bench.start();
    }
    EXPECT_EQ(bench.values(*bench.find("t")), wanted);
}

TEST(Restart, DamageAboveAnOldRecoveryPointCutsNothing) {
    StoreBench bench;
    bench.start();
    Log& log = bench.create("t");
    for (const std::string& value : Values{"one", "two", "three"}) {
        append_and_settle(bench, log, {value});
    }
    bench.kill();
    bench.start();  // The journal is gone, no checkpoint has come yet.
    bench.kill();
    const std::string path = kDirectory + "/t-0/00000000000000000000.log";
    ASSERT_TRUE(bench.bench.disk().flip_bit(path, 100, 1));
    bench.start();
    Log& found = *bench.find("t");
    EXPECT_EQ(found.log_end(), Offset{3});
    EXPECT_TRUE(bench.values(found).back().starts_with("<" + path + " at "));
    EXPECT_EQ(bench.values(found, Offset{2}), Values{"three"});
}

/// The CRC does not cover it; those behind it tell.
TEST(Restart, AWrongLeaderEpochOfABatchIsNotThatOfTheLog) {
    StoreBench bench;
    bench.start();
    Log& log = bench.create("t");
    bench.epoch = LeaderEpoch{5};
    append_and_settle(bench, log, {"one", "two", "three"});
    bench.kill();
    bench.start();  // The journal is gone, no checkpoint has come yet.
    bench.kill();
    const std::string path = kDirectory + "/t-0/00000000000000000000.log";
    const uint64_t second = make_batch(bench.codecs, "one").size();
    ASSERT_TRUE(bench.bench.disk().flip_bit(path, second + batch_layout::kLeaderEpoch + 1, 4));
    bench.start();
    const Log& found = *bench.find("t");
    EXPECT_EQ(found.log_end(), Offset{3});
    for (const int64_t offset : {0, 1, 2}) {
        EXPECT_EQ(found.epoch_at(Offset{offset}), LeaderEpoch{5}) << offset;
    }
}

TEST(Restart, WhatACrashLeftOfACatalogueIsRemoved) {
    StoreBench bench;
    bench.start();
    append_and_settle(bench, bench.create("t"), {"one"});
    bench.kill();
    const std::string torn = kDirectory + "/.ottla-catalogue-3.tmp";
    bench.bench.disk().put(torn, "half of");
    bench.start();
    EXPECT_FALSE(bench.bench.disk().contents(torn));
    EXPECT_EQ(bench.values(*bench.find("t")), Values{"one"});
}

TEST(Restart, CataloguesAreWorthNothingOnceSomebodyElseHasServedTheDirectory) {
    StoreBench bench;
    bench.start();
    append_and_settle(bench, bench.create("t"), {"one", "two"});
    bench.clean_stop();
    sim::SimDisk& disk = bench.bench.disk();
    std::map<std::string, std::string> older;
    for (const std::string& path : disk.files()) {
        if (path.find("/t-0/") != std::string::npos) older[path] = *disk.contents(path);
    }
    bench.start();
    append_and_settle(bench, *bench.find("t"), {"three"});
    bench.clean_stop();
    // Kafka takes the log back to two, removes the file and writes it again with the same words.
    FileSystem& files = bench.ports().files;
    for (const std::string& path : disk.files()) {
        if (path.find("/t-0/") == std::string::npos) continue;
        ASSERT_TRUE(bench.bench.run(files.unlink(path)));
        if (older.contains(path)) disk.put(path, older[path]);
    }
    const std::string shutdown = kDirectory + "/.kafka_cleanshutdown";
    const std::string words = *disk.contents(shutdown);
    ASSERT_TRUE(bench.bench.run(files.unlink(shutdown)));
    disk.put(shutdown, words);
    bench.start();
    EXPECT_EQ(bench.find("t")->log_end(), Offset{2});
    EXPECT_EQ(bench.values(*bench.find("t")), (Values{"one", "two"}));
    EXPECT_FALSE(disk.contents(kRecovered));
}

TEST(Restart, AnIndexThatIsWrongIsBuiltAnewWhenItIsNeeded) {
    StoreBench bench;
    bench.config.segment_bytes = 3000;
    bench.config.index_interval_bytes = 200;
    bench.start();
    Log& log = bench.create("t");
    for (int i = 0; i < 40; ++i) ASSERT_TRUE(bench.append(log, std::string(100, 'x')));
    bench.settle(log);
    bench.clean_stop();
    const std::string index = kDirectory + "/t-0/00000000000000000000.index";
    const auto before = bench.bench.disk().contents(index);
    ASSERT_TRUE(before && !before->empty());
    bench.bench.disk().put(index, "12345678" + *before);
    bench.start();
    EXPECT_EQ(bench.values(*bench.find("t")).size(), 40U);
    bench.clean_stop();
    EXPECT_EQ(bench.bench.disk().contents(index), before);
}

/// Random work on a few logs; a kill or power cut; a start from pictures; what it found is compared with
/// what a start from the files finds.
class RandomWork {
public:
    explicit RandomWork(uint64_t seed) : bench(seed, forgetful_settings()), random(seed) {
        bench.config.segment_bytes = 2500;
        bench.config.index_interval_bytes = 300;
    }
    void work(int steps) {
        for (int i = 0; i < steps; ++i) {
            const std::string name(1, static_cast<char>('a' + random.below(3)));
            Log* log = bench.find(name);
            if (log == nullptr) log = &bench.create(name);
            one(*log);
        }
    }
    StoreBench bench;
    sim::Random random;

private:
    void one(Log& log) {
        const uint64_t what = random.below(100);
        if (what < 60) {
            static_cast<void>(append(log));
        } else if (what < 66) {
            bench.epoch = LeaderEpoch{bench.epoch.value() + 1};
            static_cast<void>(append(log));
        } else if (what < 72) {
            static_cast<void>(log.roll());
        } else if (what < 76 && log.log_end() > log.log_start()) {
            const auto span = static_cast<uint64_t>(log.log_end() - log.log_start());
            const Offset to = log.log_end() - static_cast<int64_t>(random.below(span));
            static_cast<void>(bench.bench.run(log.truncate_to(to)));
        } else if (what < 80 && log.durable_end() > log.log_start()) {
            const auto span = static_cast<uint64_t>(log.durable_end() - log.log_start());
            const Offset to = log.log_start() + static_cast<int64_t>(random.below(span));
            static_cast<void>(log.delete_before(to));
        } else if (what < 84) {
            static_cast<void>(bench.bench.run(bench.store->checkpoint()));
        } else if (what < 90) {
            log.note_high_watermark(std::max(log.noted_high_watermark(), log.durable_end()));
        } else {
            bench.run_for(std::chrono::milliseconds(random.below(30)));
        }
    }
    bool append(Log& log) {
        BatchOptions options;
        const uint64_t producer = random.below(3);
        if (producer > 0) {
            options.producer_id = ProducerId{static_cast<int64_t>(producer)};
            // A new epoch each time: any sequence begins there.
            options.producer_epoch = ProducerEpoch{static_cast<int16_t>(++epochs_)};
            options.base_sequence = 0;
        }
        const std::string filling(random.below(400), 'v');
        const std::string value = fmt::format("{} {}", ++values_, filling);
        return bench.append(log, value, options).has_value();
    }
    int epochs_ = 0;
    int values_ = 0;
};

TEST(Restart, PicturesAndFilesTellTheSame) {
    int pictured = 0;
    for (uint64_t seed = 1; seed <= 150; ++seed) {
        RandomWork work(seed);
        StoreBench& bench = work.bench;
        bench.start();
        for (int life = 0; life < 3; ++life) {
            work.work(60);
            std::set<std::string> right;
            for (const std::string name : {"a", "b", "c"}) {
                Log* log = bench.find(name);
                if (log == nullptr) continue;
                bench.settle(*log);
                if (bench.bench.run(knows_epochs(*log))) right.insert(name);
            }
            if (work.random.below(2) == 0) {
                bench.power_cut();
            } else {
                bench.kill();
            }
            bench.start();
            for (const FoundLog& log : bench.directory->logs()) {
                if (!log.entry) continue;
                ++pictured;
                const bool knows = bench.bench.run(knows_epochs(*bench.find(log.name.topic)));
                ASSERT_TRUE(knows || !right.contains(log.name.topic))
                    << "seed " << seed << " life " << life << " " << log.name.topic;
            }
        }
        std::map<std::string, std::string> found;
        for (const FoundLog& log : bench.directory->logs()) {
            found[log.name.topic] = described(bench, *bench.find(log.name.topic));
        }
        bench.kill();
        remove_pictures(bench);
        bench.start();
        for (const FoundLog& log : bench.directory->logs()) {
            ASSERT_FALSE(log.entry);
            ASSERT_EQ(found[log.name.topic], described(bench, *bench.find(log.name.topic)))
                << "seed " << seed;
        }
    }
    EXPECT_GT(pictured, 300);
}

}  // namespace
}  // namespace ottla::storage::test
