// SPDX-License-Identifier: Apache-2.0
// Sending the pieces of a chain over a socket that does not block, from where the last call stopped.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ottla/buffer.h"

namespace ottla::io {

/// The first piece that is not wholly sent, and how much of it is.
struct SendPlace {
    size_t piece = 0;
    size_t of_piece = 0;
};

struct Sent {
    enum class End : uint8_t {
        all,      ///< of the chain
        limit,    ///< `at_most` is sent
        blocked,  ///< the kernel takes no more now
        failed,   ///< `error` is why
    };
    End end = End::all;
    size_t bytes = 0;  ///< of this call
    int error = 0;
};

/// Gathered sends until one of the ends above; `place` moves along. From any thread.
Sent send_pieces(int descriptor, const Chain& chain, SendPlace& place, size_t at_most);

}  // namespace ottla::io
