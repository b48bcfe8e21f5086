// SPDX-License-Identifier: Apache-2.0
// What the programs of workload.h share: a client, its place in the world, and which errors a fault
// explains.
#pragma once

#include <string>

#include "client/client.h"
#include "client/retry.h"
#include "tests/sim/cluster_world.h"
#include "tests/sim/workload.h"

namespace ottla::sim {

class WorkloadClient : public Program {
protected:
    WorkloadClient(ClusterWorld& world, Process& process)
        : world_(world),
          runtime_(process.runtime(0)),
          random_(world.world.random_for(process.machine().name())),
          client_(process.ports(0), {Endpoint{.host = kBrokerHost, .port = kBrokerPort}}) {}

    /// Patience with one request: shorter than a long fault, so that answers get lost.
    [[nodiscard]] Instant deadline() {
        const auto patience = static_cast<int64_t>(random_.between(200, 1500));
        return runtime_.now() + std::chrono::milliseconds(patience);
    }
    Task<> back_off() {
        const auto pause = static_cast<int64_t>(random_.between(5, 120));
        static_cast<void>(co_await runtime_.sleep_for(std::chrono::milliseconds(pause)));
    }
    /// Fails the run unless clients are meant to try again after this.
    void expect_retriable(const Error& error, const std::string& doing) {
        if (client::is_retriable(error.code)) return;
        world_.history.fail(doing + ": " + std::string(name_of(error.code)) + " " + error.detail);
    }
    [[nodiscard]] bool goes_on() const { return world_.failure().empty(); }

    ClusterWorld& world_;
    Runtime& runtime_;
    Random random_;
    client::Client client_;
};

}  // namespace ottla::sim
