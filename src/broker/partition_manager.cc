// SPDX-License-Identifier: Apache-2.0
#include "broker/partition_manager.h"

#include <fmt/format.h>

#include "broker/topic_config.h"
#include "ottla/fan_out.h"
#include "storage/offset_checkpoint.h"

namespace ottla::broker {
namespace {

constexpr size_t kLogsAtOnce = 16;  ///< opened or removed by a shard
/// What a shard does before others get their turn: about a millisecond.
constexpr size_t kWorksInTurn = 128;

}  // namespace

PartitionManager::PartitionManager(const NodeFacts& facts,
                                   std::span<Shard* const> shards,
                                   Logger& log)
    : facts_(facts), shards_(shards.begin(), shards.end()), log_(log) {}

void PartitionManager::found(const std::vector<storage::FoundLog>& logs,
                             std::vector<storage::FoundCopy> copies,
                             std::vector<storage::ServedDirectory> directories) {
    copies_ = std::move(copies);
    for (const storage::FoundLog& log : logs) unclaimed_.emplace(log.name, log);
    for (const storage::ServedDirectory& directory : directories) {
        logs_in_directory_.emplace(directory.path, 0);
        directories_.push_back(directory);
    }
}

Task<Status> PartitionManager::load(metadata::ImagePtr image) {
    WorkByShard updates;
    for (const auto& [name, topic] : image->topics) {
        for (const auto& [index, partition] : topic->partitions) {
            plan_partition(*image, *topic, index, updates);
        }
    }
    CO_TRY_STATUS(co_await run(std::move(updates)));
    co_await publish(std::move(image));
    co_return Status();
}

Task<Status> PartitionManager::apply(metadata::ImagePtr image, metadata::MetadataChanges changes) {
    WorkByShard removals;
    WorkByShard updates;
    for (const metadata::TopicChange& change : changes.topics) {
        plan_topic(*image, change, removals, updates);
    }
    for (const metadata::ConfigResource& resource : changes.configs) {
        if (resource.type != metadata::ResourceType::topic) continue;
        const metadata::TopicPtr topic = image->topic(resource.name);
        if (!topic) continue;
        for (const auto& [index, partition] : topic->partitions) {
            plan_partition(*image, *topic, index, updates);
        }
    }
    CO_TRY_STATUS(co_await run(std::move(removals)));
    CO_TRY_STATUS(co_await run(std::move(updates)));
    co_await publish(std::move(image));
    co_return Status();
}

void PartitionManager::plan_topic(const metadata::MetadataImage& image,
                                  const metadata::TopicChange& change,
                                  WorkByShard& removals,
                                  WorkByShard& updates) {
    const metadata::Topic& topic = change.after ? *change.after : *change.before;
    for (const PartitionIndex index : change.partitions) {
        const PartitionKey key{topic.id, index};
        const metadata::Partition* now = change.after ? change.after->partition(index) : nullptr;
        if (now != nullptr && now->has_replica(facts_.id)) {
            plan_partition(image, topic, index, updates);
        } else if (const auto here = open_.find(key); here != open_.end()) {
            --logs_in_directory_[here->second];
            open_.erase(here);
            Work work;
            work.step = Step::remove;
            work.key = key;
            removals[owner_of(key, facts_.shard_count)].push_back(std::move(work));
        }
    }
}

void PartitionManager::plan_partition(const metadata::MetadataImage& image,
                                      const metadata::Topic& topic,
                                      PartitionIndex index,
                                      WorkByShard& updates) {
    const metadata::Partition* partition = topic.partition(index);
    if (partition == nullptr || !partition->has_replica(facts_.id)) return;
    Work work = make_work(image, topic, index);
    if (!open_.contains(work.key)) choose_log(image, *partition, work);
    updates[owner_of(work.key, facts_.shard_count)].push_back(std::move(work));
}

PartitionManager::Work PartitionManager::make_work(const metadata::MetadataImage& image,
                                                   const metadata::Topic& topic,
                                                   PartitionIndex index) const {
    const metadata::Partition& partition = *topic.partition(index);
    Work work;
    work.key = {topic.id, index};
    work.name = {topic.name, index};
    work.leadership = {partition.leader, partition.leader_epoch, partition.partition_epoch,
                       partition.replicas, partition.isr};
    work.config =
        partition_config(facts_.settings, image.config(metadata::ResourceType::topic, topic.name));
    work.config.rules.max_decompressed_bytes = facts_.memory.decompressed_bytes;
    return work;
}

/// The log that was found under this name, or where to create one: the directory that the metadata
/// names, else the one with the fewest logs. Cordoned ones come last.
void PartitionManager::choose_log(const metadata::MetadataImage& image,
                                  const metadata::Partition& partition,
                                  Work& work) {
    work.step = Step::open;
    claim_log(work);
    if (work.found) {
        work.log_dir = work.found->log_dir;
    } else {
        const Uuid wanted = partition.directory_of(facts_.id);
        const metadata::Broker* self = image.broker(facts_.id);
        const auto burden = [&](const storage::ServedDirectory& directory) {
            const bool cordoned = self != nullptr && self->is_cordoned(directory.directory_id);
            return std::pair{cordoned, logs_in_directory_[directory.path]};
        };
        const storage::ServedDirectory* chosen = nullptr;
        for (const storage::ServedDirectory& directory : directories_) {
            const bool named = !wanted.is_zero() && directory.directory_id == wanted;
            if (named || chosen == nullptr || burden(directory) < burden(*chosen)) {
                chosen = &directory;
            }
            if (named) break;
        }
        CHECK(chosen != nullptr, "a broker serves at least one directory");
        work.log_dir = chosen->path;
    }
    ++logs_in_directory_[work.log_dir];
    open_.emplace(work.key, work.log_dir);
    take_copies(work);
    note_misplaced(partition, work);
}

/// Of several under this name the topic's own.
void PartitionManager::claim_log(Work& work) {
    const auto [first, last] = unclaimed_.equal_range(work.name);
    if (first == last) return;
    const auto is_own = [&work](const auto& one) {
        return storage::may_be_damaged_id(one.second.topic_id, work.key.topic_id);
    };
    const auto own = std::find_if(first, last, is_own);
    const bool same = own != last;
    auto node = unclaimed_.extract(same ? own : first);
    storage::FoundLog& log = node.mapped();
    log.rewrite_topic_id = same && log.topic_id != work.key.topic_id;
    if (same) log.topic_id = work.key.topic_id;
    (same ? work.found : work.replaces) = std::move(log);
}

void PartitionManager::take_copies(Work& work) {
    std::erase_if(copies_, [&work](storage::FoundCopy& copy) {
        const bool of_it = copy.name == work.name &&
                           (copy.topic_id.is_zero() || copy.topic_id == work.key.topic_id);
        if (of_it) work.copies.push_back(std::move(copy));
        return of_it;
    });
}

/// With a single directory the controller knows without being told (KIP-858).
void PartitionManager::note_misplaced(const metadata::Partition& partition, const Work& work) {
    if (directories_.size() < 2) return;
    const auto at = std::ranges::find(directories_, work.log_dir, &storage::ServedDirectory::path);
    if (at->directory_id == partition.directory_of(facts_.id)) return;
    misplaced_.push_back({work.key, work.log_dir});
}

void PartitionManager::moved(const AssignedLog& log) {
    const auto here = open_.find(log.key);
    if (here == open_.end()) return;
    --logs_in_directory_[here->second];
    ++logs_in_directory_[log.log_dir];
    here->second = log.log_dir;
}

Task<Status> PartitionManager::run(WorkByShard work) {
    std::vector<Task<Status>> calls;
    for (auto& [owner, works] : work) {
        auto on_owner = [held = std::move(works)](Shard& there) mutable {
            return run_on_shard(there, std::move(held));
        };
        calls.push_back(shards_[0]->on(owner, std::move(on_owner)));
    }
    auto all = when_all(shards_[0]->runtime(), std::move(calls));
    const std::vector<Status> done = co_await std::move(all);
    for (const Status& one : done) CO_TRY_STATUS(one);
    co_return Status();
}

Task<> PartitionManager::publish(metadata::ImagePtr image) {
    for (uint32_t index = 0; index < shards_.size(); ++index) {
        auto show = [image](Shard& there) { return there.show(image); };
        auto showing = shards_[0]->on(ShardIndex{index}, std::move(show));
        (void)co_await std::move(showing);
    }
}

/// Many logs are opened at once: what each takes is a row of short waits for the I/O threads.
Task<Status> PartitionManager::run_on_shard(Shard& shard, std::vector<Work> works) {
    for (size_t done = 0; done < works.size(); done += kWorksInTurn) {
        const std::span<Work> turn =
            std::span(works).subspan(done, std::min(kWorksInTurn, works.size() - done));
        auto each = [&shard, turn](size_t i) { return run_files(shard, turn[i]); };
        auto files = fan_out(shard.runtime(), turn.size(), kLogsAtOnce, each);
        CO_TRY_STATUS(co_await std::move(files));
        for (Work& work : turn) run_memory(shard, work);
        co_await shard.runtime().yield();
    }
    co_return Status();
}

Task<Status> PartitionManager::run_files(Shard& shard, Work& work) {
    if (work.step == Step::remove) co_await remove_one(shard, work.key);
    if (work.step == Step::open) co_await open_one(shard, work);
    co_return Status();
}

void PartitionManager::run_memory(Shard& shard, Work& work) {
    if (work.step == Step::remove) return;
    replication::Partition* partition = shard.find(work.key);
    if (partition == nullptr) return;  // Its log could not be opened; said so already.
    partition->configure(std::move(work.config));
    if (partition->leadership() != work.leadership) partition->apply(work.leadership);
}

Task<Result<storage::Log*>> PartitionManager::open_log(Shard& shard, Work& work) {
    if (work.replaces) {
        auto opening = shard.store().open_log(*std::move(work.replaces), work.config.log);
        CO_TRY(storage::Log* const old, co_await std::move(opening));
        CO_TRY_STATUS(co_await shard.store().delete_log(*old));
    }
    if (work.found) {
        auto opening = shard.store().open_log(*std::move(work.found), work.config.log);
        co_return co_await std::move(opening);
    }
    co_return shard.store().create_log({.name = work.name,
                                        .topic_id = work.key.topic_id,
                                        .log_dir = work.log_dir,
                                        .config = work.config.log});
}

Task<> PartitionManager::open_one(Shard& shard, Work& work) {
    Result<storage::Log*> log = co_await open_log(shard, work);
    if (!log) {
        shard.log().write(LogLevel::error,
                          fmt::format("partition {}-{} cannot be opened: {}", work.name.topic,
                                      work.name.partition.value(), log.error().detail));
        co_return;
    }
    shard.add(work.key, **log, work.config);
    co_await shard.moves().resume(**log, std::move(work.copies));
}

Task<> PartitionManager::remove_one(Shard& shard, PartitionKey key) {
    replication::Partition* const partition = shard.take_out(key);
    if (partition == nullptr) co_return;
    co_await partition->close({ErrorCode::unknown_topic_or_partition, "the topic was deleted"});
    storage::Log& log = partition->log();
    log.observe(nullptr);
    const TopicPartition name = log.name();
    shard.forget(partition);
    const Status deleted = co_await shard.store().delete_log(log);
    if (!deleted) {
        shard.log().write(LogLevel::error,
                          fmt::format("the files of {}-{} cannot be deleted: {}", name.topic,
                                      name.partition.value(), deleted.error().detail));
    }
}

void PartitionManager::report_strays() const {
    for (const auto& [name, found] : unclaimed_) {
        log_.write(LogLevel::warning,
                   fmt::format("{}/{}-{} belongs to no topic of this cluster and is left alone",
                               found.log_dir, name.topic, name.partition.value()));
    }
    for (const storage::FoundCopy& copy : copies_) {
        log_.write(
            LogLevel::warning,
            fmt::format("{} is a copy of a log that this broker does not have, and is left alone",
                        copy.path));
    }
}

}  // namespace ottla::broker
