// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "client/producer.h"
#include "protocol/create_topics.h"
#include "protocol/delete_topics.h"
#include "protocol/list_offsets.h"
#include "tests/sim/workload_client.h"

namespace ottla::sim {

namespace {

/// Makes the producers' topics, then creates and deletes others under names that come again: what
/// was created is there and empty, what was deleted is gone, whatever happens in between.
class AdminProgram final : public WorkloadClient {
public:
    AdminProgram(ClusterWorld& world, Process& process)
        : WorkloadClient(world, process), producer_(client_, {}) {
        runtime_.spawn(run());
    }

private:
    Task<> run() {
        for (uint32_t i = 0; i < world_.options.producers; ++i) {
            co_await create(topic_of_producer(i));
        }
        // As long as a producer works (the reader and this one are the other two).
        for (int i = 0; goes_on() && world_.clients_running > 2 && i < 6; ++i) {
            const std::string name = fmt::format("other-{}", i % 2);
            co_await create(name);
            co_await back_off();
            co_await expect(name, true);
            co_await use(name);
            co_await remove(name);
            co_await back_off();
            co_await expect(name, false);
        }
        --world_.clients_running;
    }

    Task<> create(std::string name) {
        while (goes_on()) {
            const Result<ErrorCode> code = co_await try_create(name);
            const bool there =
                code && (*code == ErrorCode::none || *code == ErrorCode::topic_already_exists);
            if (there) co_return;
            const Error error = code ? Error{*code, {}} : code.error();
            expect_retriable(error, "create " + name);
            co_await back_off();
        }
    }

    Task<Result<ErrorCode>> try_create(std::string name) {
        const Instant until = deadline();
        CO_TRY(client::Connection * connection, co_await client_.any(until));
        protocol::CreateTopicsRequest request;
        request.timeout_ms = 1000;
        auto& topic = request.topics.emplace_back();
        topic.name = name;
        topic.num_partitions = static_cast<int32_t>(world_.options.partitions);
        topic.replication_factor = 1;
        for (const auto& [key, value] : world_.mood.topics) topic.configs.push_back({key, value});
        CO_TRY(const auto answer, co_await connection->call(std::move(request), until));
        if (answer.topics.size() != 1) co_return fail(ErrorCode::malformed, "another answer");
        co_return static_cast<ErrorCode>(answer.topics[0].error_code);
    }

    /// One record goes in. Where a topic of this name was before, nothing of it may be left.
    Task<> use(std::string name) {
        const auto stored = co_await producer_.append(name, 0, {{.key = {}, .value = name}},
                                                      runtime_.now() + std::chrono::seconds(2));
        if (!stored) expect_retriable(stored.error(), "append to " + name);
        if (stored && stored->value() != 0) {
            world_.history.fail(
                fmt::format("{} is new and its first record is at {}", name, stored->value()));
        }
        while (goes_on()) {
            const Result<int64_t> end = co_await end_of(name);
            if (!end) {
                expect_retriable(end.error(), "end of " + name);
                client_.forget(name);
                co_await back_off();
                continue;
            }
            if (*end > 1 || (stored && *end != 1)) {
                world_.history.fail(
                    fmt::format("{} is new, got one record and ends at {}", name, *end));
            }
            co_return;
        }
    }

    Task<Result<int64_t>> end_of(std::string name) {
        const Instant until = deadline();
        CO_TRY(client::Connection * leader, co_await client_.leader(name, 0, until));
        protocol::ListOffsetsRequest request;
        request.replica_id = -1;
        auto& topic = request.topics.emplace_back();
        topic.name = name;
        topic.partitions.push_back({.partition_index = 0, .timestamp = -1});
        CO_TRY(const auto answer, co_await leader->call(std::move(request), until));
        if (answer.topics.size() != 1 || answer.topics[0].partitions.size() != 1) {
            co_return fail(ErrorCode::malformed, "an answer for other partitions");
        }
        const auto& one = answer.topics[0].partitions[0];
        if (one.error_code != 0) co_return fail(static_cast<ErrorCode>(one.error_code));
        co_return one.offset;
    }

    Task<> remove(std::string name) {
        bool sent_before = false;
        while (goes_on()) {
            const Result<ErrorCode> code = co_await try_remove(name);
            // Unknown is what the second asking gets when the first one's answer was lost.
            const bool gone =
                code && (*code == ErrorCode::none ||
                         (sent_before && *code == ErrorCode::unknown_topic_or_partition));
            if (gone) co_return;
            const Error error = code ? Error{*code, {}} : code.error();
            if (code && !sent_before && *code == ErrorCode::unknown_topic_or_partition) {
                world_.history.fail(name + " was created and is unknown");
            }
            expect_retriable(error, "delete " + name);
            sent_before = true;
            co_await back_off();
        }
    }

    Task<Result<ErrorCode>> try_remove(std::string name) {
        const Instant until = deadline();
        CO_TRY(client::Connection * connection, co_await client_.any(until));
        protocol::DeleteTopicsRequest request;
        request.timeout_ms = 1000;
        request.topics.emplace_back().name = name;
        request.topic_names.push_back(name);
        CO_TRY(const int16_t version, connection->version_of(protocol::ApiKey::delete_topics));
        if (version >= 6) request.topic_names.clear();
        if (version < 6) request.topics.clear();
        CO_TRY(const auto answer, co_await connection->call(std::move(request), until));
        if (answer.responses.size() != 1) co_return fail(ErrorCode::malformed, "another answer");
        co_return static_cast<ErrorCode>(answer.responses[0].error_code);
    }

    Task<> expect(std::string name, bool there) {
        while (goes_on()) {
            client_.forget(name);
            const Instant until = deadline();
            const auto topic = co_await client_.topic(name, false, until);
            const bool unknown =
                !topic && topic.error().code == ErrorCode::unknown_topic_or_partition;
            if (topic.has_value() != there && (topic || unknown)) {
                world_.history.fail(fmt::format("{} was {} and is {}", name,
                                                there ? "created" : "deleted",
                                                there ? "unknown" : "there again"));
            }
            if (topic || unknown) co_return;
            expect_retriable(topic.error(), "metadata of " + name);
            co_await back_off();
        }
    }

    client::Producer producer_;
};

}  // namespace

void start_admin(ClusterWorld& world) {
    ++world.clients_running;
    world.world.add_machine("admin").add_process("admin", 1).start([&world](Process& process) {
        return std::make_unique<AdminProgram>(world, process);
    });
}

}  // namespace ottla::sim
