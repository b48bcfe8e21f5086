// SPDX-License-Identifier: Apache-2.0
// The scenario `points`: one short story of a StorageWorld - work, a clean stop, a start, work, a
// kill, a start that replays, work, a clean stop - told again and again, each time with a fault at
// the next of its operations that change or sync something: the power goes there, the process dies
// there, the operation fails, or finds the disk full. Then a disk that does what it should, and
// everything that was promised must be there. The seed draws story and kind of fault.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "tests/sim/bugs.h"
#include "tests/sim/scenario.h"
#include "tests/sim/storage_program.h"

namespace ottla::sim {

namespace {

using Strike = DiskStrike::Kind;

struct Fault {
    const char* name;
    Strike strike;
    bool power;  ///< goes; else the process is killed
};
constexpr std::array kFaults = {
    Fault{"a power cut", Strike::stand_still, true},
    Fault{"a kill", Strike::stand_still, false},
    Fault{"an I/O error, then a power cut", Strike::io_error, true},
    Fault{"an I/O error, then a kill", Strike::io_error, false},
    Fault{"a full disk, then a power cut", Strike::no_space, true},
};

class Story {
public:
    Story(const ScenarioOptions& options, const Fault& fault, uint64_t point)
        : storage_(world_options(options)), fault_(fault) {
        storage_.machine.disk().strike = {.kind = fault.strike, .at = point};
    }

    void tell() {
        work_once();
        if (goes_on()) storage_.stop_cleanly();
        if (goes_on()) storage_.kill();
        if (goes_on()) work_once();
        if (goes_on()) storage_.kill();
        if (goes_on()) work_once();
        if (goes_on()) storage_.stop_cleanly();
        struck_down();
        // What the fault left, seen twice: the second time nothing but the first start's work.
        come_back();
        if (storage_.failure.empty()) {
            storage_.power_cut();
            come_back();
        }
    }

    [[nodiscard]] StorageWorld& world() { return storage_; }
    /// Was the story long enough for the fault?
    [[nodiscard]] bool struck() const { return struck_; }

private:
    static StorageOptions world_options(const ScenarioOptions& options) {
        StorageOptions wanted{.seed = options.seed, .logs = 4, .acts = 12};
        set_bug(wanted.bugs, options.bug);
        wanted.verbose = options.verbose;
        return wanted;
    }

    [[nodiscard]] bool goes_on() const {
        return storage_.failure.empty() && !storage_.machine.disk().stands_still() &&
               (storage_.process.program() == nullptr || !program_gave_up());
    }
    [[nodiscard]] bool program_gave_up() const {
        return static_cast<StorageProgram*>(storage_.process.program())->has_given_up();
    }
    void expect_fault() {
        if (fault_.strike == Strike::io_error) storage_.failing = std::string();
        if (fault_.strike == Strike::no_space) storage_.failing = std::string();
        if (fault_.strike == Strike::no_space) storage_.may_be_full = true;
    }
    void work_once() {
        storage_.start(1 + storage_.process.starts() % 2);
        expect_fault();
        if (!storage_.run_until_serving()) return;
        const Duration limit = storage_.world.now() + std::chrono::seconds(60);
        while (storage_.failure.empty() && !storage_.program().is_idle() &&
               storage_.world.now() < limit && storage_.step())
            continue;
        if (storage_.machine.disk().stands_still() || !storage_.failure.empty()) return;
        if (storage_.program().is_idle()) return;
        storage_.note_failure("the work does not come to its end");
    }
    void struck_down() {
        if (!storage_.failure.empty()) return;
        if (fault_.power) {
            storage_.power_cut();
        } else if (storage_.process.is_running()) {
            storage_.kill();
        }
        struck_ = storage_.machine.disk().operations() >= storage_.machine.disk().strike.at;
        storage_.machine.disk().go_on();
        storage_.machine.disk().strike = {};
    }
    void come_back() {
        if (!storage_.failure.empty()) return;
        storage_.start();
        if (!storage_.run_until_serving() && storage_.failure.empty()) {
            storage_.note_failure("no start after the fault");
        }
    }

    StorageWorld storage_;
    const Fault fault_;
    bool struck_ = false;
};

}  // namespace

ScenarioOutcome run_points_scenario(const ScenarioOptions& options) {
    const Fault& fault = kFaults[options.seed % kFaults.size()];
    ScenarioOutcome outcome;
    for (uint64_t point = std::max<uint64_t>(options.fault_at, 1);; ++point) {
        Story story(options, fault, point);
        story.tell();
        StorageWorld& storage = story.world();
        outcome.trace = mix(outcome.trace ^ storage.world.trace_hash());
        outcome.events += storage.world.events();
        outcome.seconds += std::chrono::duration<double>(storage.world.now()).count();
        if (!storage.failure.empty()) {
            outcome.failure = fmt::format("{} at operation {} (--fault-at {}): {}", fault.name,
                                          point, point, storage.failure);
        }
        const bool beyond = !story.struck();
        if (options.fault_at != 0 || beyond || !outcome.failure.empty()) break;
    }
    return outcome;
}

}  // namespace ottla::sim
