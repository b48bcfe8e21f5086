// SPDX-License-Identifier: Apache-2.0
// The planted bugs (ottla/test_faults.h) by the names that --bug takes.
// pure
#pragma once

#include <array>
#include <string_view>

#include "ottla/check.h"
#include "ottla/test_faults.h"

namespace ottla::sim {

inline constexpr std::array kBugNames = {
    "acknowledge-before-durable", "forget-last-journal-group",    "replay-recycled-block",
    "accept-out-of-sequence",     "late-flush-undoes-truncation",
};

/// Those that clients of one broker can notice. The other two need a journal that recycles its
/// files or a log that is truncated: the storage scenario does both.
inline constexpr std::array kBrokerBugs = {kBugNames[0], kBugNames[1], kBugNames[3]};

inline void set_bug(TestFaults& faults, std::string_view name) {
    if (name.empty()) return;
    faults.acknowledge_before_durable = name == kBugNames[0];
    faults.forget_last_journal_group = name == kBugNames[1];
    faults.replay_recycled_block = name == kBugNames[2];
    faults.accept_out_of_sequence = name == kBugNames[3];
    faults.late_flush_undoes_truncation = name == kBugNames[4];
}

}  // namespace ottla::sim
