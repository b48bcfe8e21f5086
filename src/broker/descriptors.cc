// SPDX-License-Identifier: Apache-2.0
#include "broker/descriptors.h"

#include <algorithm>

namespace ottla::broker {
namespace {

/// Listeners, event queues, the metadata log, standard streams, what the libraries have.
constexpr int64_t kReserve = 64;
/// Journal files and whatever else a shard opens for a moment in a directory.
constexpr int64_t kForEachJournal = 32;
constexpr int64_t kFewestSegments = 4;
/// More only hold inodes in memory: opening one again costs some microseconds.
constexpr int64_t kMostSegments = 4096;

}  // namespace

Descriptors share_descriptors(const Settings& settings, uint32_t shards) {
    Descriptors shares;
    const int64_t all = settings.number("ottla.open.files");
    if (all <= 0) return shares;
    const bool old_name = !settings.is_set("log.dirs") && settings.is_set("log.dir");
    const auto directories = settings.list(old_name ? "log.dir" : "log.dirs").size();
    const auto journals = static_cast<int64_t>(std::max<size_t>(directories, 1)) * int64_t{shards};
    const int64_t left = all - kReserve - kForEachJournal * journals;
    const int64_t segments = std::clamp(left / 2 / journals, kFewestSegments, kMostSegments);
    shares.segments = static_cast<size_t>(segments);
    shares.connections = std::max<int64_t>(left - segments * journals, 1);
    return shares;
}

}  // namespace ottla::broker
