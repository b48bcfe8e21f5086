// SPDX-License-Identifier: Apache-2.0
// A store whose files get hurt: logs of a few small segments, what is in them batch by batch, and
// whether a reader sees only that.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "storage/file_names.h"
#include "storage/log_parts.h"
#include "storage/shard_directory.h"
#include "tests/storage/store_bench.h"

namespace ottla::storage::test {

struct StoredBatch {
    Offset last{0};
    std::string bytes;
};
using StoredBatches = std::map<Offset, StoredBatch>;

class DamageBench : public StoreBench {
public:
    explicit DamageBench(uint64_t seed = 1) : StoreBench(seed) {
        config.segment_bytes = 900;
        config.index_interval_bytes = 150;
        config.retention_ms = -1;
        settings.cleaner_enabled = false;
    }
    void damage_found(const Damage& damage) override { damages.push_back(damage); }
    [[nodiscard]] size_t found(Damage::Kind kind) const {
        return static_cast<size_t>(std::ranges::count(damages, kind, &Damage::kind));
    }

    /// Batches of one to three records; the leader epoch rises on the way.
    void fill(Log& log, int batches) {
        for (int i = 0; i < batches; ++i) {
            if (i % 7 == 6) epoch = LeaderEpoch{epoch.value() + 1};
            const std::string value = fmt::format("value {} ", i) + std::string(60, '.');
            const Buffer batch = make_batch(codecs, value, {}, WallTime{1000 + 10 * i}, 1 + i % 3);
            AppendRequest request;
            request.batch = batch.span();
            request.leader_epoch = epoch;
            ASSERT_TRUE(log.append(request));
        }
        settle(log);
        log.note_high_watermark(log.log_end());
    }
    [[nodiscard]] static std::string path_of(const std::string& name,
                                             std::string_view log = "t-0") {
        return fmt::format("{}/{}/{}", kDirectory, log, name);
    }
    [[nodiscard]] std::string contents(const std::string& path) {
        return bench.disk().contents(path).value_or("");
    }
    bool flip(const std::string& path, uint64_t bit) {
        return bench.disk().flip_bit(path, bit / 8, static_cast<unsigned>(bit % 8));
    }

    /// What its segment files hold.
    StoredBatches stored(Log& log) {
        StoredBatches all;
        for (const auto& segment : log.parts().segments) {
            const std::string bytes = contents(segment->log_path());
            BatchCursor cursor(as_bytes(bytes), BatchCursor::Crc::check);
            while (cursor.next() == BatchStep::batch) {
                const BatchView& batch = cursor.batch();
                all[batch.base_offset()] = {batch.last_offset(),
                                            std::string(as_text(batch.bytes()))};
            }
        }
        return all;
    }
    /// What a read of `from` gives: "" if exactly what is stored from there on, else what is wrong.
    std::string read_wrongly(Log& log, const StoredBatches& wanted, Offset from, size_t most) {
        const auto slice = bench.run(read_one(log, from, most));
        if (!slice) return fmt::format("{}: {}", name_of(slice.error().code), slice.error().detail);
        auto at = std::prev(wanted.upper_bound(from));
        if (at->second.last < from) ++at;
        const Buffer bytes = slice->bytes.flatten();
        std::string_view rest = bytes.text();
        if (rest.empty()) return "nothing";
        for (; !rest.empty(); ++at) {
            if (at == wanted.end()) return "more than there is";
            if (!rest.starts_with(at->second.bytes)) return "other bytes";
            rest.remove_prefix(at->second.bytes.size());
        }
        return slice->next == std::prev(at)->second.last + 1 ? "" : "a wrong end";
    }
    Task<Result<LogSlice>> read_one(Log& log, Offset from, size_t most) {
        auto slice = log.read(from, most, log.log_end(), true);
        if (slice || slice.error().code != ErrorCode::would_block) co_return slice;
        co_return co_await log.read_cold(from, most, log.log_end(), true);
    }
    /// As if the indexes had been dropped from memory.
    static void forget(Log& log) {
        for (const auto& segment : log.parts().segments) segment->drop_indexes();
        log.parts().damaged.clear();
    }

    std::vector<Damage> damages;
};

}  // namespace ottla::storage::test
