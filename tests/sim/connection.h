// SPDX-License-Identifier: Apache-2.0
// Connection: the two directions of one simulated byte stream, between the shards of two processes.
//
//   write --(window has room)--> in flight --(latency, a cut, a partition)--> received --> read
//
// Bytes in flight or unread are bounded by the window, so a reader that stops holds its writer up.
// They are copies: memory of a process dies with it. Bytes of one direction arrive in order; every
// read delivers a piece of a size drawn from the seed. An orderly end travels behind the bytes, a
// reset discards them. A process that dies resets or ends its streams; a machine without power says
// nothing, and its peers learn of it only when they write and wait long, or when it is up again.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include "ottla/transport.h"
#include "tests/sim/sim_runtime.h"

namespace ottla::sim {

class Network;
class SimTransport;

class Connection : public std::enable_shared_from_this<Connection> {
public:
    struct Side {
        SimTransport* owner = nullptr;
        std::string host;
        Endpoint local;
        Endpoint peer;
        OpList reader;       ///< none or one ReadOp or FillOp
        bool fills = false;  ///< which
        OpList writer;       ///< none or one WriteOp
        size_t written = 0;  ///< of it
        std::string received;
        size_t consumed = 0;  ///< of `received`
        bool closed = false;  ///< by this side, or its process died
        bool ended = false;   ///< the peer's orderly end has arrived
        bool reset = false;

        struct Chunk {
            enum class Kind : uint8_t { bytes, end, reset };
            Kind kind = Kind::bytes;
            std::string bytes;
        };
        std::deque<Chunk> in_flight;  ///< towards this side
        size_t bytes_in_flight = 0;
        Duration last_arrival{};
        size_t stalled = 0;  ///< arrivals that wait for a partition to heal
        uint64_t stall = 0;  ///< number of the present stall
    };

    Connection(Network& network, uint64_t id) : network_(network), id_(id) {}

    Side& side(size_t index) { return sides_.at(index); }
    void start_read(size_t index, Op& op, bool fills);
    void start_write(size_t index, WriteOp& op);
    void close(size_t index);
    /// The process of a side is gone; without power it cannot even say so.
    void process_died(size_t index, bool without_power);
    /// A partition ended: what was held arrives.
    void healed();
    void reset_both();

private:
    void pump(size_t index);
    void serve(size_t index);
    void send(size_t to, Side::Chunk chunk);
    void arrive(size_t to);
    void arrive_at_closed(size_t to, const Side::Chunk& chunk);
    void stall(size_t to);
    void set_reset(size_t index);
    void deliver_bytes(Side& side, Op& op);

    Network& network_;
    const uint64_t id_;
    std::array<Side, 2> sides_;
};

}  // namespace ottla::sim
