// SPDX-License-Identifier: Apache-2.0
// A StoreBench whose logs are compacted: small segments, cleaned whenever half of one is dirty; keys and
// values, and the table that a consumer makes of them.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "storage/log_parts.h"
#include "storage/shard_directory.h"
#include "tests/storage/store_bench.h"

namespace ottla::storage::test {

using Table = std::map<std::string, std::string>;

/// A compacted topic: small segments, cleaned whenever half of it is dirty.
class CleanerBench : public StoreBench {
public:
    explicit CleanerBench(uint64_t seed = 1) : StoreBench(seed) {
        config.segment_bytes = 1500;
        config.index_interval_bytes = 300;
        config.deletes = false;
        config.compacts = true;
        settings.cleaner_backoff = std::chrono::milliseconds(50);
        settings.checkpoint_interval = std::chrono::milliseconds(20);
        settings.cleaner_map_bytes = 1UZ << 20U;
    }
    /// Null value: a tombstone.
    Offset put(Log& log,
               const std::string& key,
               std::optional<std::string> value,
               BatchOptions options = {}) {
        if (value) value->append(100, '.');
        BatchBuilder builder(codecs, options);
        OptionalBytes bytes;
        if (value) bytes = as_bytes(*value);
        builder.append(ports().runtime.wall_time(), as_bytes(key), bytes);
        const auto batch = builder.finish();
        AppendRequest request;
        request.batch = batch->span();
        request.leader_epoch = epoch;
        const auto done = log.append(request);
        CHECK(done.has_value(), "a record is appended");
        return done->base_offset;
    }
    void replicate(Log& log) {
        settle(log);
        log.note_high_watermark(log.log_end());
    }
    void fill(Log& log, int count, int keys) {
        for (int i = 0; i < count; ++i) {
            put(log, fmt::format("key {}", i % keys), fmt::format("value {} ", added));
            wanted[fmt::format("key {}", i % keys)] = fmt::format("value {} ", added++);
            if (i % 8 == 7) replicate(log);
        }
        replicate(log);
    }
    /// Enough for a checkpoint and a cleaning.
    void wait() { run_for(std::chrono::milliseconds(300)); }

    struct Seen {
        Table table;
        size_t records = 0;
        size_t batches = 0;
        Offset last{-1};
        bool in_order = true;
    };
    /// Reads everything as a consumer does, aborted data included.
    Seen read(Log& log) { return bench.run(read_table(log)); }
    Task<Seen> read_table(Log& log) {
        Seen seen;
        Offset from = log.log_start();
        while (from < log.log_end()) {
            auto slice = log.read(from, 4096, log.log_end(), true);
            if (!slice && slice.error().code == ErrorCode::would_block) {
                slice = co_await log.read_cold(from, 4096, log.log_end(), true);
            }
            CHECK(slice.has_value(), "a log is readable to its end");
            if (slice->bytes.empty()) break;  // Nothing up to the end is left.
            const Buffer bytes = slice->bytes.flatten();
            BatchCursor cursor(bytes.span(), BatchCursor::Crc::check);
            while (cursor.next() == BatchStep::batch) note(seen, cursor.batch());
            from = slice->next;
        }
        co_return seen;
    }
    void note(Seen& seen, const BatchView& batch) {
        ++seen.batches;
        seen.in_order = seen.in_order && batch.base_offset() > seen.last;
        seen.last = batch.last_offset();
        const auto plain = codecs.records_of(batch, 1UZ << 20U);
        RecordIterator records(batch, *plain);
        Record record;
        while (!batch.is_control() && records.next(record)) {
            ++seen.records;
            const std::string key(as_text(*record.key));
            if (!record.value) {
                seen.table.erase(key);
                continue;
            }
            std::string value(as_text(*record.value));
            value.resize(value.size() - 100);
            seen.table[key] = value;
        }
    }
    uint64_t swaps(Log& log) { return log.parts().home.cleaner().swaps(); }
    std::vector<std::string> names(std::string_view suffix) {
        std::vector<std::string> found;
        for (const std::string& path : bench.disk().files()) {
            if (path.find("/t-0/") != std::string::npos && path.ends_with(suffix)) {
                found.push_back(path.substr(path.rfind('/') + 1));
            }
        }
        return found;
    }

    Table wanted;
    int added = 0;
};

}  // namespace ottla::storage::test
