// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/log_model.h"

#include <gtest/gtest.h>

namespace ottla::sim {
namespace {

BatchFact batch(int64_t base, int32_t records, uint64_t content) {
    return {.base = Offset{base}, .records = records, .content = content};
}
LogChange create() { return {.kind = LogChange::Kind::create, .offset = Offset{0}, .batch = {}}; }
LogChange append(const BatchFact& what) {
    return {.kind = LogChange::Kind::append, .offset = {}, .batch = what};
}
LogState state(std::vector<BatchFact> batches) {
    LogState found{.exists = true, .start = Offset{0}, .end = Offset{0}, .batches = batches};
    if (!batches.empty()) found.end = batches.back().end();
    return found;
}

TEST(LogModel, AcceptsEveryPrefixFromTheDurableOneOn) {
    for (size_t kept = 0; kept <= 3; ++kept) {
        LogModel model;
        model.add(create());
        std::vector<BatchFact> all = {batch(0, 2, 7), batch(2, 1, 8), batch(3, 1, 9)};
        for (const BatchFact& one : all) model.add(append(one));
        EXPECT_FALSE(model.durable_end_moved(Offset{2}));
        all.resize(kept);
        EXPECT_EQ(model.recovered(state(all)).has_value(), kept < 1) << kept;
    }
}

TEST(LogModel, RefusesOtherContentAndHoles) {
    LogModel model;
    model.add(create());
    model.add(append(batch(0, 1, 7)));
    model.add(append(batch(1, 1, 8)));
    LogModel other = model;
    LogModel hole = model;
    EXPECT_FALSE(model.recovered(state({batch(0, 1, 7)})));
    EXPECT_TRUE(other.recovered(state({batch(0, 1, 6)})));
    LogState gap = state({batch(1, 1, 8)});
    EXPECT_TRUE(hole.recovered(gap));
}

TEST(LogModel, WhatWasTruncatedMayOnlyComeBackBeforeItIsReplacedDurably) {
    LogModel model;
    model.add(create());
    model.add(append(batch(0, 1, 7)));
    model.add(append(batch(1, 1, 8)));
    EXPECT_FALSE(model.durable_end_moved(Offset{2}));
    model.add({.kind = LogChange::Kind::truncate, .offset = Offset{1}, .batch = {}});
    LogModel replaced = model;
    EXPECT_FALSE(model.recovered(state({batch(0, 1, 7), batch(1, 1, 8)})));
    replaced.add(append(batch(1, 1, 9)));
    EXPECT_FALSE(replaced.durable_end_moved(Offset{2}));
    LogModel right = replaced;
    EXPECT_TRUE(replaced.recovered(state({batch(0, 1, 7), batch(1, 1, 8)})));
    EXPECT_FALSE(right.recovered(state({batch(0, 1, 7), batch(1, 1, 9)})));
}

TEST(LogModel, WhatWasOnlyWrittenOutlivesTheProcessAndNotTheMachine) {
    LogModel model;
    model.add(create());
    model.add(append(batch(0, 1, 7)));
    EXPECT_FALSE(model.durable_end_moved(Offset{1}));
    model.add(append(batch(1, 1, 8)));
    EXPECT_FALSE(model.durable_end_moved(Offset{2}, false));
    LogModel killed = model;
    EXPECT_TRUE(killed.recovered(state({batch(0, 1, 7)})));
    LogModel powerless = model;
    powerless.lose_unsynced();
    EXPECT_FALSE(powerless.recovered(state({batch(0, 1, 7)})));
    LogModel strict = model;
    strict.lose_unsynced();
    EXPECT_TRUE(strict.recovered(state({}))) << "the first one was synced";
    // Synced behind it, or by a switch back: everything before is too.
    model.add(append(batch(2, 1, 9)));
    LogModel switched = model;
    switched.synced(switched.acknowledged());
    switched.lose_unsynced();
    EXPECT_TRUE(switched.recovered(state({batch(0, 1, 7)})));
    EXPECT_FALSE(model.durable_end_moved(Offset{3}));
    model.lose_unsynced();
    EXPECT_TRUE(model.recovered(state({batch(0, 1, 7), batch(1, 1, 8)})));
}

TEST(LogModel, ADurableEndMayNotGoBack) {
    LogModel model;
    model.add(create());
    model.add(append(batch(0, 3, 7)));
    EXPECT_FALSE(model.durable_end_moved(Offset{3}));
    EXPECT_TRUE(model.durable_end_moved(Offset{2}));
    EXPECT_TRUE(model.durable_end_moved(Offset{4}));
}

}  // namespace
}  // namespace ottla::sim
