// SPDX-License-Identifier: Apache-2.0
// A Stream of the test's own: bytes in by hand, bytes out kept, writes that stall on demand.
#pragma once

#include <string>

#include "ottla/transport.h"

namespace ottla::test {

class FakeStream final : public Stream, public OpOwner {
public:
    explicit FakeStream(Runtime& runtime) : runtime_(runtime) {}

    void start(ReadOp& op) override { begin(op); }
    void start(FillOp& op) override { begin(op); }
    void start(WriteOp& op) override {
        op.begin(*this);
        if (closed) {
            complete(op, ErrorCode::connection_reset);
        } else if (stalled) {
            writing_.push_back(op);
        } else {
            take(op);
        }
    }
    void close() override {
        closed = true;
        while (!reading_.empty()) complete(reading_.pop_front(), ErrorCode::cancelled);
        while (!writing_.empty()) complete(writing_.pop_front(), ErrorCode::cancelled);
    }
    const Endpoint& local() const override { return local_; }
    const Endpoint& peer() const override { return peer_; }
    void cancel(Op& op) noexcept override {
        op.unlink();
        complete(op, ErrorCode::cancelled);
    }

    /// Bytes from the client; a pending read gets them at once.
    void arrive(std::string_view bytes) {
        arrived_.append(bytes);
        serve();
    }
    /// The client's orderly end, behind what has arrived.
    void end() {
        ended_ = true;
        serve();
    }
    void resume_writes() {
        stalled = false;
        while (!writing_.empty()) take(static_cast<WriteOp&>(writing_.pop_front()));
    }
    void take_one_write() { take(static_cast<WriteOp&>(writing_.pop_front())); }
    [[nodiscard]] bool is_reading() const { return !reading_.empty(); }

    std::string written;
    size_t writes = 0;
    bool closed = false;
    bool stalled = false;

private:
    template <class ReadingOp>
    void begin(ReadingOp& op) {
        op.begin(*this);
        op.owner_word = std::is_same_v<ReadingOp, FillOp> ? 1 : 0;
        reading_.push_back(op);
        serve();
    }
    void complete(Op& op, ErrorCode code) {
        op.set_error({code, {}});
        runtime_.ready(op);
    }
    void take(WriteOp& op) {
        ++writes;
        for (const Buffer& piece : op.bytes.pieces()) written.append(piece.text());
        runtime_.ready(op);
    }
    void serve() {
        while (!reading_.empty() && (closed || ended_ || !arrived_.empty())) {
            Op& op = reading_.pop_front();
            if (closed) {
                complete(op, ErrorCode::connection_reset);
            } else if (arrived_.empty()) {
                complete(op, ErrorCode::end_of_stream);
            } else if (op.owner_word != 0) {
                auto& fill = static_cast<FillOp&>(op);
                fill.count = std::min(fill.size, arrived_.size());
                std::memcpy(fill.block->data() + fill.offset, arrived_.data(), fill.count);
                arrived_.erase(0, fill.count);
                runtime_.ready(op);
            } else {
                static_cast<ReadOp&>(op).bytes = Buffer::copy_of(arrived_);
                arrived_.clear();
                runtime_.ready(op);
            }
        }
    }

    Runtime& runtime_;
    Endpoint local_{"broker.test", 9092};
    Endpoint peer_{"client.test", 50000};
    OpList reading_;
    OpList writing_;
    std::string arrived_;
    bool ended_ = false;
};

}  // namespace ottla::test
