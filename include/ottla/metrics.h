// SPDX-License-Identifier: Apache-2.0
// Counters and gauges. A `Metrics` belongs to one shard, which alone writes it; any thread may read,
// so values are relaxed atomics (one of the named exceptions to "no atomics outside io/"). Values live as
// long as their Metrics; registration happens at start, never per request.
//
// Names follow Prometheus: `ottla_<what>_<unit>`, counters end in `_total`. The same name with the
// same labels is registered once per shard; `prometheus_text` adds the shards up.
// pure
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>

namespace ottla {

class Counter {
public:
    void add(uint64_t amount = 1) {
        value_.store(value_.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
    }
    [[nodiscard]] uint64_t value() const { return value_.load(std::memory_order_relaxed); }

private:
    std::atomic<uint64_t> value_{0};
};

class Gauge {
public:
    void set(int64_t value) { value_.store(value, std::memory_order_relaxed); }
    void add(int64_t amount) { set(value() + amount); }
    [[nodiscard]] int64_t value() const { return value_.load(std::memory_order_relaxed); }

private:
    std::atomic<int64_t> value_{0};
};

class Metrics {
public:
    /// `labels` as Prometheus writes them, without braces: `api="Produce"`; may be empty.
    Counter& counter(std::string name, std::string help, std::string labels = {});
    Gauge& gauge(std::string name, std::string help, std::string labels = {});

private:
    friend std::string prometheus_text(std::span<const Metrics* const> shards);
    struct Entry {
        std::string name;
        std::string help;
        std::string labels;
        bool is_counter;
        Counter counter;
        Gauge gauge;
    };
    Entry& add(std::string name, std::string help, std::string labels, bool is_counter);
    std::deque<Entry> entries_;  // Stable addresses.
};

/// The exposition text (version 0.0.4), names sorted, values of all shards added up.
std::string prometheus_text(std::span<const Metrics* const> shards);

}  // namespace ottla
