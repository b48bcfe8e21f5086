// SPDX-License-Identifier: Apache-2.0
// Threads for calls that block: file operations and name look-ups.
//
//   IoJob      one blocking call: performed on an I/O thread, brought home to the shard that asked
//   IoQueue    jobs in order and the threads that take them
//   IoHome     a shard's inbox of finished jobs: one message however many finished
//   IoThreads  the queues of a process: bulk (two threads: flushes, names), reads (two: of everything but
//              journals), sends (two: large writes to sockets), one thread per journal directory, one for
//              name servers
//
// A journal's thread does nothing else, because 512 MiB of writes beside it would triple the latency
// of a group (DESIGN 4). Reads have their own, because many consumers that read everything would keep
// flushes waiting, and with them the writers once the journal's memory is full. What is in a queue can be
// cancelled, what a thread has taken cannot. On destruction the queues run empty first.
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "io/runtime_loop.h"
#include "io/scheduling.h"
#include "ottla/buffer.h"
#include "ottla/file.h"

namespace ottla::io {

class IoHome;

/// Aligned memory of one I/O thread, for what lies anywhere: made when first wanted, then kept, so
/// that it stays in the cache of the core. All staging memory of a process is this, once for each of
/// the bulk threads: it grows neither with logs nor with shards.
class IoScratch {
public:
    static constexpr size_t kBytes = size_t{1} << 20U;
    std::span<std::byte> memory() {
        if (!block_) block_ = make_block(kBytes, kDirectAlignment);
        return {block_->data(), kBytes};
    }

private:
    BlockRef block_;
};

class IoJob : public Link {
public:
    explicit IoJob(IoHome& home) : home_(home) {}
    virtual ~IoJob() = default;
    virtual void perform(IoScratch& scratch) = 0;  ///< On an I/O thread.
    virtual void come_home() = 0;                  ///< On the shard, once; the job is deleted after it.

private:
    friend class IoQueue;
    IoHome& home_;
    bool taken_ = false;
};

class IoHome final : public Message {
public:
    explicit IoHome(RuntimeLoop& loop) : loop_(loop) {}
    ~IoHome();  ///< What finished after the shard's last turn has nobody to tell.
    /// From any thread.
    void deliver(IoJob& job);
    void run(Runtime& here) override;
    [[nodiscard]] RuntimeLoop& loop() const { return loop_; }

private:
    RuntimeLoop& loop_;
    std::mutex mutex_;
    LinkList<IoJob> finished_;
    bool on_its_way_ = false;
};

class IoQueue {
public:
    IoQueue(std::string name, ThreadKind kind, size_t threads);
    ~IoQueue();
    /// The queue owns the job until it comes home.
    void push(std::unique_ptr<IoJob> job);
    /// Takes a job back that no thread has taken; null if one has.
    std::unique_ptr<IoJob> take_back(IoJob& job);

private:
    void work();

    std::mutex mutex_;
    std::condition_variable not_empty_;
    LinkList<IoJob> waiting_;
    bool stopping_ = false;
    std::vector<std::thread> threads_;
};

class IoThreads {
public:
    IoThreads()
        : bulk_("ottla-bulk", ThreadKind::bulk, 2), reads_("ottla-reads", ThreadKind::bulk, 2),
          sends_("ottla-sends", ThreadKind::bulk, 2) {}
    IoQueue& bulk() { return bulk_; }
    IoQueue& reads() { return reads_; }
    IoQueue& sends() { return sends_; }
    /// The queue of the journals in `directory`; its thread starts with the first call.
    IoQueue& journal(const std::string& directory);
    IoQueue& names();

private:
    IoQueue bulk_;
    IoQueue reads_;
    IoQueue sends_;
    std::mutex mutex_;
    std::map<std::string, std::unique_ptr<IoQueue>> journals_;
    std::unique_ptr<IoQueue> names_;
};

/// Starts a thread under a name, with every signal left to the thread that runs shard 0.
std::thread start_thread(std::string name, ThreadKind kind, std::function<void()> body);

}  // namespace ottla::io
