// SPDX-License-Identifier: Apache-2.0
// A World in which clients call an Echo server until each of their payloads came back, and the
// check that belongs to it: whatever was answered is in the server's files, also after a power cut.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "tests/sim/echo.h"
#include "tests/sim/machine.h"
#include "tests/sim/network.h"

namespace ottla::sim {

struct EchoOptions {
    uint64_t seed = 1;
    uint32_t shards = 2;
    uint32_t clients = 4;
    uint32_t calls = 10;  ///< of each client
    bool verbose = false;
};

class EchoWorld {
public:
    explicit EchoWorld(const EchoOptions& options);

    /// Starts the server (again).
    void start_server();
    /// Runs until every client is done; false when `limit` of simulated time passed first.
    bool run_to_end(Duration limit);
    /// Everything answered is on the disk; else what is missing.
    [[nodiscard]] std::vector<std::string> missing();

    World world;
    Machine& machine;
    Process& server;
    std::vector<std::string> answered;
    uint32_t clients_running = 0;

private:
    friend class EchoCaller;
    EchoOptions options_;
};

}  // namespace ottla::sim
