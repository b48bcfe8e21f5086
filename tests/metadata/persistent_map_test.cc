// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "metadata/persistent_map.h"

namespace ottla::metadata {
namespace {

using IntMap = PersistentMap<int, int>;

TEST(PersistentMap, OldCopiesKeepWhatTheyHad) {
    const IntMap one = IntMap{}.with(1, 10);
    const IntMap two = one.with(2, 20);
    const IntMap changed = two.with(1, 11);
    const IntMap without = changed.without(2);
    EXPECT_EQ(one.size(), 1U);
    EXPECT_EQ(*two.find(1), 10);
    EXPECT_EQ(*changed.find(1), 11);
    EXPECT_EQ(*changed.find(2), 20);
    EXPECT_EQ(without.find(2), nullptr);
    EXPECT_TRUE(without.without(99).is_same(without));
}

TEST(PersistentMap, AgreesWithStdMapUnderRandomChanges) {
    uint64_t seed = 42;
    const auto draw = [&seed](uint64_t below) {
        seed = seed * 6364136223846793005U + 1442695040888963407U;
        return static_cast<int>((seed >> 33U) % below);
    };
    std::map<int, int> expected;
    IntMap map;
    for (int step = 0; step < 20'000; ++step) {
        const int key = draw(500);
        if (draw(3) == 0) {
            expected.erase(key);
            map = map.without(key);
        } else {
            expected[key] = step;
            map = map.with(key, step);
        }
        ASSERT_EQ(map.size(), expected.size());
    }
    EXPECT_TRUE(std::equal(
        map.begin(), map.end(), expected.begin(), expected.end(),
        [](const auto& a, const auto& b) { return a.first == b.first && a.second == b.second; }));
    for (int key = -1; key <= 500; ++key) {
        const auto found = map.lower_bound(key);
        const auto wanted = expected.lower_bound(key);
        ASSERT_EQ(found == map.end(), wanted == expected.end());
        if (wanted != expected.end()) {
            EXPECT_EQ(found->first, wanted->first);
        }
    }
}

TEST(PersistentMap, StaysShallowWhenKeysComeInOrder) {
    IntMap map;
    for (int key = 0; key < 100'000; ++key) map = map.with(key, key);
    EXPECT_EQ(map.size(), 100'000U);
    size_t seen = 0;
    for (const auto& [key, value] : map) {
        ASSERT_EQ(key, static_cast<int>(seen));
        ++seen;
    }
    EXPECT_EQ(seen, 100'000U);
}

TEST(PersistentMap, FindsByAnythingThatCompares) {
    const auto map = PersistentMap<std::string, int>{}.with("a", 1).with("b", 2);
    EXPECT_EQ(*map.find(std::string_view("b")), 2);
}

}  // namespace
}  // namespace ottla::metadata
