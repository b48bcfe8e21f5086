// SPDX-License-Identifier: Apache-2.0
#include "io/memory_limit.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/io/with_backend.h"

namespace ottla::io::test {
namespace {

constexpr uint64_t kMachine = uint64_t{8} << 30U;

struct Groups {
    void write(const std::string& name, const std::string& text) {
        const std::filesystem::path path = directory.path() + "/" + name;
        std::filesystem::create_directories(path.parent_path());
        std::ofstream(path) << text << "\n";
    }
    uint64_t limit() {
        return memory_limit({.membership = directory.path() + "/cgroup",
                             .groups = directory.path() + "/groups",
                             .physical_bytes = kMachine});
    }
    TemporaryDirectory directory;
};

TEST(MemoryLimit, IsTheMachinesWhereNothingElseSaysSo) {
    Groups groups;
    EXPECT_EQ(groups.limit(), kMachine);
    groups.write("cgroup", "0::/a");
    groups.write("groups/a/memory.max", "max");
    EXPECT_EQ(groups.limit(), kMachine);
    EXPECT_GT(memory_limit(), 0U);
}

TEST(MemoryLimit, TheTightestGroupOnTheWayUpCounts) {
    Groups groups;
    groups.write("cgroup", "0::/a/b/c");
    groups.write("groups/a/b/c/memory.max", "300000000");
    groups.write("groups/a/memory.max", "67108864");
    EXPECT_EQ(groups.limit(), 67'108'864U);
}

TEST(MemoryLimit, VersionOneIsReadWhereItControlsMemory) {
    Groups groups;
    groups.write("cgroup", "5:cpu,cpuacct:/x\n4:hugetlb,memory:/x/y\n0::/");
    groups.write("groups/memory/memory.limit_in_bytes", "9223372036854771712");
    groups.write("groups/memory/x/y/memory.limit_in_bytes", "134217728");
    groups.write("groups/cpu/x/memory.limit_in_bytes", "1");
    EXPECT_EQ(groups.limit(), 134'217'728U);
}

TEST(MemoryLimit, InsideAContainerTheRootIsItsOwnGroup) {
    Groups groups;
    groups.write("cgroup", "0::/system.slice/docker-1234.scope");
    groups.write("groups/memory.max", "67108864");
    EXPECT_EQ(groups.limit(), 67'108'864U);
}

TEST(MemoryLimit, NonsenseIsNoLimit) {
    Groups groups;
    groups.write("cgroup", "garbage\n:\n0::/a");
    groups.write("groups/a/memory.max", "12x");
    EXPECT_EQ(groups.limit(), kMachine);
}

}  // namespace
}  // namespace ottla::io::test
