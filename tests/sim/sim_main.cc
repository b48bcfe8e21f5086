// SPDX-License-Identifier: Apache-2.0
// ottla_sim: runs scenarios for many seeds, or one seed again with its whole trace. Prints the trace
// hash of each seed (over its scenarios), which is the same in every build.
//
//   ottla_sim --seeds 200            seeds 1 to 200 of every scenario
//   ottla_sim --seeds 100..150 --scenario storage
//   ottla_sim --seed 117 --scenario storage --verbose
//   ottla_sim --scenario points --seed 3 --fault-at 218
//                                    one of the faults that scenario strikes with in turn
//   ottla_sim --seeds 500 --bug acknowledge-before-durable --must-fail
//                                    a planted bug: succeeds when some seed finds it
#include <fmt/format.h>

#include <charconv>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "tests/sim/scenario.h"

namespace ottla::sim {
namespace {

struct Arguments {
    uint64_t first = 1;
    uint64_t last = 20;
    std::string scenario;
    std::string bug;
    uint64_t fault_at = 0;
    bool verbose = false;
    bool must_fail = false;
    bool quiet = false;  ///< totals only
};

constexpr std::string_view kUsage =
    "usage: ottla_sim [--seeds COUNT|FIRST..LAST] [--seed N] [--scenario NAME] [--bug NAME]\n"
    "                 [--fault-at N] [--must-fail] [--quiet] [--verbose]\n";

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
    if (name == "--seeds") return parse_seeds(value, arguments);
    if (name == "--scenario") arguments.scenario = value;
    if (name == "--bug") arguments.bug = value;
    if (name == "--scenario" || name == "--bug") return true;
    if (name == "--fault-at") return parse_number(value, arguments.fault_at);
    if (name != "--seed" || !parse_number(value, arguments.first)) return false;
    arguments.last = arguments.first;
    return true;
}

bool parse_flag(std::string_view name, Arguments& arguments) {
    if (name == "--verbose") return arguments.verbose = true;
    if (name == "--must-fail") return arguments.must_fail = true;
    if (name == "--quiet") return arguments.quiet = true;
    return false;
}

bool parse(int argc, char** argv, Arguments& arguments) {
    for (int i = 1; i < argc; ++i) {
        const std::string_view name = argv[i];
        if (parse_flag(name, arguments)) continue;
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
    std::string command = fmt::format("./dev sim --scenario {} --seed {}", scenario.name, seed);
    if (!arguments.bug.empty()) command += " --bug " + arguments.bug;
    return command + " --verbose";
}

/// What was simulated altogether.
struct Totals {
    uint64_t seeds = 0;
    uint64_t events = 0;
    double simulated = 0;
    bool held = true;
};

/// Every chosen scenario with one seed; `totals.held` ends with the first that did not hold.
void run_seed(std::span<const Scenario* const> chosen,
              const Arguments& arguments,
              uint64_t seed,
              Totals& totals) {
    uint64_t trace = 0;
    for (const Scenario* scenario : chosen) {
        const ScenarioOutcome outcome =
            scenario->run({.seed = seed,
                           .bug = arguments.bug,
                           .verbose = arguments.verbose,
                           .fault_at = arguments.fault_at});
        totals.simulated += outcome.seconds;
        totals.events += outcome.events;
        trace = trace * 31 + outcome.trace;
        if (outcome.failure.empty()) continue;
        fmt::print("{} {} seed {} after {} events, trace {:016x}\n  {}\n  replay: {}\n",
                   arguments.must_fail ? "found by" : "FAILED", scenario->name, seed,
                   outcome.events, outcome.trace, outcome.failure,
                   replay_command(*scenario, arguments, seed));
        totals.held = false;
        return;
    }
    ++totals.seeds;
    if (arguments.quiet) return;
    fmt::print("seed {}  trace {:016x}\n", seed, trace);
    std::fflush(stdout);
}

/// 0 when all seeds held (or one did not, which was asked for), else 1.
int run_seeds(std::span<const Scenario* const> chosen, const Arguments& arguments) {
    Totals totals;
    for (uint64_t seed = arguments.first; seed <= arguments.last && totals.held; ++seed) {
        run_seed(chosen, arguments, seed, totals);
    }
    fmt::print("{} seeds held, {} events, {:.0f} s simulated\n", totals.seeds, totals.events,
               totals.simulated);
    if (arguments.must_fail && totals.held) fmt::print("FAILED: no seed finds it\n");
    return totals.held == arguments.must_fail ? 1 : 0;
}

int run(const Arguments& arguments) {
    std::vector<const Scenario*> chosen;
    for (const Scenario& scenario : scenarios()) {
        const bool all = arguments.scenario.empty() && !scenario.only_by_name;
        const bool named = all || arguments.scenario == scenario.name;
        const bool fits = arguments.bug.empty() || has_bug(scenario, arguments.bug);
        if (named && fits) chosen.push_back(&scenario);
    }
    if (!chosen.empty()) return run_seeds(chosen, arguments);
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
    return ottla::sim::run(arguments);
}
