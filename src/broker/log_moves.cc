// SPDX-License-Identifier: Apache-2.0
#include "broker/log_moves.h"

#include <fmt/format.h>

#include "broker/shard.h"

namespace ottla::broker {
namespace {

using namespace std::chrono_literals;

constexpr Duration kAskAgain = 500ms;

PartitionKey key_of(const storage::Log& log) { return {log.topic_id(), log.name().partition}; }

/// As Kafka answers them; anything else is its own code.
ErrorCode answer_of(ErrorCode code) {
    if (code == ErrorCode::not_found) return ErrorCode::log_dir_not_found;
    if (code == ErrorCode::invalid_argument) return ErrorCode::invalid_topic_exception;
    return code;
}

}  // namespace

Task<ErrorCode> LogMoves::alter(PartitionKey key, std::string log_dir) {
    storage::LogStore& store = shard_.store();
    const replication::Partition* const partition = shard_.find(key);
    // Kafka kept this answer for old clients (KIP-113).
    if (partition == nullptr) co_return ErrorCode::replica_not_available;
    const TopicPartition name = partition->log_name();
    const auto target = store.moves_to(name);
    if (target == log_dir) co_return ErrorCode::none;
    if (target) co_await store.cancel_move(name);
    storage::Log* const log = store.find(name);
    if (log == nullptr || key_of(*log) != key) co_return ErrorCode::replica_not_available;
    if (log->log_dir() == log_dir) co_return ErrorCode::none;
    const Status begun = store.move_log(*log, {log_dir, this, {}});
    if (begun) co_return ErrorCode::none;
    shard_.log().write(LogLevel::warning, fmt::format("{} cannot move to {}: {}", log->path(),
                                                      log_dir, begun.error().detail));
    co_return answer_of(begun.error().code);
}

Task<> LogMoves::resume(storage::Log& log, std::vector<storage::FoundCopy> copies) {
    if (copies.empty()) co_return;
    const std::string path = log.path();
    const Status resumed = co_await shard_.store().resume_move(log, std::move(copies), this);
    if (resumed) co_return;
    shard_.log().write(LogLevel::warning, fmt::format("the move of {} does not go on: {}", path,
                                                      resumed.error().detail));
}

void LogMoves::move_caught_up(storage::Log& log, const std::string& log_dir) {
    shard_.runtime().spawn(assign_and_permit(log.name(), key_of(log), log_dir));
}

/// Until the metadata says so, or nobody wants the move any more.
Task<> LogMoves::assign_and_permit(TopicPartition name, PartitionKey key, std::string log_dir) {
    const Gate::Pass inside = shard_.background().enter();
    while (inside && !shard_.background().is_closed()) {
        if (shard_.store().moves_to(name) != log_dir) co_return;
        auto assigning = shard_.assign_directories({{key, log_dir}});
        const Status assigned = co_await std::move(assigning);
        if (assigned) {
            shard_.store().permit_swap(name);
            co_return;
        }
        shard_.log().write(LogLevel::warning,
                           fmt::format("{}-{} waits with its move to {}: {}", name.topic,
                                       name.partition.value(), log_dir, assigned.error().detail));
        const Status slept = co_await shard_.runtime().sleep_for(kAskAgain);
        if (!slept) co_return;
    }
}

void LogMoves::move_ended(storage::Log& log, const std::string& log_dir, const Status& how) {
    const std::string name = fmt::format("{}-{}", log.name().topic, log.name().partition.value());
    if (how) {
        shard_.log().write(LogLevel::info, fmt::format("{} has moved to {}", name, log_dir));
    } else {
        const bool wanted = how.error().code == ErrorCode::cancelled;
        shard_.log().write(wanted ? LogLevel::info : LogLevel::error,
                           fmt::format("{} stays in {}: its move to {} ended: {}", name,
                                       log.log_dir(), log_dir, how.error().detail));
    }
    shard_.runtime().spawn(assign(key_of(log), log.log_dir()));
}

/// Where the log is now, whatever the move wanted.
Task<> LogMoves::assign(PartitionKey key, std::string log_dir) {
    const Gate::Pass inside = shard_.background().enter();
    if (!inside) co_return;
    auto telling = shard_.tell_moved({key, log_dir});
    (void)co_await std::move(telling);
    auto assigning = shard_.assign_directories({{key, log_dir}});
    const Status assigned = co_await std::move(assigning);
    if (assigned) co_return;
    shard_.log().write(LogLevel::warning,
                       fmt::format("the controller does not know yet that a log is in {}: {}",
                                   log_dir, assigned.error().detail));
}

}  // namespace ottla::broker
