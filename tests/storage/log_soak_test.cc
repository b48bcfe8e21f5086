// SPDX-License-Identifier: Apache-2.0
// A compacted, transactional log under random operations and ends, against a model that keeps every
// record: what a read_committed consumer makes of the log is always what the records say, whatever
// the cleaner, retention, truncations, restarts and crashes did.
#include <gtest/gtest.h>

#include "records/control.h"
#include "storage/log_parts.h"
#include "storage/shard_directory.h"
#include "tests/storage/store_bench.h"

namespace ottla::storage::test {
namespace {

using Table = std::map<std::string, std::string>;

/// One record that was appended, at its offset.
struct Fact {
    enum class Kind : uint8_t { plain, transactional, commit, abort };
    Kind kind = Kind::plain;
    int64_t producer = -1;
    std::string key;
    std::optional<std::string> value;
};

/// What read_committed makes of [start, end): open and aborted transactions are not there.
Table table_of(const std::map<int64_t, Fact>& facts, int64_t start) {
    std::map<int64_t, std::vector<int64_t>> open;
    std::set<int64_t> dropped;
    for (const auto& [offset, fact] : facts) {
        if (fact.kind == Fact::Kind::transactional) open[fact.producer].push_back(offset);
        if (fact.kind == Fact::Kind::abort) {
            dropped.insert(open[fact.producer].begin(), open[fact.producer].end());
        }
        if (fact.kind == Fact::Kind::commit || fact.kind == Fact::Kind::abort) {
            open.erase(fact.producer);
        }
    }
    int64_t stable = facts.empty() ? 0 : facts.rbegin()->first + 1;
    for (const auto& [producer, offsets] : open) stable = std::min(stable, offsets.front());
    Table table;
    for (const auto& [offset, fact] : facts) {
        const bool data = fact.kind == Fact::Kind::plain || fact.kind == Fact::Kind::transactional;
        if (!data || offset < start || offset >= stable || dropped.contains(offset)) continue;
        if (fact.value) {
            table[fact.key] = *fact.value;
        } else {
            table.erase(fact.key);
        }
    }
    return table;
}

class Soak : public StoreBench {
public:
    explicit Soak(uint64_t seed) : StoreBench(seed) {
        config.segment_bytes = 1500;
        config.index_interval_bytes = 300;
        config.retention_ms = -1;
        config.deletes = false;
        config.compacts = true;
        config.delete_retention_ms = 400;
        config.min_cleanable_dirty_millionths = 50'000;
        settings.flush_delay = std::chrono::milliseconds(5);
        settings.checkpoint_interval = std::chrono::milliseconds(20);
        settings.cleaner_backoff = std::chrono::milliseconds(30);
        settings.cleaner_map_bytes = 1UZ << 20U;
        settings.retention_check_interval = std::chrono::milliseconds(100);
    }
    uint64_t draw(uint64_t below) { return ports().runtime.random() % below; }
    Log& log() { return *find("t"); }

    void put() {
        Fact fact;
        fact.key = fmt::format("key {}", draw(6));
        if (draw(6) != 0) fact.value = fmt::format("value {}", number_++);
        BatchOptions options;
        if (const uint64_t who = draw(6); who < 3) {
            fact.kind = Fact::Kind::transactional;
            fact.producer = static_cast<int64_t>(who);
            options.producer_id = ProducerId{fact.producer};
            options.producer_epoch = ProducerEpoch{epochs_[fact.producer]};
            options.base_sequence = sequences_[fact.producer]++;
            options.transactional = true;
        }
        BatchBuilder builder(codecs, options);
        OptionalBytes bytes;
        if (fact.value) bytes = as_bytes(*fact.value);
        const std::string padding(120, '.');
        const RecordHeader header{"padding", as_bytes(padding)};
        builder.append(ports().runtime.wall_time(), as_bytes(fact.key), bytes, {&header, 1});
        const Buffer batch = *builder.finish();
        write(batch, fact);
    }
    void end_transaction() {
        Fact fact;
        fact.producer = static_cast<int64_t>(draw(3));
        const bool committed = draw(2) == 0;
        fact.kind = committed ? Fact::Kind::commit : Fact::Kind::abort;
        MarkerOptions options;
        options.producer_id = ProducerId{fact.producer};
        options.producer_epoch = ProducerEpoch{epochs_[fact.producer]};
        options.timestamp = ports().runtime.wall_time();
        write(build_end_transaction_batch(options, {committed, 0}), fact);
    }
    void replicate() {
        settle(log());
        log().note_high_watermark(log().log_end());
        replicated_ = log().log_end();
    }
    /// What was replicated is never truncated, also when a crash took the noted high watermark
    /// back.
    void truncate() {
        const int64_t lowest = std::max(replicated_, log().log_start()).value();
        const int64_t end = log().log_end().value();
        const auto above = static_cast<uint64_t>(end - lowest + 1);
        const int64_t to = lowest + static_cast<int64_t>(draw(above));
        ASSERT_TRUE(bench.run(log().truncate_to(Offset{to})));
        forget_above(log().log_end().value());
        begin_epochs();
        // A crash may undo a truncation that nothing durable follows.
        put();
        settle(log());
    }
    void delete_records() {
        const int64_t start = log().log_start().value();
        const auto room = static_cast<uint64_t>(log().last_stable_offset().value() - start + 1);
        ASSERT_TRUE(log().delete_records(Offset{start + static_cast<int64_t>(draw(room) / 4)}));
    }
    /// Until everything is a record of before or after; then on from what is left.
    void end_process(uint64_t how) {
        for (uint64_t i = draw(60); i > 0; --i) bench.world.step();
        const int64_t durable = log().durable_end().value();
        if (how == 0) {
            settle(log());
            clean_stop();
        } else if (how == 1) {
            kill();
        } else {
            power_cut();
        }
        ASSERT_NO_FATAL_FAILURE(start());
        ASSERT_GE(log().log_end().value(), durable);
        forget_above(log().log_end().value());
        begin_epochs();
    }

    void expect_committed_table(const std::string& where) {
        replicate();
        const Table found = bench.run(read_committed());
        EXPECT_EQ(found, table_of(facts_, log().log_start().value())) << where;
    }
    uint64_t swaps() { return log().parts().home.cleaner().swaps(); }

private:
    void write(const Buffer& batch, const Fact& fact) {
        AppendRequest request;
        request.batch = batch.span();
        request.leader_epoch = epoch;
        const auto done = log().append(request);
        ASSERT_TRUE(done) << done.error().detail;
        facts_[done->base_offset.value()] = fact;
    }
    void forget_above(int64_t end) { facts_.erase(facts_.lower_bound(end), facts_.end()); }
    /// As a coordinator does after trouble: each producer goes on with a new epoch, from 0.
    void begin_epochs() {
        for (auto& [producer, number] : epochs_) ++number;
        sequences_.clear();
    }

    Task<Table> read_committed() {
        Log& from_log = log();
        const Offset end = from_log.last_stable_offset();
        const Offset begin = from_log.log_start();
        auto aborted = co_await from_log.aborted_transactions(begin, end);
        CHECK(aborted.has_value(), "indexes can be read");
        Table table;
        std::set<ProducerId> skipping;
        size_t next_aborted = 0;
        for (Offset at = begin; at < end;) {
            auto slice = from_log.read(at, 4096, end, true);
            if (!slice && slice.error().code == ErrorCode::would_block) {
                slice = co_await from_log.read_cold(at, 4096, end, true);
            }
            CHECK(slice.has_value(), "the log is readable");
            if (slice->bytes.empty()) break;
            const Buffer bytes = slice->bytes.flatten();
            BatchCursor cursor(bytes.span(), BatchCursor::Crc::check);
            while (cursor.next() == BatchStep::batch) {
                const BatchView& batch = cursor.batch();
                while (next_aborted < aborted->size() &&
                       (*aborted)[next_aborted].first <= batch.last_offset()) {
                    skipping.insert((*aborted)[next_aborted++].producer);
                }
                take(table, skipping, batch, begin);
            }
            at = slice->next;
        }
        co_return table;
    }
    void take(Table& table,
              std::set<ProducerId>& skipping,
              const BatchView& batch,
              Offset begin) {
        if (batch.is_control()) {
            skipping.erase(batch.producer_id());
            return;
        }
        if (batch.is_transactional() && skipping.contains(batch.producer_id())) return;
        RecordIterator records(batch, batch.payload());
        Record record;
        while (records.next(record)) {
            if (batch.base_offset() + record.offset_delta < begin) continue;
            const std::string key(as_text(*record.key));
            if (record.value) {
                table[key] = as_text(*record.value);
            } else {
                table.erase(key);
            }
        }
    }

    std::map<int64_t, Fact> facts_;
    std::map<int64_t, int32_t> sequences_;
    std::map<int64_t, int16_t> epochs_{{0, 0}, {1, 0}, {2, 0}};
    Offset replicated_{0};
    int number_ = 0;
};

void soak(uint64_t seed, uint64_t& swaps) {
    Soak soak(seed);
    soak.start();
    soak.create("t");
    soak.run_for(std::chrono::milliseconds(50));
    for (int step = 0; step < 250; ++step) {
        const uint64_t what = soak.draw(100);
        if (what < 62) soak.put();
        if (what >= 62 && what < 76) soak.end_transaction();
        if (what >= 76 && what < 84) soak.replicate();
        if (what >= 84 && what < 91) soak.run_for(std::chrono::milliseconds(soak.draw(60)));
        if (what == 91) ASSERT_TRUE(soak.log().roll());
        if (what == 92 || what == 93) soak.truncate();
        if (what == 94) soak.delete_records();
        if (what == 95) soak.run_for(std::chrono::milliseconds(500));
        if (what == 96 || what == 97) {
            swaps += soak.swaps();
            soak.end_process(soak.draw(3));
        }
        if (what >= 98) soak.expect_committed_table(fmt::format("seed {}, step {}", seed, step));
        if (testing::Test::HasFailure()) return;
    }
    soak.run_for(std::chrono::seconds(1));
    soak.expect_committed_table(fmt::format("seed {}, at the end", seed));
    swaps += soak.swaps();
}

TEST(Log, UnderRandomOperationsACommittedReaderSeesWhatTheRecordsSay) {
    uint64_t swaps = 0;
    // The first ones found a marker that a restart forgot, an index that a power cut took, and a
    // name that a truncation had removed.
    std::vector<uint64_t> seeds{393, 498, 1264};
    for (uint64_t seed = 1; seed <= 300; ++seed) seeds.push_back(seed);
    for (const uint64_t seed : seeds) {
        soak(seed, swaps);
        if (testing::Test::HasFailure()) return;
    }
    EXPECT_GT(swaps, 300U);
}

}  // namespace
}  // namespace ottla::storage::test
