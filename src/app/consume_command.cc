// SPDX-License-Identifier: Apache-2.0
// ottla consume TOPIC: prints the values of all partitions, one per line, or whole records as JSON
// lines.
#include <fmt/format.h>

#include "app/cli.h"
#include "app/usage.h"
#include "client/consumer.h"

namespace ottla::app {

namespace {

class Consume final : public Command {
public:
    std::string topic;
    client::StartAt start = client::StartAt::latest;
    std::optional<int64_t> max_records;
    /// Ends after this long without a record; for ever without it.
    std::optional<Duration> idle_limit;
    bool with_keys = false;

    Task<Status> run(Session session) override {
        client::Consumer consumer(session.client, topic);
        CO_TRY_STATUS(co_await consumer.start(start, session.deadline()));
        Runtime& runtime = session.client.runtime();
        Instant last_record = runtime.now();
        int64_t printed = 0;
        while (!max_records || printed < *max_records) {
            CO_TRY(auto records, co_await consumer.poll(std::chrono::milliseconds(500)));
            if (!records.empty()) last_record = runtime.now();
            const bool idle = idle_limit && runtime.now() - last_record >= *idle_limit;
            if (records.empty() && idle) break;
            if (max_records) {
                records.resize(
                    std::min(records.size(), static_cast<size_t>(*max_records - printed)));
            }
            for (const auto& record : records) print_record(record, session.format);
            std::fflush(stdout);
            printed += static_cast<int64_t>(records.size());
        }
        co_return Status{};
    }

private:
    void print_record(const client::ConsumedRecord& record, OutputFormat format) const {
        const auto text = [](const std::optional<std::string>& value) {
            return value ? json_string(*value) : std::string("null");
        };
        if (format == OutputFormat::json) {
            fmt::print(
                "{{\"partition\": {}, \"offset\": {}, \"timestamp\": {}, \"key\": {}, \"value\": "
                "{}}}\n",
                record.partition, record.offset.value(), record.timestamp.value(), text(record.key),
                text(record.value));
        } else if (with_keys) {
            fmt::print("{}\t{}\n", record.key.value_or("null"), record.value.value_or("null"));
        } else {
            fmt::print("{}\n", record.value.value_or("null"));
        }
    }
};

Status read_arguments(Arguments& arguments, Consume& consume) {
    const auto topic = arguments.word();
    if (!topic) return fail(ErrorCode::invalid_argument, std::string(kConsumeUsage));
    consume.topic = *topic;
    if (arguments.flag("--from-beginning")) consume.start = client::StartAt::earliest;
    consume.with_keys = arguments.flag("--keys");
    TRY(consume.max_records, arguments.number("--max-messages", 0, INT64_MAX));
    TRY(const auto idle, arguments.number("--idle-ms", 1, 86'400'000));
    if (idle) consume.idle_limit = std::chrono::milliseconds(*idle);
    return arguments.finish();
}

}  // namespace

int consume_command(Arguments arguments) {
    const auto options = take_session_options(arguments);
    if (!options) return complain(options.error());
    Consume consume;
    const Status read = read_arguments(arguments, consume);
    if (!read) return complain(read.error());
    return run_session(*options, consume);
}

}  // namespace ottla::app
