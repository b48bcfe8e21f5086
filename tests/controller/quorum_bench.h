// SPDX-License-Identifier: Apache-2.0
// One simulated machine that runs a metadata quorum of one: format, controller, its registration. The
// process can be killed or the power cut at any event; `boot` starts as a broker does.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "base/uuid.h"
#include "controller/driver.h"
#include "raft/format.h"
#include "storage/log_directory.h"
#include "tests/sim/machine.h"

namespace ottla::controller::test {

inline const std::vector<std::string> kDirectories = {"/data/a", "/data/b"};

inline raft::FormatOptions format_options() {
    raft::FormatOptions options;
    options.metadata_dir = kDirectories.front();
    options.node = BrokerId{1};
    options.controller_endpoints = {{"CONTROLLER", "localhost", 9093}};
    protocol::FeatureLevelRecord level;
    level.name = "metadata.version";
    level.feature_level = metadata::kNewClusterMetadataVersion;
    options.features = {{level, 0}};
    return options;
}

class QuorumBench final : public MetadataListener {
public:
    explicit QuorumBench(uint64_t seed) : bench(seed) { bench.disk().prepare_directory("/data"); }
    ~QuorumBench() { drop(); }

    void published(metadata::ImagePtr image, metadata::MetadataChanges changes) override {
        EXPECT_TRUE(images.empty() || images.back()->end <= image->end);
        images.push_back(std::move(image));
        last_changes = std::move(changes);
    }
    void quorum_failed(const Error& why) override { failures.push_back(why); }

    Ports ports() { return bench.process.ports(0); }

    Task<Status> open_directories() {
        for (const std::string& path : directory_paths) {
            CO_TRY(auto one, co_await storage::LogDirectory::open(ports(), path, {}));
            directories.push_back(std::move(one));
        }
        co_return Status();
    }
    Task<Status> boot() {
        CO_TRY_STATUS(co_await open_directories());
        std::vector<storage::LogDirectory*> all;
        for (const auto& one : directories) all.push_back(one.get());
        CO_TRY(identity, co_await raft::format_if_empty(ports(), all, format));
        ControllerOptions options;
        options.cluster_id = identity.cluster_id;
        options.raft.directory = identity.metadata_log;
        options.raft.self = {format.node, identity.directory_id};
        options.raft.limits.segment_bytes = segment_bytes;
        options.bootstrap = identity.bootstrap;
        CO_TRY(driver, co_await ControllerDriver::open(ports(), std::move(options), *this));
        CO_TRY_STATUS(co_await driver->start());
        co_return co_await join();
    }
    /// Registers the broker of this process and has it unfenced.
    Task<Status> join() {
        protocol::BrokerRegistrationRequest request;
        request.broker_id = 1;
        request.cluster_id = identity.cluster_id;
        const uint64_t high = ports().runtime.random();
        const uint64_t low = ports().runtime.random();
        request.incarnation_id = make_uuid(high, low);
        request.listeners = {{"PLAINTEXT", "localhost", 9092, 0}};
        for (const auto& [name, range] : metadata::supported_features()) {
            request.features.push_back({name, range.min, range.max});
        }
        for (const auto& one : directories) request.log_dirs.push_back(one->meta()->directory_id);
        CO_TRY(const auto registered,
               co_await driver->register_broker(request, OldIncarnation::is_gone));
        if (registered.error_code != 0) co_return fail(ErrorCode{registered.error_code}, "register");
        broker_epoch = registered.broker_epoch;
        CO_TRY(const auto beat, co_await heartbeat());
        if (beat.is_fenced) co_return fail(ErrorCode::unknown_server_error, "still fenced");
        co_return Status();
    }
    Task<Result<protocol::BrokerHeartbeatResponse>> heartbeat() {
        protocol::BrokerHeartbeatRequest request;
        request.broker_id = 1;
        request.broker_epoch = broker_epoch;
        request.current_metadata_offset = driver->image()->end.value() - 1;
        return driver->heartbeat(request);
    }
    Task<Result<int16_t>> create(std::string name, int32_t partitions = 2) {
        protocol::CreateTopicsRequest request;
        protocol::CreateTopicsRequest::CreatableTopic topic;
        topic.name = std::move(name);
        topic.num_partitions = partitions;
        topic.replication_factor = 1;
        topic.configs = {{"retention.ms", "1000"}};
        request.topics = {topic};
        CO_TRY(const auto response, co_await driver->create_topics(request));
        co_return response.topics.at(0).error_code;
    }
    Task<Result<int16_t>> remove(std::string name) {
        protocol::DeleteTopicsRequest request;
        request.topic_names = {std::move(name)};
        CO_TRY(const auto response, co_await driver->delete_topics(request));
        co_return response.responses.at(0).error_code;
    }

    void start() {
        const Status booted = bench.run(boot());
        ASSERT_TRUE(booted) << booted.error().detail;
    }
    void drop() {
        if (bench.process.is_running()) bench.process.kill();
        driver.reset();
        directories.clear();
    }
    void kill() {
        drop();
        forget();
        bench.process.start();
    }
    void power_cut() {
        bench.machine.power_cut();
        drop();
        forget();
        bench.machine.switch_on();
        bench.process.start();
    }
    void forget() {
        images.clear();
        failures.clear();
    }
    const metadata::MetadataImage& image() const { return *images.back(); }

    sim::Bench bench;
    raft::FormatOptions format = format_options();
    std::vector<std::string> directory_paths = kDirectories;
    int64_t segment_bytes = 1 << 20;
    std::vector<std::unique_ptr<storage::LogDirectory>> directories;
    raft::NodeIdentity identity;
    std::unique_ptr<ControllerDriver> driver;
    int64_t broker_epoch = -1;
    std::vector<metadata::ImagePtr> images;
    metadata::MetadataChanges last_changes;
    std::vector<Error> failures;
};

}  // namespace ottla::controller::test
