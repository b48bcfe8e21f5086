// SPDX-License-Identifier: Apache-2.0
#include "storage/known_logs.h"

#include <algorithm>
#include <utility>

namespace ottla::storage {

void KnownLogs::add(Catalogue catalogue) {
    if (damaged_) return;
    const uint64_t id = catalogue.journal_id;
    if (id == 0) replaced_.insert(catalogue.replaces.begin(), catalogue.replaces.end());
    if (id != 0) journals_.insert(id);
    for (CatalogueEntry& one : catalogue.entries) {
        const TopicPartition name = one.name;
        // One without a picture may have been written before its group was durable.
        if (id != 0 && one.whole) {
            uint64_t& through = shown_through_[id];
            through = std::max(through, one.group);
        }
        auto entry = std::make_shared<const CatalogueEntry>(std::move(one));
        if (id == 0) {
            recovered_[name] = std::move(entry);
        } else {
            written_[name].push_back({id, std::move(entry)});
        }
    }
}

std::optional<KnownLogs::Shortened> KnownLogs::find_shortened(
    const std::map<uint64_t, uint64_t>& newest) const {
    for (const auto& [journal, group] : shown_through_) {
        if (replaced_.contains(journal)) continue;
        const auto found = newest.find(journal);
        const uint64_t end = found == newest.end() ? 0 : found->second;
        if (end < group) return Shortened{journal, group, end};
    }
    return std::nullopt;
}

void KnownLogs::give_up() {
    damaged_ = true;
    shown_through_.clear();
    written_.clear();
    recovered_.clear();
}

KnownLogs::Entry KnownLogs::of_declared(const Declared& log) const {
    if (inherits_) return of_quiet(log.name, {});  // The planted bug.
    const auto written = written_.find(log.name);
    if (written != written_.end()) {
        for (const Candidate& candidate : written->second) {
            const bool same = candidate.journal_id == log.journal_id &&
                              candidate.entry->instance == log.instance &&
                              candidate.entry->topic_id == log.topic_id;
            if (same) return candidate.entry;
        }
    }
    // It was there before this journal began, so the last start may have said something of it.
    const auto recovered = recovered_.find(log.name);
    const bool same = !log.created && recovered != recovered_.end() &&
                      recovered->second->topic_id == log.topic_id;
    return same ? recovered->second : nullptr;
}

KnownLogs::Entry KnownLogs::of_quiet(const TopicPartition& name,
                                     const std::set<uint64_t>& gone) const {
    const auto written = written_.find(name);
    if (written != written_.end()) {
        Entry found;
        for (const Candidate& candidate : written->second) {
            const bool stale = gone.contains(candidate.entry->instance) ||
                               replaced_.contains(candidate.journal_id);
            if (stale) continue;
            if (found) return nullptr;
            found = candidate.entry;
        }
        if (found) return found;
    }
    const auto recovered = recovered_.find(name);
    return recovered == recovered_.end() ? nullptr : recovered->second;
}

}  // namespace ottla::storage
