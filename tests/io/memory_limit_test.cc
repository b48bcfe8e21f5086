// SPDX-License-Identifier: Apache-2.0
#include "io/memory_limit.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include "tests/io/with_backend.h"

namespace ottla::io::test {
namespace {

constexpr uint64_t kMachine = uint64_t{8} << 30U;

using Files = std::map<std::string, std::string>;

/// Where /proc/self/cgroup is `cgroup`, and everything else below `groups`.
uint64_t limit_with(const Files& files) {
    const TemporaryDirectory directory;
    for (const auto& [name, text] : files) {
        const std::filesystem::path path = directory.path() + "/" + name;
        std::filesystem::create_directories(path.parent_path());
        std::ofstream(path) << text << "\n";
    }
    return memory_limit({.membership = directory.path() + "/cgroup",
                         .groups = directory.path() + "/groups",
                         .physical_bytes = kMachine});
}

TEST(MemoryLimit, IsTheMachinesWhereNothingElseSaysSo) {
    EXPECT_EQ(limit_with({}), kMachine);
    EXPECT_EQ(limit_with({{"cgroup", "0::/a"}, {"groups/a/memory.max", "max"}}), kMachine);
    EXPECT_GT(memory_limit(), 0U);
}

TEST(MemoryLimit, TheTightestGroupOnTheWayUpCounts) {
    EXPECT_EQ(limit_with({{"cgroup", "0::/a/b/c"},
                          {"groups/a/b/c/memory.max", "300000000"},
                          {"groups/a/memory.max", "67108864"}}),
              67'108'864U);
}

TEST(MemoryLimit, VersionOneIsReadWhereItControlsMemory) {
    EXPECT_EQ(limit_with({{"cgroup", "5:cpu,cpuacct:/x\n4:hugetlb,memory:/x/y\n0::/"},
                          {"groups/memory/memory.limit_in_bytes", "9223372036854771712"},
                          {"groups/memory/x/y/memory.limit_in_bytes", "134217728"},
                          {"groups/cpu/x/memory.limit_in_bytes", "1"}}),
              134'217'728U);
}

TEST(MemoryLimit, InsideAContainerTheRootIsItsOwnGroup) {
    EXPECT_EQ(limit_with({{"cgroup", "0::/system.slice/docker-1234.scope"},
                          {"groups/memory.max", "67108864"}}),
              67'108'864U);
}

TEST(MemoryLimit, NonsenseIsNoLimit) {
    EXPECT_EQ(limit_with({{"cgroup", "garbage\n:\n0::/a"}, {"groups/a/memory.max", "12x"}}),
              kMachine);
}

}  // namespace
}  // namespace ottla::io::test
