// SPDX-License-Identifier: Apache-2.0
// Scrubber: reads the closed segments of one directory of a shard again and again, slowly, and holds
// every byte against its checksums: batches by their CRC and heads, indexes by what they lead to.
//
// A segment that has no sums yet gets them (segment_sums.h): one that was closed or cleaned soon
// afterwards, others, which Apache Kafka wrote perhaps, when a pass comes to them. What is wrong is
// noted in its log and told once; indexes are built anew. A pass begins ten minutes after the start,
// at a log of chance, so that a broker which is often restarted gets everywhere in the end, and then
// every ottla.scrub.interval.ms. It reads ottla.scrub.bytes.per.second at most, through the I/O
// threads, and holds the shard for half a megabyte at a time.
#pragma once

#include <deque>
#include <memory>
#include <string_view>
#include <utility>

#include "ottla/op.h"
#include "ottla/result.h"
#include "ottla/task.h"
#include "ottla/types.h"
#include "storage/segment_sums.h"

namespace ottla::storage {

class Segment;
class ShardDirectory;
struct LogParts;

class Scrubber {
public:
    explicit Scrubber(ShardDirectory& home) : home_(home) {}

    /// Until the directory closes or fails.
    Task<> run();
    /// A segment of this log was closed, or took the place of others.
    void note(uint64_t instance, Offset base);
    /// One pass.
    Task<> look_at_all();
    [[nodiscard]] uint64_t bytes_read() const { return bytes_read_; }
    [[nodiscard]] uint64_t sums_written() const { return sums_written_; }

private:
    Task<> look_at_log(uint64_t instance);
    Task<> look_at_noted();
    Task<> look_at(LogParts& log, Offset base);
    /// Nothing if there is no such file.
    Task<Buffer> bytes_of(LogParts& log, Offset base, std::string_view suffix);
    Task<Status> read(LogParts& log, std::shared_ptr<Segment> segment);
    Task<Status> settle(LogParts& log,
                        std::shared_ptr<Segment> segment,
                        SegmentSums found,
                        bool indexes_right);
    /// False: the end has come.
    Task<bool> pace(size_t bytes);

    ShardDirectory& home_;
    std::deque<std::pair<uint64_t, Offset>> noted_;
    uint64_t bytes_read_ = 0;
    uint64_t sums_written_ = 0;
};

}  // namespace ottla::storage
