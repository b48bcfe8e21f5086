// SPDX-License-Identifier: Apache-2.0
// Dispatch: from a frame to the row of handlers/api_table.cc that answers it. Walk A, step 3.
// A request that this broker does not understand closes the connection without an answer, as Kafka
// does; only ApiVersions in an unknown version is answered, in version 0, so that the client can
// ask again (traps 1, 2). The body is decoded by the row, records stay slices of the frame.
#pragma once

#include "server/context.h"

namespace ottla::server {

class Dispatch final : public Dispatcher {
public:
    explicit Dispatch(broker::Shard& shard) : shard_(shard) {}

    Result<Request> admit(const Session& session, Buffer frame) override;
    Task<Answer> serve(Session& session, Request request) override;

private:
    broker::Shard& shard_;
};

}  // namespace ottla::server
