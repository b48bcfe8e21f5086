// SPDX-License-Identifier: Apache-2.0
// ClientBytes: memory of one shard that is held at the pace of its clients: frames that have not
// arrived completely, answers that nobody reads. Requests being served are another budget
// (Shard::frame_bytes); those go at our own pace.
//
// The limit is soft by one step: who holds bytes counts them at once and asks before taking more.
//   frames   go on while there is room; without, one at a time does, the others wait in order, as
//            long as what they brought along is not out of bounds as well: else the last one goes
//   answers  whoever reads records reserves a share of what is free first, so that stalled readers
//            get less and less; without room it waits as long as anybody will give something back
// Only when somebody waits is a client shown the door: the one that has kept us waiting longer
// than `patience`. So memory is bounded, nobody waits for ever, and a slow client alone is left in
// peace. Belongs to one shard; holders and waiters end before it. pure
#pragma once

#include <list>
#include <string>

#include "ottla/sync.h"

namespace ottla::broker {

class ClientBytes final {
public:
    /// The connection behind a holder.
    class Owner {
    public:
        /// Its client kept others waiting for too long; called while somebody waits for memory.
        virtual void evict(const std::string& why) = 0;

    protected:
        ~Owner() = default;
    };
    enum class Side : uint8_t { frames, answers };

    /// One side of one connection.
    class Holder {
    public:
        Holder(ClientBytes& all, Owner& owner, Side side);
        Holder(const Holder&) = delete;
        Holder& operator=(const Holder&) = delete;
        ~Holder();

        /// What it holds from now on.
        void hold(size_t bytes);
        /// True: we wait for the client, from now on if we did not before. False: it waits for us.
        void wait_for_client(bool waits);
        /// The client did something: its time starts again.
        void progressed();
        [[nodiscard]] size_t bytes() const { return bytes_; }

    private:
        friend class ClientBytes;
        ClientBytes& all_;
        Owner& owner_;
        const Side side_;
        size_t bytes_ = 0;
        bool waits_ = false;
        Instant since_;
        std::list<Holder*> place_;  // its node, while it stands in no line
        std::list<Holder*>::iterator node_;
    };

    /// Bytes that are about to be read for an answer.
    class Reservation {
    public:
        Reservation(ClientBytes& all, size_t bytes);
        Reservation(Reservation&& other) noexcept
            : all_(std::exchange(other.all_, nullptr)), bytes_(other.bytes_) {}
        Reservation& operator=(Reservation&&) = delete;
        ~Reservation();
        [[nodiscard]] size_t bytes() const { return bytes_; }

    private:
        ClientBytes* all_;
        size_t bytes_;
    };

    ClientBytes(Runtime& runtime, size_t limit, Duration patience);
    ClientBytes(const ClientBytes&) = delete;
    ClientBytes& operator=(const ClientBytes&) = delete;

    [[nodiscard]] Runtime& runtime() { return runtime_; }
    [[nodiscard]] size_t held() const { return held_; }
    [[nodiscard]] size_t limit() const { return limit_; }
    [[nodiscard]] bool is_full() const { return held_ >= limit_; }

    /// Until this partial frame may grow, or `*gives_up` (then call `stir`). With too many waiting
    /// already its owner is evicted instead.
    Task<> wait_to_grow(Holder& holder, const bool* gives_up);
    /// At least one byte and at most `wanted`; waits until there is room or `*gives_up`.
    Task<Reservation> reserve(size_t wanted, const bool* gives_up);
    /// Who waits looks again.
    void stir() { changed_.notify_all(); }

private:
    /// By the time their clients were last seen to move, the longest first.
    using Line = std::list<Holder*>;

    [[nodiscard]] Line& line_of(Side side) { return side == Side::frames ? frames_ : answers_; }
    [[nodiscard]] bool may_grow(const Holder& holder) const;
    [[nodiscard]] size_t free() const { return held_ < limit_ ? limit_ - held_ : 0; }
    void join(Holder& holder);
    void leave(Holder& holder);
    void evict_stale();
    [[nodiscard]] Instant next_eviction() const;
    Task<> wait_for_change(const bool* gives_up);

    Runtime& runtime_;
    const size_t limit_;
    const Duration patience_;
    size_t held_ = 0;
    size_t reservations_ = 0;
    Line frames_;
    Line answers_;
    std::list<Holder*> queue_;  // frames that wait to grow
    size_t queued_bytes_ = 0;   // what those hold
    Event changed_;
};

}  // namespace ottla::broker
