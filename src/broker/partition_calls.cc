// SPDX-License-Identifier: Apache-2.0
#include "broker/partition_calls.h"

namespace ottla::broker {

namespace {

Error not_here() {
    return {ErrorCode::not_leader_or_follower, "this broker does not serve the partition"};
}

/// One append; waits while the journal has no room. The caller holds the shard's append turn.
Task<AppendOutcome> append_one(Shard& shard, const AppendItem& item, AppendTerms terms) {
    const replication::AppendAsk ask{item.records, terms.acks, terms.zstd_allowed};
    while (true) {
        replication::Partition* partition = shard.find(item.key);
        if (partition == nullptr) {
            co_return std::unexpected(replication::AppendRefusal{not_here(), {}, kNoOffset});
        }
        const WallTime now = shard.runtime().wall_time();
        AppendOutcome outcome = partition->append_as_leader(ask, now, shard.codecs());
        if (outcome || outcome.error().error.code != ErrorCode::would_block) co_return outcome;
        const std::string directory = partition->log().log_dir();
        co_await shard.store().wait_for_room(directory);
    }
}

Task<Status> wait_for_acks(
    Shard& shard, PartitionKey key, Offset end, int16_t acks, Instant deadline) {
    replication::Partition* partition = shard.find(key);
    if (partition == nullptr) co_return std::unexpected(not_here());
    auto waiting =
        acks == -1 ? partition->wait_committed(end, deadline) : partition->wait_durable(end);
    co_return co_await std::move(waiting);
}

}  // namespace

Task<std::vector<AppendOutcome>> append_group(Shard& shard,
                                              std::vector<AppendItem> items,
                                              AppendTerms terms) {
    const Instant deadline = shard.runtime().now() + terms.timeout;
    std::vector<AppendOutcome> outcomes;
    outcomes.reserve(items.size());
    (void)co_await shard.append_turn().take(1);
    for (AppendItem& item : items) {
        auto appending = append_one(shard, item, terms);
        AppendOutcome outcome = co_await std::move(appending);
        outcomes.push_back(std::move(outcome));
        item.records.reset();  // The journal has its copy; the frame may go.
    }
    shard.append_turn().give_back(1);
    if (terms.acks == 0) co_return outcomes;
    for (size_t i = 0; i < items.size(); ++i) {
        if (!outcomes[i]) continue;
        auto waiting = wait_for_acks(shard, items[i].key, outcomes[i]->end, terms.acks, deadline);
        Status acknowledged = co_await std::move(waiting);
        if (!acknowledged) {
            outcomes[i] = std::unexpected(
                replication::AppendRefusal{std::move(acknowledged.error()), {}, kNoOffset});
        }
    }
    co_return outcomes;
}

Task<std::vector<replication::FetchAnswer>> read_group(Shard& shard,
                                                       std::vector<ReadItem> items,
                                                       size_t max_bytes) {
    std::vector<replication::FetchAnswer> answers;
    answers.reserve(items.size());
    size_t total = 0;
    for (ReadItem& item : items) {
        replication::Partition* partition = shard.find(item.key);
        if (partition == nullptr) {
            answers.push_back({.error = not_here().code});
            continue;
        }
        item.ask.max_bytes = std::min(item.ask.max_bytes, max_bytes - std::min(total, max_bytes));
        item.ask.at_least_one = total == 0;
        auto reading = partition->fetch(item.ask);
        replication::FetchAnswer answer = co_await std::move(reading);
        total += answer.records.size();
        answers.push_back(std::move(answer));
    }
    co_return answers;
}

Task<Status> watch_group(Shard& shard,
                         std::vector<WatchItem> items,
                         size_t missing,
                         uint64_t ticket) {
    replication::FetchWaiter waiter(shard.runtime());
    waiter.set_missing(missing);
    const auto watches = std::make_unique<replication::FetchWatch[]>(items.size());
    for (size_t i = 0; i < items.size(); ++i) {
        watches[i].waiter = &waiter;
        replication::Partition* partition = shard.find(items[i].key);
        if (partition == nullptr || !partition->watch(watches[i], items[i].seen_high_watermark)) {
            waiter.stir();
        }
    }
    shard.park(ticket, waiter);
    while (!waiter.is_due()) co_await waiter.wait();
    shard.unpark(ticket);
    co_return Status();
}

Task<Status> disarm_group(Shard& shard, uint64_t ticket) {
    shard.disarm(ticket);
    co_return Status();
}

Task<std::vector<Result<storage::TimestampedOffset>>> list_offsets_group(
    Shard& shard, std::vector<ListOffsetsItem> items) {
    std::vector<Result<storage::TimestampedOffset>> answers;
    answers.reserve(items.size());
    for (const ListOffsetsItem& item : items) {
        replication::Partition* partition = shard.find(item.key);
        if (partition == nullptr) {
            answers.push_back(std::unexpected(not_here()));
            continue;
        }
        auto asking = partition->list_offsets(item.ask);
        Result<storage::TimestampedOffset> answer = co_await std::move(asking);
        answers.push_back(std::move(answer));
    }
    co_return answers;
}

Task<std::vector<Result<Offset>>> delete_records_group(Shard& shard,
                                                       std::vector<DeleteRecordsItem> items) {
    std::vector<Result<Offset>> answers;
    answers.reserve(items.size());
    for (const DeleteRecordsItem& item : items) {
        replication::Partition* partition = shard.find(item.key);
        if (partition == nullptr) {
            answers.push_back(std::unexpected(not_here()));
            continue;
        }
        auto deleting = partition->delete_records(item.before);
        Result<Offset> answer = co_await std::move(deleting);
        answers.push_back(std::move(answer));
    }
    co_return answers;
}

Task<std::vector<ErrorCode>> alter_group(Shard& shard, std::vector<AlterItem> items) {
    std::vector<ErrorCode> codes;
    codes.reserve(items.size());
    for (const AlterItem& item : items) {
        const ErrorCode code = co_await shard.moves().alter(item.key, item.log_dir);
        codes.push_back(code);
    }
    co_return codes;
}

Task<std::vector<storage::DirectoryUse>> uses_of(Shard& shard) { co_return shard.store().uses(); }

}  // namespace ottla::broker
