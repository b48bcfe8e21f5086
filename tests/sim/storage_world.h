// SPDX-License-Identifier: Apache-2.0
// A World with one process that does to its logs whatever a broker may do - create, append in and
// out of transactions, roll, truncate, move the start, delete and create again in another
// directory, checkpoint, stop - while retention and the cleaner work on their own, on the real
// storage/ and the simulated disk, and logs move between the directories: the process is killed, loses power, fails to write or sync in one
// directory or all, finds the disk full, comes back with another number of shards. After every
// start each log is read whole and held against its LogModel; while it runs, reads, verdicts on
// duplicates, transactions and the movement of ends are checked as they happen.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ottla/sync.h"
#include "records/codec.h"
#include "storage/log_directory.h"
#include "storage/log_store.h"
#include "tests/sim/log_model.h"
#include "tests/sim/machine.h"

namespace ottla::sim {

class StorageProgram;

struct ScenarioOutcome;

inline const std::array<std::string, 2> kDirectories = {"/data/one", "/data/two"};

/// One log under test; outlives the processes that serve it.
struct TestedLog {
    std::string name;
    storage::LogConfig config;
    LogModel model;
    Random random;
    /// The first is idempotent only, the others write in transactions.
    std::array<ProducerId, 3> producers;
    size_t directory = 0;
    int32_t next_label = 0;
    bool truncated = false;  ///< since the last start
    /// Its durability changes now and then, drawn from a stream of its own.
    bool switches_durability = false;
    Random durability;
    Offset replicated{0};    ///< the highest high watermark that it was ever told

    [[nodiscard]] bool is_retained() const {
        return config.retention_ms >= 0 || config.retention_bytes >= 0;
    }
};

struct StorageOptions {
    uint64_t seed = 1;
    uint32_t logs = 5;
    /// What each driver does in one life of the process; 0: no end.
    uint64_t acts = 0;
    TestFaults bugs;
    bool verbose = false;
};

class StorageWorld {
public:
    explicit StorageWorld(const StorageOptions& options);

    /// Boots the program with `shards` (0: drawn); it begins to work on its own once it has
    /// recovered and checked itself. Faults are off.
    void start(uint32_t shards = 0);
    /// Runs until the program serves (or failed, or gave up for a fault); false when it does not.
    bool run_until_serving();
    /// A clean stop, checked like any other end.
    void stop_cleanly();
    void check_ends();
    /// Somebody takes what was free, or most of it.
    void shrink_disk();
    /// From here on there is room for everything.
    void give_space_back();
    /// From here on the disk fails under `path`; everywhere if it is empty.
    void begin_faults(std::string path);
    void end_faults();
    /// The process ends. What a relaxed log acknowledged is in the system's hands, and stays, unless
    /// the disk has failed.
    void kill();
    void power_cut();
    void note_failure(const std::string& what);
    [[nodiscard]] bool may_fail(size_t directory) const;
    /// One event; false when there is none, or the disk stands still.
    bool step();
    [[nodiscard]] StorageProgram& program();
    [[nodiscard]] ScenarioOutcome outcome() const;
    /// Is `path` the file in which a bit flipped, or a folder that holds it?
    [[nodiscard]] bool is_hurt(const std::string& path) const;
    [[nodiscard]] bool was_hurt(const std::string& path) const;
    /// Does the error name the smallest thing that may suffer from it: the log whose file it is, or the
    /// directory?
    [[nodiscard]] bool names_damage(const Error& error) const;
    /// ... which is the directory, and not one of its logs?
    [[nodiscard]] bool names_hurt_directory(const Error& error) const;

    const StorageOptions options;
    World world;
    Machine& machine;
    Process& process;
    Random random;
    storage::StorageSettings settings;
    std::map<std::string, TestedLog> logs;
    std::map<uint64_t, Buffer> sent;  ///< batches by content, to send them again
    std::string failure;
    std::optional<std::string> failing;  ///< where the disk fails: directories go offline
    bool power_goes = false;   ///< at once: a log has just promised something
    bool may_be_full = false;  ///< the disk is small: appends are refused, nothing goes offline
    std::optional<std::string> damaged;  ///< a file in which a bit flipped since the last life
    std::optional<std::string> healed;   ///< ... and has flipped back, after a life that met it
    uint64_t large_value = 3000;         ///< one record of eight is as large as that, or less
    uint64_t refusals = 0;               ///< of logs or reads, by name, for that reason
    std::vector<storage::Damage> reports;  ///< in the life of the process that began last
    uint64_t appended = 0;
    uint64_t duplicates = 0;
    uint64_t refused = 0;
    uint64_t retained = 0;
    uint64_t moves = 0;
    uint64_t recoveries = 0;
};

}  // namespace ottla::sim
