// SPDX-License-Identifier: Apache-2.0
// PartitionManager: turns committed metadata into open logs and leaders. Lives on shard 0; what it
// decides is done by the owning shards, all partitions of a shard in one call.
//
// One apply at a time, in the order of the metadata log:
//   1. partitions that are gone leave sight, their waiters fail, their logs are deleted (a name may
//   come
//      back in the same delta under another topic id)
//   2. partitions that are new here are opened or created; known ones learn leadership and settings
//   3. every shard is shown the image
// A log on the disk that the image does not know is left alone and named in the log, unless its
// name is needed. A partition whose log cannot be opened is logged and answers
// not_leader_or_follower.
#pragma once

#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "broker/shard.h"
#include "metadata/delta.h"
#include "storage/log_directory.h"

namespace ottla::broker {

class PartitionManager {
public:
    PartitionManager(const NodeFacts& facts, std::span<Shard* const> shards, Logger& log);

    /// Before the first apply: what the directories hold, and which are served.
    void found(const std::vector<storage::FoundLog>& logs,
               std::vector<storage::FoundCopy> copies,
               std::vector<storage::ServedDirectory> directories);
    /// The first image of this process: every partition of this broker.
    Task<Status> load(metadata::ImagePtr image);
    /// The next one.
    Task<Status> apply(metadata::ImagePtr image, metadata::MetadataChanges changes);
    /// A log is in another directory now.
    void moved(const AssignedLog& log);
    /// Logs that were opened since the last call in another directory than the metadata says.
    [[nodiscard]] std::vector<AssignedLog> take_misplaced() {
        return std::exchange(misplaced_, {});
    }
    /// Nothing in the image knows them: call after the first apply that is up to date.
    void report_strays() const;

private:
    enum class Step : uint8_t { open, update, remove };
    struct Work {
        Step step = Step::update;
        PartitionKey key;
        TopicPartition name;
        replication::Leadership leadership;
        replication::PartitionConfig config;
        std::string log_dir;                     // open: where to create it
        std::optional<storage::FoundLog> found;  // open: it was there
        std::vector<storage::FoundCopy> copies;  // open: what a move that was cut off left
        std::optional<storage::FoundLog>
            replaces;  // open: the name is taken by another topic's log
    };
    using WorkByShard = std::map<ShardIndex, std::vector<Work>>;

    void plan_topic(const metadata::MetadataImage& image,
                    const metadata::TopicChange& change,
                    WorkByShard& removals,
                    WorkByShard& updates);
    void plan_partition(const metadata::MetadataImage& image,
                        const metadata::Topic& topic,
                        PartitionIndex index,
                        WorkByShard& updates);
    [[nodiscard]] Work make_work(const metadata::MetadataImage& image,
                                 const metadata::Topic& topic,
                                 PartitionIndex index) const;
    void claim_log(Work& work);
    void take_copies(Work& work);
    void note_misplaced(const metadata::Partition& partition, const Work& work);
    void choose_log(const metadata::MetadataImage& image,
                    const metadata::Partition& partition,
                    Work& work);
    Task<Status> run(WorkByShard work);
    Task<> publish(metadata::ImagePtr image);
    static Task<Status> run_on_shard(Shard& shard, std::vector<Work> works);
    /// What waits for disks: opens and removes.
    static Task<Status> run_files(Shard& shard, Work& work);
    static void run_memory(Shard& shard, Work& work);
    static Task<> open_one(Shard& shard, Work& work);
    static Task<Result<storage::Log*>> open_log(Shard& shard, Work& work);
    static Task<> remove_one(Shard& shard, PartitionKey key);

    const NodeFacts& facts_;
    std::vector<Shard*> shards_;
    Logger& log_;
    /// A directory that was lost for a while may bring another topic's log of a name.
    std::multimap<TopicPartition, storage::FoundLog> unclaimed_;
    std::vector<storage::ServedDirectory> directories_;
    std::map<std::string, size_t> logs_in_directory_;
    /// Open here, with the directory of each.
    std::map<PartitionKey, std::string> open_;
    std::vector<storage::FoundCopy> copies_;
    std::vector<AssignedLog> misplaced_;
};

}  // namespace ottla::broker
