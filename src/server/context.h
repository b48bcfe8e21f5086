// SPDX-License-Identifier: Apache-2.0
// Context: what a handler is given besides the request; a small bundle of references, copied
// freely. All of it belongs to the shard of the connection and outlives the request.
#pragma once

#include "broker/shard.h"
#include "server/request.h"

namespace ottla::server {

struct Context {
    broker::Shard& shard;
    Session& session;
    const protocol::RequestHeader& header;

    [[nodiscard]] int16_t version() const { return header.request_api_version; }
    [[nodiscard]] const metadata::MetadataImage& image() const { return shard.image(); }
    [[nodiscard]] std::string_view client_id() const {
        return header.client_id ? std::string_view(*header.client_id) : std::string_view();
    }
};

}  // namespace ottla::server
