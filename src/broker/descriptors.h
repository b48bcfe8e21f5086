// SPDX-License-Identifier: Apache-2.0
// How the files that a process may have open (ottla.open.files, else the limit of the process) are
// shared between connections and segment files. What journals, checkpoints and names need for a
// moment is set aside: a broker whose clients take the last descriptor would lose its directories. pure
#pragma once

#include <cstddef>
#include <cstdint>

#include "ottla/settings.h"

namespace ottla::broker {

struct Descriptors {
    /// Segment files of one shard in one log directory.
    size_t segments = 512;
    /// Of the whole process.
    int64_t connections = INT32_MAX;
};

/// Without a number (tests, simulation) the defaults.
Descriptors share_descriptors(const Settings& settings, uint32_t shards);

}  // namespace ottla::broker
