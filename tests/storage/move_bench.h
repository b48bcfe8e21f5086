// SPDX-License-Identifier: Apache-2.0
// One simulated machine with two log directories and a store, whose process can be killed or lose power at
// any event: what tests of moves between directories need. A start goes on with moves as a broker does.
#pragma once

#include <gtest/gtest.h>

#include <array>

#include "storage/log_parts.h"
#include "storage/moved_logs.h"
#include "storage/shard_directory.h"
#include "tests/storage/store_bench.h"

namespace ottla::storage::test {

class MoveBench : public StoreObserver, public MoveObserver {
public:
    static inline const std::array<std::string, 2> kPaths = {"/data/a", "/data/b"};

    explicit MoveBench(uint64_t seed = 1) : bench(seed), settings(StoreBench::small_settings()) {
        bench.disk().prepare_directory("/data");
        config.segment_bytes = 1200;
        config.index_interval_bytes = 300;
        config.retention_ms = -1;
    }
    virtual ~MoveBench() { drop(); }

    void directory_failed(const std::string& log_dir, const Error&) override {
        failed.push_back(log_dir);
    }
    void move_caught_up(Log& log, const std::string&) override {
        ++caught_up;
        if (permits) store->permit_swap(log.name());
    }
    void move_ended(Log&, const std::string&, const Status& how) override { ended.push_back(how); }

    Ports ports() { return bench.process.ports(0); }

    Task<Status> boot() {
        std::vector<ServedDirectory> served;
        std::vector<LogDirectory*> all;
        for (const std::string& path : kPaths) {
            CO_TRY(auto directory, co_await LogDirectory::open(ports(), path, settings));
            if (directory->is_empty()) {
                MetaProperties meta = some_meta();
                meta.directory_id.bytes[0] = static_cast<uint8_t>(path.back());
                CO_TRY_STATUS(co_await directory->format(meta));
            }
            all.push_back(directory.get());
            directories.push_back(std::move(directory));
        }
        for (LogDirectory* one : all) CO_TRY_STATUS(co_await one->recover());
        CO_TRY_STATUS(co_await settle_moved_logs(ports().files, all));
        for (LogDirectory* one : all) CO_TRY_STATUS(co_await one->begin_serving());
        for (LogDirectory* one : all) served.push_back(one->served());
        store = std::make_unique<LogStore>(ports(), settings, this);
        CO_TRY_STATUS(co_await store->open(std::move(served)));
        std::vector<FoundCopy> copies;
        for (LogDirectory* one : all) {
            copies.insert(copies.end(), one->copies().begin(), one->copies().end());
            for (const FoundLog& found : one->logs()) {
                CO_TRY([[maybe_unused]] Log * log, co_await store->open_log(found, config));
            }
        }
        found_copies = copies.size();
        MoveObserver* const observer = observes ? this : nullptr;
        for (Log* log : store->logs()) {
            CO_TRY_STATUS(co_await store->resume_move(*log, copies, observer));
        }
        co_return Status();
    }
    Task<Status> stop() {
        CO_TRY_STATUS(co_await store->close());
        for (auto& directory : directories) {
            CO_TRY_STATUS(
                co_await directory->close(store->checkpoints(directory->path()), BrokerEpoch{77}));
        }
        co_return Status();
    }
    void start() {
        const Status booted = bench.run(boot());
        ASSERT_TRUE(booted) << booted.error().detail;
    }
    void clean_stop() {
        const Status stopped = bench.run(stop());
        ASSERT_TRUE(stopped) << stopped.error().detail;
        kill();
    }
    void kill() {
        drop();
        bench.process.start();
    }
    void power_cut(std::optional<sim::Survival> survival = {}) {
        bench.machine.power_cut(survival);
        drop();
        bench.machine.switch_on();
        bench.process.start();
    }
    void drop() {
        if (bench.process.is_running()) bench.process.kill();
        store.reset();
        directories.clear();
    }

    Log& create(const std::string& path = kPaths[0], int64_t start = 0) {
        NewLog wanted;
        wanted.name = {"t", PartitionIndex{0}};
        wanted.topic_id.bytes[0] = 5;
        wanted.log_dir = path;
        wanted.config = config;
        wanted.start = Offset{start};
        const auto log = store->create_log(wanted);
        CHECK(log.has_value(), "the log is created");
        return **log;
    }
    Log* find() { return store->find({"t", PartitionIndex{0}}); }
    Status move(Log& log, const std::string& path = kPaths[1]) {
        return store->move_log(log, {path, observes ? this : nullptr, {}});
    }
    Result<AppendResult> append(Log& log, std::string_view value, BatchOptions options = {}) {
        const Buffer batch = make_batch(codecs, value, options);
        AppendRequest request;
        request.batch = batch.span();
        request.leader_epoch = epoch;
        return log.append(request);
    }
    void settle(Log& log) {
        while (log.durable_end() < log.log_end() && !log.is_offline()) {
            if (!bench.world.step()) break;
        }
    }
    bool is_moving() { return store->moves_to({"t", PartitionIndex{0}}).has_value(); }
    /// Until no move is on its way any more.
    void finish_move() {
        for (int i = 0; i < 1'000'000 && is_moving(); ++i) bench.world.step();
        ASSERT_FALSE(is_moving());
    }
    void run_for(Duration span) { bench.world.run_for(span); }
    size_t count_files(std::string_view part) {
        size_t found = 0;
        for (const std::string& path : bench.disk().files()) {
            if (path.find(part) != std::string::npos) ++found;
        }
        return found;
    }
    std::vector<std::string> values(Log& log) { return bench.run(read_values(log)); }
    Task<std::vector<std::string>> read_values(Log& log) {
        std::vector<std::string> found;
        Offset from = log.log_start();
        while (from < log.log_end()) {
            auto slice = log.read(from, 64UZ * 1024, log.log_end(), true);
            if (!slice && slice.error().code == ErrorCode::would_block) {
                slice = co_await log.read_cold(from, 64UZ * 1024, log.log_end(), true);
            }
            if (!slice || slice->bytes.empty()) {
                found.push_back(slice ? "<nothing>" : "<" + slice.error().detail + ">");
                break;
            }
            const Buffer bytes = slice->bytes.flatten();
            BatchCursor cursor(bytes.span(), BatchCursor::Crc::check);
            while (cursor.next() == BatchStep::batch) {
                RecordIterator records(cursor.batch(), cursor.batch().payload());
                Record record;
                while (records.next(record)) {
                    const Offset offset = cursor.batch().base_offset() + record.offset_delta;
                    if (offset >= from && !cursor.batch().is_control()) {
                        found.emplace_back(record.value ? as_text(*record.value) : "<null>");
                    }
                }
            }
            from = slice->next;
        }
        co_return found;
    }

    sim::Bench bench;
    StorageSettings settings;
    LogConfig config;
    LeaderEpoch epoch{0};
    Codecs codecs;
    std::vector<std::unique_ptr<LogDirectory>> directories;
    std::unique_ptr<LogStore> store;
    std::vector<std::string> failed;
    size_t found_copies = 0;
    bool observes = false;
    bool permits = false;
    int caught_up = 0;
    std::vector<Status> ended;
};

using Values = std::vector<std::string>;

inline const std::string& kFrom = MoveBench::kPaths[0];
inline const std::string& kTo = MoveBench::kPaths[1];
inline constexpr sim::Survival kNothing{sim::Survival::Kind::nothing, 0};

inline std::string value_of(int i) { return fmt::format("value {} {}", i, std::string(300, '.')); }

inline Values append_values(MoveBench& bench, Log& log, int count) {
    Values wanted;
    for (int i = 0; i < count; ++i) {
        wanted.push_back(value_of(i));
        EXPECT_TRUE(bench.append(log, wanted.back()));
    }
    bench.settle(log);
    return wanted;
}

inline void expect_moved(MoveBench& bench, const Values& wanted) {
    Log* const log = bench.find();
    ASSERT_NE(log, nullptr);
    EXPECT_EQ(log->log_dir(), kTo);
    EXPECT_EQ(log->path(), kTo + "/t-0");
    EXPECT_EQ(bench.values(*log), wanted);
    EXPECT_EQ(bench.count_files(kFrom + "/t-0"), 0U) << "nothing is left where it was";
    EXPECT_EQ(bench.count_files("-future"), 0U);
    EXPECT_EQ(bench.count_files("-delete"), 0U);
}

}  // namespace ottla::storage::test
