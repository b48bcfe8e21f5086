// SPDX-License-Identifier: Apache-2.0
#include "load/load.h"

#include <fmt/format.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "app/cli.h"

namespace ottla::bench {

namespace {

constexpr std::string_view kUsage =
    "usage: ottla_load produce|fetch|latency|first|reread|topic TOPIC [--bootstrap-server "
    "HOST:PORT]"
    " [--partitions N] [--request-partitions N] [--batch-bytes N] [--record-bytes N] "
    "[--connections N]"
    " [--in-flight N] [--rate N] [--warmup N] [--seconds N] [--patience N] [--acks -1|0|1]"
    " [--fetch-bytes N] [--once]"
    " [--idempotent] [--config KEY=VALUE]... [--pid PID] [--output table|json]";

int64_t percentile(const std::vector<int64_t>& sorted, double p) {
    if (sorted.empty()) return 0;
    return sorted[static_cast<size_t>(p * static_cast<double>(sorted.size() - 1))];
}

bool is_mode(std::string_view word) {
    for (const std::string_view mode :
         {"produce", "fetch", "latency", "first", "reread", "topic"}) {
        if (word == mode) return true;
    }
    return false;
}

Status read_configs(app::Arguments& arguments, Load& load) {
    TRY(const auto pairs, arguments.options("--config"));
    for (const std::string& pair : pairs) {
        const size_t equals = pair.find('=');
        if (equals == std::string::npos) {
            return fail(ErrorCode::invalid_argument, "--config wants KEY=VALUE, not " + pair);
        }
        load.configs.emplace_back(pair.substr(0, equals), pair.substr(equals + 1));
    }
    return {};
}

}  // namespace

Result<Load> read_arguments(app::Arguments& arguments) {
    Load load;
    load.mode = arguments.word().value_or("");
    load.topic = arguments.word().value_or("");
    if (!is_mode(load.mode) || load.topic.empty()) {
        return fail(ErrorCode::invalid_argument, std::string(kUsage));
    }
    TRY(const auto options, app::take_session_options(arguments));
    load.bootstrap = options.bootstrap;
    load.json = options.format == app::OutputFormat::json;
    const auto take = [&arguments](std::string_view name, int64_t least, auto& into) -> Status {
        TRY(const auto value, arguments.number(name, least, 1'000'000'000));
        if (value) into = static_cast<std::remove_reference_t<decltype(into)>>(*value);
        return {};
    };
    TRY_STATUS(take("--partitions", 1, load.partitions));
    TRY_STATUS(take("--request-partitions", 1, load.request_partitions));
    TRY_STATUS(take("--batch-bytes", 1, load.batch_bytes));
    TRY_STATUS(take("--record-bytes", 8, load.record_bytes));
    TRY_STATUS(take("--connections", 1, load.connections));
    TRY_STATUS(take("--in-flight", 1, load.in_flight));
    TRY_STATUS(take("--rate", 1, load.rate));
    TRY_STATUS(take("--warmup", 0, load.warmup));
    TRY_STATUS(take("--seconds", 1, load.seconds));
    TRY_STATUS(take("--patience", 1, load.patience));
    TRY_STATUS(take("--fetch-bytes", 1, load.fetch_bytes));
    TRY_STATUS(take("--acks", -1, load.acks));
    TRY_STATUS(take("--pid", 1, load.pid));
    load.idempotent = arguments.flag("--idempotent");
    load.once = arguments.flag("--once");
    TRY_STATUS(read_configs(arguments, load));
    TRY_STATUS(arguments.finish());
    return load;
}

double cpu_seconds(int64_t pid) {
    std::ifstream file(fmt::format("/proc/{}/stat", pid));
    std::string line;
    std::getline(file, line);
    const size_t name_end = line.rfind(')');
    if (name_end == std::string::npos) return 0;
    std::istringstream rest(line.substr(name_end + 2));
    std::string skipped;
    for (int i = 0; i < 11; ++i) rest >> skipped;
    double user = 0;
    double system = 0;
    rest >> user >> system;
    return (user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

std::string render(const Load& load, const Score& score, double elapsed, double cpu) {
    std::vector<int64_t> sorted = score.latencies_us;
    std::ranges::sort(sorted);
    const double megabytes = static_cast<double>(score.bytes) / 1e6;
    const double per_gigabyte = megabytes > 0 ? cpu / megabytes * 1000 : 0;
    const double per_record =
        score.records > 0 ? cpu / static_cast<double>(score.records) * 1e6 : 0;
    if (load.json) {
        return fmt::format(
            "{{\"mode\": \"{}\", \"seconds\": {:.3f}, \"bytes\": {}, \"records\": {}, "
            "\"requests\": {}, \"errors\": {}, \"last_error\": {}, \"mb_per_s\": {:.2f}, "
            "\"records_per_s\": {:.1f}, "
            "\"cpu_s\": {:.2f}, \"cpu_s_per_gb\": {:.4f}, \"cpu_us_per_record\": {:.3f}, "
            "\"p50_us\": {}, \"p99_us\": {}, \"p999_us\": {}, \"max_us\": {}}}\n",
            load.mode, elapsed, score.bytes, score.records, score.requests, score.errors,
            score.last_error, megabytes / elapsed, static_cast<double>(score.records) / elapsed,
            cpu, per_gigabyte, per_record, percentile(sorted, 0.5), percentile(sorted, 0.99),
            percentile(sorted, 0.999), percentile(sorted, 1));
    }
    std::string text = fmt::format(
        "{}: {:.0f} MB/s, {:.0f} records/s, {:.0f} requests/s, p50 {} us, p99 {} us, p99.9 {} us, "
        "errors {}",
        load.mode, megabytes / elapsed, static_cast<double>(score.records) / elapsed,
        static_cast<double>(score.requests) / elapsed, percentile(sorted, 0.5),
        percentile(sorted, 0.99), percentile(sorted, 0.999), score.errors);
    if (load.pid != 0) {
        text += fmt::format(", broker {:.2f} CPU-s/GB, {:.2f} us/record", per_gigabyte, per_record);
    }
    return text + "\n";
}

}  // namespace ottla::bench
