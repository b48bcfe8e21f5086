// SPDX-License-Identifier: Apache-2.0
// Reads all partitions of one topic by assignment (no group), in offset order within each. A poll
// fetches from every leader in turn and returns what came; errors that pass (a leader moved, a
// connection broke) are tried again by the next poll.
// Invariant: a partition's position only moves past batches that were handed out or hold no data.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "client/client.h"
#include "protocol/fetch.h"
#include "records/records.h"

namespace ottla::client {

struct ConsumedRecord {
    int32_t partition = 0;
    Offset offset;
    WallTime timestamp = kNoTimestamp;
    std::optional<std::string> key;
    std::optional<std::string> value;
};

enum class StartAt : int8_t { latest = -1, earliest = -2 };

class Consumer {
public:
    Consumer(Client& client, std::string topic);

    /// Finds the partitions and where each begins (ListOffsets).
    Task<Status> start(StartAt where, Instant deadline);
    /// What is there, waiting up to `wait` for something. Empty when nothing came in time.
    Task<Result<std::vector<ConsumedRecord>>> poll(Duration wait);

    [[nodiscard]] const std::map<int32_t, Offset>& positions() const { return positions_; }

private:
    Task<Result<Offset>> offset_at(int32_t partition, StartAt where, Instant deadline);
    Task<Result<std::vector<ConsumedRecord>>> poll_leader(BrokerId leader,
                                                          std::vector<int32_t> partitions,
                                                          Duration wait);
    protocol::FetchRequest request_for(const std::vector<int32_t>& partitions,
                                       const Topic& topic,
                                       Duration wait) const;
    Status take(const protocol::FetchResponse::PartitionData& data,
                std::vector<ConsumedRecord>& out);
    Status take_batch(int32_t partition, const BatchView& batch, std::vector<ConsumedRecord>& out);

    Client& client_;
    std::string topic_;
    Codecs codecs_;
    std::map<int32_t, Offset> positions_;
};

}  // namespace ottla::client
