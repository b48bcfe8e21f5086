// SPDX-License-Identifier: Apache-2.0
// Moves of a log between two directories: what it is afterwards, what happens to it meanwhile.
// covers storage/log_move, storage/moved_logs
#include <gtest/gtest.h>

#include "records/control.h"
#include "storage/atomic_file.h"
#include "storage/file_names.h"
#include "tests/storage/move_bench.h"

namespace ottla::storage::test {
namespace {

using Values = std::vector<std::string>;
using namespace std::chrono_literals;

const std::string& kFrom = MoveBench::kPaths[0];
const std::string& kTo = MoveBench::kPaths[1];
const sim::Survival kNothing{sim::Survival::Kind::nothing, 0};

std::string value_of(int i) { return fmt::format("value {} {}", i, std::string(300, '.')); }

Values append_values(MoveBench& bench, Log& log, int count) {
    Values wanted;
    for (int i = 0; i < count; ++i) {
        wanted.push_back(value_of(i));
        EXPECT_TRUE(bench.append(log, wanted.back()));
    }
    bench.settle(log);
    return wanted;
}

void expect_moved(MoveBench& bench, const Values& wanted) {
    Log* const log = bench.find();
    ASSERT_NE(log, nullptr);
    EXPECT_EQ(log->log_dir(), kTo);
    EXPECT_EQ(log->path(), kTo + "/t-0");
    EXPECT_EQ(bench.values(*log), wanted);
    EXPECT_EQ(bench.count_files(kFrom + "/t-0"), 0U) << "nothing is left where it was";
    EXPECT_EQ(bench.count_files("-future"), 0U);
    EXPECT_EQ(bench.count_files("-delete"), 0U);
}

TEST(LogMove, LeavesTheSameLogInTheOtherDirectoryAndAStartFindsItThere) {
    MoveBench bench;
    bench.start();
    Log& log = bench.create();
    Values wanted = append_values(bench, log, 20);
    ASSERT_TRUE(bench.move(log));
    bench.finish_move();
    EXPECT_EQ(&log, bench.find()) << "the Log is the same object";
    expect_moved(bench, wanted);
    wanted.push_back("afterwards");
    ASSERT_TRUE(bench.append(log, wanted.back()));
    bench.settle(log);
    bench.power_cut(kNothing);
    bench.start();
    expect_moved(bench, wanted);
    bench.clean_stop();
    bench.start();
    expect_moved(bench, wanted);
}

TEST(LogMove, GoesThereAndBackAgain) {
    MoveBench bench;
    bench.start();
    Log& log = bench.create(kTo);
    Values wanted = append_values(bench, log, 5);
    for (const std::string& next : {kFrom, kTo, kFrom, kTo}) {
        ASSERT_TRUE(bench.move(log, next));
        bench.finish_move();
        wanted.push_back("in " + next);
        ASSERT_TRUE(bench.append(log, wanted.back()));
        bench.settle(log);
        if (next == kFrom) bench.run_for(1s);
    }
    bench.power_cut(kNothing);
    bench.start();
    expect_moved(bench, wanted);
}

TEST(LogMove, IsRefusedToWhereTheLogIsAndToADirectoryThatIsNotServed) {
    MoveBench bench;
    bench.start();
    Log& log = bench.create();
    EXPECT_EQ(bench.move(log, kFrom).error().code, ErrorCode::already_exists);
    EXPECT_EQ(bench.move(log, "/data/c").error().code, ErrorCode::not_found);
    ASSERT_TRUE(bench.move(log));
    EXPECT_EQ(bench.move(log).error().code, ErrorCode::already_exists) << "it moves already";
}

Task<> append_for_ever(MoveBench& bench, Log& log, Values& written, const bool& stop) {
    while (!stop) {
        const std::string value = value_of(static_cast<int>(written.size()));
        const auto done = bench.append(log, value);
        if (done) {
            written.push_back(value);
            co_await bench.ports().runtime.yield();
        } else {
            CHECK(done.error().code == ErrorCode::would_block, "it has to wait, nothing else");
            co_await bench.store->wait_for_room(log.log_dir());
        }
    }
}

TEST(LogMove, OfALogThatIsWrittenAllTheTimeComesToItsEndAndKeepsEveryRecord) {
    MoveBench bench;
    bench.config.segment_bytes = 20'000;
    bench.start();
    Log& log = bench.create();
    Values written = append_values(bench, log, 30);
    bool stop = false;
    bench.ports().runtime.spawn(append_for_ever(bench, log, written, stop));
    bench.run_for(20ms);
    ASSERT_TRUE(bench.move(log));
    bench.finish_move();
    EXPECT_EQ(log.log_dir(), kTo);
    const size_t at_swap = written.size();
    bench.run_for(20ms);
    stop = true;
    bench.run_for(20ms);
    EXPECT_GT(written.size(), at_swap) << "it is written on";
    EXPECT_EQ(bench.values(log), written);
    bench.settle(log);
    bench.power_cut(kNothing);
    bench.start();
    EXPECT_EQ(bench.values(*bench.find()), written);
}

Task<> truncate(Log& log, Offset to, bool& done) {
    const Status cut = co_await log.truncate_to(to);
    CHECK(cut.has_value(), "a truncation inside the log");
    done = true;
}

TEST(LogMove, FollowsTruncationsOfTheLogAndWhatIsWrittenBehindThem) {
    for (uint64_t events = 1; events < 400; events += 7) {
        MoveBench bench(events);
        bench.start();
        Log& log = bench.create();
        Values wanted = append_values(bench, log, 12);
        ASSERT_TRUE(bench.move(log));
        for (uint64_t i = 0; i < events; ++i) bench.bench.world.step();
        bool done = false;
        bench.ports().runtime.spawn(truncate(log, Offset{5}, done));
        while (!done) ASSERT_TRUE(bench.bench.world.step());
        ASSERT_EQ(log.log_end(), Offset{5}) << events;
        wanted.resize(5);
        bench.epoch = LeaderEpoch{1};
        while (wanted.size() < 9) {
            const std::string other = fmt::format("other {}", wanted.size());
            const auto appended = bench.append(log, other);
            if (appended) wanted.push_back(other);
            if (!appended) ASSERT_TRUE(bench.bench.world.step());
        }
        bench.finish_move();
        bench.settle(log);
        EXPECT_EQ(log.epoch_at(Offset{6}), LeaderEpoch{1}) << events;
        EXPECT_EQ(log.epoch_at(Offset{4}), LeaderEpoch{0}) << events;
        bench.power_cut(kNothing);
        bench.start();
        expect_moved(bench, wanted);
        EXPECT_EQ(bench.find()->epoch_at(Offset{6}), LeaderEpoch{1}) << events;
        if (testing::Test::HasFailure()) return;
    }
}

TEST(LogMove, FollowsATruncationBehindWhichTheLogIsAsLongAgain) {
    for (uint64_t events = 1; events < 400; ++events) {
        MoveBench bench(events);
        bench.start();
        Log& log = bench.create();
        Values wanted = append_values(bench, log, 12);
        ASSERT_TRUE(bench.move(log));
        for (uint64_t i = 0; i < events; ++i) bench.bench.world.step();
        bool done = false;
        bench.ports().runtime.spawn(truncate(log, Offset{9}, done));
        while (!done) ASSERT_TRUE(bench.bench.world.step());
        wanted.resize(9);
        bench.epoch = LeaderEpoch{1};
        while (wanted.size() < 12) {
            const std::string other = fmt::format("other {}", wanted.size());
            const auto appended = bench.append(log, other);
            if (appended) wanted.push_back(other);
            if (!appended) ASSERT_TRUE(bench.bench.world.step());
        }
        bench.finish_move();
        bench.settle(log);
        expect_moved(bench, wanted);
        ASSERT_FALSE(testing::Test::HasFailure()) << events;
    }
}

TEST(LogMove, FollowsTheStartOfTheLogAlsoWhereItOvertakesTheCopy) {
    for (uint64_t events = 1; events < 400; events += 7) {
        MoveBench bench(events);
        bench.start();
        Log& log = bench.create();
        Values wanted = append_values(bench, log, 12);
        ASSERT_TRUE(bench.move(log));
        for (uint64_t i = 0; i < events; ++i) bench.bench.world.step();
        const int64_t start = events % 2 == 0 ? 12 : 7;
        ASSERT_TRUE(log.delete_before(Offset{start}));
        wanted.erase(wanted.begin(), wanted.begin() + start);
        bench.finish_move();
        EXPECT_EQ(log.log_start(), Offset{start}) << events;
        EXPECT_EQ(log.log_end(), Offset{12}) << events;
        expect_moved(bench, wanted);
        wanted.push_back("afterwards");
        ASSERT_TRUE(bench.append(log, "afterwards"));
        bench.settle(log);
        bench.power_cut(kNothing);
        bench.start();
        EXPECT_EQ(bench.find()->log_start(), Offset{start}) << events;
        expect_moved(bench, wanted);
        if (testing::Test::HasFailure()) return;
    }
}

TEST(LogMove, OfALogWhoseStartLiesWithinABatchKeepsTheBatch) {
    MoveBench bench;
    bench.start();
    Log& log = bench.create();
    const Buffer batch = make_batch(bench.codecs, "ten", {}, WallTime{1000}, 10);
    AppendRequest request;
    request.batch = batch.span();
    request.leader_epoch = LeaderEpoch{0};
    ASSERT_TRUE(log.append(request));
    ASSERT_TRUE(bench.append(log, "one"));
    bench.settle(log);
    ASSERT_TRUE(log.delete_before(Offset{4}));
    ASSERT_TRUE(bench.move(log));
    bench.finish_move();
    EXPECT_EQ(log.log_start(), Offset{4});
    EXPECT_EQ(bench.values(log), (Values{"ten", "ten", "ten", "ten", "ten", "ten", "one"}));
}

TEST(LogMove, KeepsProducersOpenTransactionsAbortedOnesAndTheStableEnd) {
    MoveBench bench;
    bench.start();
    Log& log = bench.create();
    BatchOptions producer;
    producer.producer_id = ProducerId{7};
    producer.producer_epoch = ProducerEpoch{2};
    for (int32_t i = 0; i < 7; ++i) {
        producer.base_sequence = i;
        ASSERT_TRUE(bench.append(log, value_of(i), producer));
    }
    BatchOptions aborts;
    aborts.producer_id = ProducerId{8};
    aborts.producer_epoch = ProducerEpoch{0};
    aborts.base_sequence = 0;
    aborts.transactional = true;
    ASSERT_TRUE(bench.append(log, "aborted", aborts));
    MarkerOptions marker;
    marker.producer_id = ProducerId{8};
    marker.producer_epoch = ProducerEpoch{0};
    const Buffer end = build_end_transaction_batch(marker, {false, 0});
    AppendRequest request;
    request.batch = end.span();
    request.leader_epoch = LeaderEpoch{0};
    ASSERT_TRUE(log.append(request));
    aborts.producer_id = ProducerId{9};
    ASSERT_TRUE(bench.append(log, "open", aborts));
    bench.settle(log);
    log.note_high_watermark(log.log_end());
    // Of one whose records are gone the log still knows the last batch.
    ASSERT_TRUE(log.delete_before(Offset{5}));
    const ProducerState before = log.parts().producers;
    const Offset stable = log.last_stable_offset();
    ASSERT_TRUE(bench.move(log));
    bench.finish_move();
    ASSERT_EQ(log.log_dir(), kTo);
    EXPECT_EQ(log.parts().producers, before);
    EXPECT_EQ(log.last_stable_offset(), stable);
    EXPECT_EQ(log.first_open_transaction(), Offset{9});
    const auto aborted = bench.bench.run(log.aborted_transactions(Offset{5}, log.log_end()));
    ASSERT_TRUE(aborted);
    ASSERT_EQ(aborted->size(), 1U);
    EXPECT_EQ(aborted->front().first, Offset{7});
    producer.base_sequence = 6;
    const auto again = bench.append(log, value_of(6), producer);
    ASSERT_TRUE(again);
    EXPECT_EQ(again->verdict, AppendResult::Verdict::duplicate);
    bench.power_cut(kNothing);
    bench.start();
    EXPECT_EQ(bench.find()->first_open_transaction(), Offset{9});
    const auto once_more = bench.append(*bench.find(), value_of(6), producer);
    ASSERT_TRUE(once_more);
    EXPECT_EQ(once_more->verdict, AppendResult::Verdict::duplicate);
}

TEST(LogMove, WaitsForPermissionAndGoesOnFollowingMeanwhile) {
    MoveBench bench;
    bench.observes = true;
    bench.start();
    Log& log = bench.create();
    Values wanted = append_values(bench, log, 5);
    ASSERT_TRUE(bench.move(log));
    bench.run_for(2s);
    EXPECT_EQ(bench.caught_up, 1);
    EXPECT_EQ(log.log_dir(), kFrom);
    const auto uses = bench.store->uses();
    ASSERT_EQ(uses.size(), 2U);
    ASSERT_EQ(uses[0].logs.size(), 1U);
    ASSERT_EQ(uses[1].logs.size(), 1U);
    EXPECT_FALSE(uses[0].logs[0].is_copy);
    EXPECT_TRUE(uses[1].logs[0].is_copy);
    EXPECT_EQ(uses[1].logs[0].lag, 0);
    EXPECT_EQ(uses[1].logs[0].bytes, uses[0].logs[0].bytes);
    wanted.push_back("meanwhile");
    ASSERT_TRUE(bench.append(log, wanted.back()));
    EXPECT_EQ(bench.store->uses()[1].logs[0].lag, 1);
    bench.run_for(1s);
    EXPECT_EQ(bench.store->uses()[1].logs[0].lag, 0);
    bench.store->permit_swap(log.name());
    bench.finish_move();
    ASSERT_EQ(bench.ended.size(), 1U);
    EXPECT_TRUE(bench.ended[0]);
    expect_moved(bench, wanted);
}

TEST(LogMove, ThatIsCancelledLeavesNothingOfTheCopy) {
    MoveBench bench;
    bench.observes = true;
    bench.start();
    Log& log = bench.create();
    const Values wanted = append_values(bench, log, 8);
    ASSERT_TRUE(bench.move(log));
    bench.run_for(1s);
    EXPECT_GT(bench.count_files("-future"), 0U);
    bench.bench.run(bench.store->cancel_move(log.name()));
    EXPECT_EQ(bench.count_files(kTo + "/t-0"), 0U);
    EXPECT_EQ(log.log_dir(), kFrom);
    ASSERT_EQ(bench.ended.size(), 1U);
    EXPECT_EQ(bench.ended[0].error().code, ErrorCode::cancelled);
    bench.power_cut(kNothing);
    bench.start();
    EXPECT_EQ(bench.found_copies, 0U);
    EXPECT_EQ(bench.values(*bench.find()), wanted);
}

TEST(LogMove, EndsWithItsLogsDeletionAndTheNameMayBeUsedAgain) {
    for (uint64_t events = 1; events < 300; events += 11) {
        MoveBench bench(events);
        bench.start();
        Log& log = bench.create();
        append_values(bench, log, 8);
        ASSERT_TRUE(bench.move(log));
        for (uint64_t i = 0; i < events; ++i) bench.bench.world.step();
        const Status gone = bench.bench.run(bench.store->delete_log(log));
        ASSERT_TRUE(gone) << gone.error().detail;
        EXPECT_EQ(bench.count_files("/t-0"), 0U) << events;
        Log& again = bench.create(kTo);
        const Values wanted = append_values(bench, again, 2);
        bench.run_for(1s);
        bench.power_cut(kNothing);
        bench.start();
        EXPECT_EQ(bench.found_copies, 0U) << events;
        expect_moved(bench, wanted);
    }
}

TEST(LogMove, ToADirectoryThatFailsLeavesTheLogWhereItIs) {
    MoveBench bench;
    bench.observes = true;
    bench.start();
    Log& log = bench.create();
    Values wanted = append_values(bench, log, 5);
    ASSERT_TRUE(bench.move(log));
    bench.run_for(1s);
    bench.bench.disk().plan({.file_kind = FileOp::Kind::sync, .path = kTo + "/.ottla-journal"});
    wanted.push_back("more");
    ASSERT_TRUE(bench.append(log, wanted.back()));
    bench.run_for(1s);
    EXPECT_EQ(bench.failed, std::vector<std::string>{kTo});
    EXPECT_FALSE(bench.is_moving());
    EXPECT_FALSE(log.is_offline());
    ASSERT_EQ(bench.ended.size(), 1U);
    EXPECT_EQ(bench.ended[0].error().code, ErrorCode::kafka_storage_error);
    wanted.push_back("it goes on");
    ASSERT_TRUE(bench.append(log, wanted.back()));
    bench.settle(log);
    EXPECT_EQ(bench.move(log).error().code, ErrorCode::kafka_storage_error);
    bench.power_cut(kNothing);
    bench.observes = false;
    bench.start();
    EXPECT_EQ(bench.found_copies, 1U);
    bench.finish_move();
    expect_moved(bench, wanted);
}

TEST(LogMove, WhoseSourceCannotBeReadAnyMoreLeavesTheTargetAlone) {
    MoveBench bench;
    bench.observes = bench.permits = true;
    bench.start();
    Log& log = bench.create(kTo);
    Values wanted = append_values(bench, log, 5);
    ASSERT_TRUE(bench.move(log, kFrom));
    bench.finish_move();
    bench.bench.disk().plan({.of_file = false,
                             .file_kind = FileOp::Kind::read,
                             .name_kind = FileSystemOp::Kind::open,
                             .path = kFrom + "/t-0/.ottla-moved",
                             .error = ErrorCode::io_error});
    ASSERT_TRUE(bench.move(log));
    bench.finish_move();
    ASSERT_EQ(bench.ended.size(), 2U);
    EXPECT_EQ(bench.ended[1].error().code, ErrorCode::io_error);
    EXPECT_TRUE(bench.failed.empty());
    EXPECT_EQ(bench.count_files("-future"), 0U);
    ASSERT_TRUE(bench.move(log));
    bench.finish_move();
    EXPECT_TRUE(bench.ended.back());
    expect_moved(bench, wanted);
}

TEST(LogMove, FromADirectoryThatFailsIsTakenUpByTheNextStart) {
    MoveBench bench;
    bench.observes = true;
    bench.start();
    Log& log = bench.create();
    const Values wanted = append_values(bench, log, 5);
    ASSERT_TRUE(bench.move(log));
    bench.run_for(1s);
    bench.bench.disk().plan({.file_kind = FileOp::Kind::sync, .path = kFrom + "/.ottla-journal"});
    ASSERT_TRUE(bench.append(log, "in doubt"));
    bench.run_for(1s);
    EXPECT_TRUE(log.is_offline());
    EXPECT_FALSE(bench.is_moving());
    bench.power_cut(kNothing);
    bench.observes = false;
    bench.start();
    EXPECT_EQ(bench.found_copies, 1U);
    bench.finish_move();
    expect_moved(bench, wanted);
}

TEST(LogMove, MeetsAFullDiskWaitsAndGoesOnWhenThereIsSpace) {
    MoveBench bench;
    bench.settings.disk_reserve_bytes = 64UZ * 1024;
    bench.start();
    Log& log = bench.create();
    const Values wanted = append_values(bench, log, 400);
    bench.run_for(1s);
    sim::SimDisk& disk = bench.bench.disk();
    constexpr uint64_t kEnough = uint64_t{1} << 40U;
    disk.set_capacity(kEnough);
    const uint64_t used = kEnough - disk.free_space();
    ASSERT_TRUE(bench.move(log));
    disk.set_capacity(used + 64UZ * 1024);
    bench.run_for(3s);
    EXPECT_TRUE(bench.is_moving());
    EXPECT_EQ(bench.values(log), wanted) << "it is read meanwhile";
    EXPECT_TRUE(bench.failed.empty());
    disk.set_capacity(kEnough);
    bench.finish_move();
    expect_moved(bench, wanted);
}

TEST(LogMove, IsTakenUpAfterACleanStopInItsMiddle) {
    MoveBench bench;
    bench.observes = true;
    bench.start();
    Log& log = bench.create();
    Values wanted = append_values(bench, log, 8);
    ASSERT_TRUE(bench.move(log));
    bench.run_for(1s);
    bench.clean_stop();
    EXPECT_GT(bench.count_files("-future/00000000000000000000.log"), 0U);
    EXPECT_EQ(bench.count_files(".ottla-journal"), 0U);
    bench.observes = false;
    bench.start();
    EXPECT_EQ(bench.found_copies, 1U);
    bench.finish_move();
    expect_moved(bench, wanted);
}

TEST(LogMove, ALogThatIsInTwoDirectoriesIsTheOneThatMovedAndTheOtherGoes) {
    MoveBench bench;
    bench.start();
    Log& log = bench.create();
    Values wanted = append_values(bench, log, 8);
    bench.run_for(1s);
    // The old directory fails before it can forget the log.
    bench.bench.disk().plan({.of_file = false,
                             .file_kind = FileOp::Kind::read,
                             .name_kind = FileSystemOp::Kind::rename,
                             .path = kFrom + "/t-0",
                             .error = ErrorCode::io_error});
    ASSERT_TRUE(bench.move(log));
    bench.finish_move();
    EXPECT_EQ(bench.failed, std::vector<std::string>{kFrom});
    EXPECT_EQ(log.log_dir(), kTo);
    wanted.push_back("afterwards");
    ASSERT_TRUE(bench.append(log, wanted.back()));
    bench.settle(log);
    EXPECT_GT(bench.count_files(kFrom + "/t-0/"), 0U);
    bench.kill();
    bench.start();
    expect_moved(bench, wanted);
}

TEST(LogMove, ALogThatSomebodyCopiedIntoBothDirectoriesIsRefusedByName) {
    MoveBench bench;
    bench.start();
    append_values(bench, bench.create(), 3);
    bench.clean_stop();
    FileSystem& files = bench.ports().files;
    ASSERT_TRUE(bench.bench.run(files.make_directory(kTo + "/t-0")));
    const Buffer text =
        Buffer::copy_of(*bench.bench.disk().contents(kFrom + "/t-0/partition.metadata"));
    const Status copied =
        bench.bench.run(write_file(files, kTo + "/t-0/partition.metadata", text));
    ASSERT_TRUE(copied);
    const Status booted = bench.bench.run(bench.boot());
    ASSERT_FALSE(booted);
    EXPECT_EQ(booted.error().code, ErrorCode::corrupt);
    EXPECT_NE(booted.error().detail.find("t-0 is in /data/a and in /data/b"), std::string::npos)
        << booted.error().detail;
}

TEST(LogMove, AClosedDirectoryHasNoCopyThatAReplayLeftIncomplete) {
    MoveBench bench;
    bench.observes = true;
    bench.start();
    Log& log = bench.create();
    append_values(bench, log, 8);
    ASSERT_TRUE(bench.move(log));
    bench.run_for(1s);
    bench.kill();
    const Status closed = bench.bench.run(close_directory(bench.ports(), kTo, bench.settings));
    ASSERT_TRUE(closed) << closed.error().detail;
    EXPECT_EQ(bench.count_files("-future"), 0U);
}

TEST(LogMove, TheMarkOfAMovedLogIsReadBackWhateverBitOfItFlips) {
    Uuid reign;
    reign.bytes.fill(3);
    const std::string text = moved_text(reign, 12);
    const auto mark = parse_moved(text);
    ASSERT_TRUE(mark);
    EXPECT_EQ(mark->moves, 12U);
    EXPECT_EQ(mark->reign, reign);
    const std::string once = text.substr(0, text.size() / 2);
    for (size_t i = 0; i < text.size(); ++i) {
        std::string flipped = text;
        flipped[i] = static_cast<char>(flipped[i] ^ 1);
        const auto sound = parse_moved(flipped);
        ASSERT_TRUE(sound) << i;
        EXPECT_EQ(sound->moves, 12U);
        if (i >= once.size()) continue;
        std::string alone = once;
        alone[i] = flipped[i];
        EXPECT_FALSE(parse_moved(alone + alone)) << i << ": the same bit of both";
        EXPECT_FALSE(parse_moved(once.substr(0, i))) << i;
    }
}

// A crash at every event.

struct Story {
    Values appended;
    size_t acknowledged = 0;
    bool done = false;
};

Task<> write_on(MoveBench& bench, Log& log, Story& story, int count) {
    for (int i = 0; i < count;) {
        const std::string value = value_of(static_cast<int>(story.appended.size()));
        if (bench.append(log, value)) {
            story.appended.push_back(value);
            ++i;
            co_await bench.ports().runtime.yield();
        } else {
            co_await bench.store->wait_for_room(log.log_dir());
        }
    }
    const size_t end = story.appended.size();
    while (log.durable_end() < log.log_end()) {
        static_cast<void>(co_await bench.ports().runtime.sleep_for(50us));
    }
    story.acknowledged = end;
}

Task<> move_story(MoveBench& bench, Story& story) {
    Log& log = bench.create();
    co_await write_on(bench, log, story, 6);
    CHECK(bench.move(log).has_value(), "a move");
    while (log.log_dir() == kFrom) co_await write_on(bench, log, story, 1);
    co_await write_on(bench, log, story, 2);
    while (bench.is_moving()) co_await bench.ports().runtime.yield();
    co_await write_on(bench, log, story, 1);
    story.done = true;
}

enum class End : uint8_t { kill, power_cut, nothing_survives };

void strike_everywhere(End how) {
    uint64_t copies = 0;
    uint64_t moved = 0;
    for (uint64_t events = 1; events < 5000; ++events) {
        MoveBench bench(events);
        bench.start();
        if (testing::Test::HasFatalFailure()) return;
        Story story;
        bench.ports().runtime.spawn(move_story(bench, story));
        for (uint64_t i = 0; i < events && !story.done; ++i) bench.bench.world.step();
        if (how == End::kill) bench.kill();
        if (how == End::power_cut) bench.power_cut();
        if (how == End::nothing_survives) bench.power_cut(kNothing);
        const std::string where = fmt::format("after {} events", events);
        const Status booted = bench.bench.run(bench.boot());
        ASSERT_TRUE(booted) << where << ": " << booted.error().detail;
        copies += bench.found_copies;
        Log* const log = bench.find();
        if (log == nullptr) {
            ASSERT_EQ(story.acknowledged, 0U) << where;
            continue;
        }
        if (bench.found_copies == 0 && log->log_dir() == kTo) ++moved;
        const Values found = bench.values(*log);
        ASSERT_GE(found.size(), story.acknowledged) << where;
        ASSERT_LE(found.size(), story.appended.size()) << where;
        EXPECT_TRUE(std::equal(found.begin(), found.end(), story.appended.begin())) << where;
        // A move that was on its way goes on, and ends.
        bench.finish_move();
        Values wanted = found;
        wanted.push_back("after");
        ASSERT_TRUE(bench.append(*log, "after")) << where;
        bench.settle(*log);
        bench.power_cut();
        bench.start();
        EXPECT_EQ(bench.values(*bench.find()), wanted) << where;
        EXPECT_EQ(bench.count_files("-future"), 0U) << where;
        const size_t both = (bench.count_files(kFrom + "/t-0/") > 0 ? 1 : 0) +
                            (bench.count_files(kTo + "/t-0/") > 0 ? 1 : 0);
        EXPECT_LE(both, 1U) << where;
        if (story.done || testing::Test::HasFailure()) break;
    }
    EXPECT_GT(copies, 20U);
    EXPECT_GT(moved, 20U);
}

TEST(PowerCut, AtAnyEventOfAMoveBetweenDirectoriesLeavesOneLogWithAllThatWasAcknowledged) {
    strike_everywhere(End::power_cut);
}
TEST(PowerCut, OfAMoveThatLosesEverythingUnsyncedLosesNothingAcknowledged) {
    strike_everywhere(End::nothing_survives);
}
TEST(Kill, AtAnyEventOfAMoveBetweenDirectoriesLeavesOneLogWithAllThatWasAcknowledged) {
    strike_everywhere(End::kill);
}

}  // namespace
}  // namespace ottla::storage::test
