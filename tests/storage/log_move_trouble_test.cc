// SPDX-License-Identifier: Apache-2.0
// Moves of a log between two directories that do not come to their end, or not at once.
// covers storage/log_move, storage/moved_logs
#include <gtest/gtest.h>

#include "storage/atomic_file.h"
#include "storage/close_directories.h"
#include "storage/file_names.h"
#include "storage/moved_logs.h"
#include "tests/storage/move_bench.h"

namespace ottla::storage::test {
namespace {

using namespace std::chrono_literals;

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
    const Status copied = bench.bench.run(write_file(files, kTo + "/t-0/partition.metadata", text));
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
    const Status closed = bench.bench.run(close_directories(bench.ports(), {kTo}, bench.settings));
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

TEST(LogMove, AMarkOfAnotherReignOrNoneDoesNotCount) {
    MoveBench bench;
    bench.start();
    Uuid reign;
    reign.bytes.fill(3);
    FileSystem& files = bench.ports().files;
    const auto count = [&](const Uuid& in) {
        const auto moves = bench.bench.run(count_moves(files, "/data", in));
        return moves.value_or(99);
    };
    EXPECT_EQ(count(reign), 0U) << "there is none";
    const Buffer text = Buffer::copy_of(moved_text(reign, 12));
    ASSERT_TRUE(bench.bench.run(write_file(files, "/data/.ottla-moved", text)));
    EXPECT_EQ(count(reign), 12U);
    EXPECT_EQ(count(Uuid{}), 0U);
}

}  // namespace
}  // namespace ottla::storage::test
