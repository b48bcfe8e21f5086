// SPDX-License-Identifier: Apache-2.0
#include "ottla/transport.h"

namespace ottla {

void ReadOp::start() { stream_.start(*this); }
void FillOp::start() { stream_.start(*this); }
void WriteOp::start() { stream_.start(*this); }
void AcceptOp::start() { listener_.start(*this); }

std::string to_string(const Endpoint& endpoint) {
    const bool literal_v6 = endpoint.host.find(':') != std::string::npos;
    return (literal_v6 ? "[" + endpoint.host + "]" : endpoint.host) + ":" +
           std::to_string(endpoint.port);
}

}  // namespace ottla
