// SPDX-License-Identifier: Apache-2.0
#include "client/connection.h"

#include <fmt/format.h>

namespace ottla::client {

using protocol::ApiKey;
using protocol::ApiVersionsRequest;

/// One request that waits for its answer, in the frame of its caller.
class Connection::Answer final : public Awaitable<Answer> {
public:
    Answer(Connection& connection, int32_t id) : id(id), connection_(connection) {}
    void start() {
        begin(connection_);
        connection_.waiting_.push_back(*this);
    }
    Result<Buffer> result() {
        if (failed()) return std::unexpected(error());
        return std::move(frame);
    }
    const int32_t id;
    Buffer frame;

private:
    Connection& connection_;
};

Connection::Connection(Ports ports, std::unique_ptr<Stream> stream, ConnectionOptions options)
    : ports_(ports),
      stream_(std::move(stream)),
      options_(std::move(options)),
      outgoing_changed_(ports.runtime),
      inside_(ports.runtime) {
    ports_.runtime.spawn(read_loop());
    ports_.runtime.spawn(write_loop());
}

Task<Result<std::unique_ptr<Connection>>> Connection::open(Ports ports,
                                                           Endpoint endpoint,
                                                           ConnectionOptions options,
                                                           Instant deadline) {
    CO_TRY(auto stream, co_await ports.transport.connect(std::move(endpoint), deadline));
    auto connection = std::make_unique<Connection>(ports, std::move(stream), std::move(options));
    const Status asked = co_await connection->ask_versions(deadline);
    if (!asked) {
        co_await connection->close();
        co_return std::unexpected(asked.error());
    }
    co_return connection;
}

Task<Status> Connection::ask_versions(Instant deadline) {
    ApiVersionsRequest request;
    request.client_software_name = "ottla";
    request.client_software_version = "1";
    CO_TRY(auto answer, co_await call_version<ApiVersionsRequest>(request, 3, deadline));
    if (answer.error_code != 0) {
        co_return fail(static_cast<ErrorCode>(answer.error_code), "the broker refused ApiVersions");
    }
    versions_ = std::move(answer.api_keys);
    co_return Status{};
}

Result<int16_t> Connection::version_of(ApiKey key, int16_t at_most) const {
    const protocol::ApiRow* ours = protocol::find_api(static_cast<int16_t>(key));
    CHECK(ours != nullptr, "requests are made for APIs that exist");
    for (const auto& theirs : versions_) {
        if (theirs.api_key != static_cast<int16_t>(key)) continue;
        const int16_t version = std::min({ours->max_version, theirs.max_version, at_most});
        if (version >= std::max(ours->min_version, theirs.min_version)) return version;
        break;
    }
    return fail(ErrorCode::unsupported_version,
                fmt::format("{} has no version in common with this broker", ours->name));
}

void Connection::post(Chain frame) {
    outgoing_.append(std::move(frame));
    outgoing_changed_.notify_all();
}

Task<Result<Buffer>> Connection::exchange(Chain frame, int32_t id, Instant deadline) {
    if (ended_) co_return std::unexpected(reason_);
    const Gate::Pass pass = inside_.enter();
    post(std::move(frame));
    Answer answer(*this, id);
    Result<Buffer> result = co_await with_deadline(ports_.runtime, answer, deadline);
    if (!result && result.error().code == ErrorCode::request_timed_out) {
        end({ErrorCode::request_timed_out, "no answer in time"});
    }
    co_return result;
}

Status Connection::read_header(protocol::Reader& in, ApiKey key, int16_t version, int32_t id) {
    TRY(const int32_t answered, protocol::decode_response_header(in, key, version));
    if (answered != id) return fail(ErrorCode::malformed, "the answer has another correlation id");
    return {};
}

void Connection::answered(Buffer frame) {
    if (waiting_.empty()) {
        end({ErrorCode::malformed, "an answer that nobody asked for"});
        return;
    }
    auto& oldest = static_cast<Answer&>(waiting_.pop_front());
    const bool its_own =
        frame.size() >= 4 && protocol::Reader(frame.slice(0, 4)).int32() == oldest.id;
    oldest.frame = std::move(frame);
    if (!its_own) oldest.set_error({ErrorCode::malformed, "the answer has another correlation id"});
    ports_.runtime.ready(oldest);
    if (!its_own) end({ErrorCode::malformed, "the answers are out of step"});
}

Task<> Connection::read_loop() {
    Gate::Pass pass = inside_.enter();
    protocol::FrameReader reader(options_.max_frame_bytes);
    std::vector<Buffer> frames;
    while (!ended_) {
        Result<Buffer> bytes = co_await stream_->read();
        if (!bytes) {
            end(bytes.error());
            break;
        }
        const Status fed = reader.feed(*bytes, frames);
        for (Buffer& frame : frames) answered(std::move(frame));
        frames.clear();
        if (!fed) end(fed.error());
    }
}

Task<> Connection::write_loop() {
    Gate::Pass pass = inside_.enter();
    while (!ended_) {
        if (outgoing_.empty()) {
            co_await outgoing_changed_.wait();
            continue;
        }
        const Status written = co_await stream_->write(std::exchange(outgoing_, {}));
        if (!written) end(written.error());
    }
}

void Connection::end(Error reason) {
    if (ended_) return;
    ended_ = true;
    reason_ = std::move(reason);
    while (!waiting_.empty()) {
        Op& answer = waiting_.pop_front();
        answer.set_error(reason_);
        ports_.runtime.ready(answer);
    }
    outgoing_changed_.notify_all();
    stream_->close();
}

void Connection::cancel(Op& op) noexcept {
    op.unlink();
    op.set_error({ErrorCode::cancelled, {}});
    ports_.runtime.ready(op);
}

Task<> Connection::close() {
    end({ErrorCode::cancelled, "the connection was closed here"});
    co_await inside_.close();
}

}  // namespace ottla::client
