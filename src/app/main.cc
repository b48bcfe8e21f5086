// SPDX-License-Identifier: Apache-2.0
// The `ottla` program: one verb, then its words.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "app/cli.h"
#include "app/usage.h"

namespace {

using namespace std::string_view_literals;

struct Verb {
    std::string_view name;
    int (*run)(ottla::app::Arguments);
    std::string_view prose;
    std::string_view usage;
};

constexpr std::array kVerbs = {
    Verb{"start"sv, ottla::app::start_command, "[FILE] [--override key=value]...: run a broker"sv,
         ottla::app::kStartUsage},
    Verb{"topic"sv, ottla::app::topic_command, "create|list|describe|delete"sv,
         ottla::app::kTopicUsage},
    Verb{"produce"sv, ottla::app::produce_command, "TOPIC: records from lines of standard input"sv,
         ottla::app::kProduceUsage},
    Verb{"consume"sv, ottla::app::consume_command, "TOPIC [--from-beginning] [--max-messages N]"sv,
         ottla::app::kConsumeUsage},
    Verb{"storage"sv, ottla::app::storage_command, "close DIR...: end an unclean stop offline"sv,
         ottla::app::kStorageUsage},
    Verb{"inspect"sv, ottla::app::inspect_command,
         "[KIND] FILE|FOLDER...: what a file of a log directory holds"sv,
         ottla::app::kInspectUsage},
    Verb{"config"sv, ottla::app::config_command, "document: every setting, as docs/CONFIG.md"sv,
         ottla::app::kConfigUsage},
};

bool asks_for_help(std::string_view word) { return word == "--help" || word == "-h"; }

int usage(std::FILE* out, int code) {
    fmt::print(out, "usage: ottla VERB ...\n\n");
    for (const Verb& verb : kVerbs) fmt::print(out, "  {:<8} {}\n", verb.name, verb.prose);
    fmt::print(out,
               "\nVerbs that talk to a broker take --bootstrap-server HOST:PORT (localhost:9092), "
               "--output "
               "table|json\nand --timeout-ms N. `ottla VERB --help` says how a verb is called; "
               "`ottla version`.\n");
    return code;
}

}  // namespace

int main(int argc, char** argv) {
    std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
    if (words.empty()) return usage(stderr, 2);
    const std::string name = words.front();
    words.erase(words.begin());
    for (const Verb& verb : kVerbs) {
        if (verb.name != name) continue;
        if (std::ranges::none_of(words, asks_for_help)) {
            return verb.run(ottla::app::Arguments(std::move(words)));
        }
        fmt::print("{}\n", verb.usage);
        return 0;
    }
    if (name == "version" || name == "--version") {
        fmt::print("ottla {}\n", OTTLA_VERSION);
        return 0;
    }
    const bool asked = name == "help" || asks_for_help(name);
    if (!asked) fmt::print(stderr, "ottla: '{}' is no verb\n", name);
    return usage(asked ? stdout : stderr, asked ? 0 : 2);
}
