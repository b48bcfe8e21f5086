// SPDX-License-Identifier: Apache-2.0
// A World with a real broker (ottla/broker.h) on a simulated machine, and clients on others that
// speak the real protocol through src/client. The broker is killed, loses power, stops cleanly,
// pauses, is cut off; what clients were told goes into the History.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "ottla/broker.h"
#include "ottla/log.h"
#include "tests/sim/history.h"
#include "tests/sim/machine.h"
#include "tests/sim/network.h"

namespace ottla::sim {

inline constexpr const char* kBrokerHost = "broker";
inline constexpr uint16_t kBrokerPort = 9092;

struct ClusterOptions {
    uint64_t seed = 1;
    uint32_t producers = 3;
    uint32_t partitions = 2;  ///< of each producer's topic
    uint32_t batches = 120;   ///< of each lane
    TestFaults bugs;
    bool verbose = false;
};

class ClusterWorld final : private Logger {
public:
    explicit ClusterWorld(const ClusterOptions& options);

    /// Boots the broker with another number of shards each time.
    void start_broker();
    /// A clean stop; the process ends when it is done (or after 30 s).
    void stop_broker();
    /// Clients and topics; the broker need not run yet.
    void start_clients();
    /// Runs until all clients have finished; false after `limit` of simulated time or a failure.
    bool run_to_end(Duration limit);
    void run_events(uint64_t count);
    /// Power goes, comes back, and every partition is read whole.
    void check_at_end();
    [[nodiscard]] std::string failure() const { return history.failure(); }

    World world;
    Machine& machine;
    Process& broker;
    Random random;
    History history;
    ClusterOptions options;
    uint32_t clients_running = 0;
    bool broker_may_fail = false;  ///< disk faults are on

private:
    friend class BrokerProgram;
    void write(LogLevel level, std::string_view line) override;
};

}  // namespace ottla::sim
