// SPDX-License-Identifier: Apache-2.0
// What clients were told, and whether it was ever contradicted (DESIGN 5, invariants 2, 3 and 4).
//
// Every record of a workload has content of its own, so content names it. Facts are: a record was
// acknowledged at an offset, or a reader saw it there. A fact never changes; no content has two
// offsets (no duplicate); where one idempotent producer writes, the order of sending is the order
// of the log, without a gap; what nobody sent is never read; an end that somebody was told never goes
// back. All of it is checked as it is told, at a cost that does not grow; `check_whole` compares a
// complete reading with all the facts.
// pure
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace ottla::sim {

struct Partition {
    std::string topic;
    int32_t index = 0;
    auto operator<=>(const Partition&) const = default;
};
std::string to_string(const Partition& partition);

class History {
public:
    /// A broker gave somebody this producer id: never twice the same.
    void producer_named(int64_t id);
    /// One idempotent producer writes there and nobody else: every record lies at the place that
    /// the order of sending gives it, without gap or duplicate. Say so before anything is sent.
    void one_writer(const Partition& where);
    /// Somebody is about to send it there: from now on it may be read.
    void sent(const Partition& where, uint64_t content);
    /// Told durable: `contents` lie at `base` and behind.
    void acknowledged(const Partition& where, int64_t base, std::span<const uint64_t> contents);
    void exposed(const Partition& where, int64_t offset, uint64_t content);

    /// The highest end that anybody has been told; ask before the question is sent.
    [[nodiscard]] int64_t told(const Partition& where) const;
    /// An answer to a question asked when `before` was told.
    void end_told(const Partition& where, int64_t end, int64_t before);

    /// A reading of everything from offset 0 to the end.
    void check_whole(const Partition& where, std::span<const uint64_t> contents);

    void fail(const std::string& what);
    /// The first contradiction; empty as long as there is none.
    [[nodiscard]] const std::string& failure() const { return failure_; }
    [[nodiscard]] uint64_t acknowledged_count() const { return acknowledged_; }
    [[nodiscard]] uint64_t exposed_count() const { return exposed_; }

private:
    struct Facts {
        bool one_writer = false;
        std::map<uint64_t, int64_t> sent;     ///< content: how many were sent before
        std::map<int64_t, uint64_t> at;       ///< by offset
        std::map<uint64_t, int64_t> offsets;  ///< by content
        int64_t told = 0;
    };
    void fix(const Partition& where, int64_t offset, uint64_t content, const char* how);

    std::map<Partition, Facts> partitions_;
    std::set<int64_t> producer_ids_;
    std::string failure_;
    uint64_t acknowledged_ = 0;
    uint64_t exposed_ = 0;
};

}  // namespace ottla::sim
