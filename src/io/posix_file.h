// SPDX-License-Identifier: Apache-2.0
// PosixFile: an open file of one shard. Its operations run on the I/O threads of its lane, reads of
// all but journals on those for reading; several may run at once. The file goes away only after its operations came home, and its descriptor is closed
// on the bulk thread, because the last close of an unlinked file frees its blocks.
//
// Large aligned reads of a buffered file whose bytes are not all in the page cache go past it, through a
// descriptor that lives for the one read: a consumer that reads everything then neither evicts what others use
// nor has the kernel read ahead of it, which queues megabytes at the disk in front of the journal.
// Where fallocate is missing, `allocate` writes zeros from the end of the file on: then holes inside
// it stay unreserved.
#pragma once

#include "io/io_threads.h"
#include "ottla/file.h"

namespace ottla::io {

/// Completes the Op of a file when its call is done.
template <class Operation, class Doer>
class OpJob final : public IoJob {
public:
    OpJob(IoHome& home, Operation& op, Doer& doer)
        : IoJob(home), runtime_(home.loop()), op_(op), doer_(doer) {}
    void perform(IoScratch& scratch) override { status_ = doer_.perform(op_, scratch); }
    void come_home() override { finish(); }
    void finish_cancelled() {
        status_ = fail(ErrorCode::cancelled);
        finish();
    }

private:
    void finish() {
        op_.owner_word = 0;
        if (!status_) op_.set_error(std::move(status_).error());
        runtime_.ready(op_);
    }

    Runtime& runtime_;
    Operation& op_;
    Doer& doer_;
    Status status_;
};

/// Starts and cancels jobs for an OpOwner; the Op's owner_word is its job.
template <class Operation, class Doer>
void start_job(IoQueue& queue, IoHome& home, Operation& op, Doer& doer) {
    auto job = std::make_unique<OpJob<Operation, Doer>>(home, op, doer);
    op.owner_word = reinterpret_cast<uintptr_t>(job.get());
    queue.push(std::move(job));
}
template <class Operation, class Doer>
void cancel_job(IoQueue& queue, Op& op) noexcept {
    auto* job = reinterpret_cast<OpJob<Operation, Doer>*>(static_cast<uintptr_t>(op.owner_word));
    if (const auto taken_back = queue.take_back(*job); taken_back) job->finish_cancelled();
}

class PosixFile final : public File, public OpOwner {
public:
    struct Queues {
        IoQueue& lane;
        IoQueue& reading;
        IoQueue& closing;
    };
    struct Opened {
        int descriptor = -1;
        uint64_t size = 0;
        bool direct = false;
    };
    PosixFile(Opened opened, std::string path, Queues queues, IoHome& home)
        : descriptor_(opened.descriptor),
          path_(std::move(path)),
          opened_size_(opened.size),
          direct_(opened.direct),
          queues_(queues),
          home_(home) {}
    ~PosixFile() override;
    void start(FileOp& op) override;
    void cancel(Op& op) noexcept override;
    Result<size_t> read_cached(uint64_t position, std::span<std::byte> into) override;
    bool is_direct() const override { return direct_; }
    uint64_t opened_size() const override { return opened_size_; }

    /// The call itself, on an I/O thread.
    Status perform(FileOp& op, IoScratch& scratch);

private:
    Status read(FileOp& op) const;
    [[nodiscard]] Status read_bytes(FileOp& op) const;
    [[nodiscard]] IoQueue& queue_of(const FileOp& op) const;
    /// As many bytes as come, counted in op.transferred; `past_cache`: the descriptor is direct.
    [[nodiscard]] Status read_through(int descriptor, bool past_cache, FileOp& op) const;
    Status write(FileOp& op) const;
    Status write_staged(FileOp& op, std::span<std::byte> staging) const;
    [[nodiscard]] Status sync() const;
    [[nodiscard]] Status check() const;
    Status allocate(uint64_t position, uint64_t length) const;
    Status write_zeros(uint64_t position, uint64_t length) const;
    [[nodiscard]] bool is_aligned(const FileOp& op) const;
    [[nodiscard]] Status failure(std::string_view doing, int error) const;

    const int descriptor_;
    const std::string path_;
    const uint64_t opened_size_;
    const bool direct_;
    Queues queues_;
    IoHome& home_;
};

}  // namespace ottla::io
