// SPDX-License-Identifier: Apache-2.0
// Planted bugs. The simulator proves that it would find each of them (tests/sim); nothing outside
// tests can set one: they are not settings, and every product path passes the default. pure
#pragma once

namespace ottla {

struct TestFaults {
    bool acknowledge_before_durable = false;  ///< durable_end moves at append, not after the sync
    bool forget_last_journal_group = false;   ///< replay stops one group early
    bool replay_recycled_block = false;   ///< replay takes a group that an older file left behind
    bool accept_out_of_sequence = false;  ///< the sequence check of idempotent producers says yes
    bool late_flush_undoes_truncation =
        false;  ///< a flush that began before a truncation still lands
};

}  // namespace ottla
