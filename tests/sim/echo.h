// SPDX-License-Identifier: Apache-2.0
// Echo: the smallest program that uses every port the way the broker does, written against the
// ports only, so that the simulator and src/io run the same code.
//
// A frame is a big-endian length and that many bytes; the first byte is the key. A connection lives
// on the shard that accepted it; the shard that owns the key appends the payload to its file and
// syncs before the frame goes back. An entry of the file is length, checksum, payload; a start
// scans up to the first entry that does not hold. One append at a time per shard: two at once could
// leave a hole below a synced entry (file.h, contract 4).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ottla/ports.h"
#include "ottla/sync.h"

namespace ottla::echo {

inline constexpr size_t kLargestFrame = size_t{1} << 20U;

std::string frame_of(std::string_view payload);
/// Payloads of the entries that hold, in order.
std::vector<std::string> entries_of(std::string_view file);

class Server {
public:
    /// `directory` must exist; each shard keeps `<directory>/echo-<shard>.log`.
    Server(std::vector<Ports> shards, std::string directory, Endpoint endpoint);
    ~Server();

    /// Runs on its shard until the listener closes: spawn once per shard, on that shard.
    Task<Status> serve(ShardIndex shard);
    /// On its shard, beside serve: until it listens, or failed to.
    Task<> until_started(ShardIndex shard);
    /// On its shard: closes the listener and the connections, and waits until all is quiet.
    Task<> stop(ShardIndex shard);
    /// Where shard 0 listens, once it does.
    [[nodiscard]] const Endpoint& local() const { return local_; }

private:
    struct Shard;
    Task<> serve_connection(Shard& shard, std::unique_ptr<Stream> stream);
    Task<Status> answer(Shard& shard, Stream& stream, std::string payload);
    Task<Status> start(Shard& shard);
    Task<Status> open_file(Shard& shard);
    static Task<Status> append(Shard& shard, std::string payload);

    std::string directory_;
    Endpoint endpoint_;
    Endpoint local_;
    std::vector<std::unique_ptr<Shard>> shards_;
};

/// One connection to a Server; calls one at a time.
class Client {
public:
    Client(Ports ports, Endpoint endpoint) : ports_(ports), endpoint_(std::move(endpoint)) {}
    /// The payload as the server sent it back; after an error the next call connects again.
    Task<Result<std::string>> call(std::string payload, Instant deadline);

private:
    Task<Result<std::string>> exchange(std::string payload, Instant deadline);

    Ports ports_;
    Endpoint endpoint_;
    std::unique_ptr<Stream> stream_;
};

}  // namespace ottla::echo
