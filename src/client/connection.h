// SPDX-License-Identifier: Apache-2.0
// One connection to one broker, for whoever speaks Kafka's protocol as a client: peers, the CLI,
// benches and simulated workloads. Several requests may be in flight; brokers answer in order, so
// answers are matched with requests first in, first out, and a wrong correlation id ends the
// connection.
//
// Invariants: requests are written in the order of the calls; a request that ran into its deadline
// ends the connection (its answer would be taken for another's); after the end every call fails
// with the reason. Versions: the newest that both sides know, unless the caller names one. Close it
// and let `close` return before it dies (simulation excepted).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "ottla/ports.h"
#include "ottla/sync.h"
#include "protocol/api_versions.h"
#include "protocol/frame.h"

namespace ottla::client {

struct ConnectionOptions {
    std::string client_id = "ottla";
    size_t max_frame_bytes = 100 * 1024 * 1024;
};

class Connection final : OpOwner {
public:
    /// Connects and asks for the broker's versions.
    static Task<Result<std::unique_ptr<Connection>>> open(Ports ports,
                                                          Endpoint endpoint,
                                                          ConnectionOptions options,
                                                          Instant deadline);
    Connection(Ports ports, std::unique_ptr<Stream> stream, ConnectionOptions options);
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    /// The newest version of `key` that this client and the broker have; unsupported_version if
    /// none.
    [[nodiscard]] Result<int16_t> version_of(protocol::ApiKey key, int16_t at_most = 32767) const;

    /// Sends and waits for the answer. Errors: request_timed_out, connection_reset, end_of_stream,
    /// cancelled (closed here), malformed.
    template <protocol::RequestMessage M>
    Task<Result<typename M::Response>> call(M request, Instant deadline, int16_t at_most = 32767) {
        CO_TRY(const int16_t version, version_of(M::kApiKey, at_most));
        co_return co_await call_version<M>(std::move(request), version, deadline);
    }
    template <protocol::RequestMessage M>
    Task<Result<typename M::Response>> call_version(M request, int16_t version, Instant deadline) {
        const int32_t id = next_id_++;
        Chain frame = protocol::request_frame(id, options_.client_id, version, request);
        CO_TRY(Buffer answer, co_await exchange(std::move(frame), id, deadline));
        protocol::Reader in(std::move(answer));
        CO_TRY_STATUS(read_header(in, M::kApiKey, version, id));
        typename M::Response response;
        CO_TRY_STATUS(protocol::decode(in, version, response));
        CO_TRY_STATUS(in.finished());
        co_return response;
    }
    /// Sends a request that gets no answer (Produce with acks=0).
    template <protocol::RequestMessage M>
    Status send(const M& request, int16_t version) {
        if (ended_) return std::unexpected(reason_);
        post(protocol::request_frame(next_id_++, options_.client_id, version, request));
        return {};
    }
    /// Raw frames, for tests of what no proper client sends: an answer without its length prefix.
    Task<Result<Buffer>> exchange_raw(Chain frame, int32_t correlation_id, Instant deadline) {
        return exchange(std::move(frame), correlation_id, deadline);
    }

    [[nodiscard]] bool has_ended() const { return ended_; }
    [[nodiscard]] const Error& reason() const { return reason_; }
    [[nodiscard]] const Endpoint& peer() const { return stream_->peer(); }
    /// Fails what is in flight with `cancelled`, returns when nothing of it runs any more.
    Task<> close();

private:
    class Answer;
    Task<Result<Buffer>> exchange(Chain frame, int32_t id, Instant deadline);
    Task<Status> ask_versions(Instant deadline);
    static Status read_header(protocol::Reader& in,
                              protocol::ApiKey key,
                              int16_t version,
                              int32_t id);
    void post(Chain frame);
    void end(Error reason);
    void answered(Buffer frame);
    Task<> read_loop();
    Task<> write_loop();
    void cancel(Op& op) noexcept override;

    Ports ports_;
    std::unique_ptr<Stream> stream_;
    ConnectionOptions options_;
    std::vector<protocol::ApiVersionsResponse::ApiVersion> versions_;
    int32_t next_id_ = 1;
    LinkList<Op> waiting_;  // of Answer, oldest first
    Chain outgoing_;
    Event outgoing_changed_;
    Gate inside_;  // Both loops and every exchange.
    bool ended_ = false;
    Error reason_;
};

}  // namespace ottla::client
