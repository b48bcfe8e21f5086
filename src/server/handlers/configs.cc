// SPDX-License-Identifier: Apache-2.0
// DescribeConfigs from the one table of settings. Sources are Kafka's numbers: 1 topic, 2 this
// broker (dynamic), 3 all brokers (dynamic), 4 static, 5 default; synonyms go from the strongest to
// the weakest.
#include <fmt/format.h>

#include <charconv>

#include "ottla/settings.h"
#include "server/handlers/common.h"
#include "server/handlers/handlers.h"

namespace ottla::server {

namespace {

using protocol::DescribeConfigsRequest;
using protocol::DescribeConfigsResponse;
using Resource = DescribeConfigsRequest::DescribeConfigsResource;
using ResourceAnswer = DescribeConfigsResponse::DescribeConfigsResult;
using ConfigAnswer = DescribeConfigsResponse::DescribeConfigsResourceResult;
using Synonym = DescribeConfigsResponse::DescribeConfigsSynonym;

constexpr int8_t kFromTopic = 1;
constexpr int8_t kFromBroker = 2;
constexpr int8_t kFromAllBrokers = 3;
constexpr int8_t kFromFile = 4;
constexpr int8_t kFromDefault = 5;

void finish(ConfigAnswer& answer,
            const Setting& setting,
            const DescribeConfigsRequest& request,
            std::vector<Synonym> synonyms) {
    answer.name = setting.name;
    answer.config_type = static_cast<int8_t>(setting.type);
    answer.is_sensitive = setting.type == SettingType::password;
    if (!synonyms.empty()) {
        answer.value = synonyms.front().value;
        answer.config_source = synonyms.front().source;
    } else {
        answer.config_source = kFromDefault;
    }
    if (answer.is_sensitive) {
        answer.value.reset();
        for (Synonym& synonym : synonyms) synonym.value.reset();
    }
    if (request.include_synonyms) answer.synonyms = std::move(synonyms);
    if (request.include_documentation && setting.honoured()) answer.documentation = setting.prose;
}

void add_dynamic(const Context& context, std::string_view name, std::vector<Synonym>& synonyms) {
    const std::string self = fmt::to_string(context.shard.facts().id.value());
    const auto& image = context.image();
    if (const auto* own = image.config_value(metadata::ResourceType::broker, self, name)) {
        synonyms.push_back({std::string(name), *own, kFromBroker});
    }
    if (const auto* all = image.config_value(metadata::ResourceType::broker, "", name)) {
        synonyms.push_back({std::string(name), *all, kFromAllBrokers});
    }
}

void add_static(const Settings& settings, std::string_view name, std::vector<Synonym>& synonyms) {
    if (settings.is_set(name))
        synonyms.push_back({std::string(name), settings.find(name), kFromFile});
}

void add_default(const Setting& setting, std::vector<Synonym>& synonyms) {
    if (!setting.default_value) return;
    synonyms.push_back(
        {std::string(setting.name), std::string(*setting.default_value), kFromDefault});
}

bool is_wanted(const Resource& resource, std::string_view name) {
    if (!resource.configuration_keys) return true;
    return std::ranges::find(*resource.configuration_keys, name) !=
           resource.configuration_keys->end();
}

void refuse(ResourceAnswer& answer, ErrorCode code, std::string why) {
    answer.error_code = to_wire(code);
    answer.error_message = std::move(why);
}

/// What a topic setting is without an override: one synonym a broker setting, then the default.
/// Values of hour and minute settings are shown as the topic setting counts them.
std::vector<Synonym> topic_synonyms(const Context& context,
                                    const Setting& setting,
                                    const metadata::ConfigValues& overrides) {
    std::vector<Synonym> synonyms;
    const auto own = overrides.find(setting.name);
    if (own != overrides.end()) synonyms.push_back({own->first, own->second, kFromTopic});
    const Settings& settings = context.shard.facts().settings;
    for (const std::string_view name : broker_synonyms(setting.name)) {
        add_dynamic(context, name, synonyms);
        add_static(settings, name, synonyms);
    }
    const auto source = settings.topic_default_source(setting.name);
    const auto resolved = settings.topic_default(setting.name);
    for (Synonym& synonym : synonyms) {
        if (source && synonym.source == kFromFile && synonym.name == *source)
            synonym.value = resolved;
    }
    const auto names = broker_synonyms(setting.name);
    if (setting.default_value) {
        const std::string name(names.empty() ? setting.name : names.front());
        synonyms.push_back({name, std::string(*setting.default_value), kFromDefault});
    }
    return synonyms;
}

void describe_topic(const Context& context,
                    const DescribeConfigsRequest& request,
                    const Resource& resource,
                    ResourceAnswer& answer) {
    if (!is_valid_topic_name(resource.resource_name)) {
        refuse(answer, ErrorCode::invalid_topic_exception, "this is no topic name");
        return;
    }
    if (!context.image().topic(resource.resource_name)) {
        refuse(answer, ErrorCode::unknown_topic_or_partition, "there is no such topic");
        return;
    }
    const auto& overrides =
        context.image().config(metadata::ResourceType::topic, resource.resource_name);
    for (const Setting& setting : topic_settings()) {
        if (!is_wanted(resource, setting.name)) continue;
        finish(answer.configs.emplace_back(), setting, request,
               topic_synonyms(context, setting, overrides));
    }
}

/// The defaults of all brokers (empty name) are only what was set dynamically.
void describe_all_brokers(const Context& context,
                          const DescribeConfigsRequest& request,
                          const Resource& resource,
                          ResourceAnswer& answer) {
    for (const auto& [name, value] : context.image().config(metadata::ResourceType::broker, "")) {
        const Setting* setting = find_broker_setting(name);
        if (setting == nullptr || !is_wanted(resource, name)) continue;
        finish(answer.configs.emplace_back(), *setting, request, {{name, value, kFromAllBrokers}});
    }
}

void describe_broker(const Context& context,
                     const DescribeConfigsRequest& request,
                     const Resource& resource,
                     ResourceAnswer& answer) {
    const int32_t self = context.shard.facts().id.value();
    if (resource.resource_name.empty()) {
        describe_all_brokers(context, request, resource, answer);
        return;
    }
    if (resource.resource_name != fmt::to_string(self)) {
        refuse(answer, ErrorCode::invalid_request,
               fmt::format("this is broker {}, not {}: ask that broker, or the empty name", self,
                           resource.resource_name));
        return;
    }
    const Settings& settings = context.shard.facts().settings;
    for (const Setting& setting : broker_settings()) {
        if (!is_wanted(resource, setting.name)) continue;
        std::vector<Synonym> synonyms;
        add_dynamic(context, setting.name, synonyms);
        add_static(settings, setting.name, synonyms);
        add_default(setting, synonyms);
        ConfigAnswer& config = answer.configs.emplace_back();
        config.read_only = !setting.dynamic;
        finish(config, setting, request, std::move(synonyms));
    }
}

}  // namespace

Task<DescribeConfigsResponse> handle_describe_configs(Context context,
                                                      DescribeConfigsRequest request) {
    DescribeConfigsResponse response;
    for (const Resource& resource : request.resources) {
        ResourceAnswer& answer = response.results.emplace_back();
        answer.resource_type = resource.resource_type;
        answer.resource_name = resource.resource_name;
        switch (static_cast<metadata::ResourceType>(resource.resource_type)) {
            case metadata::ResourceType::topic:
                describe_topic(context, request, resource, answer);
                break;
            case metadata::ResourceType::broker:
                describe_broker(context, request, resource, answer);
                break;
            default:
                refuse(answer, ErrorCode::invalid_request,
                       fmt::format("resources of type {} are not supported by this broker yet",
                                   resource.resource_type));
                break;
        }
    }
    co_return response;
}

}  // namespace ottla::server
