// SPDX-License-Identifier: Apache-2.0
// A World with a real broker (ottla/broker.h) on a simulated machine, and clients on others that
// speak the real protocol through src/client. The broker is killed, loses power, stops cleanly,
// pauses, is cut off; what clients were told goes into the History. A broker that ends by itself
// (its disk failed) is started again after a moment, as a supervisor would.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "ottla/broker.h"
#include "ottla/log.h"
#include "tests/sim/cluster_mood.h"
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

    /// Network and disk begin to fail as the mood says.
    void begin_faults();
    /// They end, and a broker that lost a disk to them is started again.
    void end_faults();
    /// Boots the broker with another number of shards each time.
    void start_broker();
    /// A clean stop; the process ends when it is done. More than 30 s is a failure.
    void stop_broker();
    /// Begins a clean stop and comes back; false when the broker does not serve.
    bool begin_stop();
    /// Clients and topics; the broker need not run yet.
    void start_clients();
    void start_checker();
    /// Runs until all clients have finished; false after `limit` of simulated time or a failure.
    bool run_to_end(Duration limit);
    /// Runs `count` events, or fewer when the clients finish or an invariant fails.
    void run_events(uint64_t count);
    [[nodiscard]] const std::string& failure() const { return history.failure(); }

    World world;
    Machine& machine;
    Process& broker;
    Random random;
    History history;
    const ClusterOptions options;
    const ClusterMood mood;
    uint32_t clients_running = 0;

private:
    friend class BrokerProgram;
    bool step();
    void write(LogLevel level, std::string_view line) override;
};

}  // namespace ottla::sim
