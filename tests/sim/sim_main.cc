// SPDX-License-Identifier: Apache-2.0
// ottla_sim: runs scenarios for many seeds, or one seed again with its whole trace.
//
//   ottla_sim --seeds 200            seeds 1 to 200 of every scenario
//   ottla_sim --seeds 100..150 --scenario storage
//   ottla_sim --seed 117 --scenario storage --verbose
//   ottla_sim --bug acknowledge-before-durable --seeds 500     must fail
#include <fmt/format.h>

#include <charconv>
#include <cstdio>
#include <string>
#include <string_view>

#include "tests/sim/scenario.h"

namespace ottla::sim {
namespace {

struct Arguments {
    uint64_t first = 1;
    uint64_t last = 20;
    std::string scenario;
    std::string bug;
    double seconds = 0;
    bool verbose = false;
};

constexpr std::string_view kUsage =
    "usage: ottla_sim [--seeds COUNT|FIRST..LAST] [--seed N] [--scenario NAME] [--bug NAME]\n"
    "                 [--time SECONDS] [--verbose]\n";

bool parse_number(std::string_view text, uint64_t& out) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    return error == std::errc{} && end == text.data() + text.size();
}

bool parse_seeds(std::string_view text, Arguments& arguments) {
    const size_t dots = text.find("..");
    if (dots == std::string_view::npos) {
        arguments.first = 1;
        return parse_number(text, arguments.last);
    }
    return parse_number(text.substr(0, dots), arguments.first) &&
           parse_number(text.substr(dots + 2), arguments.last);
}

bool parse_one(std::string_view name, std::string_view value, Arguments& arguments) {
    uint64_t number = 0;
    if (name == "--seeds") return parse_seeds(value, arguments);
    if (name == "--scenario") arguments.scenario = value;
    if (name == "--bug") arguments.bug = value;
    if (name == "--scenario" || name == "--bug") return true;
    if (!parse_number(value, number)) return false;
    if (name == "--seed") arguments.first = arguments.last = number;
    if (name == "--time") arguments.seconds = static_cast<double>(number);
    return name == "--seed" || name == "--time";
}

bool parse(int argc, char** argv, Arguments& arguments) {
    for (int i = 1; i < argc; ++i) {
        const std::string_view name = argv[i];
        if (name == "--verbose") {
            arguments.verbose = true;
            continue;
        }
        if (i + 1 >= argc || !parse_one(name, argv[++i], arguments)) return false;
    }
    return true;
}

bool has_bug(const Scenario& scenario, std::string_view bug) {
    for (const char* name : scenario.bugs) {
        if (bug == name) return true;
    }
    return false;
}

std::string replay_command(const Scenario& scenario, const Arguments& arguments, uint64_t seed) {
    std::string command = fmt::format("ottla_sim --scenario {} --seed {}", scenario.name, seed);
    if (!arguments.bug.empty()) command += " --bug " + arguments.bug;
    if (arguments.seconds > 0) command += fmt::format(" --time {:.0f}", arguments.seconds);
    return command + " --verbose";
}

/// 0 when every seed held, 1 at the first that did not.
int run_seeds(const Scenario& scenario, const Arguments& arguments) {
    double simulated = 0;
    uint64_t events = 0;
    uint64_t trace = 0;
    for (uint64_t seed = arguments.first; seed <= arguments.last; ++seed) {
        const ScenarioOutcome outcome = scenario.run({.seed = seed,
                                                      .seconds = arguments.seconds,
                                                      .bug = arguments.bug,
                                                      .verbose = arguments.verbose});
        simulated += outcome.seconds;
        events += outcome.events;
        trace = trace * 31 + outcome.trace;
        if (outcome.failure.empty()) continue;
        fmt::print("FAILED {} seed {} after {} events, trace {:016x}\n  {}\n  replay: {}\n",
                   scenario.name, seed, outcome.events, outcome.trace, outcome.failure,
                   replay_command(scenario, arguments, seed));
        return 1;
    }
    fmt::print("{:<10} seeds {}..{}  {} events, {:.0f} s simulated  trace {:016x}\n", scenario.name,
               arguments.first, arguments.last, events, simulated, trace);
    std::fflush(stdout);
    return 0;
}

int run_all(const Arguments& arguments) {
    bool any = false;
    for (const Scenario& scenario : scenarios()) {
        if (!arguments.scenario.empty() && arguments.scenario != scenario.name) continue;
        if (!arguments.bug.empty() && !has_bug(scenario, arguments.bug)) continue;
        any = true;
        if (run_seeds(scenario, arguments) != 0) return 1;
    }
    if (any) return 0;
    fmt::print(stderr, "no such scenario or bug; there are:\n");
    for (const Scenario& scenario : scenarios()) {
        fmt::print(stderr, "  {:<10} {}\n", scenario.name, scenario.about);
        for (const char* bug : scenario.bugs) fmt::print(stderr, "    --bug {}\n", bug);
    }
    return 2;
}

}  // namespace
}  // namespace ottla::sim

int main(int argc, char** argv) {
    ottla::sim::Arguments arguments;
    if (!ottla::sim::parse(argc, argv, arguments)) {
        fmt::print(stderr, "{}", ottla::sim::kUsage);
        return 2;
    }
    return ottla::sim::run_all(arguments);
}
