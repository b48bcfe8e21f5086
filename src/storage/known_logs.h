// SPDX-License-Identifier: Apache-2.0
// What the catalogues of one directory say of its logs, for a start. Told once whether they can be
// believed: after an unclean stop the guard folder proves that nobody else has been here, after a clean
// one `.ottla-sums` does (directory_sums.h).
//
// A name may be in two catalogues: a log that was deleted on one shard and created again on another.
// The journals say which instance is gone; where they leave a doubt nothing is known. The recovered
// catalogue of the last start speaks only for logs that no shard has written about since. One
// damaged catalogue makes all of them worthless: an older one may be older than a truncation.
//
// Invariant: a picture is written when its group is durable, so a journal that nobody replayed or retired
// has that group; one that has not lost records (find_shortened).
// pure
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "ottla/test_faults.h"
#include "storage/catalogue.h"

namespace ottla::storage {

class KnownLogs {
public:
    using Entry = std::shared_ptr<const CatalogueEntry>;

    explicit KnownLogs(TestFaults faults = {}) : inherits_(faults.recreate_inherits) {}
    void add(Catalogue catalogue);
    /// A catalogue cannot be read: nothing is known any more.
    void give_up();
    [[nodiscard]] bool is_damaged() const { return damaged_; }
    [[nodiscard]] bool is_empty() const { return written_.empty() && recovered_.empty(); }

    /// The journals whose catalogues were read.
    [[nodiscard]] const std::set<uint64_t>& journals() const { return journals_; }

    /// A journal that ends before a group which was durable when its catalogue was written.
    struct Shortened {
        uint64_t journal_id = 0;
        uint64_t group = 0;
        uint64_t end = 0;  ///< the newest group that is there; 0: none
        bool operator==(const Shortened&) const = default;
    };
    /// Of the journals that no start has replayed. `newest`: the newest group of each that was found.
    [[nodiscard]] std::optional<Shortened> find_shortened(
        const std::map<uint64_t, uint64_t>& newest) const;

    /// What is known of a log that a journal declares.
    struct Declared {
        const TopicPartition& name;
        const Uuid& topic_id;
        uint64_t instance = 0;
        uint64_t journal_id = 0;
        bool created = false;
    };
    [[nodiscard]] Entry of_declared(const Declared& log) const;
    /// ... that no journal speaks of. `gone`: instances that were deleted.
    [[nodiscard]] Entry of_quiet(const TopicPartition& name, const std::set<uint64_t>& gone) const;

private:
    struct Candidate {
        uint64_t journal_id = 0;
        Entry entry;
    };
    std::map<TopicPartition, std::vector<Candidate>> written_;
    std::map<TopicPartition, Entry> recovered_;
    std::set<uint64_t> journals_;
    /// The newest group that a picture knows of, by journal: what the picture shows may be nowhere else.
    std::map<uint64_t, uint64_t> shown_through_;
    std::set<uint64_t> replaced_;
    bool damaged_ = false;
    bool inherits_;
};

}  // namespace ottla::storage
