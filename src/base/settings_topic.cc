// SPDX-License-Identifier: Apache-2.0
// Topic settings. Names, types, bounds and defaults are Kafka 4.4's;
// a row with prose is honoured here, one without is accepted and reported but changes nothing yet.
#include "base/setting_tables.h"

namespace ottla::setting_tables {

using enum SettingType;

namespace {
constexpr Setting kRows[] = {
    {"cleanup.policy", list, "delete", "compact|delete", kDynamic,
     "delete: the oldest segments go by age and size; compact: records that newer ones of "
     "their key replace; both, or neither to keep everything."},
    {"compression.gzip.level", int32, "-1", "-1|1..9", kDynamic,
     "Level for gzip when the broker compresses."},
    {"compression.lz4.level", int32, "9", "1..17", kDynamic,
     "Level for lz4 when the broker compresses."},
    {"compression.type", string, "producer", "uncompressed|zstd|lz4|snappy|gzip|producer", kDynamic,
     "Codec of stored batches; `producer` keeps the client's bytes."},
    {"compression.zstd.level", int32, "3", "-131072..22", kDynamic,
     "Level for zstd when the broker compresses."},
    {"delete.retention.ms", int64, "86400000", "0..", kDynamic,
     "How long a cleaning keeps tombstones and transaction markers from when they could first "
     "go."},
    {"errors.deadletterqueue.group.enable", boolean, "false", "", kDynamic, {}},
    {"file.delete.delay.ms", int64, "60000", "0..", kDynamic, {},
     "Files go at once; who is reading them keeps them (docs/adr/0040)."},
    {"flush.messages", int64, "9223372036854775807", "1..", kDynamic,
     "Set to 9223372036854775807 explicitly: acknowledge before the sync (relaxed durability)."},
    {"flush.ms", int64, "9223372036854775807", "0..", kDynamic, {},
     "Everything is synced as soon as it is written: sooner than any value asks for."},
    {"follower.replication.throttled.replicas", list, "", "", kDynamic, {}},
    {"index.interval.bytes", int32, "4096", "0..", kDynamic,
     "Bytes of log between two index entries."},
    {"leader.replication.throttled.replicas", list, "", "", kDynamic, {}},
    {"local.retention.bytes", int64, "-2", "-2..", kDynamic, {}},
    {"local.retention.ms", int64, "-2", "-2..", kDynamic, {}},
    {"max.compaction.lag.ms", int64, "9223372036854775807", "1..", kDynamic,
     "Age of a record by which its log is cleaned, however little of it is dirty."},
    {"max.message.bytes", int32, "1048588", "0..", kDynamic, "Largest batch accepted, as stored."},
    {"message.timestamp.after.max.ms", int64, "3600000", "0..", kDynamic,
     "How far ahead of the clock a record may be dated."},
    {"message.timestamp.before.max.ms", int64, "9223372036854775807", "0..", kDynamic,
     "How far behind the clock a record may be dated."},
    {"message.timestamp.type", string, "CreateTime", "CreateTime|LogAppendTime", kDynamic,
     "Whose time records carry: the client's or the broker's."},
    {"min.cleanable.dirty.ratio", float64, "0.5", "0..1", kDynamic,
     "Dirty part of a log above which it is cleaned."},
    {"min.compaction.lag.ms", int64, "0", "0..", kDynamic,
     "Younger records are not compacted."},
    {"min.insync.replicas", int32, "1", "1..", kDynamic, "In-sync replicas that acks=all needs."},
    {"preallocate", boolean, "false", "", kDynamic,
     "A new segment takes segment.bytes of the disk with its first record, where that is no "
     "more than half of what is free; the rest is given back when it closes."},
    {"remote.copy.lag.bytes", int64, "-1", "-1..", kDynamic, {}},
    {"remote.copy.lag.ms", int64, "0", "-1..", kDynamic, {}},
    {"remote.log.copy.disable", boolean, "false", "", kDynamic, {}},
    {"remote.log.delete.on.disable", boolean, "false", "", kDynamic, {}},
    {"remote.storage.enable", boolean, "false", "", kDynamic, {}},
    {"retention.bytes", int64, "-1", "-1..", kDynamic,
     "Size of a partition above which its oldest segments go; -1: none."},
    {"retention.ms", int64, "604800000", "-1..", kDynamic,
     "Age, by their largest timestamp, at which segments go; -1: none."},
    {"segment.bytes", int32, "1073741824", "1048576..", kDynamic,
     "Size at which a segment is closed."},
    {"segment.index.bytes", int32, "10485760", "4..", kDynamic,
     "Largest index of a segment; a full one rolls the segment."},
    {"segment.jitter.ms", int64, "0", "0..", kDynamic, "Random part taken off segment.ms."},
    {"segment.ms", int64, "604800000", "1..", kDynamic, "Age at which a segment is closed."},
    {"unclean.leader.election.enable", boolean, "false", "", kDynamic, {}},
};

// Which broker settings give a topic setting its default, strongest first.
const TopicSynonyms kSynonyms[] = {
    {"cleanup.policy", {"log.cleanup.policy"}},
    {"compression.gzip.level", {"compression.gzip.level"}},
    {"compression.lz4.level", {"compression.lz4.level"}},
    {"compression.type", {"compression.type"}},
    {"compression.zstd.level", {"compression.zstd.level"}},
    {"delete.retention.ms", {"log.cleaner.delete.retention.ms"}},
    {"file.delete.delay.ms", {"log.segment.delete.delay.ms"}},
    {"flush.messages", {"log.flush.interval.messages"}},
    {"flush.ms", {"log.flush.interval.ms", "log.flush.scheduler.interval.ms"}},
    {"index.interval.bytes", {"log.index.interval.bytes"}},
    {"local.retention.bytes", {"log.local.retention.bytes"}},
    {"local.retention.ms", {"log.local.retention.ms"}},
    {"max.compaction.lag.ms", {"log.cleaner.max.compaction.lag.ms"}},
    {"max.message.bytes", {"message.max.bytes"}},
    {"message.timestamp.after.max.ms", {"log.message.timestamp.after.max.ms"}},
    {"message.timestamp.before.max.ms", {"log.message.timestamp.before.max.ms"}},
    {"message.timestamp.type", {"log.message.timestamp.type"}},
    {"min.cleanable.dirty.ratio", {"log.cleaner.min.cleanable.ratio"}},
    {"min.compaction.lag.ms", {"log.cleaner.min.compaction.lag.ms"}},
    {"min.insync.replicas", {"min.insync.replicas"}},
    {"preallocate", {"log.preallocate"}},
    {"retention.bytes", {"log.retention.bytes"}},
    {"retention.ms", {"log.retention.ms", "log.retention.minutes", "log.retention.hours"}},
    {"segment.bytes", {"log.segment.bytes"}},
    {"segment.index.bytes", {"log.index.size.max.bytes"}},
    {"segment.jitter.ms", {"log.roll.jitter.ms", "log.roll.jitter.hours"}},
    {"segment.ms", {"log.roll.ms", "log.roll.hours"}},
    {"unclean.leader.election.enable", {"unclean.leader.election.enable"}},
};
}  // namespace

std::span<const Setting> topic() { return kRows; }
std::span<const TopicSynonyms> synonyms() { return kSynonyms; }

}  // namespace ottla::setting_tables
