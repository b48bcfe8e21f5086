// SPDX-License-Identifier: Apache-2.0
// The write and the read path of one log on the real disk (the current directory): an append into the journal's
// memory, a journal group until it is durable, a fetch response put together from the hot tail. The
// loops run inside the backend's shard; `cpu` counts that thread, so read the CPU column of append
// and fetch, and the time column of a journal group. What the flusher does to a group's latency is in
// p50_us and p99_us of journal_beside, at a fixed rate, whose first line has no flusher at all.
#include <benchmark/benchmark.h>
#include <stdlib.h>  // mkdtemp

#include <filesystem>

#include "io/backend.h"
#include "ottla/sync.h"
#include "protocol/fetch.h"
#include "protocol/frame.h"
#include "records/records.h"
#include "storage/log_directory.h"
#include "storage/log_store.h"

namespace ottla {
namespace {

using storage::Log;

/// Told when a journal group is durable.
class Durable final : public storage::LogObserver {
public:
    explicit Durable(Runtime& runtime) : moved(runtime) {}
    void durable_end_moved(Log&, Offset) override { moved.notify_all(); }
    void log_failed(Log&, const Error& why) override { failed = why; }
    Event moved;
    std::optional<Error> failed;
};

/// A log directory with one log, as a broker would open it.
struct Store {
    explicit Store(Ports with) : ports(with), durable(with.runtime) {}
    Ports ports;
    storage::StorageSettings settings;
    std::unique_ptr<storage::LogDirectory> directory;
    std::unique_ptr<storage::LogStore> store;
    Log* log = nullptr;
    Durable durable;

    Task<Status> open(std::string path, storage::StorageSettings with_settings) {
        settings = with_settings;
        CO_TRY(directory, co_await storage::LogDirectory::open(ports, path, settings));
        storage::MetaProperties meta;
        meta.cluster_id = "bench";
        meta.node_id = BrokerId{1};
        meta.directory_id.bytes[15] = 9;
        CO_TRY_STATUS(co_await directory->format(meta));
        CO_TRY_STATUS(co_await directory->begin_serving());
        store = std::make_unique<storage::LogStore>(ports, settings);
        std::vector<storage::ServedDirectory> served;
        served.push_back(directory->served());
        CO_TRY_STATUS(co_await store->open(std::move(served)));
        storage::NewLog wanted;
        wanted.name = {"bench", PartitionIndex{0}};
        wanted.topic_id.bytes[0] = 5;
        wanted.log_dir = path;
        CO_TRY(log, store->create_log(wanted));
        log->observe(&durable);
        co_return Status{};
    }
    Task<Status> close() {
        log->observe(nullptr);
        CO_TRY_STATUS(co_await store->close());
        co_return co_await directory->close({}, BrokerEpoch{1});
    }
    Result<storage::AppendResult> append(const Buffer& batch) {
        storage::AppendRequest request;
        request.batch = batch.span();
        request.leader_epoch = LeaderEpoch{0};
        return log->append(request);
    }
};

Buffer batch_of(size_t bytes) {
    Codecs codecs;
    BatchBuilder builder(codecs, {});
    const std::string value(std::min<size_t>(bytes, 1024), 'x');
    for (size_t done = 0; done < bytes; done += value.size()) {
        builder.append(WallTime{1}, std::nullopt, as_bytes(value));
    }
    return *builder.finish();
}

Task<Status> append_loop(Store& store, benchmark::State& state) {
    const Buffer batch = batch_of(static_cast<size_t>(state.range(0)));
    for (auto _ : state) {
        auto appended = store.append(batch);
        while (!appended && appended.error().code == ErrorCode::would_block) {
            state.PauseTiming();
            co_await store.store->wait_for_room(store.log->log_dir());
            state.ResumeTiming();
            appended = store.append(batch);
        }
        if (!appended) co_return std::unexpected(appended.error());
    }
    state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(batch.size()));
    co_return Status{};
}

Task<Status> journal_loop(Store& store, benchmark::State& state) {
    const Buffer batch = batch_of(static_cast<size_t>(state.range(0)));
    for (auto _ : state) {
        auto appended = store.append(batch);
        while (!appended && appended.error().code == ErrorCode::would_block) {
            co_await store.store->wait_for_room(store.log->log_dir());
            appended = store.append(batch);
        }
        if (!appended) co_return std::unexpected(appended.error());
        while (store.log->durable_end() < store.log->log_end() && !store.durable.failed) {
            co_await store.durable.moved.wait();
        }
    }
    state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(batch.size()));
    co_return Status{};
}

/// Groups at a fixed rate; how long each took.
Task<Status> paced_loop(Store& store, benchmark::State& state) {
    const Buffer batch = batch_of(64UZ * 1024);
    constexpr Duration kPause = std::chrono::milliseconds(1);
    std::vector<int64_t> spans;
    Instant next = store.ports.runtime.now();
    for (auto _ : state) {
        next = next + kPause;
        (void)co_await store.ports.runtime.sleep_until(next);
        const Instant begun = store.ports.runtime.now();
        const auto appended = store.append(batch);
        if (!appended) co_return std::unexpected(appended.error());
        while (store.log->durable_end() < store.log->log_end() && !store.durable.failed) {
            co_await store.durable.moved.wait();
        }
        spans.push_back((store.ports.runtime.now() - begun).count() / 1000);
    }
    std::ranges::sort(spans);
    state.counters["p50_us"] = static_cast<double>(spans[spans.size() / 2]);
    state.counters["p99_us"] = static_cast<double>(spans[spans.size() * 99 / 100]);
    co_return Status{};
}

/// None, buffered, direct; of each there is memory for everything.
storage::StorageSettings flushing(int64_t how) {
    storage::StorageSettings settings;
    settings.chunk_budget_bytes = 2048UZ << 20U;
    settings.journal_limit_bytes = 4096ULL << 20U;
    settings.direct_flush = how == 2;
    if (how == 0) settings.flush_delay = std::chrono::hours(1);
    if (how == 0) settings.checkpoint_interval = std::chrono::hours(1);
    return settings;
}

Task<Status> fetch_loop(Store& store, benchmark::State& state) {
    const Buffer batch = batch_of(16UZ * 1024);
    const auto wanted = static_cast<size_t>(state.range(0));
    Offset from{0};
    for (size_t done = 0; done < wanted; done += batch.size()) {
        CO_TRY(const auto appended, store.append(batch));
        (void)appended;
    }
    for (auto _ : state) {
        CO_TRY(auto slice, store.log->read(from, wanted, store.log->log_end(), true));
        protocol::FetchResponse response;
        auto& topic = response.responses.emplace_back();
        topic.topic = "bench";
        auto& data = topic.partitions.emplace_back();
        data.records = std::move(slice.bytes);
        benchmark::DoNotOptimize(protocol::response_frame(1, 12, response));
    }
    state.SetBytesProcessed(state.iterations() * state.range(0));
    co_return Status{};
}

using Loop = Task<Status> (*)(Store&, benchmark::State&);

struct Job {
    Loop loop;
    storage::StorageSettings settings;
};

Task<int> measure(Ports ports, std::string path, Job job, benchmark::State& state) {
    Store store(ports);
    Status done = co_await store.open(path, job.settings);
    if (done) {
        done = co_await job.loop(store, state);
        const Status closed = co_await store.close();
        if (done) done = closed;
    }
    if (!done) state.SkipWithError(done.error().detail.c_str());
    co_return 0;
}

void on_disk(benchmark::State& state, Loop loop, storage::StorageSettings settings = {}) {
    std::string path = "./ottla-bench-XXXXXX";
    if (::mkdtemp(path.data()) == nullptr) {
        state.SkipWithError("the current directory takes no folder");
        return;
    }
    path = std::filesystem::absolute(path).string();
    {
        io::Backend backend({.shards = 1, .seed = 1});
        (void)backend.run(measure(backend.ports(ShardIndex{0}), path, {loop, settings}, state));
    }
    std::filesystem::remove_all(path);
}

void append(benchmark::State& state) { on_disk(state, append_loop); }
BENCHMARK(append)->Arg(128)->Arg(1024)->Arg(64 * 1024);

void journal_group(benchmark::State& state) { on_disk(state, journal_loop); }
BENCHMARK(journal_group)->Arg(1024)->Arg(16 * 1024)->Arg(256 * 1024)->UseRealTime();

void journal_beside(benchmark::State& state) {
    constexpr std::array kNames = {"no flusher", "buffered flushes", "direct flushes"};
    state.SetLabel(kNames[static_cast<size_t>(state.range(0))]);
    on_disk(state, paced_loop, flushing(state.range(0)));
}
BENCHMARK(journal_beside)->DenseRange(0, 2)->Iterations(3000)->UseRealTime();

void fetch_assembly(benchmark::State& state) { on_disk(state, fetch_loop); }
BENCHMARK(fetch_assembly)->Arg(16 * 1024)->Arg(1024 * 1024);

}  // namespace
}  // namespace ottla
