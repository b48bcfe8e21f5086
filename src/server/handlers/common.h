// SPDX-License-Identifier: Apache-2.0
// What several handlers share: names, endpoints as this client should see them, operations bit
// fields.
#pragma once

#include <optional>
#include <string_view>

#include "server/context.h"

namespace ottla::server {

/// 1 to 249 of [a-zA-Z0-9._-], neither "." nor ".." (trap 22).
bool is_valid_topic_name(std::string_view name);

/// Where this client reaches a broker: the registered endpoint of the client's listener, or, for
/// this broker without advertised.listeners, the address that the client dialled. Nothing: not on
/// that listener.
std::optional<Endpoint> endpoint_for(const Context& context, const metadata::Broker& broker);

/// AclOperation bits that an unrestricted principal has; kNotRequested when nobody asked (trap 20).
inline constexpr int32_t kNotRequested = std::numeric_limits<int32_t>::min();
constexpr int32_t operations(std::initializer_list<int> codes) {
    int32_t bits = 0;
    for (const int code : codes) bits |= 1 << code;
    return bits;
}
// create, alter, describe, cluster action, describe and alter configs, idempotent write
inline constexpr int32_t kClusterOperations = operations({5, 7, 8, 9, 10, 11, 12});
// read, write, create, delete, alter, describe, describe and alter configs
inline constexpr int32_t kTopicOperations = operations({3, 4, 5, 6, 7, 8, 10, 11});

/// Brokers forward, so any live one may be named as the controller; clients spread over them (trap
/// 19).
int32_t some_live_broker(const Context& context);

inline int16_t to_wire(ErrorCode code) { return wire_code(code); }

}  // namespace ottla::server
