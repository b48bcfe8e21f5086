// SPDX-License-Identifier: Apache-2.0
#include "storage/close_directories.h"

#include <fmt/format.h>

#include <algorithm>

#include "storage/atomic_file.h"
#include "storage/log_directory.h"
#include "storage/log_store.h"
#include "storage/moved_logs.h"

namespace ottla::storage {

namespace {

struct Opened {
    std::unique_ptr<LogDirectory> directory;
    /// As it was before the replay.
    BrokerEpoch epoch;
};

Task<Result<Opened>> open_to_close(Ports ports, std::string path, StorageSettings settings) {
    const auto entries = co_await ports.files.list(path);
    const bool absent = !entries && entries.error().code == ErrorCode::not_found;
    if (absent) co_return fail(ErrorCode::not_found, "there is no such directory");
    if (!entries) co_return std::unexpected(entries.error());
    if (std::ranges::none_of(*entries, tells_of_logs)) {
        co_return fail(ErrorCode::not_found, "this is no log directory");
    }
    CO_TRY(auto directory, co_await LogDirectory::open(ports, path, settings));
    const BrokerEpoch epoch = directory->previous_broker_epoch();
    CO_TRY_STATUS(co_await directory->recover());
    co_return Opened{std::move(directory), epoch};
}

/// What a replay leaves of a copy is not complete, and Kafka would go on with it. The log itself is in
/// another directory.
Task<Status> drop_copies(Ports ports, const LogDirectory& directory) {
    if (directory.was_clean()) co_return Status();
    for (const FoundCopy& copy : directory.copies()) {
        CO_TRY_STATUS(co_await remove_log_directory(ports.files, copy.path));
    }
    co_return Status();
}

Task<Status> serve_and_close(Ports ports, Opened& opened, StorageSettings settings) {
    LogDirectory& directory = *opened.directory;
    CO_TRY_STATUS(co_await directory.begin_serving());
    CO_TRY_STATUS(co_await drop_copies(ports, directory));
    LogStore store(ports, settings);
    std::vector<ServedDirectory> served;
    served.push_back(directory.served());
    CO_TRY_STATUS(co_await store.open(std::move(served)));
    Status done;
    for (const FoundLog& found : directory.logs()) {
        const auto log = co_await store.open_log(found, LogConfig{});
        if (!log) done = std::unexpected(log.error());
        if (!log) break;
    }
    const Status closed = co_await store.close();
    CO_TRY_STATUS(done);
    CO_TRY_STATUS(closed);
    co_return co_await directory.close(store.checkpoints(directory.path()), opened.epoch);
}

Error in_directory(const std::string& path, const Error& why) {
    return {why.code, fmt::format("{}: {}", path, why.detail)};
}

}  // namespace

Task<Status> close_directories(Ports ports,
                               std::vector<std::string> paths,
                               StorageSettings settings) {
    std::vector<Opened> all;
    std::vector<LogDirectory*> directories;
    for (const std::string& path : paths) {
        auto opened = co_await open_to_close(ports, path, settings);
        if (!opened) co_return std::unexpected(in_directory(path, opened.error()));
        directories.push_back(opened->directory.get());
        all.push_back(*std::move(opened));
    }
    CO_TRY_STATUS(co_await settle_moved_logs(ports.files, std::move(directories)));
    for (Opened& one : all) {
        const Status closed = co_await serve_and_close(ports, one, settings);
        if (!closed) {
            co_return std::unexpected(in_directory(one.directory->path(), closed.error()));
        }
    }
    co_return Status();
}

}  // namespace ottla::storage
