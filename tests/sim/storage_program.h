// SPDX-License-Identifier: Apache-2.0
// StorageProgram: the process of a StorageWorld. Boot as a broker boots (open and recover every
// directory, begin to serve, stores, logs), one driver per log on the shard that owns it, a clean
// stop as a broker stops. A directory that fails goes offline on every shard; the others go on.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/sim/storage_driver.h"
#include "tests/sim/storage_world.h"

namespace ottla::sim {

class StorageProgram final : public Program, public storage::StoreObserver {
public:
    StorageProgram(StorageWorld& world, Process& process);
    ~StorageProgram() override;

    [[nodiscard]] bool is_serving() const { return serving_; }
    [[nodiscard]] bool is_stopping() const { return stopping_; }
    [[nodiscard]] bool has_stopped() const { return stopped_; }
    /// Nothing more comes of it: a start or a stop that failed, which a fault explains.
    [[nodiscard]] bool has_given_up() const { return given_up_; }
    /// Every driver did what it was to do.
    [[nodiscard]] bool is_idle() const { return serving_ && drivers_running_ == 0; }
    void begin_stop() { stopping_ = true; }

    // For drivers.
    [[nodiscard]] StorageWorld& world() { return world_; }
    [[nodiscard]] bool is_offline(size_t directory) const { return offline_[directory]; }
    [[nodiscard]] bool is_any_offline() const { return offline_[0] || offline_[1]; }
    void went_offline(size_t directory) { offline_[directory] = true; }
    void driver_ended() { --drivers_running_; }

    void directory_failed(const std::string& log_dir, const Error& why) override;
    void damage_found(const storage::Damage& damage) override { world_.reports.push_back(damage); }

private:
    Task<> spread_failure(std::string log_dir, Error why);
    Task<Status> hear_of(uint32_t shard, std::string log_dir, Error why);
    Task<> boot_and_watch();
    Task<Status> boot();
    Task<> settle();
    Task<Status> settle_one(size_t directory);
    Task<Status> open_shard(uint32_t shard);
    Task<std::optional<Error>> resume_move(storage::LogStore& store, storage::Log* log);
    Task<Status> leave_logs(uint32_t shard);
    Task<Status> stop();
    Task<Status> write_checkpoints();
    [[nodiscard]] std::vector<storage::LogCheckpoint> checkpoints_of(size_t directory) const;
    [[nodiscard]] bool may_refuse(const Error& error) const;
    [[nodiscard]] uint32_t owner_of(const std::string& name) const;

    StorageWorld& world_;
    std::vector<Ports> ports_;
    std::vector<std::unique_ptr<storage::LogDirectory>> directories_;
    std::vector<std::unique_ptr<storage::LogStore>> stores_;
    std::vector<std::unique_ptr<LogDriver>> drivers_;
    std::array<bool, kDirectories.size()> offline_{};
    size_t drivers_running_ = 0;
    bool serving_ = false;
    bool settled_ = false;
    bool stopping_ = false;
    bool closing_ = false;
    bool stopped_ = false;
    bool given_up_ = false;
};

}  // namespace ottla::sim
