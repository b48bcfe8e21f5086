// SPDX-License-Identifier: Apache-2.0
#include "ottla/metrics.h"

#include <fmt/format.h>

#include <map>

#include "ottla/check.h"

namespace ottla {

Metrics::Entry& Metrics::add(std::string name,
                             std::string help,
                             std::string labels,
                             bool is_counter) {
    for (const Entry& known : entries_) {
        CHECK(known.name != name || known.labels != labels,
              "a metric is registered once per shard");
    }
    Entry& entry = entries_.emplace_back();
    entry.name = std::move(name);
    entry.help = std::move(help);
    entry.labels = std::move(labels);
    entry.is_counter = is_counter;
    return entry;
}

Counter& Metrics::counter(std::string name, std::string help, std::string labels) {
    return add(std::move(name), std::move(help), std::move(labels), true).counter;
}

Gauge& Metrics::gauge(std::string name, std::string help, std::string labels) {
    return add(std::move(name), std::move(help), std::move(labels), false).gauge;
}

std::string prometheus_text(std::span<const Metrics* const> shards) {
    struct Family {
        std::string_view help;
        bool is_counter = false;
        std::map<std::string_view, int64_t> values;
    };
    std::map<std::string_view, Family> families;
    for (const Metrics* shard : shards) {
        for (const Metrics::Entry& entry : shard->entries_) {
            Family& family = families[entry.name];
            family.help = entry.help;
            family.is_counter = entry.is_counter;
            family.values[entry.labels] += entry.is_counter
                                               ? static_cast<int64_t>(entry.counter.value())
                                               : entry.gauge.value();
        }
    }
    std::string out;
    for (const auto& [name, family] : families) {
        out += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, family.help, name,
                           family.is_counter ? "counter" : "gauge");
        for (const auto& [labels, value] : family.values) {
            out += labels.empty() ? fmt::format("{} {}\n", name, value)
                                  : fmt::format("{}{{{}}} {}\n", name, labels, value);
        }
    }
    return out;
}

}  // namespace ottla
