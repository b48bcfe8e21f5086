// SPDX-License-Identifier: Apache-2.0
// ottla start [FILE] [--override key=value]...: one broker, until SIGTERM or SIGINT.
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "app/cli.h"
#include "app/configuration.h"
#include "app/console_log.h"
#include "broker/memory_plan.h"
#include "io/backend.h"
#include "io/memory_limit.h"
#include "ottla/broker.h"

namespace ottla::app {

namespace {

constexpr int64_t kMostShardsByDefault = 8;

std::map<std::string, std::string> environment_variables() {
    std::map<std::string, std::string> variables;
    for (char** entry = environ; *entry != nullptr; ++entry) {
        const std::string_view text(*entry);
        const size_t equals = text.find('=');
        if (equals == std::string_view::npos) continue;
        variables.emplace(text.substr(0, equals), text.substr(equals + 1));
    }
    return variables;
}

Result<std::string> read_text_file(const std::string& name) {
    std::ifstream file(name, std::ios::binary);
    std::stringstream text;
    text << file.rdbuf();
    if (!file) return fail(ErrorCode::not_found, fmt::format("{}: cannot be read", name));
    return std::move(text).str();
}

Result<Configured> read_configuration(Arguments& arguments) {
    Sources sources;
    if (auto file = arguments.word()) {
        sources.file_name = *std::move(file);
        TRY(sources.file_text, read_text_file(sources.file_name));
    }
    TRY(sources.overrides, arguments.options("--override"));
    TRY_STATUS(arguments.finish());
    sources.environment = environment_variables();
    return configure(sources);
}

uint32_t shard_count(const Settings& settings) {
    const int64_t asked = settings.number("ottla.shards");
    if (asked > 0) return static_cast<uint32_t>(asked);
    const int64_t cores = sysconf(_SC_NPROCESSORS_ONLN);
    return static_cast<uint32_t>(std::clamp<int64_t>(cores, 1, kMostShardsByDefault));
}

/// Every file that the process may open counts: the soft limit is raised to the hard one, and what it
/// comes to is a setting like any other.
Status settle_open_files(Settings& settings) {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return {};
    const auto asked = static_cast<rlim_t>(settings.number("ottla.open.files"));
    limit.rlim_cur = asked > 0 ? std::min(asked, limit.rlim_max) : limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0 && getrlimit(RLIMIT_NOFILE, &limit) != 0) return {};
    const auto most = std::min<rlim_t>(limit.rlim_cur, INT32_MAX);
    return settings.set("ottla.open.files", std::to_string(most), Settings::Source::command_line);
}

/// What ends the process: a signal (also one that comes while it starts), or the node itself.
struct Ending {
    explicit Ending(Runtime& runtime) : came(runtime), over(runtime) {}
    Event came;
    Event over;  ///< nobody needs to watch any more
    bool asked = false;
    std::optional<Error> failure;
};

Task<> watch_signals(io::Backend& backend, Ending& ending) {
    const size_t first = co_await when_any(backend.wait_for_signal(), ending.over.wait());
    if (first != 0) co_return;
    ending.asked = true;
    ending.came.notify_all();
}

Task<> watch_failure(Broker& broker, Ending& ending) {
    Error why = co_await broker.failed();
    if (why.code == ErrorCode::cancelled) co_return;
    ending.failure = std::move(why);
    ending.came.notify_all();
}

Task<int> run_broker(io::Backend& backend, Broker& broker, Logger& log) {
    Runtime& runtime = backend.ports(ShardIndex{0}).runtime;
    Ending ending(runtime);
    runtime.spawn(watch_signals(backend, ending));
    const Status started = co_await broker.start();
    if (started) {
        runtime.spawn(watch_failure(broker, ending));
        log.write(LogLevel::info, fmt::format("node {} is ready, serving on {}",
                                              broker.id().value(), to_string(*broker.endpoint())));
        while (!ending.asked && !ending.failure) co_await ending.came.wait();
        if (!ending.failure) log.write(LogLevel::info, "stopping");  // The broker tells a failure.
    }
    ending.over.notify_all();
    const Status stopped = co_await broker.stop();
    if (!started) co_return complain(started.error());
    co_return ending.failure || !stopped ? 1 : 0;
}

}  // namespace

int start_command(Arguments arguments) {
    auto configured = read_configuration(arguments);
    if (!configured) return complain(configured.error());
    const std::unique_ptr<Logger> log = make_console_log();
    for (const std::string& warning : configured->warnings) log->write(LogLevel::warning, warning);

    const Status settled = settle_open_files(configured->settings);
    if (!settled) return complain(settled.error());
    const uint32_t shards = shard_count(configured->settings);
    io::BackendOptions options{.shards = shards};
    const uint64_t allowed = io::memory_limit();
    const int64_t asked = configured->settings.number("ottla.memory.bytes");
    options.receive_block_bytes = broker::plan_memory(asked, allowed, shards).receive_bytes;
    options.warn = [&log](const std::string& line) { log->write(LogLevel::warning, line); };
    io::Backend backend(std::move(options));
    BrokerParts parts{.settings = configured->settings, .shards = {}, .log = *log, .faults = {}};
    parts.memory_limit = allowed;
    for (uint32_t i = 0; i < shards; ++i) parts.shards.push_back(backend.ports(ShardIndex{i}));
    auto broker = make_broker(std::move(parts));
    if (!broker) return complain(broker.error());
    return backend.run(run_broker(backend, **broker, *log));
}

}  // namespace ottla::app
