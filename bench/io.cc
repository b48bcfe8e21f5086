// SPDX-License-Identifier: Apache-2.0
// What the real backend costs: a turn, a hop between shards, a round trip over a socket, a journal
// group on the disk. `ottla_io_bench [DIRECTORY]`; each line names its baseline where there is one.
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>

#include "io/backend.h"
#include "ottla/sync.h"

namespace ottla {
namespace {

using std::chrono::nanoseconds;

nanoseconds processor_time() {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    const auto of = [](const timeval& t) {
        return std::chrono::seconds(t.tv_sec) + std::chrono::microseconds(t.tv_usec);
    };
    return of(usage.ru_utime) + of(usage.ru_stime);
}

/// Prints what `count` things cost since it was made: by the clock, and of all threads' processor time.
class Stopwatch {
public:
    void report(const char* what, int64_t count) const {
        const nanoseconds processor = processor_time() - processor_;
        const nanoseconds clock = std::chrono::steady_clock::now() - clock_;
        const int64_t each = clock.count() / count;
        const int64_t rate = count * 1'000'000'000 / clock.count();
        const std::string line = fmt::format("{:<56} {:>9} ns {:>9} /s {:>9} ns processor\n", what,
                                             each, rate, processor.count() / count);
        std::fputs(line.c_str(), stdout);
        std::fflush(stdout);
    }

private:
    nanoseconds processor_ = processor_time();
    std::chrono::steady_clock::time_point clock_ = std::chrono::steady_clock::now();
};

// ---- turns and hops ---------------------------------------------------------------------------

Task<int> yields(Runtime& runtime) {
    constexpr int kCount = 3'000'000;
    const Stopwatch watch;
    for (int i = 0; i < kCount; ++i) co_await runtime.yield();
    watch.report("yield", kCount);
    co_return 0;
}

Task<int> arms_timers(Runtime& runtime) {
    constexpr int kCount = 3'000'000;
    const Stopwatch watch;
    for (int i = 0; i < kCount; ++i) {
        SleepOp timer(runtime, runtime.now() + std::chrono::milliseconds(1 + i % 5000));
        timer.start();
        timer.unlink();
    }
    watch.report("arm a timer and take it back", kCount);
    co_return 0;
}

Task<int> nothing() { co_return 0; }
struct Nothing {
    Task<int> operator()(Runtime&) const { return nothing(); }
};

Task<int> hop_often(Runtime& here, int count) {
    for (int i = 0; i < count; ++i) (void)co_await call_on(here, ShardIndex{1}, Nothing{});
    co_return 0;
}

Task<int> hops(Runtime& runtime) {
    constexpr int kAlone = 30'000;
    const Stopwatch alone;
    (void)co_await hop_often(runtime, kAlone);
    alone.report("hop: there and back, one at a time (the peer sleeps)", kAlone);
    constexpr int kTogether = 256;
    constexpr int kEach = 4000;
    const Stopwatch together;
    std::vector<Task<int>> tasks;
    for (int i = 0; i < kTogether; ++i) tasks.push_back(hop_often(runtime, kEach));
    (void)co_await when_all(runtime, std::move(tasks));
    together.report("hop: there and back, 256 at a time (both busy)", kTogether * kEach);
    co_return 0;
}

// ---- round trips ------------------------------------------------------------------------------

/// Sends back whatever came: borrowed, never copied.
Task<int> echo_bytes(Ports ports, Endpoint endpoint, int connections) {
    auto listener = ports.transport.listen(endpoint, 16).value();
    std::vector<std::unique_ptr<Stream>> streams;
    for (int i = 0; i < connections; ++i) {
        auto accepted = co_await listener->accept();
        streams.push_back(std::move(accepted).value());
    }
    struct One {
        static Task<int> serve(Stream& stream) {
            while (true) {
                auto bytes = co_await stream.read();
                if (!bytes) co_return 0;
                const Status wrote = co_await stream.write(std::move(bytes).value());
                if (!wrote) co_return 1;
            }
        }
    };
    std::vector<Task<int>> tasks;
    for (const auto& stream : streams) tasks.push_back(One::serve(*stream));
    (void)co_await when_all(ports.runtime, std::move(tasks));
    co_return 0;
}

struct EchoThere {
    Ports ports;
    Endpoint endpoint;
    int connections;
    Task<int> operator()(Runtime&) const { return echo_bytes(ports, endpoint, connections); }
};

constexpr size_t kFrame = 100;

Task<int> call_often(Ports ports, Endpoint endpoint, int rounds, int frames) {
    auto connected = co_await ports.transport.connect(endpoint, kNever);
    const auto stream = std::move(connected).value();
    const Buffer batch = Buffer::copy_of(std::string(kFrame * static_cast<size_t>(frames), 'x'));
    for (int i = 0; i < rounds; ++i) {
        (void)co_await stream->write(batch);
        for (size_t have = 0; have < batch.size();) {
            const auto piece = co_await stream->read();
            have += piece.value().size();
        }
    }
    co_return 0;
}

struct Load {
    const char* what;
    uint16_t port;
    int connections;
    int rounds;
    int frames;
};

Task<int> round_trips(io::Backend& backend, Load load) {
    Ports ports = backend.ports(ShardIndex{0});
    const Endpoint endpoint{"127.0.0.1", load.port};
    EchoThere echo{backend.ports(ShardIndex{1}), endpoint, load.connections};
    std::vector<Task<int>> tasks;
    tasks.push_back(call_on(ports.runtime, ShardIndex{1}, echo));
    struct Wait {
        static Task<int> run(Ports all, Load wanted, Endpoint at) {
            (void)co_await all.runtime.sleep_for(std::chrono::milliseconds(20));
            const Stopwatch watch;
            std::vector<Task<int>> calls;
            for (int i = 0; i < wanted.connections; ++i) {
                calls.push_back(call_often(all, at, wanted.rounds, wanted.frames));
            }
            (void)co_await when_all(all.runtime, std::move(calls));
            watch.report(wanted.what, int64_t{wanted.connections} * wanted.rounds * wanted.frames);
            co_return 0;
        }
    };
    tasks.push_back(Wait::run(ports, load, endpoint));
    (void)co_await when_all(ports.runtime, std::move(tasks));
    co_return 0;
}

// ---- journal ----------------------------------------------------------------------------------

constexpr size_t kGroup = size_t{16} * 1024;
constexpr uint64_t kJournal = uint64_t{16} << 20U;
constexpr int kGroups = 500;

Task<int> journal(Ports ports, std::string path) {
    auto opened = co_await ports.files.open(
        path, {.write = true, .create = true, .direct = true, .lane = IoLane::journal});
    const auto file = std::move(opened).value();
    BlockRef block = make_block(size_t{1} << 20U, kDirectAlignment);
    std::memset(block->data(), 0, block->capacity());
    for (uint64_t at = 0; at < kJournal; at += block->capacity()) {
        (void)co_await file->write(at, Buffer(block, 0, block->capacity()));
    }
    (void)co_await file->sync();
    const Stopwatch watch;
    for (uint64_t i = 0; i < kGroups; ++i) {
        (void)co_await file->write(i * kGroup % kJournal, Buffer(block, 0, kGroup));
        (void)co_await file->sync();
    }
    watch.report(file->is_direct() ? "journal group: 16 KiB direct write, then sync"
                                   : "journal group: 16 KiB buffered write, then sync",
                 kGroups);
    const int flags = O_RDWR | O_CLOEXEC | (file->is_direct() ? O_DIRECT : 0);
    const int descriptor = ::open(path.c_str(), flags);
    const Stopwatch plain;
    for (uint64_t i = 0; i < kGroups; ++i) {
        const auto at = static_cast<off_t>(i * kGroup % kJournal);
        (void)!::pwrite(descriptor, block->data(), kGroup, at);
        ::fdatasync(descriptor);
    }
    plain.report("  baseline: the same two system calls, one thread", kGroups);
    ::close(descriptor);
    (void)co_await ports.files.unlink(path);
    co_return 0;
}

Task<int> measure(io::Backend& backend, std::string directory) {
    Ports ports = backend.ports(ShardIndex{0});
    (void)co_await yields(ports.runtime);
    (void)co_await arms_timers(ports.runtime);
    (void)co_await hops(ports.runtime);
    const Load alone{"round trip of 100 bytes, one connection, one at a time", 39471, 1, 30'000, 1};
    const Load many{"round trip of 100 bytes, 32 connections, one at a time", 39472, 32, 6'000, 1};
    const Load piped{"round trip of 100 bytes, 4 connections, 64 pipelined", 39473, 4, 6'000, 64};
    (void)co_await round_trips(backend, alone);
    (void)co_await round_trips(backend, many);
    (void)co_await round_trips(backend, piped);
    (void)co_await journal(ports, directory + "/ottla-io-bench");
    co_return 0;
}

}  // namespace
}  // namespace ottla

int main(int argc, char** argv) {
    ottla::io::Backend backend({.shards = 2, .seed = 1});
    return backend.run(ottla::measure(backend, argc > 1 ? argv[1] : "."));
}
