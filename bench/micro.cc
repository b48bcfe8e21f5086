// SPDX-License-Identifier: Apache-2.0
// Costs of single steps on the data path; each has a baseline in the same run: a plain copy of the
// same bytes (memcpy), so that figures are read as ratios.
#include <benchmark/benchmark.h>

#include <cstring>
#include <limits>

#include "base/crc32c.h"
#include "records/records.h"
#include "records/validate.h"

namespace ottla {
namespace {

std::vector<std::byte> noise(size_t size) {
    std::vector<std::byte> bytes(size);
    uint64_t state = 1;
    for (std::byte& b : bytes) {
        state = state * 6364136223846793005U + 1442695040888963407U;
        b = static_cast<std::byte>(state >> 56U);
    }
    return bytes;
}

void copy_baseline(benchmark::State& state) {
    const auto bytes = noise(static_cast<size_t>(state.range(0)));
    std::vector<std::byte> out(bytes.size());
    for (auto _ : state) {
        std::memcpy(out.data(), bytes.data(), bytes.size());
        benchmark::DoNotOptimize(out.data());
        benchmark::ClobberMemory();
    }
    state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(copy_baseline)->Arg(1024)->Arg(16 * 1024)->Arg(1024 * 1024);

void checksum(benchmark::State& state) {
    const auto bytes = noise(static_cast<size_t>(state.range(0)));
    for (auto _ : state) benchmark::DoNotOptimize(crc32c(0, bytes));
    state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(checksum)->Arg(1024)->Arg(16 * 1024)->Arg(1024 * 1024);

void checksum_by_table(benchmark::State& state) {
    const auto bytes = noise(static_cast<size_t>(state.range(0)));
    for (auto _ : state) benchmark::DoNotOptimize(crc32c_parts::table(0, bytes));
    state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(checksum_by_table)->Arg(16 * 1024);

Buffer batch_of(Codecs& codecs, Codec codec, size_t records, size_t record_bytes) {
    BatchBuilder builder(codecs, {.compression = {.codec = codec, .level = std::nullopt}});
    const auto value = noise(record_bytes);
    for (size_t i = 0; i < records; ++i)
        builder.append(WallTime{1}, std::nullopt, std::span(value));
    return *builder.finish();
}

void walk_records(benchmark::State& state) {
    Codecs codecs;
    const Buffer batch = batch_of(codecs, Codec::none, 64, static_cast<size_t>(state.range(0)));
    const BatchView view(batch.span());
    for (auto _ : state) {
        RecordIterator records(view, view.payload());
        Record record;
        while (records.next(record)) benchmark::DoNotOptimize(record.size);
    }
    state.SetItemsProcessed(state.iterations() * 64);
}
BENCHMARK(walk_records)->Arg(100)->Arg(1024);

/// What a leader does with each batch it is sent: header, checksum, walk over the records.
void validate_batch(benchmark::State& state) {
    Codecs codecs;
    const auto record_bytes = static_cast<size_t>(state.range(1));
    const Buffer batch = batch_of(codecs, static_cast<Codec>(state.range(0)),
                                  64 * 1024 / record_bytes, record_bytes);
    const ProduceRules rules{.timestamp_before_max_ms = std::numeric_limits<int64_t>::max()};
    for (auto _ : state) {
        auto valid = validate_produced(batch, rules, WallTime{1}, codecs);
        if (!valid) state.SkipWithError(valid.error().error.detail.c_str());
        benchmark::DoNotOptimize(valid);
    }
    state.SetBytesProcessed(state.iterations() * 64 * 1024);
}
BENCHMARK(validate_batch)->ArgsProduct({{0}, {100, 1024}})->ArgsProduct({{1, 2, 3, 4}, {1024}});

void build_batch(benchmark::State& state) {
    Codecs codecs;
    for (auto _ : state) {
        benchmark::DoNotOptimize(batch_of(codecs, static_cast<Codec>(state.range(0)), 64, 1024));
    }
    state.SetBytesProcessed(state.iterations() * 64 * 1024);
}
BENCHMARK(build_batch)->DenseRange(0, 4);

}  // namespace
}  // namespace ottla

BENCHMARK_MAIN();
