// SPDX-License-Identifier: Apache-2.0
// ottla produce TOPIC: one record per line of standard input, acknowledged by all in-sync replicas.
// Reading blocks this one thread, which has nothing else to do meanwhile: everything read before
// was sent and acknowledged first.
#include <fmt/format.h>

#include <iostream>
#include <map>

#include "app/cli.h"
#include "app/usage.h"
#include "client/producer.h"

namespace ottla::app {

namespace {

constexpr size_t kMaxBatchRecords = 5'000;
constexpr size_t kMaxBatchBytes = size_t{512} * 1024;

class Produce final : public Command {
public:
    std::string topic;
    std::optional<int32_t> partition;
    std::optional<std::string> key_separator;
    Compression compression;

    Task<Status> run(Session session) override {
        client::Producer producer(session.client, {.compression = compression});
        CO_TRY(const auto found, co_await find_topic(session));
        const auto count = static_cast<int32_t>(found.leaders.size());
        int64_t sent = 0;
        while (true) {
            auto by_partition = read_some(count);
            if (by_partition.empty()) break;
            std::vector<Task<Result<Offset>>> appends;
            for (auto& [index, records] : by_partition) {
                sent += static_cast<int64_t>(records.size());
                appends.push_back(
                    producer.append(topic, index, std::move(records), session.deadline()));
            }
            const auto results = co_await when_all(session.client.runtime(), std::move(appends));
            for (const auto& result : results) CO_TRY_STATUS(result);
            ++round_;
        }
        Rows rows{.columns = {"topic", "records"}, .rows = {{topic, sent}}};
        if (session.format == OutputFormat::json) print(render(rows, session.format));
        co_return Status{};
    }

private:
    /// A topic that does not exist yet is being created by the very request that asked (trap 18).
    Task<Result<client::Topic>> find_topic(Session session) {
        while (true) {
            auto found = co_await session.client.topic(topic, true, session.deadline());
            const bool wait = !found &&
                              found.error().code == ErrorCode::unknown_topic_or_partition &&
                              ++asked_ < kMaxAsks;
            if (!wait) co_return found;
            co_await session.client.runtime().sleep_for(std::chrono::milliseconds(50));
        }
    }

    std::map<int32_t, std::vector<client::RecordToSend>> read_some(int32_t partitions) {
        std::map<int32_t, std::vector<client::RecordToSend>> some;
        size_t bytes = 0;
        size_t records = 0;
        std::string line;
        while (records < kMaxBatchRecords && bytes < kMaxBatchBytes &&
               std::getline(std::cin, line)) {
            ++records;
            bytes += line.size() + 32;
            client::RecordToSend record = split(std::move(line));
            const int32_t index = partition    ? *partition
                                  : record.key ? client::partition_of_key(*record.key, partitions)
                                               : round_ % partitions;
            some[index].push_back(std::move(record));
            if (std::cin.rdbuf()->in_avail() <= 0) break;  // A person types: send what is there.
        }
        return some;
    }

    client::RecordToSend split(std::string line) const {
        if (!key_separator) return {.key = std::nullopt, .value = std::move(line)};
        const size_t at = line.find(*key_separator);
        if (at == std::string::npos) return {.key = std::nullopt, .value = std::move(line)};
        return {.key = line.substr(0, at), .value = line.substr(at + key_separator->size())};
    }

    static constexpr int kMaxAsks = 100;
    int asked_ = 0;
    int32_t round_ = 0;
};

Result<Codec> parse_codec(std::string_view name) {
    if (name == "none") return Codec::none;
    if (name == "gzip") return Codec::gzip;
    if (name == "snappy") return Codec::snappy;
    if (name == "lz4") return Codec::lz4;
    if (name == "zstd") return Codec::zstd;
    return fail(ErrorCode::invalid_argument,
                fmt::format("--compression {}: must be none, gzip, snappy, lz4 or zstd", name));
}

Status read_arguments(Arguments& arguments, Produce& produce) {
    const auto topic = arguments.word();
    if (!topic) return fail(ErrorCode::invalid_argument, std::string(kProduceUsage));
    produce.topic = *topic;
    TRY(const auto partition, arguments.number("--partition", 0, 1'000'000));
    if (partition) produce.partition = static_cast<int32_t>(*partition);
    TRY(produce.key_separator, arguments.option("--key-separator"));
    TRY(const std::string codec, arguments.option_or("--compression", "none"));
    TRY(produce.compression.codec, parse_codec(codec));
    return arguments.finish();
}

}  // namespace

int produce_command(Arguments arguments) {
    const auto options = take_session_options(arguments);
    if (!options) return complain(options.error());
    Produce produce;
    const Status read = read_arguments(arguments, produce);
    if (!read) return complain(read.error());
    std::ios::sync_with_stdio(false);
    return run_session(*options, produce);
}

}  // namespace ottla::app
