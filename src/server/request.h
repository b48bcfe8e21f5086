// SPDX-License-Identifier: Apache-2.0
// The words of the server: who talks to us (Session), what was asked (Request), what goes back
// (Answer), and how a request relates to its neighbours on the connection (Flow).
//
// Kafka serves one request of a connection at a time. We run several at once where nobody can tell,
// so the order is a property of the API (handlers/api_table.cc):
//   pipelined      its ordering stage is what it does before its first suspension: requests are
//                  started in order and messages to a shard arrive in order, so appends take their
//                  place
//   one_at_a_time  one such request of the connection is served at once (large answers, long polls)
//   alone          starts when everything before it is answered, and holds back what follows
#pragma once

#include <string>

#include "ottla/buffer.h"
#include "ottla/sync.h"
#include "ottla/transport.h"
#include "protocol/headers.h"

namespace ottla::server {

enum class Flow : uint8_t { pipelined, one_at_a_time, alone };

/// One connection as handlers see it; outlives every request of it.
struct Session {
    Session(Runtime& runtime, std::string listener_name, Endpoint dialled, Endpoint from)
        : listener(std::move(listener_name)),
          local(std::move(dialled)),
          peer(std::move(from)),
          gone(runtime) {}

    std::string listener;
    Endpoint local;  ///< what the client dialled
    Endpoint peer;
    bool is_gone = false;
    Event gone;  ///< the client left or is being shown the door: a long poll ends
};

struct ApiHandler;

struct Request {
    protocol::RequestHeader header;
    const ApiHandler* api = nullptr;
    Flow flow = Flow::pipelined;
    Buffer body;
};

struct Answer {
    Chain frame;         ///< empty: none is sent (acks=0)
    bool close = false;  ///< after what was answered before it
    std::string close_reason;

    static Answer closing(std::string why) { return {{}, true, std::move(why)}; }
};

/// Turns frames into answers; the connection does not look inside.
class Dispatcher {
public:
    /// A frame without its length. An error closes the connection; it says what to log.
    virtual Result<Request> admit(const Session& session, Buffer frame) = 0;
    /// `request.header` stays valid until the answer is there.
    virtual Task<Answer> serve(Session& session, Request request) = 0;

protected:
    ~Dispatcher() = default;
};

}  // namespace ottla::server
