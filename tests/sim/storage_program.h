// SPDX-License-Identifier: Apache-2.0
// StorageProgram: the process of a StorageWorld. Boot as a broker boots (open, recover, stores,
// logs, begin_serving), one driver per log on the shard that owns it, a clean stop as a broker
// stops.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/sim/storage_world.h"

namespace ottla::sim {

class StorageProgram final : public Program {
public:
    StorageProgram(StorageWorld& world, Process& process);
    ~StorageProgram() override;

    [[nodiscard]] bool is_serving() const { return serving_; }
    [[nodiscard]] bool is_offline() const { return offline_; }
    [[nodiscard]] bool has_stopped() const { return stopped_; }
    void begin_stop() { stopping_ = true; }

private:
    class Driver;
    friend class Driver;
    Task<> boot_and_watch();
    Task<Status> boot();
    Task<Status> open_shard(uint32_t shard);
    Task<Status> close_shard(uint32_t shard);
    Task<Status> stop();
    Task<Status> write_checkpoints();
    [[nodiscard]] bool may_refuse(const Error& error) const;
    [[nodiscard]] uint32_t owner_of(const std::string& name) const;

    StorageWorld& world_;
    std::vector<Ports> ports_;
    std::unique_ptr<storage::LogDirectory> directory_;
    std::vector<std::unique_ptr<storage::LogStore>> stores_;
    std::vector<std::unique_ptr<Driver>> drivers_;
    size_t drivers_running_ = 0;
    bool serving_ = false;
    bool offline_ = false;
    bool stopping_ = false;
    bool stopped_ = false;
};

}  // namespace ottla::sim
