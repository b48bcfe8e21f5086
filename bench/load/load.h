// SPDX-License-Identifier: Apache-2.0
// What a run of ottla_load is to do, what it counted, and how it prints that. Durations of requests
// are whole microseconds; CPU is user + system time of the broker's process, read from /proc.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "app/arguments.h"
#include "client/client.h"
#include "ottla/ports.h"

namespace ottla::bench {

struct Load {
    std::string mode;
    std::string topic;
    std::vector<Endpoint> bootstrap;
    int32_t partitions = 8;
    int32_t request_partitions = 1;  ///< batches in one produce request, each to another partition
    int64_t batch_bytes = int64_t{64} * 1024;
    int64_t record_bytes = 1024;
    int64_t connections = 2;
    int64_t in_flight = 8;
    int64_t warmup = 0;  ///< seconds that are not counted
    int64_t seconds = 10;
    int64_t rate = 1000;  ///< requests a second of `latency`
    int64_t patience = 60;
    int64_t fetch_bytes = int64_t{1024} * 1024;  ///< of a partition in one answer
    bool once = false;  ///< a loop of `fetch` ends where its partition does, the run with the last
    int16_t acks = -1;
    bool idempotent = false;  ///< each loop of `produce` is a producer with sequences
    int64_t pid = 0;
    std::vector<std::pair<std::string, std::string>> configs;  ///< of a topic that is created
    bool json = false;
};

Result<Load> read_arguments(app::Arguments& arguments);

struct Score {
    int64_t bytes = 0;
    int64_t records = 0;
    int64_t requests = 0;
    int64_t errors = 0;
    int16_t last_error = 0;  ///< of a partition; -1 when the request itself failed
    std::vector<int64_t> latencies_us;
};

double cpu_seconds(int64_t pid);

/// One line: for a person, or as JSON.
std::string render(const Load& load, const Score& score, double elapsed, double cpu);

// ---- what the modes share -----------------------------------------------------------------------

/// What the loops of one run work with; outlives them.
struct Bench {
    Ports ports;
    const Load& load;
    Instant until;
    Score score;
    int64_t loops_that_read = 0;  ///< of `fetch`, not at their end yet
    /// Counts one request that took from `began` until now.
    void count(Instant began) {
        score.requests += 1;
        score.latencies_us.push_back((ports.runtime.now() - began).count() / 1000);
    }
    [[nodiscard]] bool is_read() const { return load.once && loops_that_read == 0; }
    [[nodiscard]] bool goes_on(const client::Connection& connection) const {
        return ports.runtime.now() < until && !connection.has_ended();
    }
};

/// Forgets what was counted in the warm-up; prints what was counted from then until the end.
Task<int> referee(Bench& bench);
Task<Status> create_topic(client::Connection& connection, const Load& load, Instant deadline);
/// Where each partition ends now; an error while one of them has no leader.
Task<Result<std::vector<int64_t>>> ends_of(client::Connection& connection,
                                           const Load& load,
                                           Instant deadline);

/// One batch to every partition: what a broker does at the first record of one is not measured.
Task<Status> write_to_all(client::Connection& connection,
                          const Load& load,
                          WallTime now,
                          Instant deadline);

/// Closed loops: one request of each loop is in flight at any time.
Task<int> produce_loop(Bench& bench, client::Connection& connection, int32_t first_partition);
Task<int> fetch_loop(Bench& bench, client::Connection& connection, int32_t partition);
/// Open loop of single records at a fixed rate, and the reader that sees them come out.
Task<int> send_at_rate(Bench& bench, client::Connection& connection);
Task<int> read_tail(Bench& bench, client::Connection& connection);
/// Waits for a broker that is just starting: `first` writes a record and reads it, `reread` reads what was
/// there before and then writes. Prints when each was done, in ns of the monotonic clock.
Task<int> first_record(Ports ports, const Load& load);

/// A batch of `count` records, each with a value of `record_bytes` that does not compress to nothing. The time is
/// the present one: both brokers delete what is older than retention.ms, also while they are measured.
Buffer make_batch(int64_t count, int64_t record_bytes, WallTime timestamp);

}  // namespace ottla::bench
