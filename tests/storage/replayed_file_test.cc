// SPDX-License-Identifier: Apache-2.0
// One segment file of a replay: what a failed sync of the last life left is written and sized anew, and
// descriptors are bounded.
#include "storage/replayed_file.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/sim/machine.h"

namespace ottla::storage::test {
namespace {

const std::string kPath = "/data/f";
const sim::Survival kNothing{sim::Survival::Kind::nothing, 0};

Chain bytes_of(std::string_view text) { return Chain(Buffer::copy_of(text)); }

struct Bench : sim::Bench {
    explicit Bench(uint64_t seed = 1) : sim::Bench(seed) { disk().prepare_directory("/data"); }
    /// The page cache shows bytes and size of what its last sync dropped.
    void leave(const std::string& text) {
        disk().put(kPath, "synced ");
        disk().plan({.file_kind = FileOp::Kind::sync, .path = kPath});
        CHECK(run(write_only(text)).has_value(), "it is written");
        kill();
    }
    Task<Status> write_only(std::string text) {
        OpenOptions options;
        options.write = true;
        CO_TRY(const auto file, co_await files().open(kPath, options));
        CO_TRY([[maybe_unused]] size_t wrote, co_await file->write(7, bytes_of(text)));
        const auto failed = co_await file->sync();
        EXPECT_FALSE(failed);
        co_return Status();
    }
};

Task<Status> replay(FileSystem& files, std::string text, bool ends) {
    ReplayDescriptors among{.most = 1};
    ReplayedFile file(files, kPath, among);
    CO_TRY_STATUS(co_await file.open());
    if (ends) {
        CO_TRY_STATUS(co_await file.write_end(7, bytes_of(text)));
    } else {
        CO_TRY_STATUS(co_await file.write(7, bytes_of(text)));
        CO_TRY_STATUS(co_await file.end_at(7 + text.size()));
    }
    file.rest();
    CO_TRY_STATUS(co_await files.sync_all("/data"));
    co_return co_await file.check();
}

TEST(ReplayedFile, WhatAFailedSyncLeftIsDurableInBytesAndSize) {
    for (const bool ends : {false, true}) {
        for (const std::string left : {"the same", "a longer one", "less", ""}) {
            Bench bench;
            bench.leave(left);
            const Status done = bench.run(replay(bench.files(), "the same", ends));
            ASSERT_TRUE(done) << done.error().detail;
            bench.power_cut(kNothing);
            EXPECT_EQ(bench.disk().contents(kPath), "synced the same") << left;
        }
    }
}

Task<Status> write_many(FileSystem& files, ReplayDescriptors& among, size_t& most, bool lose) {
    std::vector<std::unique_ptr<ReplayedFile>> all;
    for (int i = 0; i < 10; ++i) {
        all.push_back(std::make_unique<ReplayedFile>(files, "/data/" + std::to_string(i), among));
        CO_TRY_STATUS(co_await all.back()->open());
        CO_TRY_STATUS(co_await all.back()->write_end(0, bytes_of("bytes")));
        all.back()->rest();
        most = std::max(most, among.open);
    }
    CO_TRY_STATUS(co_await files.sync_all("/data"));
    Status told;
    for (auto& one : all) {
        const Status arrived = co_await one->check();
        if (!arrived) told = arrived;
    }
    EXPECT_EQ(told.has_value(), !lose);
    co_return Status();
}

TEST(ReplayedFile, AsManyStayOpenAsMayAndAllAreChecked) {
    for (const std::string lost : {"", "/data/1", "/data/7"}) {
        Bench bench;
        ReplayDescriptors among{.most = 4};
        size_t most = 0;
        if (!lost.empty()) bench.disk().faults.write_back_error = 1'000'000;
        bench.disk().faults.only_under = lost;
        ASSERT_TRUE(bench.run(write_many(bench.files(), among, most, !lost.empty())));
        EXPECT_EQ(most, 4U);
        EXPECT_EQ(among.open, 0U);
    }
}

}  // namespace
}  // namespace ottla::storage::test
