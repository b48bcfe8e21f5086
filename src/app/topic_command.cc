// SPDX-License-Identifier: Apache-2.0
// ottla topic create|list|describe|delete
#include <fmt/format.h>

#include "app/cli.h"
#include "app/configuration.h"
#include "app/usage.h"
#include "protocol/create_topics.h"
#include "protocol/delete_topics.h"
#include "protocol/describe_configs.h"
#include "protocol/metadata.h"

namespace ottla::app {

namespace {

constexpr int8_t kTopicResource = 2;
constexpr int8_t kSetOnTopic = 1;  // DescribeConfigs source DYNAMIC_TOPIC_CONFIG

/// `text` is what the broker said; without it the code's name.
Status refused(std::string_view topic, int16_t code, const std::optional<std::string>& text) {
    const auto error = static_cast<ErrorCode>(code);
    return fail(error, fmt::format("topic {}: {}{}{}", topic, name_of(error), text ? ": " : "",
                                   text.value_or("")));
}

class Create final : public Command {
public:
    protocol::CreateTopicsRequest request;
    bool if_not_exists = false;

    Task<Status> run(Session session) override {
        request.timeout_ms = static_cast<int32_t>(
            std::chrono::duration_cast<std::chrono::milliseconds>(session.timeout).count());
        CO_TRY(auto* connection, co_await session.client.any(session.deadline()));
        CO_TRY(const auto answer,
               co_await connection->call(std::move(request), session.deadline()));
        Rows rows{.columns = {"topic", "partitions", "replication_factor"}, .rows = {}};
        for (const auto& topic : answer.topics) {
            const auto code = static_cast<ErrorCode>(topic.error_code);
            if (code == ErrorCode::topic_already_exists && if_not_exists) continue;
            if (code != ErrorCode::none) {
                co_return refused(topic.name, topic.error_code, topic.error_message);
            }
            rows.rows.push_back(
                {topic.name, int64_t{topic.num_partitions}, int64_t{topic.replication_factor}});
        }
        print(render(rows, session.format));
        co_return Status{};
    }
};

class Remove final : public Command {
public:
    std::vector<std::string> names;

    Task<Status> run(Session session) override {
        CO_TRY(auto* connection, co_await session.client.any(session.deadline()));
        protocol::DeleteTopicsRequest request;
        request.timeout_ms = static_cast<int32_t>(
            std::chrono::duration_cast<std::chrono::milliseconds>(session.timeout).count());
        request.topic_names = names;
        for (const std::string& name : names) request.topics.push_back({.name = name});
        CO_TRY(const auto answer,
               co_await connection->call(std::move(request), session.deadline()));
        Rows rows{.columns = {"deleted"}, .rows = {}};
        for (const auto& topic : answer.responses) {
            const std::string name = topic.name.value_or("?");
            if (topic.error_code != 0)
                co_return refused(name, topic.error_code, topic.error_message);
            rows.rows.push_back({name});
        }
        print(render(rows, session.format));
        co_return Status{};
    }
};

/// The topics of the cluster, all or those named.
Task<Result<protocol::MetadataResponse>> ask_metadata(Session session,
                                                      std::vector<std::string> names) {
    CO_TRY(auto* connection, co_await session.client.any(session.deadline()));
    protocol::MetadataRequest request;
    request.allow_auto_topic_creation = false;
    if (!names.empty()) {
        request.topics.emplace();
        for (const std::string& name : names) request.topics->push_back({.name = name});
    }
    co_return co_await connection->call(std::move(request), session.deadline());
}

class List final : public Command {
public:
    Task<Status> run(Session session) override {
        CO_TRY(const auto metadata, co_await ask_metadata(session, {}));
        Rows rows{.columns = {"topic", "partitions", "replication_factor"}, .rows = {}};
        for (const auto& topic : metadata.topics) {
            const size_t replicas =
                topic.partitions.empty() ? 0 : topic.partitions[0].replica_nodes.size();
            rows.rows.push_back({topic.name.value_or("?"),
                                 static_cast<int64_t>(topic.partitions.size()),
                                 static_cast<int64_t>(replicas)});
        }
        std::ranges::sort(rows.rows);
        print(render(rows, session.format));
        co_return Status{};
    }
};

std::string joined(const std::vector<int32_t>& numbers) {
    return fmt::format("{}", fmt::join(numbers, ","));
}

class Describe final : public Command {
public:
    std::vector<std::string> names;

    Task<Status> run(Session session) override {
        CO_TRY(const auto metadata, co_await ask_metadata(session, names));
        Rows rows{.columns = {"topic", "partition", "leader", "leader_epoch", "replicas", "isr",
                              "configs"},
                  .rows = {}};
        for (const auto& topic : metadata.topics) {
            const std::string name = topic.name.value_or("?");
            if (topic.error_code != 0) co_return refused(name, topic.error_code, std::nullopt);
            CO_TRY(const std::string configs, co_await overrides_of(session, name));
            for (const auto& partition : topic.partitions) {
                rows.rows.push_back({name, int64_t{partition.partition_index},
                                     int64_t{partition.leader_id}, int64_t{partition.leader_epoch},
                                     joined(partition.replica_nodes), joined(partition.isr_nodes),
                                     configs});
            }
        }
        std::ranges::sort(rows.rows);
        print(render(rows, session.format));
        co_return Status{};
    }

private:
    static Task<Result<std::string>> overrides_of(Session session, std::string topic) {
        CO_TRY(auto* connection, co_await session.client.any(session.deadline()));
        protocol::DescribeConfigsRequest request;
        request.resources.push_back({.resource_type = kTopicResource, .resource_name = topic});
        CO_TRY(const auto answer,
               co_await connection->call(std::move(request), session.deadline()));
        std::string text;
        for (const auto& result : answer.results) {
            for (const auto& config : result.configs) {
                if (config.config_source != kSetOnTopic) continue;
                text += fmt::format("{}{}={}", text.empty() ? "" : ",", config.name,
                                    config.value.value_or(""));
            }
        }
        co_return text;
    }
};

Result<Create> read_create(Arguments& arguments) {
    Create create;
    auto& topic = create.request.topics.emplace_back();
    const auto name = arguments.word();
    if (!name) return fail(ErrorCode::invalid_argument, "topic create needs a name");
    topic.name = *name;
    TRY(const auto partitions, arguments.number("--partitions", 1, 1'000'000));
    TRY(const auto replicas, arguments.number("--replication-factor", 1, 32767));
    topic.num_partitions = static_cast<int32_t>(partitions.value_or(-1));
    topic.replication_factor = static_cast<int16_t>(replicas.value_or(-1));
    TRY(const auto configs, arguments.options("--config"));
    for (const std::string& config : configs) {
        TRY(auto pair, parse_override(config));
        topic.configs.push_back({.name = pair.first, .value = pair.second});
    }
    create.if_not_exists = arguments.flag("--if-not-exists");
    return create;
}

std::vector<std::string> take_words(Arguments& arguments) {
    std::vector<std::string> words;
    while (auto word = arguments.word()) words.push_back(*std::move(word));
    return words;
}

Result<std::unique_ptr<Command>> read_topic_command(Arguments& arguments) {
    const std::string verb = arguments.word().value_or("");
    if (verb == "create") {
        TRY(Create create, read_create(arguments));
        return std::make_unique<Create>(std::move(create));
    }
    if (verb == "list") return std::make_unique<List>();
    if (verb == "describe") {
        auto describe = std::make_unique<Describe>();
        describe->names = take_words(arguments);
        return describe;
    }
    if (verb == "delete") {
        auto remove = std::make_unique<Remove>();
        remove->names = take_words(arguments);
        if (remove->names.empty())
            return fail(ErrorCode::invalid_argument, "topic delete needs a name");
        return remove;
    }
    return fail(ErrorCode::invalid_argument, std::string(kTopicUsage));
}

}  // namespace

int topic_command(Arguments arguments) {
    const auto options = take_session_options(arguments);
    if (!options) return complain(options.error());
    const auto command = read_topic_command(arguments);
    if (!command) return complain(command.error());
    const Status finished = arguments.finish();
    if (!finished) return complain(finished.error());
    return run_session(*options, **command);
}

}  // namespace ottla::app
