// SPDX-License-Identifier: Apache-2.0
// LogMove: one log on its way from one log directory of its shard to another (KIP-113), while it is
// served and written.
//
//   copy    a second log instance in the target's journal, in the folder <topic>-<p>.<32 hex>-future,
//           takes what is durable in the log, piece by piece, as a follower would; it follows the log's
//           truncations and its start. Cleaning of the log rests meanwhile.
//   level   once the copy has everything and the swap is permitted, appends are held (would_block) until
//           the rest, a few milliseconds' worth, is durable in both
//   commit  a `rename` entry in the target's journal: from when it is durable the copy is the log, and a
//           start says so too, whatever else a crash left (recovery.cc renames, moved_logs.h judges)
//   swap    the folder gets the log's name, the Log object takes the copy's parts, appends go on
//   erase   the old instance goes as a deleted log does: erase entry, `-delete`, erased
//
// Invariants: the copy holds nothing that was not durable in the log; nothing is acknowledged in the
// target before the commit is durable there, since its journal is in order; the old instance is erased
// only behind that. Before the commit whatever ends the move leaves the log as it was. Between the commit
// and its sync nobody can say which one a start will find: should the target fail then, the log is
// offline with it. A start does not go on with a copy, it begins anew: nothing proves that its bytes are
// the log's. Owned by LogStore.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "ottla/sync.h"
#include "storage/log_parts.h"

namespace ottla::storage {

class LogMove final : public LogObserver {
public:
    LogMove(Log& log, std::unique_ptr<Log> copy, NewMove wanted);

    /// How it ended. The copy, or after the swap what the log was, is left in take_rest() unless it
    /// is erased.
    Task<Status> run();

    enum class Stop : uint8_t {
        no,
        leave,   ///< the copy stays for the next start to find
        cancel,  ///< the copy goes
    };
    /// It ends as soon as it can; from the commit on it goes through.
    void stop(Stop how);
    void permit_swap();

    [[nodiscard]] const std::string& target() const { return wanted_.log_dir; }
    [[nodiscard]] Log& log() { return log_; }
    [[nodiscard]] MoveObserver* observer() const { return wanted_.observer; }
    [[nodiscard]] Stop stopping() const { return stop_; }
    /// Appends to the log wait. Its directory until now.
    [[nodiscard]] bool holds() const { return holds_; }
    [[nodiscard]] const std::string& holds_in() const { return source_; }
    Event& released() { return released_; }
    /// Null once it is erased. Before the swap: the copy.
    [[nodiscard]] Log* copy() const { return swapped_ ? nullptr : copy_.get(); }
    [[nodiscard]] std::unique_ptr<Log> take_rest() { return std::move(copy_); }

    // From the log.
    void log_changed() { changed_.notify_all(); }
    void log_was_cut(Offset end);
    // From the copy.
    void durable_end_moved(Log&, Offset) override { changed_.notify_all(); }
    void log_failed(Log&, const Error&) override { changed_.notify_all(); }

private:
    [[nodiscard]] LogParts& from() { return log_.parts(); }
    [[nodiscard]] LogParts& to() { return copy_->parts(); }
    [[nodiscard]] Runtime& runtime();
    [[nodiscard]] Status may_go_on();
    Task<> pause(Duration most);
    Task<Status> begin();
    Task<Status> catch_up();
    Task<Status> follow();
    Task<Status> copy_piece(Offset upper);
    Task<bool> has_room(size_t bytes);
    Status append_all(const LogSlice& slice);
    [[nodiscard]] bool is_level();
    Task<Status> swap();
    Task<Status> sync_copy();
    Task<Status> level();
    void take_over_state();
    Task<Status> settle_copy();
    Task<Status> settle_files(uint64_t moves);
    Task<Status> commit();
    Task<Status> take_over();
    void change_places();
    void release();
    Task<Status> erase_copy();
    Task<Status> finish(Status how);
    /// What the target's disk refused: nothing if there is only no space.
    Status target_failed(const Error& why);

    Log& log_;
    std::unique_ptr<Log> copy_;
    const NewMove wanted_;
    const std::string source_;
    Stop stop_ = Stop::no;
    bool permitted_;
    bool told_ = false;
    bool holds_ = false;
    bool swapped_ = false;
    /// The last copy_piece found nothing up to where it was to read.
    bool exhausted_ = false;
    /// The lowest end of the log since the copy was cut.
    std::optional<Offset> cut_;
    Event changed_;
    Event released_;
};

}  // namespace ottla::storage
