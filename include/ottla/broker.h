// SPDX-License-Identifier: Apache-2.0
// Broker: one whole node of a cluster - log directories, metadata quorum, partitions, listeners -
// as an ordinary object. It has no globals and sees the world only through its Ports, so that a
// test process can hold several and the simulator runs it unchanged.
//
// Make it before the runtimes of its shards run; start and stop it on shard 0 (spawn it there).
// Every shard's loop must be running from start() to the end of stop(). Destroy it after all its
// roots are gone: behind stop() in production, behind Runtime::destroy_roots in simulation.
//
//   start()  locks and opens the log directories, formats them when the node is alone and all are
//   empty,
//            replays the journals, leads the quorum, registers, opens its partitions, is unfenced,
//            serves. An error is one clear sentence for the person who started it; what it began
//            has been undone as far as other processes can tell (stop() is still to be called).
//   stop()   no new connections, connections closed, waiting requests failed, logs flushed and
//   synced,
//            checkpoints and the clean-shutdown file written, locks released. An error: all ended, but
//            not cleanly, and the next start replays.
//   failed() completes when the node cannot go on (its metadata log could not be written): end the
//   process.
#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "ottla/log.h"
#include "ottla/ports.h"
#include "ottla/settings.h"
#include "ottla/task.h"
#include "ottla/test_faults.h"
#include "ottla/types.h"

namespace ottla {

struct BrokerParts {
    Settings settings;
    /// One entry for each shard, by index. Their referents outlive the broker.
    std::vector<Ports> shards;
    Logger& log;
    TestFaults faults;
    /// Memory that this process may use in all; 0: nobody knows.
    uint64_t memory_limit = 0;
};

class Broker {
public:
    virtual ~Broker() = default;

    virtual Task<Status> start() = 0;
    virtual Task<Status> stop() = 0;
    /// Until the node has failed for good (its reason) or stop() has begun (ErrorCode::cancelled).
    virtual Task<Error> failed() = 0;

    [[nodiscard]] virtual BrokerId id() const = 0;
    /// Where a listener of this name accepts, with its real port; nothing before start() has bound
    /// it. An empty name: the first listener.
    [[nodiscard]] virtual std::optional<Endpoint> endpoint(
        std::string_view listener = {}) const = 0;
};

/// invalid_config, with one clear sentence, when the settings cannot be honoured. `parts.shards`
/// has at least one entry.
Result<std::unique_ptr<Broker>> make_broker(BrokerParts parts);

}  // namespace ottla
