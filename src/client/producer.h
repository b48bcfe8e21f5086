// SPDX-License-Identifier: Apache-2.0
// Writes batches of records, idempotently: a batch keeps its sequence over every retry, so however
// often a connection breaks it is stored once. One batch per partition is in flight at a time
// (callers of different partitions run side by side).
//
// Invariant: sequences of a partition are consecutive over the batches that were given up on too;
// after giving one up the producer takes a new id, because nobody knows whether the lost batch was
// stored.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "client/client.h"
#include "records/records.h"

namespace ottla::client {

struct RecordToSend {
    std::optional<std::string> key;
    std::optional<std::string> value;
};

struct ProducerOptions {
    Compression compression;
    Duration request_timeout = std::chrono::seconds(30);
    Duration retry_backoff = std::chrono::milliseconds(100);
};

class Producer {
public:
    Producer(Client& client, ProducerOptions options);

    /// Appends all records as one batch with acks=all; the offset of the first. Tries again after
    /// retriable failures until `deadline`.
    Task<Result<Offset>> append(std::string topic,
                                int32_t partition,
                                std::vector<RecordToSend> records,
                                Instant deadline);

private:
    struct Lane {
        explicit Lane(Runtime& runtime) : one_at_a_time(runtime, 1) {}
        Budget one_at_a_time;
        int32_t next_sequence = 0;
    };
    Task<Status> ensure_id(Instant deadline);
    Lane& lane(const std::string& topic, int32_t partition);
    Task<Result<Offset>> append_in_lane(std::string topic,
                                        int32_t partition,
                                        std::vector<RecordToSend> records,
                                        Instant deadline);
    Task<Result<Offset>> try_once(std::string topic,
                                  int32_t partition,
                                  Buffer batch,
                                  Instant deadline);
    void start_over();

    Client& client_;
    ProducerOptions options_;
    Codecs codecs_;
    ProducerId id_ = kNoProducer;
    ProducerEpoch epoch_ = kNoProducerEpoch;
    Budget asking_for_id_;
    std::map<std::pair<std::string, int32_t>, Lane> lanes_;
};

/// Where Java's default partitioner puts a key: murmur2 of its bytes, masked, modulo the count.
int32_t partition_of_key(std::string_view key, int32_t partitions);

}  // namespace ottla::client
