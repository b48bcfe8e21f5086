// SPDX-License-Identifier: Apache-2.0
// The planted bugs (ottla/test_faults.h) by the names that --bug takes.
// pure
#pragma once

#include <array>
#include <string_view>

#include "ottla/check.h"
#include "ottla/test_faults.h"

namespace ottla::sim {

struct PlantedBug {
    const char* name;
    bool TestFaults::* flag;
};

inline constexpr std::array kPlantedBugs = {
    PlantedBug{"acknowledge-before-durable", &TestFaults::acknowledge_before_durable},
    PlantedBug{"forget-last-journal-group", &TestFaults::forget_last_journal_group},
    PlantedBug{"accept-out-of-sequence", &TestFaults::accept_out_of_sequence},
    PlantedBug{"replay-recycled-block", &TestFaults::replay_recycled_block},
    PlantedBug{"trust-bytes-in-cache", &TestFaults::trust_bytes_in_cache},
    PlantedBug{"late-flush-undoes-truncation", &TestFaults::late_flush_undoes_truncation},
    PlantedBug{"count-unwritten-rest", &TestFaults::count_unwritten_rest},
    PlantedBug{"keep-part-over-truncation", &TestFaults::keep_part_over_truncation},
    PlantedBug{"keep-producers-over-truncation", &TestFaults::keep_producers_over_truncation},
    PlantedBug{"keep-snapshots-over-truncation", &TestFaults::keep_snapshots_over_truncation},
    PlantedBug{"retry-failed-sync", &TestFaults::retry_failed_sync},
    PlantedBug{"count-flushes-during-sync", &TestFaults::count_flushes_during_sync},
    PlantedBug{"free-journal-before-names", &TestFaults::free_journal_before_names},
    PlantedBug{"believe-sync-all", &TestFaults::believe_sync_all},
    PlantedBug{"sync-active-segment-only", &TestFaults::sync_active_segment_only},
    PlantedBug{"forget-log-start", &TestFaults::forget_log_start},
    PlantedBug{"swap-before-sync", &TestFaults::swap_before_sync},
    PlantedBug{"recreate-inherits", &TestFaults::recreate_inherits},
    PlantedBug{"relax-whole-group", &TestFaults::relax_whole_group},
    PlantedBug{"strict-without-sync", &TestFaults::strict_without_sync},
    PlantedBug{"list-aborted-later", &TestFaults::list_aborted_later},
    PlantedBug{"forget-reserved-tail", &TestFaults::forget_reserved_tail},
    PlantedBug{"forget-move-mark", &TestFaults::forget_move_mark},
    PlantedBug{"copy-ignores-truncation", &TestFaults::copy_ignores_truncation},
    PlantedBug{"drop-journals-before-sweep", &TestFaults::drop_journals_before_sweep},
};

/// The storage scenario does all that they need.
inline constexpr auto kBugNames = [] {
    std::array<const char*, kPlantedBugs.size()> names{};
    for (size_t i = 0; i < names.size(); ++i) names[i] = kPlantedBugs[i].name;
    return names;
}();

/// Those that clients of one broker can notice soon. The others need journals that recycle their
/// files, logs that are truncated or cleaned, or a disk that lies.
inline constexpr std::array kBrokerBugs = {kBugNames[0], kBugNames[1], kBugNames[2]};

inline void set_bug(TestFaults& faults, std::string_view name) {
    for (const PlantedBug& bug : kPlantedBugs) {
        if (name == bug.name) faults.*bug.flag = true;
    }
}

}  // namespace ottla::sim
