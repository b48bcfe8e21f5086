// SPDX-License-Identifier: Apache-2.0
#include "broker/client_bytes.h"

#include <fmt/format.h>

#include <algorithm>

namespace ottla::broker {

namespace {

using namespace std::chrono_literals;

/// A reservation is not smaller than this, unless less was asked for.
constexpr size_t kLeastReservation = 1024UZ * 1024;
/// ... and takes at most this part of what is free.
constexpr size_t kShares = 4;
/// Frames that wait to grow hold at most this many times the limit: what was read while there was room,
/// and the first parts of as many again.
constexpr size_t kCrowd = 2;
constexpr Duration kForever = 24h * 365;

}  // namespace

ClientBytes::ClientBytes(Runtime& runtime, size_t limit, Duration patience)
    : runtime_(runtime), limit_(limit), patience_(patience), changed_(runtime) {}

ClientBytes::Holder::Holder(ClientBytes& all, Owner& owner, Side side)
    : all_(all),
      owner_(owner),
      side_(side),
      since_(all.runtime_.now()),
      place_{this},
      node_(place_.begin()) {}

ClientBytes::Holder::~Holder() {
    wait_for_client(false);
    hold(0);
}

void ClientBytes::Holder::hold(size_t bytes) {
    const bool gave_back = bytes < bytes_;
    all_.held_ = all_.held_ - bytes_ + bytes;
    bytes_ = bytes;
    if (gave_back) all_.stir();
}

void ClientBytes::Holder::wait_for_client(bool waits) {
    if (waits == waits_) return;
    waits ? all_.join(*this) : all_.leave(*this);
}

void ClientBytes::Holder::progressed() {
    if (!waits_) return;
    all_.leave(*this);
    all_.join(*this);
}

void ClientBytes::join(Holder& holder) {
    holder.since_ = runtime_.now();
    holder.waits_ = true;
    Line& line = line_of(holder.side_);
    line.splice(line.end(), holder.place_, holder.node_);
}

void ClientBytes::leave(Holder& holder) {
    holder.waits_ = false;
    Line& line = line_of(holder.side_);
    holder.place_.splice(holder.place_.end(), line, holder.node_);
    if (holder.side_ == Side::frames) stir();  // The next in line may be the first now.
}

ClientBytes::Reservation::Reservation(ClientBytes& all, size_t bytes) : all_(&all), bytes_(bytes) {
    all.held_ += bytes;
    ++all.reservations_;
}

ClientBytes::Reservation::~Reservation() {
    if (all_ == nullptr) return;
    all_->held_ -= bytes_;
    --all_->reservations_;
    all_->stir();
}

bool ClientBytes::may_grow(const Holder& holder) const {
    if (!is_full()) return true;
    if (holder.waits_) return frames_.front() == &holder;
    return frames_.empty() && (queue_.empty() || queue_.front() == &holder);
}

Task<> ClientBytes::wait_to_grow(Holder& holder, const bool* gives_up) {
    if (may_grow(holder)) {
        holder.wait_for_client(true);
        co_return;
    }
    holder.wait_for_client(false);
    // A first part is read before anybody knows how long the frame is, so crowds bring much along.
    const size_t bytes = holder.bytes();
    if (queued_bytes_ + bytes > kCrowd * limit_ && !queue_.empty()) {
        holder.owner_.evict(fmt::format(
            "memory is short, and {} incomplete requests wait for room before this one of {} bytes",
            queue_.size(), bytes));
        co_return;
    }
    queued_bytes_ += bytes;
    std::list<Holder*> place{&holder};
    const auto self = place.begin();
    queue_.splice(queue_.end(), place);
    while (!*gives_up && !may_grow(holder)) {
        auto waiting = wait_for_change(gives_up);
        co_await std::move(waiting);
    }
    queue_.erase(self);
    queued_bytes_ -= bytes;
    if (!*gives_up) holder.wait_for_client(true);
}

Task<ClientBytes::Reservation> ClientBytes::reserve(size_t wanted, const bool* gives_up) {
    wanted = std::max<size_t>(wanted, 1);
    const size_t least = std::min(wanted, kLeastReservation);
    // Others will give something back: because they are done, or because they are evicted.
    const auto others = [this] {
        return reservations_ != 0 || !frames_.empty() || !answers_.empty();
    };
    while (!*gives_up && free() < least && others()) {
        auto waiting = wait_for_change(gives_up);
        co_await std::move(waiting);
    }
    co_return Reservation(*this, std::clamp(free() / kShares, least, wanted));
}

void ClientBytes::evict_stale() {
    const Instant now = runtime_.now();
    for (Line* line : {&frames_, &answers_}) {
        while (!line->empty() && line->front()->since_ + patience_ <= now) {
            Holder& holder = *line->front();
            const auto seconds =
                std::chrono::duration_cast<std::chrono::seconds>(now - holder.since_).count();
            leave(holder);
            holder.owner_.evict(
                fmt::format("memory is short and {} bytes {} for {} s", holder.bytes_,
                            holder.side_ == Side::frames ? "of its request are incomplete"
                                                         : "of its answers are not read",
                            seconds));
        }
    }
}

Instant ClientBytes::next_eviction() const {
    Instant next = runtime_.now() + kForever;
    for (const Line* line : {&frames_, &answers_}) {
        if (!line->empty()) next = std::min(next, line->front()->since_ + patience_);
    }
    return next;
}

/// An eviction may be the waiter's own: then its stir is in the past.
Task<> ClientBytes::wait_for_change(const bool* gives_up) {
    evict_stale();
    if (*gives_up) co_return;
    auto change = changed_.wait();
    auto timed = with_deadline(runtime_, change, next_eviction());
    (void)co_await timed;
}

}  // namespace ottla::broker
