// SPDX-License-Identifier: Apache-2.0
#include "io/backend.h"

#include <atomic>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <random>

#include "io/io_threads.h"
#include "io/posix_file_system.h"
#include "io/runtime_loop.h"
#include "io/tcp_transport.h"

namespace ottla::io {

// ---- Signals ----------------------------------------------------------------------------------

class Signals final : public OpOwner {
public:
    explicit Signals(RuntimeLoop& loop) : loop_(loop), set_(loop.context()) {}
    void start(SignalOp& op) {
        CHECK(pending_ == nullptr, "one wait for signals at a time");
        op.begin(*this);
        pending_ = &op;
        if (!std::exchange(installed_, true)) {
            asio_error ignored;
            set_.add(SIGINT, ignored);
            set_.add(SIGTERM, ignored);
        }
        set_.async_wait([this](const asio_error& error, int signal) { complete(error, signal); });
    }
    void cancel(Op&) noexcept override {
        asio_error ignored;
        set_.cancel(ignored);
    }

private:
    void complete(const asio_error& error, int signal) {
        if (pending_ == nullptr) return;
        if (error) pending_->set_error({ErrorCode::cancelled, {}});
        pending_->signal = signal;
        loop_.ready(*std::exchange(pending_, nullptr));
    }

    RuntimeLoop& loop_;
    asio::basic_signal_set<asio::io_context::executor_type> set_;
    SignalOp* pending_ = nullptr;
    bool installed_ = false;
};

void SignalOp::start() { signals_.start(*this); }

// ---- Backend ----------------------------------------------------------------------------------

namespace {

constexpr Duration kNoLimit = kNever.since_start;
constexpr Duration kSettleStep = std::chrono::milliseconds(1);

uint64_t entropy() {
    std::random_device device;
    const uint64_t high = device();
    const uint64_t low = device();
    return high << 32U | low;
}

Task<> run_main(Task<int> main, std::optional<int>& result) {
    result = co_await std::move(main);
}

}  // namespace

struct Backend::World {
    /// What one shard has of its own, in the order of dependence.
    struct Shard {
        Shard(World& world, ShardIndex index, uint64_t seed)
            : loop(index, world.loops, world.origin, seed),
              network(loop, *world.threads, home, world.options.receive_block_bytes), home(loop) {}
        RuntimeLoop loop;
        ShardNetwork network;
        IoHome home;  ///< Ends before `network`: a job that nobody was told of may hold a connection.
        std::optional<PosixFileSystem> files;
        std::optional<TcpTransport> transport;
    };

    explicit World(BackendOptions chosen);
    ~World() { threads.reset(); }  // Jobs come home to loops that are still there.
    void serve(Shard& shard);
    void settle();
    [[nodiscard]] bool is_quiet() const;

    const BackendOptions options;
    const RuntimeLoop::Clock::time_point origin = RuntimeLoop::Clock::now();
    Shards loops;
    std::vector<std::unique_ptr<Shard>> shards;
    std::shared_ptr<LockTable> locks = std::make_shared<LockTable>();
    std::unique_ptr<IoThreads> threads = std::make_unique<IoThreads>();
    std::optional<Acceptors> acceptors;
    std::optional<Signals> signals;
    std::atomic<bool> stopping{false};
};

Backend::World::World(BackendOptions chosen) : options(std::move(chosen)) {
    CHECK(options.shards > 0, "a process has a shard");
    const uint64_t seed = options.seed ? *options.seed : entropy();
    for (uint32_t i = 0; i < options.shards; ++i) {
        shards.push_back(std::make_unique<Shard>(*this, ShardIndex{i}, seed));
        loops.push_back(&shards.back()->loop);
    }
    acceptors.emplace(*loops.front(), options.warn);
    signals.emplace(*loops.front());
    for (auto& shard : shards) {
        shard->files.emplace(*threads, shard->home, locks);
        shard->transport.emplace(shard->network, *acceptors, *threads, shard->home);
    }
}

void Backend::World::serve(Shard& shard) {
    while (!stopping.load(std::memory_order_acquire)) shard.loop.step(kNoLimit);
}

bool Backend::World::is_quiet() const {
    return std::ranges::all_of(loops, [](const RuntimeLoop* loop) { return loop->is_quiet(); });
}

/// Until nothing runs anywhere, seen twice: a message between two shards may hide from one look.
void Backend::World::settle() {
    RuntimeLoop& loop = *loops.front();
    const Instant latest = loop.now() + options.stop_grace;
    for (int looks = 0; looks < 2 && loop.now() < latest;) {
        loop.step(kSettleStep);
        looks = is_quiet() ? looks + 1 : 0;
    }
    for (const RuntimeLoop* stuck : loops) {
        if (stuck->is_quiet() || !options.warn) continue;
        options.warn("shard " + std::to_string(stuck->shard().value()) +
                     " still runs something at the end of the process; left as it is");
    }
}

Backend::Backend(BackendOptions options) {
    std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGXFSZ, SIG_IGN);
    world_ = std::make_unique<World>(std::move(options));
}

Backend::~Backend() = default;

Ports Backend::ports(ShardIndex shard) {
    World::Shard& own = *world_->shards.at(shard.value());
    return {own.loop, *own.files, *own.transport};
}

int Backend::run(Task<int> main) {
    /// Wakes a shard that sleeps so that it sees the end.
    struct Nudge final : Message {
        void run(Runtime&) override {}
    };
    World& world = *world_;
    std::vector<std::thread> threads;
    for (size_t i = 1; i < world.shards.size(); ++i) {
        threads.push_back(start_thread("ottla-shard-" + std::to_string(i), ThreadKind::prompt,
                                       [&world, i] { world.serve(*world.shards[i]); }));
    }
    schedule_as(ThreadKind::prompt);
    RuntimeLoop& loop = *world.loops.front();
    loop.step(Duration::zero());  // The clock: main starts now, not when we were constructed.
    std::optional<int> result;
    loop.spawn(run_main(std::move(main), result));
    while (!result) loop.step(kNoLimit);
    world.settle();
    world.stopping.store(true, std::memory_order_release);
    std::vector<Nudge> nudges(world.loops.size());
    for (size_t i = 1; i < world.loops.size(); ++i) world.loops[i]->deliver(nudges[i]);
    for (std::thread& thread : threads) thread.join();
    return *result;
}

SignalOp Backend::wait_for_signal() { return SignalOp{*world_->signals}; }

}  // namespace ottla::io
