// SPDX-License-Identifier: Apache-2.0
// One simulated machine with a log directory, or several, and a store: what most storage tests need. The
// process can be killed or the power cut at any event; `start` boots again through LogDirectory, as a
// broker does.
#pragma once

#include <fmt/format.h>

#include <memory>
#include <string>
#include <vector>

#include "records/records.h"
#include "storage/log_directory.h"
#include "storage/log_store.h"
#include "tests/sim/machine.h"

namespace ottla::storage::test {

inline const std::string kDirectory = "/data/logs";

inline MetaProperties some_meta() {
    MetaProperties meta;
    meta.cluster_id = "cluster";
    meta.node_id = BrokerId{1};
    meta.directory_id.bytes[15] = 9;
    return meta;
}

/// A batch of one record, or of `records` equal ones.
inline Buffer make_batch(Codecs& codecs,
                         std::string_view value,
                         BatchOptions options = {},
                         WallTime timestamp = WallTime{1000},
                         int records = 1) {
    BatchBuilder builder(codecs, options);
    for (int i = 0; i < records; ++i) builder.append(timestamp, std::nullopt, as_bytes(value));
    auto batch = builder.finish();
    CHECK(batch.has_value(), "a test batch is built");
    return *batch;
}

class StoreBench : public StoreObserver {
public:
    explicit StoreBench(uint64_t seed = 1,
                        StorageSettings wanted = small_settings(),
                        uint32_t shards = 1)
        : bench(seed, shards), settings(wanted) {
        bench.disk().prepare_directory("/data");
    }
    virtual ~StoreBench() { drop(); }

    static StorageSettings small_settings() {
        StorageSettings settings;
        settings.chunk_bytes = 64UZ * 1024;
        settings.chunk_budget_bytes = 512UZ * 1024;
        settings.journal_first_file_bytes = 128ULL * 1024;
        settings.journal_file_bytes = 256ULL * 1024;
        settings.journal_limit_bytes = 1024ULL * 1024;
        settings.flush_delay = std::chrono::milliseconds(20);
        return settings;
    }

    void directory_failed(const std::string&, const Error& why) override {
        failures.push_back(why);
    }
    void directory_full(const std::string&, const Error&) override { ++disk_full; }
    void directory_has_room(const std::string&) override { ++has_room; }

    Ports ports(uint32_t shard = 0) { return bench.process.ports(shard); }

    Task<Status> boot() {
        CO_TRY_STATUS(co_await boot_to_read());
        co_return co_await finish_boot();
    }
    /// As far as a start comes before records can be read.
    Task<Status> boot_to_read() {
        std::vector<ServedDirectory> served;
        for (const std::string& path : paths) {
            CO_TRY(auto opened, co_await LogDirectory::open(ports(), path, settings));
            LogDirectory& one = *directories.emplace_back(std::move(opened));
            MetaProperties meta = some_meta();
            meta.directory_id.bytes[0] = static_cast<uint8_t>(directories.size() - 1);
            if (one.is_empty()) CO_TRY_STATUS(co_await one.format(meta));
            CO_TRY_STATUS(co_await one.replay());
            CO_TRY_STATUS(co_await one.begin_serving());
            served.push_back(one.served());
        }
        directory = directories.front().get();
        store = std::make_unique<LogStore>(ports(), settings, this);
        CO_TRY_STATUS(co_await store->prepare(std::move(served)));
        for (const auto& one : directories) {
            for (const FoundLog& found : one->logs()) {
                CO_TRY([[maybe_unused]] Log * log, co_await store->open_log(found, config));
            }
        }
        co_return Status();
    }
    Task<Status> finish_boot() {
        for (const auto& one : directories) {
            CO_TRY_STATUS(co_await one->settle());
            CO_TRY_STATUS(co_await store->begin_writing(one->path()));
        }
        co_return Status();
    }
    Task<Status> stop() {
        CO_TRY_STATUS(co_await store->close());
        for (const auto& one : directories) {
            auto closing = one->close(store->checkpoints(one->path()), BrokerEpoch{77});
            CO_TRY_STATUS(co_await std::move(closing));
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
    /// The next start looks at the files, as if somebody else had been here.
    void disown() {
        CHECK(bench.run(ports().files.unlink(kDirectory + "/.ottla-sums")).has_value(), "ours");
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
    /// The process ends, then its objects.
    void drop() {
        if (bench.process.is_running()) bench.process.kill();
        store.reset();
        directory = nullptr;
        directories.clear();
    }

    Log& create(std::string topic, int32_t partition = 0, std::string path = kDirectory) {
        NewLog wanted;
        wanted.name = {std::move(topic), PartitionIndex{partition}};
        wanted.topic_id.bytes[0] = 5;
        wanted.log_dir = std::move(path);
        wanted.config = config;
        auto log = store->create_log(wanted);
        CHECK(log.has_value(), "the log is created");
        return **log;
    }
    Log* find(const std::string& topic, int32_t partition = 0) {
        return store->find({topic, PartitionIndex{partition}});
    }
    Result<AppendResult> append(Log& log, std::string_view value, BatchOptions options = {}) {
        const Buffer batch = make_batch(codecs, value, options);
        AppendRequest request;
        request.batch = batch.span();
        request.leader_epoch = epoch;
        return log.append(request);
    }
    void run_for(Duration span) { bench.world.run_for(span); }
    /// Until everything appended is durable.
    void settle(Log& log) {
        while (log.durable_end() < log.log_end() && !log.is_offline()) {
            if (!bench.world.step()) break;
        }
    }
    /// The values of every record in [from, log end), from memory or files.
    std::vector<std::string> values(Log& log, Offset from = Offset{0}) {
        return bench.run(read_values(log, std::max(from, log.log_start())));
    }
    Task<std::vector<std::string>> read_values(Log& log, Offset from) {
        std::vector<std::string> found;
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
                auto plain = codecs.records_of(cursor.batch(), 1UZ << 28U);
                RecordIterator records(cursor.batch(), *plain);
                Record record;
                while (records.next(record)) {
                    const Offset offset = cursor.batch().base_offset() + record.offset_delta;
                    if (offset >= from) found.emplace_back(as_text(*record.value));
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
    std::vector<std::string> paths{kDirectory};
    std::vector<std::unique_ptr<LogDirectory>> directories;
    LogDirectory* directory = nullptr;  ///< the first
    std::unique_ptr<LogStore> store;
    std::vector<Error> failures;
    int disk_full = 0;
    int has_room = 0;
};

}  // namespace ottla::storage::test
