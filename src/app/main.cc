// SPDX-License-Identifier: Apache-2.0
// The `ottla` program: one verb, then its words.
#include <fmt/format.h>

#include <array>

#include "app/cli.h"

namespace {

using namespace std::string_view_literals;

struct Verb {
    std::string_view name;
    int (*run)(ottla::app::Arguments);
    std::string_view prose;
};

constexpr std::array kVerbs = {
    Verb{"start"sv, ottla::app::start_command, "[FILE] [--override key=value]...: run a broker"sv},
    Verb{"topic"sv, ottla::app::topic_command, "create|list|describe|delete"sv},
    Verb{"produce"sv, ottla::app::produce_command, "TOPIC: records from lines of standard input"sv},
    Verb{"consume"sv, ottla::app::consume_command, "TOPIC [--from-beginning] [--max-messages N]"sv},
    Verb{"storage"sv, ottla::app::storage_command, "close DIR...: end an unclean stop offline"sv},
    Verb{"inspect"sv, ottla::app::inspect_command,
         "[KIND] FILE|FOLDER...: what a file of a log directory holds"sv},
    Verb{"config"sv, ottla::app::config_command, "document: every setting, as docs/CONFIG.md"sv},
};

int usage(std::FILE* out, int code) {
    fmt::print(out, "usage: ottla VERB ...\n\n");
    for (const Verb& verb : kVerbs) fmt::print(out, "  {:<8} {}\n", verb.name, verb.prose);
    fmt::print(out,
               "\nVerbs that talk to a broker take --bootstrap-server HOST:PORT (localhost:9092), "
               "--output "
               "table|json\nand --timeout-ms N.\n");
    return code;
}

}  // namespace

int main(int argc, char** argv) {
    std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
    if (words.empty()) return usage(stderr, 2);
    const std::string name = words.front();
    words.erase(words.begin());
    for (const Verb& verb : kVerbs) {
        if (verb.name == name) return verb.run(ottla::app::Arguments(std::move(words)));
    }
    const bool asked = name == "help" || name == "--help" || name == "-h";
    if (!asked) fmt::print(stderr, "ottla: '{}' is no verb\n", name);
    return usage(asked ? stdout : stderr, asked ? 0 : 2);
}
