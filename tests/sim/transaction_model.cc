// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/transaction_model.h"

#include <algorithm>

namespace ottla::sim {

namespace {

using Kind = BatchFact::Kind;
/// Data batches of transactions without a marker, by producer.
using OpenData = std::map<ProducerId, std::vector<Offset>>;

OpenData open_data(std::span<const BatchFact> batches, std::set<Offset>* dropped) {
    OpenData open;
    for (const BatchFact& batch : batches) {
        if (batch.kind == Kind::transactional) open[batch.producer].push_back(batch.base);
        if (!batch.is_marker()) continue;
        const auto ended = open.find(batch.producer);
        if (ended == open.end()) continue;
        if (dropped != nullptr && batch.kind == Kind::abort) {
            dropped->insert(ended->second.begin(), ended->second.end());
        }
        open.erase(ended);
    }
    return open;
}

}  // namespace

std::set<Offset> dropped_by_markers(std::span<const BatchFact> batches) {
    std::set<Offset> dropped;
    open_data(batches, &dropped);
    return dropped;
}

std::set<Offset> still_open(std::span<const BatchFact> batches) {
    std::set<Offset> open;
    for (const auto& [producer, bases] : open_data(batches, nullptr)) {
        open.insert(bases.begin(), bases.end());
    }
    return open;
}

std::set<Offset> dropped_by_index(std::span<const BatchFact> batches,
                                  std::vector<storage::AbortedTransaction> aborted) {
    std::sort(aborted.begin(), aborted.end(),
              [](const auto& a, const auto& b) { return a.first < b.first; });
    std::set<Offset> dropped;
    std::set<ProducerId> skipping;
    size_t next = 0;
    for (const BatchFact& batch : batches) {
        while (next < aborted.size() && aborted[next].first < batch.end()) {
            skipping.insert(aborted[next++].producer);
        }
        if (batch.kind == Kind::abort) skipping.erase(batch.producer);
        const bool skipped = skipping.contains(batch.producer);
        if (batch.kind == Kind::transactional && skipped) dropped.insert(batch.base);
    }
    return dropped;
}

std::map<uint64_t, uint64_t> table_of(const LogState& log, const std::set<Offset>& dropped) {
    const std::set<Offset> open = still_open(log.batches);
    std::map<uint64_t, uint64_t> table;
    for (const BatchFact& batch : log.batches) {
        if (dropped.contains(batch.base) || open.contains(batch.base)) continue;
        for (const RecordFact& record : batch.keyed) {
            if (record.offset < log.start) continue;
            if (record.tombstone) {
                table.erase(record.key);
            } else {
                table[record.key] = record.content;
            }
        }
    }
    return table;
}

StableEnd stable_end(const LogState& log, Offset high_watermark) {
    struct Begun {
        Offset known{-1};
        Offset readable{-1};
    };
    std::map<ProducerId, Begun> open;
    std::vector<Begun> unstable;
    for (const BatchFact& batch : log.batches) {
        if (batch.kind == Kind::transactional) {
            Begun& begun = open[batch.producer];
            if (begun.known < Offset{0}) begun.known = batch.base;
            const bool readable = batch.end() > log.start;
            if (readable && begun.readable < Offset{0}) begun.readable = batch.base;
        }
        const auto ended = batch.is_marker() ? open.find(batch.producer) : open.end();
        if (ended == open.end()) continue;
        // Its marker may still be lost.
        if (batch.base >= high_watermark) unstable.push_back(ended->second);
        open.erase(ended);
    }
    for (const auto& [producer, begun] : open) unstable.push_back(begun);
    StableEnd end{high_watermark, high_watermark};
    for (const Begun& begun : unstable) {
        end.lowest = std::min(end.lowest, std::max(begun.known, log.start));
        if (begun.readable < Offset{0}) continue;
        end.highest = std::min(end.highest, std::max(begun.readable, log.start));
    }
    return end;
}

std::optional<Offset> open_transaction(const LogState& log, ProducerId producer) {
    std::optional<Offset> began;
    for (auto batch = log.batches.rbegin(); batch != log.batches.rend(); ++batch) {
        if (batch->producer != producer) continue;
        if (batch->kind != Kind::transactional) break;
        began = batch->base;
    }
    return began;
}

}  // namespace ottla::sim
