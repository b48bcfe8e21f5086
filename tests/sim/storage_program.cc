// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/storage_program.h"

#include <fmt/format.h>

#include <algorithm>

#include "storage/moved_logs.h"

namespace ottla::sim {

namespace {
constexpr std::chrono::milliseconds kMillisecond{1};
}

StorageProgram::StorageProgram(StorageWorld& world, Process& process)
    : world_(world), ports_(process.all_ports()) {
    for (const Ports& ports : ports_) {
        stores_.push_back(std::make_unique<storage::LogStore>(ports, world.settings, this));
    }
    for (auto& [name, tested] : world.logs) {
        const uint32_t owner = owner_of(name);
        drivers_.push_back(
            std::make_unique<LogDriver>(*this, tested, ports_[owner], *stores_[owner]));
    }
    ports_[0].runtime.spawn(boot_and_watch());
}

StorageProgram::~StorageProgram() = default;

uint32_t StorageProgram::owner_of(const std::string& name) const {
    return static_cast<uint32_t>(hash_of(name) % ports_.size());
}

void StorageProgram::directory_failed(const std::string& log_dir, const Error& why) {
    const auto at = std::ranges::find(kDirectories, log_dir);
    CHECK(at != kDirectories.end(), "one of the directories failed");
    const auto directory = static_cast<size_t>(at - kDirectories.begin());
    const bool known = std::exchange(offline_[directory], true);
    if (!known && !world_.may_fail(directory) && !stopping_) {
        world_.note_failure(log_dir + " is offline without a fault: " + why.detail);
    }
    if (!known) ports_[0].runtime.spawn(spread_failure(log_dir, why));
}

Task<> StorageProgram::spread_failure(std::string log_dir, Error why) {
    for (uint32_t i = 0; i < ports_.size(); ++i) {
        auto start = [this, i, log_dir, why](Runtime&) { return hear_of(i, log_dir, why); };
        static_cast<void>(co_await call_on(ports_[0].runtime, ShardIndex{i}, start));
    }
}

Task<Status> StorageProgram::hear_of(uint32_t shard, std::string log_dir, Error why) {
    // As in a broker, where nobody passes it on once the partitions are closed.
    if (!closing_) stores_[shard]->take_offline(log_dir, why);
    co_return Status{};
}

Task<> StorageProgram::boot_and_watch() {
    const Status booted = co_await boot();
    if (!booted) {
        given_up_ = true;
        if (may_refuse(booted.error())) co_return;
        world_.note_failure(fmt::format("a start failed: {} {}", name_of(booted.error().code),
                                        booted.error().detail));
        co_return;
    }
    serving_ = true;
    while (!stopping_) {
        static_cast<void>(co_await ports_[0].runtime.sleep_for(kMillisecond * 30));
        if (stopping_ || is_any_offline()) continue;
        const Status written = co_await write_checkpoints();
        if (!written && !may_refuse(written.error())) {
            world_.note_failure("checkpoints were not written: " + written.error().detail);
        }
    }
    while (drivers_running_ != 0 || !settled_) {
        static_cast<void>(co_await ports_[0].runtime.sleep_for(kMillisecond));
    }
    const Status stopped = co_await stop();
    if (!stopped && !may_refuse(stopped.error()) && !is_any_offline()) {
        world_.note_failure("a clean stop failed: " + stopped.error().detail);
    }
    stopped_ = stopped.has_value();
    given_up_ = !stopped_;
}

/// Trouble of the disk that is drawn for this round.
bool StorageProgram::may_refuse(const Error& error) const {
    if (world_.names_hurt_directory(error)) return true;
    const bool full = error.code == ErrorCode::no_space || stopping_;
    return world_.may_fail(0) || world_.may_fail(1) || (world_.may_be_full && full);
}

std::vector<storage::LogCheckpoint> StorageProgram::checkpoints_of(size_t directory) const {
    std::vector<storage::LogCheckpoint> checkpoints;
    for (const auto& store : stores_) {
        for (auto& checkpoint : store->checkpoints(kDirectories[directory])) {
            checkpoints.push_back(std::move(checkpoint));
        }
    }
    return checkpoints;
}

/// As a broker does it now and then: synced by every shard, then the checkpoint files.
Task<Status> StorageProgram::write_checkpoints() {
    for (uint32_t i = 0; i < ports_.size(); ++i) {
        auto start = [this, i](Runtime&) { return stores_[i]->checkpoint(); };
        CO_TRY_STATUS(co_await call_on(ports_[0].runtime, ShardIndex{i}, start));
    }
    for (size_t i = 0; i < directories_.size(); ++i) {
        CO_TRY_STATUS(co_await directories_[i]->write_checkpoints(checkpoints_of(i)));
    }
    co_return Status{};
}

Task<Status> StorageProgram::boot() {
    for (size_t i = 0; i < kDirectories.size(); ++i) {
        CO_TRY(auto directory, co_await storage::LogDirectory::open(ports_[0], kDirectories[i],
                                                                    world_.settings));
        directories_.push_back(std::move(directory));
        if (!directories_[i]->is_empty()) continue;
        storage::MetaProperties meta;
        meta.cluster_id = "simulated";
        meta.node_id = BrokerId{1};
        meta.directory_id.bytes.fill(static_cast<uint8_t>(7 + i));
        CO_TRY_STATUS(co_await directories_[i]->format(meta));
    }
    for (auto& directory : directories_) CO_TRY_STATUS(co_await directory->replay());
    std::vector<storage::LogDirectory*> all;
    for (auto& directory : directories_) all.push_back(directory.get());
    CO_TRY_STATUS(co_await storage::settle_moved_logs(ports_[0].files, std::move(all)));
    for (auto& directory : directories_) CO_TRY_STATUS(co_await directory->begin_serving());
    for (uint32_t i = 0; i < ports_.size(); ++i) {
        auto start = [this, i](Runtime&) { return open_shard(i); };
        CO_TRY_STATUS(co_await call_on(ports_[0].runtime, ShardIndex{i}, start));
    }
    ++world_.recoveries;
    // As in a broker, which serves by then.
    ports_[0].runtime.spawn(settle());
    size_t index = 0;
    for (auto& [name, tested] : world_.logs) {
        LogDriver& driver = *drivers_[index++];
        if (world_.damaged) continue;  // Looking is enough.
        ++drivers_running_;
        ports_[owner_of(name)].runtime.spawn(driver.run());
    }
    co_return Status{};
}

Task<> StorageProgram::settle() {
    for (size_t i = 0; i < kDirectories.size(); ++i) {
        const Status settled = co_await settle_one(i);
        if (settled) continue;
        if (may_refuse(settled.error())) {
            offline_[i] = true;
        } else {
            world_.note_failure("a start was not settled: " + settled.error().detail);
        }
        for (uint32_t shard = 0; shard < ports_.size(); ++shard) {
            auto start = [this, shard, i, why = settled.error()](Runtime&) {
                return hear_of(shard, kDirectories[i], why);
            };
            static_cast<void>(co_await call_on(ports_[0].runtime, ShardIndex{shard}, start));
        }
    }
    settled_ = true;
}

Task<Status> StorageProgram::settle_one(size_t directory) {
    Status settled = co_await directories_[directory]->settle();
    while (!settled && settled.error().code == ErrorCode::no_space && !stopping_) {
        static_cast<void>(co_await ports_[0].runtime.sleep_for(world_.settings.disk_interval));
        settled = co_await directories_[directory]->settle();
    }
    CO_TRY_STATUS(settled);
    for (uint32_t i = 0; i < ports_.size(); ++i) {
        auto start = [this, i, directory](Runtime&) {
            return stores_[i]->begin_writing(kDirectories[directory]);
        };
        CO_TRY_STATUS(co_await call_on(ports_[0].runtime, ShardIndex{i}, start));
    }
    co_return Status{};
}

Task<Status> StorageProgram::open_shard(uint32_t shard) {
    storage::LogStore& store = *stores_[shard];
    std::vector<storage::ServedDirectory> served;
    for (const auto& directory : directories_) served.push_back(directory->served());
    CO_TRY_STATUS(co_await store.prepare(std::move(served)));
    size_t index = 0;
    for (auto& [name, tested] : world_.logs) {
        LogDriver& driver = *drivers_[index++];
        if (owner_of(name) != shard) continue;
        storage::Log* log = nullptr;
        std::optional<Error> missing;
        bool hurt = false;
        for (size_t i = 0; i < directories_.size(); ++i) {
            for (const storage::FoundLog& found : directories_[i]->logs()) {
                if (found.name.topic != name) continue;
                const auto opened = co_await store.open_log(found, tested.config);
                tested.directory = i;
                hurt = world_.is_hurt(fmt::format("{}/{}-0", kDirectories[i], name));
                if (opened) log = *opened;
                if (!opened) missing = opened.error();
            }
        }
        driver.adopt(log);
        if (!missing) {
            const Status checked = co_await driver.check_recovered();
            if (!checked) missing = checked.error();
        }
        if (!missing) missing = co_await resume_move(store, log);
        if (!missing) continue;
        if (!hurt || !world_.names_damage(*missing)) co_return std::unexpected(*missing);
        ++world_.refusals;
    }
    co_return Status{};
}

/// Copies that the last life left. Without their log they go.
Task<std::optional<Error>> StorageProgram::resume_move(storage::LogStore& store,
                                                       storage::Log* log) {
    if (log == nullptr || world_.damaged) co_return std::nullopt;
    std::vector<storage::FoundCopy> copies;
    for (const auto& directory : directories_) {
        for (const storage::FoundCopy& copy : directory->copies()) {
            if (copy.name == log->name()) copies.push_back(copy);
        }
    }
    const Status resumed = co_await store.resume_move(*log, std::move(copies));
    if (resumed) co_return std::nullopt;
    co_return resumed.error();
}

/// As a broker closes its partitions, on every shard, before it closes the stores.
Task<Status> StorageProgram::leave_logs(uint32_t shard) {
    for (storage::Log* log : stores_[shard]->logs()) log->observe(nullptr);
    co_return Status{};
}

Task<Status> StorageProgram::stop() {
    for (uint32_t i = 0; i < ports_.size(); ++i) {
        auto start = [this, i](Runtime&) { return leave_logs(i); };
        CO_TRY_STATUS(co_await call_on(ports_[0].runtime, ShardIndex{i}, start));
    }
    closing_ = true;
    Status closed;
    for (uint32_t i = 0; i < ports_.size(); ++i) {
        auto start = [this, i](Runtime&) { return stores_[i]->close(); };
        const Status done = co_await call_on(ports_[0].runtime, ShardIndex{i}, start);
        if (!done) closed = done;
    }
    CO_TRY_STATUS(closed);
    for (size_t i = 0; i < directories_.size(); ++i) {
        auto closing = directories_[i]->close(checkpoints_of(i), BrokerEpoch{1});
        CO_TRY_STATUS(co_await std::move(closing));
    }
    for (auto& [name, tested] : world_.logs) {
        if (tested.model.changes() > 0) tested.model.durable_through(tested.model.changes() - 1);
    }
    co_return Status{};
}

}  // namespace ottla::sim
