// SPDX-License-Identifier: Apache-2.0
// A power cut or a kill at every event of what a log does; what was acknowledged has to be there.
#include <gtest/gtest.h>

#include "storage/file_names.h"
#include "tests/storage/store_bench.h"

namespace ottla::storage::test {
namespace {

using Values = std::vector<std::string>;

/// What a script did and was promised.
struct Story {
    Values appended;           ///< in order, after the last truncation
    size_t acknowledged = 0;   ///< of them
    Values before_truncation;  ///< what the log held when a truncation began
    size_t acknowledged_before = 0;
    bool deleting = false;
    bool deleted = false;
    bool done = false;
};

bool is_prefix(const Values& part, const Values& whole) {
    return part.size() <= whole.size() && std::equal(part.begin(), part.end(), whole.begin());
}

class Script {
public:
    Script(StoreBench& bench, Story& story) : bench_(bench), story_(story) {}

    Task<> append(Log& log, int count) {
        for (int i = 0; i < count; ++i) {
            const std::string value = fmt::format("value {} {}", story_.appended.size(), next_++);
            const auto result = bench_.append(log, value + std::string(300, '.'));
            CHECK(result.has_value(), "room for a small batch");
            story_.appended.push_back(value + std::string(300, '.'));
            co_await bench_.ports().runtime.yield();
        }
    }
    Task<> wait(Log& log) {
        while (log.durable_end() < log.log_end()) {
            static_cast<void>(
                co_await bench_.ports().runtime.sleep_for(std::chrono::microseconds(50)));
        }
        story_.acknowledged = story_.appended.size();
    }
    Task<> truncate(Log& log, int64_t to) {
        story_.before_truncation = story_.appended;
        story_.acknowledged_before = story_.acknowledged;
        story_.appended.resize(static_cast<size_t>(to));
        story_.acknowledged = std::min(story_.acknowledged, story_.appended.size());
        const Status done = co_await log.truncate_to(Offset{to});
        CHECK(done.has_value(), "a truncation inside the log");
    }

private:
    StoreBench& bench_;
    Story& story_;
    int next_ = 0;
};

Task<> append_story(StoreBench& bench, Story& story) {
    Script script(bench, story);
    Log& log = bench.create("t");
    for (int round = 0; round < 4; ++round) {
        co_await script.append(log, 3);
        co_await script.wait(log);
        static_cast<void>(co_await bench.ports().runtime.sleep_for(std::chrono::milliseconds(30)));
    }
    story.done = true;
}

Task<> roll_story(StoreBench& bench, Story& story) {
    Script script(bench, story);
    Log& log = bench.create("t");
    for (int round = 0; round < 3; ++round) {
        co_await script.append(log, 2);
        CHECK(log.roll().has_value(), "a roll");
        co_await script.append(log, 2);
        co_await script.wait(log);
        const Status synced = co_await bench.store->checkpoint();
        CHECK(synced.has_value(), "a checkpoint");
    }
    story.done = true;
}

Task<> truncate_story(StoreBench& bench, Story& story) {
    Script script(bench, story);
    Log& log = bench.create("t");
    co_await script.append(log, 6);
    co_await script.wait(log);
    static_cast<void>(co_await bench.ports().runtime.sleep_for(std::chrono::milliseconds(30)));
    co_await script.append(log, 2);
    co_await script.truncate(log, 3);
    co_await script.append(log, 4);
    co_await script.wait(log);
    story.before_truncation.clear();
    static_cast<void>(co_await bench.ports().runtime.sleep_for(std::chrono::milliseconds(30)));
    CHECK(log.roll().has_value(), "a roll");
    co_await script.append(log, 2);
    co_await script.wait(log);
    co_await script.truncate(log, 5);
    co_await script.append(log, 1);
    co_await script.wait(log);
    story.before_truncation.clear();
    const Status synced = co_await bench.store->checkpoint();
    CHECK(synced.has_value(), "a checkpoint");
    story.done = true;
}

Task<> delete_story(StoreBench& bench, Story& story) {
    Script script(bench, story);
    Log& log = bench.create("t");
    co_await script.append(log, 3);
    co_await script.wait(log);
    static_cast<void>(co_await bench.ports().runtime.sleep_for(std::chrono::milliseconds(30)));
    story.deleting = true;
    const Status gone = co_await bench.store->delete_log(log);
    CHECK(gone.has_value(), "a deletion");
    story.deleted = true;
    story.appended.clear();
    story.acknowledged = 0;
    Log& again = bench.create("t");
    co_await script.append(again, 1);
    co_await script.wait(again);
    story.deleting = story.deleted = false;
    story.done = true;
}

enum class End : uint8_t { kill, power_cut, nothing_survives };

void expect_recovered(StoreBench& bench, const Story& story, const std::string& where) {
    Log* log = bench.find("t");
    if (log == nullptr) {
        EXPECT_TRUE(story.deleting || story.acknowledged == 0) << where;
        return;
    }
    const Values found = bench.values(*log);
    const Values acknowledged(story.appended.begin(),
                              story.appended.begin() + static_cast<ptrdiff_t>(story.acknowledged));
    const Values acknowledged_before(
        story.before_truncation.begin(),
        story.before_truncation.begin() +
            static_cast<ptrdiff_t>(
                std::min(story.acknowledged_before, story.before_truncation.size())));
    const bool as_now = is_prefix(acknowledged, found) && is_prefix(found, story.appended);
    const bool as_before = !story.before_truncation.empty() &&
                           is_prefix(acknowledged_before, found) &&
                           is_prefix(found, story.before_truncation);
    EXPECT_TRUE(as_now || as_before || story.deleted)
        << where << ": found " << found.size() << ", acknowledged " << story.acknowledged << " of "
        << story.appended.size();
}

using StoryTeller = Task<> (*)(StoreBench&, Story&);

/// Runs the story, ends it after each count of events in turn, and looks at what comes back.
void strike_everywhere(StoryTeller tell, End how) {
    uint64_t struck = 0;
    for (uint64_t events = 1; events < 5000; ++events) {
        StoreBench bench(events);
        bench.config.segment_bytes = 1200;
        bench.config.index_interval_bytes = 300;
        bench.start();
        if (testing::Test::HasFatalFailure()) return;
        Story story;
        bench.ports().runtime.spawn(tell(bench, story));
        for (uint64_t i = 0; i < events && !story.done; ++i) bench.bench.world.step();
        if (how == End::kill) bench.kill();
        if (how == End::power_cut) bench.power_cut();
        if (how == End::nothing_survives) {
            bench.power_cut(sim::Survival{sim::Survival::Kind::nothing, 0});
        }
        const std::string where = fmt::format("after {} events", events);
        const Status booted = bench.bench.run(bench.boot());
        ASSERT_TRUE(booted) << where << ": " << booted.error().detail;
        expect_recovered(bench, story, where);
        // And it goes on from there, through another end.
        if (bench.find("t") != nullptr) {
            const Values before = bench.values(*bench.find("t"));
            Log& log = *bench.find("t");
            ASSERT_TRUE(bench.append(log, "after")) << where;
            bench.settle(log);
            bench.power_cut();
            bench.start();
            Values wanted = before;
            wanted.push_back("after");
            EXPECT_EQ(bench.values(*bench.find("t")), wanted) << where;
        }
        ++struck;
        if (story.done || testing::Test::HasFailure()) break;
    }
    EXPECT_GT(struck, 50U);
}

TEST(PowerCut, AtAnyEventOfAppendsLosesNothingAcknowledged) {
    strike_everywhere(append_story, End::power_cut);
}
TEST(PowerCut, ThatLosesEverythingUnsyncedLosesNothingAcknowledged) {
    strike_everywhere(append_story, End::nothing_survives);
}
TEST(PowerCut, AtAnyEventOfRollsAndCheckpoints) { strike_everywhere(roll_story, End::power_cut); }
TEST(PowerCut, AtAnyEventOfTruncations) { strike_everywhere(truncate_story, End::power_cut); }
TEST(PowerCut, AtAnyEventOfADeletionAndRecreation) {
    strike_everywhere(delete_story, End::power_cut);
}
TEST(Kill, AtAnyEventOfAppendsLosesNothingAcknowledged) {
    strike_everywhere(append_story, End::kill);
}
TEST(Kill, AtAnyEventOfTruncations) { strike_everywhere(truncate_story, End::kill); }

TEST(PowerCut, AtAnyEventOfRecoveryIsFollowedByTheSameRecovery) {
    for (uint64_t events = 1; events < 2000; ++events) {
        StoreBench bench(events);
        bench.config.segment_bytes = 1200;
        bench.start();
        Story story;
        bench.ports().runtime.spawn(truncate_story(bench, story));
        for (uint64_t i = 0; i < 150 + events % 97 && !story.done; ++i) bench.bench.world.step();
        bench.power_cut();
        const auto done =
            sim::try_run(bench.bench.world, bench.ports().runtime, bench.boot(), events);
        bench.power_cut();
        const Status booted = bench.bench.run(bench.boot());
        ASSERT_TRUE(booted) << events << ": " << booted.error().detail;
        expect_recovered(bench, story, fmt::format("recovery cut after {} events", events));
        if (done || testing::Test::HasFailure()) break;
    }
}

TEST(PowerCut, AtAnyEventOfACleanStop) {
    for (uint64_t events = 1; events < 2000; ++events) {
        StoreBench bench(events);
        bench.start();
        Log& log = bench.create("t");
        Values wanted;
        for (int i = 0; i < 5; ++i) {
            wanted.push_back(fmt::format("value {}", i));
            ASSERT_TRUE(bench.append(log, wanted.back()));
        }
        bench.settle(log);
        const auto done =
            sim::try_run(bench.bench.world, bench.ports().runtime, bench.stop(), events);
        bench.power_cut();
        const Status booted = bench.bench.run(bench.boot());
        ASSERT_TRUE(booted) << events << ": " << booted.error().detail;
        EXPECT_EQ(bench.values(*bench.find("t")), wanted) << events;
        if (done) EXPECT_TRUE(bench.directory->was_clean());
        if (done || testing::Test::HasFailure()) break;
    }
}

}  // namespace
}  // namespace ottla::storage::test
