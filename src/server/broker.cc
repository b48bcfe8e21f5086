// SPDX-License-Identifier: Apache-2.0
// The Broker of include/ottla/broker.h: shards, a node below and a server above them, in their
// order.
#include "ottla/broker.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>

#include "broker/descriptors.h"
#include "broker/node.h"
#include "server/server.h"

namespace ottla {

namespace {

/// Sole voter, both roles: everything else comes with several nodes and is refused by name.
Status check_roles(const Settings& settings, BrokerId id) {
    auto roles = settings.list("process.roles");
    std::ranges::sort(roles);
    if (roles != std::vector<std::string>{"broker", "controller"}) {
        return fail(ErrorCode::invalid_config,
                    "process.roles: only \"broker,controller\" in one process is supported yet");
    }
    const auto voters = settings.list("controller.quorum.voters");
    if (voters.size() > 1) {
        return fail(ErrorCode::invalid_config,
                    "controller.quorum.voters: several voters are not supported yet");
    }
    if (voters.size() == 1 && !voters[0].starts_with(fmt::format("{}@", id.value()))) {
        return fail(ErrorCode::invalid_config,
                    fmt::format("controller.quorum.voters is {}, which is not this node ({})",
                                voters[0], id.value()));
    }
    return {};
}

/// `broker.id` is the older name of `node.id`: whoever reads either finds this node's id.
Result<BrokerId> unite_ids(Settings& settings) {
    const bool has_old = settings.is_set("broker.id");
    const bool has_new = settings.is_set("node.id");
    if (has_old && has_new && settings.number("broker.id") != settings.number("node.id")) {
        return fail(ErrorCode::invalid_config,
                    fmt::format("broker.id={} is not node.id={}: one node has one id",
                                settings.number("broker.id"), settings.number("node.id")));
    }
    const char* const known = has_old && !has_new ? "broker.id" : "node.id";
    const std::string id = settings.text(known);
    TRY_STATUS(settings.set("broker.id", id, Settings::Source::file));
    if (has_old) TRY_STATUS(settings.set("node.id", id, Settings::Source::file));
    return BrokerId{static_cast<int32_t>(settings.number("broker.id"))};
}

Result<broker::NodeFacts> facts_of(const BrokerParts& parts) {
    broker::NodeFacts facts;
    facts.settings = parts.settings;
    TRY(facts.id, unite_ids(facts.settings));
    facts.shard_count = static_cast<uint32_t>(parts.shards.size());
    facts.faults = parts.faults;
    facts.memory = broker::plan_memory(facts.settings.number("ottla.memory.bytes"),
                                       parts.memory_limit, facts.shard_count);
    TRY_STATUS(check_roles(facts.settings, facts.id));
    TRY(facts.listeners, broker::client_listeners(facts.settings));
    TRY_STATUS(server::ConnectionQuota::check(facts.settings));
    const auto advertised = facts.settings.find("advertised.listeners");
    facts.auto_advertise = !advertised || advertised->empty();
    return facts;
}

/// A decimal of Kafka's, "1.7976931348623157E308" for no limit.
uint64_t bytes_per_second(const std::string& text) {
    double value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    constexpr double kMost = 1e18;
    return value >= kMost ? std::numeric_limits<uint64_t>::max()
                          : static_cast<uint64_t>(std::max(value, 1.0));
}

storage::StorageSettings storage_of(const broker::NodeFacts& facts) {
    storage::StorageSettings storage;
    storage.faults = facts.faults;
    storage.cleaner_enabled = facts.settings.flag("log.cleaner.enable");
    storage.cleaner_backoff =
        std::chrono::milliseconds(facts.settings.number("log.cleaner.backoff.ms"));
    storage.cleaner_map_bytes =
        static_cast<size_t>(std::max<int64_t>(
            facts.settings.number("log.cleaner.dedupe.buffer.size"), 1 << 20)) /
        facts.shard_count;
    storage.cleaner_io_bytes = static_cast<size_t>(
        std::max<int64_t>(facts.settings.number("log.cleaner.io.buffer.size"), 64 * 1024));
    const uint64_t rate =
        bytes_per_second(facts.settings.text("log.cleaner.io.max.bytes.per.second"));
    const bool limited = rate != std::numeric_limits<uint64_t>::max();
    storage.cleaner_bytes_per_second = limited ? rate / facts.shard_count + 1 : rate;
    storage.retention_check_interval =
        std::chrono::milliseconds(facts.settings.number("log.retention.check.interval.ms"));
    const auto scrub =
        static_cast<uint64_t>(facts.settings.number("ottla.scrub.bytes.per.second"));
    storage.scrub_bytes_per_second = scrub == 0 ? 0 : scrub / facts.shard_count + 1;
    storage.scrub_interval =
        std::chrono::milliseconds(facts.settings.number("ottla.scrub.interval.ms"));
    storage.shards = facts.shard_count;
    const int64_t reserve = facts.settings.number("ottla.disk.reserve.bytes");
    if (reserve >= 0) storage.disk_reserve_bytes = static_cast<uint64_t>(reserve);
    storage.open_files = broker::share_descriptors(facts.settings, facts.shard_count).segments;
    storage.index_cache_bytes = facts.memory.index_cache_bytes;
    storage.chunk_budget_bytes = facts.memory.hot_tail_bytes;
    storage.journal_file_bytes = facts.memory.journal_file_bytes;
    storage.replay_bytes = facts.memory.replay_bytes;
    storage.direct_flush = facts.memory.direct_flush;
    storage.cleaner_map_bytes =
        std::min(storage.cleaner_map_bytes, facts.memory.cleaner_map_bytes);
    return storage;
}

class WholeBroker final : public Broker {
public:
    WholeBroker(broker::NodeFacts facts, BrokerParts parts)
        : facts_(std::move(facts)), ports_(std::move(parts.shards)), log_(parts.log) {
        for (const Ports& ports : ports_) {
            shards_.push_back(
                std::make_unique<broker::Shard>(ports, facts_, log_, storage_of(facts_)));
            pointers_.push_back(shards_.back().get());
        }
        node_ = std::make_unique<broker::Node>(facts_, pointers_, ports_[0], log_);
        server_ = std::make_unique<server::Server>(pointers_);
    }

    Task<Status> start() override {
        CO_TRY_STATUS(co_await node_->open(storage_of(facts_)));
        CO_TRY(bound_, co_await server_->listen(facts_.listeners));
        CO_TRY(std::vector<broker::AdvertisedListener> advertised, advertise());
        CO_TRY_STATUS(co_await node_->join(std::move(advertised)));
        co_await server_->serve();
        node_->begin_settling();
        co_return Status();
    }

    Task<Status> stop() override {
        co_await server_->stop();
        co_return co_await node_->leave();
    }

    Task<Error> failed() override { co_return co_await node_->failed(); }

    BrokerId id() const override { return facts_.id; }

    std::optional<Endpoint> endpoint(std::string_view listener) const override {
        for (const server::BoundListener& bound : bound_) {
            if (listener.empty() || bound.name == listener) return bound.endpoint;
        }
        return std::nullopt;
    }

private:
    /// What the metadata says of this broker: advertised.listeners, else where it listens.
    Result<std::vector<broker::AdvertisedListener>> advertise() const {
        std::vector<broker::AdvertisedListener> advertised;
        if (facts_.auto_advertise) {
            for (const server::BoundListener& bound : bound_) {
                const std::string& host = bound.endpoint.host;
                const bool everywhere = host.empty() || host == "0.0.0.0" || host == "::";
                advertised.push_back(
                    {bound.name, {everywhere ? "localhost" : host, bound.endpoint.port}});
            }
            return advertised;
        }
        TRY(const auto wanted,
            broker::parse_listeners(*facts_.settings.find("advertised.listeners")));
        for (const broker::ListenerConfig& one : wanted) {
            if (!endpoint(one.name)) {
                return fail(ErrorCode::invalid_config,
                            fmt::format("advertised.listeners: {} is not in listeners", one.name));
            }
            advertised.push_back({one.name, {one.host, one.port}});
        }
        return advertised;
    }

    broker::NodeFacts facts_;
    std::vector<Ports> ports_;
    Logger& log_;
    std::vector<std::unique_ptr<broker::Shard>> shards_;
    std::vector<broker::Shard*> pointers_;
    std::unique_ptr<broker::Node> node_;
    std::unique_ptr<server::Server> server_;
    std::vector<server::BoundListener> bound_;
};

}  // namespace

Result<std::unique_ptr<Broker>> make_broker(BrokerParts parts) {
    CHECK(!parts.shards.empty(), "a broker has at least one shard");
    TRY(broker::NodeFacts facts, facts_of(parts));
    return std::make_unique<WholeBroker>(std::move(facts), std::move(parts));
}

}  // namespace ottla
