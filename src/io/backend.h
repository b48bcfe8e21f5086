// SPDX-License-Identifier: Apache-2.0
// Backend: the real world for one process. Owns the shard threads, their loops and sockets, and the I/O
// threads; gives each shard its Ports. Shard 0 is the thread that calls `run`, so signals and accepting
// live there; the others have threads of their own for as long as `run` lasts.
//
// Order of life: construct, `run(main)` once, destroy. When `main` has returned, every shard goes on until no
// root is left (main should have ended them: listeners closed, gates drained), at most `stop_grace`;
// what is stuck then is reported and left alone, because a frame with a pending Op is never destroyed.
// SIGPIPE and SIGXFSZ are ignored: a broken connection or a full quota is an error, not a death.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "ottla/ports.h"

namespace ottla::io {

struct BackendOptions {
    uint32_t shards = 1;
    std::optional<uint64_t> seed;  ///< Of Runtime::random; by default the system's entropy.
    size_t receive_block_bytes = size_t{256} * 1024;
    Duration stop_grace = std::chrono::seconds(10);
    /// Told, on shard 0, what an operator should read.
    std::function<void(const std::string&)> warn;
};

class Signals;

/// Completes with the number of the next SIGINT or SIGTERM.
class SignalOp final : public Awaitable<SignalOp> {
public:
    explicit SignalOp(Signals& signals) : signals_(signals) {}
    void start();
    Result<int> result() const {
        if (failed()) return std::unexpected(error());
        return signal;
    }
    int signal = 0;  ///< out

private:
    Signals& signals_;
};

class Backend {
public:
    explicit Backend(BackendOptions options);
    Backend(const Backend&) = delete;
    Backend& operator=(const Backend&) = delete;
    ~Backend();

    [[nodiscard]] Ports ports(ShardIndex shard);
    /// Runs `main` as a root of shard 0; returns what it returned.
    int run(Task<int> main);
    /// On shard 0, one at a time. From the first call on these signals no longer end the process;
    /// one that comes while nobody waits is kept for the next wait.
    SignalOp wait_for_signal();

private:
    struct World;
    std::unique_ptr<World> world_;
};

}  // namespace ottla::io
