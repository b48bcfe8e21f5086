// SPDX-License-Identifier: Apache-2.0
// RetentionWorker: looks at the logs of one directory of a shard every
// log.retention.check.interval.ms, does what retention.h decides, and forgets idle producers.
//
// It only moves log starts, through the journal; the lane of each log removes the files. A reader
// that has a file open keeps reading it (POSIX keeps an unlinked file while it is held), and one
// that has not finds that the log's generation moved, so names go at once: Kafka's wait of
// file.delete.delay.ms protects readers that we do not have, and would keep a full disk full.
// One log at a time, a turn of the run loop each: a shard with many logs is never held up.
#pragma once

#include "ottla/op.h"
#include "ottla/result.h"
#include "ottla/task.h"

namespace ottla::storage {

class ShardDirectory;
struct LogParts;

class RetentionWorker {
public:
    explicit RetentionWorker(ShardDirectory& home) : home_(home) {}

    /// Until the directory closes or fails.
    Task<> run();
    /// One look at every log.
    Task<> check_all();

private:
    Task<Status> check(LogParts& log);

    ShardDirectory& home_;
};

}  // namespace ottla::storage
