// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/connection.h"

#include <algorithm>
#include <cstring>

#include "tests/sim/network.h"
#include "tests/sim/sim_transport.h"

namespace ottla::sim {

namespace {

void complete_with(SimTransport& owner, OpList& list, ErrorCode code) {
    if (list.empty()) return;
    Op& op = list.pop_front();
    op.set_error({code, {}});
    owner.runtime().ready(op);
}

constexpr size_t kLargestPiece = size_t{64} << 10U;

}  // namespace

void Connection::start_read(size_t index, Op& op, bool fills) {
    Side& side = sides_[index];
    if (side.owner->is_dead()) return;
    CHECK(side.reader.empty(), "one read at a time");
    side.reader.push_back(op);
    side.fills = fills;
    serve(index);
}

void Connection::start_write(size_t index, WriteOp& op) {
    Side& side = sides_[index];
    if (side.owner->is_dead()) return;
    CHECK(side.writer.empty(), "one write at a time");
    side.writer.push_back(op);
    side.written = 0;
    pump(index);
}

void Connection::pump(size_t index) {
    Side& side = sides_[index];
    Side& peer = sides_[1 - index];
    if (side.writer.empty()) return;
    if (side.closed) return complete_with(*side.owner, side.writer, ErrorCode::cancelled);
    if (side.reset) return complete_with(*side.owner, side.writer, ErrorCode::connection_reset);
    const auto& op = static_cast<const WriteOp&>(side.writer.front());
    size_t skip = side.written;
    for (const Buffer& piece : op.bytes.pieces()) {
        if (skip >= piece.size()) {
            skip -= piece.size();
            continue;
        }
        size_t at = std::exchange(skip, 0);
        while (at < piece.size()) {
            const size_t unread = peer.received.size() - peer.consumed;
            const size_t used = peer.bytes_in_flight + unread;
            const size_t window = network_.faults.window;
            if (used >= window) return;
            const size_t length = std::min({piece.size() - at, window - used, kLargestPiece});
            std::string bytes(piece.text().substr(at, length));
            send(1 - index, {.kind = Side::Chunk::Kind::bytes, .bytes = std::move(bytes)});
            at += length;
            side.written += length;
        }
    }
    side.owner->runtime().ready(side.writer.pop_front());
}

void Connection::send(size_t to, Side::Chunk chunk) {
    Side& side = sides_[to];
    const Duration latency = network_.latency(sides_[1 - to].host, side.host, chunk.bytes.size());
    side.last_arrival = std::max(side.last_arrival, network_.world().now() + latency);
    side.bytes_in_flight += chunk.bytes.size();
    side.in_flight.push_back(std::move(chunk));
    network_.world().schedule(side.last_arrival, EventKind::network,
                              [self = shared_from_this(), to] { self->arrive(to); });
}

void Connection::arrive(size_t to) {
    Side& side = sides_[to];
    if (side.in_flight.empty()) return;
    if (network_.is_blocked(sides_[1 - to].host, side.host)) return stall(to);
    Side::Chunk chunk = std::move(side.in_flight.front());
    side.in_flight.pop_front();
    side.bytes_in_flight -= chunk.bytes.size();
    network_.world().trace(id_ * 2 + to, chunk.bytes.size(), hash_of(chunk.bytes));
    if (side.closed) return arrive_at_closed(to, chunk);
    if (side.reset) return;
    if (chunk.kind == Side::Chunk::Kind::reset) return set_reset(to);
    if (network_.random().chance(network_.faults.reset)) return reset_both();
    if (chunk.kind == Side::Chunk::Kind::end) {
        side.ended = true;
    } else {
        side.received += chunk.bytes;
    }
    serve(to);
}

void Connection::arrive_at_closed(size_t to, const Side::Chunk& chunk) {
    if (chunk.kind != Side::Chunk::Kind::bytes) return;
    // Nobody reads any more: the host says so, or without power the sender has to find out.
    const bool answers = network_.has_power(sides_[to].host);
    const Duration back = answers ? network_.latency(sides_[to].host, sides_[1 - to].host, 0)
                                  : network_.faults.give_up_after;
    network_.world().schedule_in(back, EventKind::network,
                                 [self = shared_from_this(), to] { self->set_reset(1 - to); });
}

void Connection::stall(size_t to) {
    Side& side = sides_[to];
    if (side.stalled++ != 0) return;
    const uint64_t stall = ++side.stall;
    network_.world().schedule_in(network_.faults.give_up_after, EventKind::network,
                                 [self = shared_from_this(), to, stall] {
                                     Side& there = self->sides_[to];
                                     if (there.stalled != 0 && there.stall == stall)
                                         self->reset_both();
                                 });
}

void Connection::healed() {
    for (size_t to = 0; to < 2; ++to) {
        Side& side = sides_[to];
        if (network_.is_blocked(sides_[1 - to].host, side.host)) continue;
        for (size_t tickets = std::exchange(side.stalled, 0); tickets > 0; --tickets) {
            network_.world().schedule_in(Duration{}, EventKind::network,
                                         [self = shared_from_this(), to] { self->arrive(to); });
        }
    }
}

void Connection::deliver_bytes(Side& side, Op& op) {
    const size_t unread = side.received.size() - side.consumed;
    size_t count = unread;
    if (network_.random().chance(network_.faults.cut)) count = network_.random().between(1, unread);
    if (side.fills) {
        auto& fill = static_cast<FillOp&>(op);
        count = std::min(count, fill.size);
        CHECK(fill.offset + count <= fill.block->capacity(), "a read fits its block");
        std::memcpy(fill.block.get()->data() + fill.offset, side.received.data() + side.consumed,
                    count);
        fill.count = count;
    } else {
        count = std::min(count, kLargestPiece);
        const std::string_view piece(side.received.data() + side.consumed, count);
        static_cast<ReadOp&>(op).bytes = Buffer::copy_of(piece);
    }
    side.consumed += count;
    if (side.consumed == side.received.size()) {
        side.received.clear();
        side.consumed = 0;
    }
}

void Connection::serve(size_t index) {
    Side& side = sides_[index];
    if (side.reader.empty()) return;
    if (side.closed) return complete_with(*side.owner, side.reader, ErrorCode::cancelled);
    if (side.reset) return complete_with(*side.owner, side.reader, ErrorCode::connection_reset);
    if (side.consumed < side.received.size()) {
        Op& op = side.reader.pop_front();
        deliver_bytes(side, op);
        side.owner->runtime().ready(op);
        pump(1 - index);
        return;
    }
    if (side.ended) complete_with(*side.owner, side.reader, ErrorCode::end_of_stream);
}

void Connection::close(size_t index) {
    Side& side = sides_[index];
    if (side.closed || side.owner->is_dead()) return;
    side.closed = true;
    complete_with(*side.owner, side.reader, ErrorCode::cancelled);
    complete_with(*side.owner, side.writer, ErrorCode::cancelled);
    if (side.reset || sides_[1 - index].closed) return;
    const bool discards = side.consumed < side.received.size();
    send(1 - index,
         {.kind = discards ? Side::Chunk::Kind::reset : Side::Chunk::Kind::end, .bytes = {}});
}

void Connection::process_died(size_t index, bool without_power) {
    Side& side = sides_[index];
    if (side.closed) return;
    side.closed = true;
    if (without_power || side.reset || sides_[1 - index].closed) return;
    const bool abrupt = network_.random().chance(500'000);
    send(1 - index,
         {.kind = abrupt ? Side::Chunk::Kind::reset : Side::Chunk::Kind::end, .bytes = {}});
}

void Connection::set_reset(size_t index) {
    Side& side = sides_[index];
    if (side.closed || side.reset) return;
    side.reset = true;
    side.received.clear();
    side.consumed = 0;
    complete_with(*side.owner, side.reader, ErrorCode::connection_reset);
    complete_with(*side.owner, side.writer, ErrorCode::connection_reset);
}

void Connection::reset_both() {
    set_reset(0);
    set_reset(1);
}

}  // namespace ottla::sim
