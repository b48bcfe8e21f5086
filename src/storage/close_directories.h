// SPDX-License-Identifier: Apache-2.0
// What `ottla storage close DIR...` does: an unclean stop is finished offline, so that Apache Kafka can open
// the directories.
//
// All are recovered before any is closed: a log whose move between two of them was cut off behind its commit
// is in both, and only together they tell which one is the log (moved_logs.h). What an unclean stop left of a
// copy goes. not_found, and nothing made there, where no log directory is; errors name their directory.
#pragma once

#include <string>
#include <vector>

#include "ottla/ports.h"
#include "ottla/task.h"
#include "storage/log_config.h"

namespace ottla::storage {

Task<Status> close_directories(Ports ports,
                               std::vector<std::string> paths,
                               StorageSettings settings = {});

}  // namespace ottla::storage
