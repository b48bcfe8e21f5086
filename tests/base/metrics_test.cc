// SPDX-License-Identifier: Apache-2.0
#include "ottla/metrics.h"

#include <gtest/gtest.h>

namespace ottla {
namespace {

TEST(Metrics, TextAddsTheShardsUpAndSortsNames) {
    Metrics one;
    Metrics two;
    one.counter("ottla_requests_total", "Requests.", "api=\"Produce\"").add(3);
    two.counter("ottla_requests_total", "Requests.", "api=\"Produce\"").add(4);
    two.counter("ottla_requests_total", "Requests.", "api=\"Fetch\"").add();
    one.gauge("ottla_connections", "Open connections.").set(2);
    const Metrics* shards[] = {&one, &two};
    EXPECT_EQ(prometheus_text(shards),
              "# HELP ottla_connections Open connections.\n# TYPE ottla_connections gauge\n"
              "ottla_connections 2\n"
              "# HELP ottla_requests_total Requests.\n# TYPE ottla_requests_total counter\n"
              "ottla_requests_total{api=\"Fetch\"} 1\nottla_requests_total{api=\"Produce\"} 7\n");
}

TEST(Metrics, TheSameNameAndLabelsTwiceIsAProgrammersError) {
    Metrics metrics;
    metrics.gauge("g", "G.");
    EXPECT_DEATH(metrics.gauge("g", "G."), "registered once");
}

}  // namespace
}  // namespace ottla
