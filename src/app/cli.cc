// SPDX-License-Identifier: Apache-2.0
#include "app/cli.h"

#include <fmt/format.h>

#include "io/backend.h"

namespace ottla::app {

int complain(const Error& error) {
    fmt::print(stderr, "ottla: {}\n", error.detail.empty() ? name_of(error.code) : error.detail);
    return error.code == ErrorCode::invalid_argument ? 2 : 1;
}

void print(std::string_view text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
}

Result<SessionOptions> take_session_options(Arguments& arguments) {
    SessionOptions options;
    TRY(const std::string servers, arguments.option_or("--bootstrap-server", "localhost:9092"));
    TRY(options.bootstrap, client::parse_bootstrap(servers));
    TRY(const std::string format, arguments.option_or("--output", "table"));
    TRY(options.format, parse_output_format(format));
    TRY(const auto timeout, arguments.number("--timeout-ms", 1, 86'400'000));
    if (timeout) options.timeout = std::chrono::milliseconds(*timeout);
    return options;
}

namespace {

Task<int> run_command(Ports ports, SessionOptions options, Command& command) {
    client::Client client(ports, options.bootstrap, {.client_id = "ottla-cli"});
    const Status done = co_await command.run({client, options.format, options.timeout});
    co_await client.close();
    co_return done ? 0 : complain(done.error());
}

}  // namespace

int run_session(const SessionOptions& options, Command& command) {
    io::Backend backend({.shards = 1});
    return backend.run(run_command(backend.ports(ShardIndex{0}), options, command));
}

}  // namespace ottla::app
