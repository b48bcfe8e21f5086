// SPDX-License-Identifier: Apache-2.0
// A World with one process that does to its logs whatever a broker may do - create, append, roll,
// truncate, move the start, delete, checkpoint, stop - on the real storage/ and the simulated disk,
// while the process is killed, loses power, fails to sync or finds the disk full. After every start
// each log is read whole and held against its LogModel; while it runs, reads, verdicts on
// duplicates and the movement of durable ends are checked as they happen.
#pragma once

#include <map>
#include <memory>
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

/// One log under test; outlives the processes that serve it.
struct TestedLog {
    std::string name;
    LogModel model;
    Random random;
    int32_t next_label = 0;
    ProducerId producer;
    bool truncated = false;  ///< since the last start
};

struct StorageOptions {
    uint64_t seed = 1;
    uint32_t logs = 4;
    TestFaults bugs;
    bool verbose = false;
};

class StorageWorld {
public:
    explicit StorageWorld(const StorageOptions& options);

    /// Boots the program; it begins to work on its own once it has recovered and checked itself.
    void start();
    /// Runs until the program serves (or failed); false when it never does.
    bool run_until_serving();
    /// A clean stop, checked like any other end.
    void stop_cleanly();
    /// From here on there is room for everything.
    void give_space_back();
    void note_failure(const std::string& what);

    [[nodiscard]] ProducerId producer_of(const TestedLog& log) const { return log.producer; }

    World world;
    Machine& machine;
    Process& process;
    Random random;
    storage::StorageSettings settings;
    std::map<std::string, TestedLog> logs;
    std::map<uint64_t, Buffer> sent;  ///< batches by content, to send them again
    std::string failure;
    bool may_fail = false;  ///< faults are on: the directory may go offline
    bool may_be_full = false;  ///< the disk is small: appends are refused, nothing goes offline
    uint64_t appended = 0;
    uint64_t duplicates = 0;
    uint64_t refused = 0;
    uint64_t recoveries = 0;
};

}  // namespace ottla::sim
