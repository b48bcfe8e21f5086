// SPDX-License-Identifier: Apache-2.0
// PosixFileSystem: one shard's FileSystem. Names are handled on the bulk threads; an open file's lane
// decides where its own operations run (a journal file: the thread of its directory).
//
// Locks are fcntl's, so that a Kafka broker and we exclude each other. Such a lock belongs to the
// process and is lost when ANY descriptor of the file is closed; hence LockTable, which knows what this
// process holds by (device, inode) and refuses a second lock without opening the file. Nobody may
// open a held lock file through `open`.
#pragma once

#include <sys/types.h>

#include <memory>
#include <mutex>
#include <set>
#include <utility>

#include "io/block_pool.h"
#include "io/posix_file.h"

namespace ottla::io {

class LockTable {
public:
    using Identity = std::pair<dev_t, ino_t>;
    bool add(Identity file) {
        const std::lock_guard lock(mutex_);
        return held_.insert(file).second;
    }
    void remove(Identity file) {
        const std::lock_guard lock(mutex_);
        held_.erase(file);
    }
    [[nodiscard]] bool has(Identity file) {
        const std::lock_guard lock(mutex_);
        return held_.contains(file);
    }

private:
    std::mutex mutex_;
    std::set<Identity> held_;
};

class PosixFileSystem final : public FileSystem, public OpOwner {
public:
    PosixFileSystem(IoThreads& threads, IoHome& home, std::shared_ptr<LockTable> locks);
    void start(FileSystemOp& op) override;
    BlockRef read_block(size_t bytes) override;
    void cancel(Op& op) noexcept override;
    /// The call itself, on an I/O thread.
    Status perform(FileSystemOp& op, IoScratch& scratch);

private:
    Status open(FileSystemOp& op);
    Status lock(FileSystemOp& op);

    IoThreads& threads_;
    IoHome& home_;
    std::shared_ptr<LockTable> locks_;
    BlockPool::Handle read_blocks_;
};

}  // namespace ottla::io
