// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/cluster_mood.h"

#include <array>

namespace ottla::sim {

namespace {

/// Segments that roll often: by age, by the size of their index, by their size.
void draw_segments(Random& random, ClusterMood& mood) {
    const uint64_t which = random.below(4);
    const uint64_t age = random.between(20, 500);
    if (which == 0) mood.topics.emplace_back("segment.ms", std::to_string(age));
    if (which == 1) {
        mood.topics.emplace_back("segment.index.bytes", "64");
        mood.topics.emplace_back("index.interval.bytes", "100");
    }
    if (which == 2) mood.topics.emplace_back("segment.bytes", "1048576");
}

void draw_records(Random& random, ClusterMood& mood) {
    static constexpr std::array kCodecs = {Codec::none, Codec::none,   Codec::none, Codec::gzip,
                                           Codec::lz4,  Codec::snappy, Codec::zstd};
    mood.codec = kCodecs.at(random.below(kCodecs.size()));
    // Seldom, because it costs: journal files that fill up, memory that runs short.
    if (random.below(12) == 0) {
        mood.codec = Codec::none;
        mood.record_bytes = 40'000;
        mood.fetch_bytes = 300'000;
        mood.broker.emplace_back("ottla.memory.bytes", "1048576");
    }
    if (random.below(6) == 0) mood.topics.emplace_back("compression.type", "lz4");
    if (random.below(6) == 0) {
        mood.topics.emplace_back("message.timestamp.type", "LogAppendTime");
    }
}

}  // namespace

ClusterMood draw_mood(Random random) {
    ClusterMood mood;
    draw_segments(random, mood);
    draw_records(random, mood);
    if (random.below(8) == 0) {
        mood.power_may_fail = false;
        mood.broker.emplace_back("ottla.durability", "relaxed");
    } else {
        mood.disk_may_fail = random.below(6) == 0;
    }
    // A late Metadata request must not bring a deleted topic back.
    mood.broker.emplace_back("auto.create.topics.enable", "false");
    const bool two_directories = random.below(3) == 0;
    mood.broker.emplace_back("log.dirs",
                             two_directories ? "/data/kafka,/data/second" : "/data/kafka");
    const uint64_t network = random.below(4);
    if (network == 0) mood.reset = 3'000;
    if (network == 1) mood.stall = 10'000;
    mood.has_vandal = random.below(4) == 0;
    return mood;
}

}  // namespace ottla::sim
