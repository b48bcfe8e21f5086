// SPDX-License-Identifier: Apache-2.0
#include "io/scheduling.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include "io/io_threads.h"

namespace ottla::io::test {
namespace {

int niceness_of_this_thread() { return ::getpriority(PRIO_PROCESS, static_cast<id_t>(::gettid())); }

int niceness_of(ThreadKind kind) {
    int found = -1;
    start_thread("test", kind, [&found] { found = niceness_of_this_thread(); }).join();
    return found;
}

TEST(Scheduling, BulkThreadsStepBackAndPromptOnesDoNot) {
    const int own = niceness_of_this_thread();
    EXPECT_EQ(niceness_of(ThreadKind::prompt), own);
    EXPECT_GT(niceness_of(ThreadKind::bulk), own);
    EXPECT_EQ(niceness_of_this_thread(), own) << "each thread speaks for itself";
}

}  // namespace
}  // namespace ottla::io::test
