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

/// All but the value, which is set already.
void finish(ConfigAnswer& answer,
            const Setting& setting,
            const DescribeConfigsRequest& request,
            std::vector<Synonym> synonyms) {
    answer.name = setting.name;
    answer.config_type = static_cast<int8_t>(setting.type);
    answer.is_sensitive = setting.type == SettingType::password;
    answer.config_source = synonyms.empty() ? kFromDefault : synonyms.front().source;
    if (answer.is_sensitive) {
        answer.value.reset();
        for (Synonym& synonym : synonyms) synonym.value.reset();
    }
    if (request.include_synonyms) answer.synonyms = std::move(synonyms);
    if (request.include_documentation && setting.honoured()) answer.documentation = setting.prose;
}

/// `name` and the weaker broker settings that Kafka falls back to, the strongest first.
std::vector<std::string_view> fallbacks(std::string_view name) {
    constexpr std::string_view kInSeveralUnits[] = {"flush.ms", "retention.ms", "segment.jitter.ms",
                                                    "segment.ms"};
    for (const std::string_view topic_setting : kInSeveralUnits) {
        const auto names = broker_synonyms(topic_setting);
        const auto found = std::ranges::find(names, name);
        if (found != names.end()) return {found, names.end()};
    }
    return {name};
}

/// A broker setting's synonyms as Kafka lists them: by source, within it by name. What stands
/// before the first mention of `name` itself is left out, so a setting that is nowhere set and has
/// no default has no synonym, even while a weaker one is in force.
std::vector<Synonym> broker_setting_synonyms(const Context& context, std::string_view name) {
    const std::string self = fmt::to_string(context.shard.facts().id.value());
    const auto& image = context.image();
    const Settings& settings = context.shard.facts().settings;
    const auto names = fallbacks(name);
    std::vector<Synonym> synonyms;
    const auto add_dynamic = [&](const std::string& broker, int8_t source) {
        for (const std::string_view each : names) {
            const auto* value = image.config_value(metadata::ResourceType::broker, broker, each);
            if (value != nullptr) synonyms.push_back({std::string(each), *value, source});
        }
    };
    add_dynamic(self, kFromBroker);
    add_dynamic("", kFromAllBrokers);
    for (const std::string_view each : names) {
        if (!settings.is_set(each)) continue;
        synonyms.push_back({std::string(each), settings.find(each), kFromFile});
    }
    for (const std::string_view each : names) {
        const Setting* row = find_broker_setting(each);
        if (row == nullptr || !row->default_value) continue;
        synonyms.push_back({std::string(each), std::string(*row->default_value), kFromDefault});
    }
    synonyms.erase(synonyms.begin(), std::ranges::find(synonyms, name, &Synonym::name));
    return synonyms;
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

/// The value in force, which no synonym may show: hours are told in the topic's milliseconds, and
/// Kafka leaves out the synonyms that are weaker than an unset one.
std::optional<std::string> topic_value(const Settings& settings,
                                       const Setting& setting,
                                       const std::vector<Synonym>& synonyms) {
    const bool is_dynamic = !synonyms.empty() && synonyms.front().source < kFromFile;
    return is_dynamic ? synonyms.front().value : settings.topic_default(setting.name);
}

void describe_topic_setting(const Context& context,
                            const DescribeConfigsRequest& request,
                            const Setting& setting,
                            const metadata::ConfigValues& overrides,
                            ConfigAnswer& answer) {
    std::vector<Synonym> synonyms;
    const auto own = overrides.find(setting.name);
    if (own != overrides.end()) synonyms.push_back({own->first, own->second, kFromTopic});
    const auto names = broker_synonyms(setting.name);
    if (!names.empty()) {
        std::ranges::move(broker_setting_synonyms(context, names.front()),
                          std::back_inserter(synonyms));
    }
    answer.value = topic_value(context.shard.facts().settings, setting, synonyms);
    finish(answer, setting, request, std::move(synonyms));
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
        describe_topic_setting(context, request, setting, overrides, answer.configs.emplace_back());
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
        ConfigAnswer& config = answer.configs.emplace_back();
        config.value = value;
        finish(config, *setting, request, {{name, value, kFromAllBrokers}});
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
    for (const Setting& setting : broker_settings()) {
        if (!is_wanted(resource, setting.name)) continue;
        auto synonyms = broker_setting_synonyms(context, setting.name);
        ConfigAnswer& config = answer.configs.emplace_back();
        config.read_only = !setting.dynamic;
        if (!synonyms.empty()) config.value = synonyms.front().value;
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
