// SPDX-License-Identifier: Apache-2.0
// MetadataDelta: the records that are neither brokers nor topics - levels, settings, quotas, and
// what is kept for whoever acts on it.
#include <fmt/format.h>

#include "metadata/delta.h"

namespace ottla::metadata {
namespace {

constexpr std::string_view kMetadataVersion = "metadata.version";

std::unexpected<Error> refused_level(std::string_view name, int16_t level) {
    const auto supported = supported_features().find(name);
    return fail(
        ErrorCode::unsupported_version,
        fmt::format(
            "the cluster finalized {} at level {}; this version of Ottla {}", name, level,
            supported == supported_features().end()
                ? "does not have it"
                : fmt::format("supports {} to {}", supported->second.min, supported->second.max)));
}

}  // namespace

const FeatureRanges& supported_features() {
    static const FeatureRanges kSupported = {
        {"eligible.leader.replicas.version", {0, 1}},
        {"group.version", {0, 1}},
        {"kraft.version", {0, 1}},
        {"metadata.version", {kMinMetadataVersion, kNewestMetadataVersion}},
        {"share.version", {0, 2}},
        {"streams.version", {0, 1}},
        {"transaction.version", {0, 2}},
    };
    return kSupported;
}

Status check_level(std::string_view name, int16_t level) {
    if (level == 0) return {};
    const auto supported = supported_features().find(name);
    // An old level may be history: the log of a cluster that was raised since.
    const bool honoured =
        supported != supported_features().end() && level > 0 && level <= supported->second.max;
    if (!honoured) return refused_level(name, level);
    return {};
}

Status check_levels(const FeatureLevels& levels, bool used) {
    for (const auto& [name, level] : levels) {
        TRY_STATUS(check_level(name, level));
        if (level < supported_features().find(name)->second.min) return refused_level(name, level);
    }
    if (used && !levels.contains(kMetadataVersion)) return refused_level(kMetadataVersion, 0);
    return {};
}

Status MetadataDelta::replay_one(const protocol::FeatureLevelRecord& record) {
    TRY_STATUS(check_level(record.name, record.feature_level));
    if (record.feature_level == 0) {
        after_.features.erase(record.name);
    } else {
        after_.features.insert_or_assign(record.name, record.feature_level);
    }
    return {};
}

Status MetadataDelta::replay_one(const protocol::ConfigRecord& record) {
    const ConfigResource resource{static_cast<ResourceType>(record.resource_type),
                                  record.resource_name};
    ConfigValues values = after_.config(resource.type, resource.name);
    if (record.value) {
        values.insert_or_assign(record.name, *record.value);
    } else {
        values.erase(record.name);
    }
    touched_configs_.insert(resource);
    after_.configs = values.empty() ? after_.configs.without(resource)
                                    : after_.configs.with(
                                          resource, std::make_shared<const ConfigValues>(values));
    return {};
}

Status MetadataDelta::replay_one(const protocol::ClientQuotaRecord& record) {
    QuotaEntity entity;
    for (const auto& part : record.entity) {
        entity.insert_or_assign(part.entity_type, part.entity_name);
    }
    const auto* known = after_.client_quotas.find(entity);
    Quotas quotas = known == nullptr ? Quotas{} : **known;
    if (record.remove) {
        quotas.erase(record.key);
    } else {
        quotas.insert_or_assign(record.key, record.value);
    }
    after_.client_quotas =
        quotas.empty()
            ? after_.client_quotas.without(entity)
            : after_.client_quotas.with(entity, std::make_shared<const Quotas>(std::move(quotas)));
    return {};
}

Status MetadataDelta::replay_one(const protocol::ProducerIdsRecord& record) {
    if (record.next_producer_id <= after_.next_producer_id) {
        return fail(ErrorCode::corrupt,
                    fmt::format("the metadata log contradicts itself: the next producer id goes "
                                "from {} back to {}",
                                after_.next_producer_id, record.next_producer_id));
    }
    after_.next_producer_id = record.next_producer_id;
    return {};
}

Status MetadataDelta::replay_one(const protocol::AccessControlEntryRecord& record) {
    after_.acls = after_.acls.with(
        record.id, std::make_shared<const protocol::AccessControlEntryRecord>(record));
    return {};
}

Status MetadataDelta::replay_one(const protocol::RemoveAccessControlEntryRecord& record) {
    after_.acls = after_.acls.without(record.id);
    return {};
}

Status MetadataDelta::replay_one(const protocol::UserScramCredentialRecord& record) {
    after_.scram_credentials = after_.scram_credentials.with(
        {record.name, record.mechanism},
        std::make_shared<const protocol::UserScramCredentialRecord>(record));
    return {};
}

Status MetadataDelta::replay_one(const protocol::RemoveUserScramCredentialRecord& record) {
    after_.scram_credentials =
        after_.scram_credentials.without(ScramUser{record.name, record.mechanism});
    return {};
}

Status MetadataDelta::replay_one(const protocol::DelegationTokenRecord& record) {
    after_.delegation_tokens = after_.delegation_tokens.with(
        record.token_id, std::make_shared<const protocol::DelegationTokenRecord>(record));
    return {};
}

Status MetadataDelta::replay_one(const protocol::RemoveDelegationTokenRecord& record) {
    after_.delegation_tokens = after_.delegation_tokens.without(record.token_id);
    return {};
}

Status MetadataDelta::replay_one(const protocol::ZkMigrationStateRecord& record) {
    after_.zk_migration_state = record.zk_migration_state;
    return {};
}

}  // namespace ottla::metadata
