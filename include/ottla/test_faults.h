// SPDX-License-Identifier: Apache-2.0
// Planted bugs. The simulator proves that it would find each of them (tests/sim/bugs.h); nothing
// outside tests can set one: they are not settings, and every product path passes the default. pure
#pragma once

namespace ottla {

struct TestFaults {
    /// durable_end moves at append, not after the sync.
    bool acknowledge_before_durable = false;
    /// Replay stops one group early.
    bool forget_last_journal_group = false;
    /// Replay takes a group that an older file left behind.
    bool replay_recycled_block = false;
    /// Replay leaves bytes alone that are there already, though only in the page cache.
    bool trust_bytes_in_cache = false;
    /// The sequence check of idempotent producers says yes.
    bool accept_out_of_sequence = false;
    /// A flush that began before a truncation still lands.
    bool late_flush_undoes_truncation = false;
    /// A flush that ends within a batch, where its blocks do, counts all of that batch.
    bool count_unwritten_rest = false;
    /// A truncation takes a batch of which a part is written; the next one is written from there on.
    bool keep_part_over_truncation = false;
    /// A truncation leaves producers and open transactions as they were.
    bool keep_producers_over_truncation = false;
    /// A truncation leaves snapshots of producer state that speak of what it cut.
    bool keep_snapshots_over_truncation = false;
    /// A journal sync that failed is tried again, and believed.
    bool retry_failed_sync = false;
    /// A checkpoint counts what was flushed while it synced.
    bool count_flushes_during_sync = false;
    /// A checkpoint syncs files, not their names, before the journal forgets.
    bool free_journal_before_names = false;
    /// After one sweep over all logs no file is asked whether its bytes arrived.
    bool believe_sync_all = false;
    /// A checkpoint leaves out the segments that a roll closed.
    bool sync_active_segment_only = false;
    /// The start of a log moves without a journal entry.
    bool forget_log_start = false;
    /// A cleaned segment takes the place of older ones before it is synced.
    bool swap_before_sync = false;
    /// What a checkpoint said of a deleted log is taken for the new one of its name.
    bool recreate_inherits = false;
    /// A group that is written is acknowledged for every log that is in it with a relaxed one.
    bool relax_whole_group = false;
    /// A log is strict again before what it acknowledged meanwhile is synced.
    bool strict_without_sync = false;
    /// A read_committed reader's list of aborted transactions is made some time after its records.
    bool list_aborted_later = false;
    /// A catalogue does not say which files have reserved room behind their batches.
    bool forget_reserved_tail = false;
    /// Nothing says of a log that has moved that it is younger than what it was.
    bool forget_move_mark = false;
    /// A copy on its way to another directory keeps what a truncation took from the log.
    bool copy_ignores_truncation = false;
    /// A start lets go of the journals before what it replayed is synced.
    bool drop_journals_before_sweep = false;
};

}  // namespace ottla
