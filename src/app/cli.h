// SPDX-License-Identifier: Apache-2.0
// The commands of the `ottla` program. Each takes its words and returns the exit code: 0 done, 1 it
// failed (one line on stderr says why), 2 it was called wrongly. Commands that talk to a broker
// share a `Session`: a client over one shard of the real backend.
#pragma once

#include <cstdio>
#include <string>
#include <string_view>

#include "app/arguments.h"
#include "app/output.h"
#include "client/client.h"

namespace ottla::app {

/// "ottla: <why>" on stderr; 2 for invalid_argument, else 1.
int complain(const Error& error);
void print(std::string_view text);

struct Session {
    client::Client& client;
    OutputFormat format = OutputFormat::table;
    Duration timeout = std::chrono::seconds(30);
    [[nodiscard]] Instant deadline() const { return client.runtime().now() + timeout; }
};

/// Reads --bootstrap-server, --output and --timeout-ms; what is left is the command's.
struct SessionOptions {
    std::vector<Endpoint> bootstrap;
    OutputFormat format = OutputFormat::table;
    Duration timeout = std::chrono::seconds(30);
};
Result<SessionOptions> take_session_options(Arguments& arguments);

/// Work of one command against a broker.
class Command {
public:
    virtual ~Command() = default;
    virtual Task<Status> run(Session session) = 0;
};
int run_session(const SessionOptions& options, Command& command);

int start_command(Arguments arguments);
int topic_command(Arguments arguments);
int produce_command(Arguments arguments);
int consume_command(Arguments arguments);
int storage_command(Arguments arguments);
int inspect_command(Arguments arguments);
int config_command(Arguments arguments);

}  // namespace ottla::app
