// SPDX-License-Identifier: Apache-2.0
// ottla storage close DIR...: finishes an unclean stop without starting a broker, so that Apache
// Kafka can open the directories: all log.dirs of a broker at once, should a log have been moving.
#include <fmt/format.h>

#include "app/cli.h"
#include "app/usage.h"
#include "io/backend.h"
#include "storage/close_directories.h"

namespace ottla::app {

namespace {

Task<int> close_all(Ports ports, std::vector<std::string> directories) {
    const Status closed = co_await storage::close_directories(ports, directories);
    if (!closed) co_return complain(closed.error());
    for (const std::string& directory : directories) print(fmt::format("{}: closed\n", directory));
    co_return 0;
}

}  // namespace

int storage_command(Arguments arguments) {
    const std::string verb = arguments.word().value_or("");
    std::vector<std::string> directories;
    while (auto word = arguments.word()) directories.push_back(*std::move(word));
    const Status finished = arguments.finish();
    if (!finished) return complain(finished.error());
    if (verb != "close" || directories.empty()) {
        return complain({ErrorCode::invalid_argument, std::string(kStorageUsage)});
    }
    io::Backend backend({.shards = 1});
    return backend.run(close_all(backend.ports(ShardIndex{0}), std::move(directories)));
}

}  // namespace ottla::app
