// SPDX-License-Identifier: Apache-2.0
#include "io/io_threads.h"

#include <pthread.h>

#include <csignal>

namespace ottla::io {

std::thread start_thread(std::string name, ThreadKind kind, std::function<void()> body) {
    sigset_t all;
    sigset_t before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    std::thread thread([kind, work = std::move(body)] {
        schedule_as(kind);
        work();
    });
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    name.resize(std::min<size_t>(name.size(), 15));  // The kernel's limit.
    ::pthread_setname_np(thread.native_handle(), name.c_str());
    return thread;
}

IoHome::~IoHome() {
    while (!finished_.empty()) delete &finished_.pop_front();
}

void IoHome::deliver(IoJob& job) {
    {
        const std::lock_guard lock(mutex_);
        finished_.push_back(job);
        if (std::exchange(on_its_way_, true)) return;
    }
    loop_.deliver(*this);
}

void IoHome::run(Runtime&) {
    LinkList<IoJob> jobs;
    {
        const std::lock_guard lock(mutex_);
        on_its_way_ = false;
        jobs.splice(finished_);
    }
    while (!jobs.empty()) {
        const std::unique_ptr<IoJob> job(&jobs.pop_front());
        job->come_home();
    }
}

IoQueue::IoQueue(std::string name, ThreadKind kind, size_t threads) {
    for (size_t i = 0; i < threads; ++i) {
        threads_.push_back(start_thread(name, kind, [this] { work(); }));
    }
}

IoQueue::~IoQueue() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    not_empty_.notify_all();
    for (std::thread& thread : threads_) thread.join();
}

void IoQueue::push(std::unique_ptr<IoJob> job) {
    {
        const std::lock_guard lock(mutex_);
        waiting_.push_back(*job.release());
    }
    not_empty_.notify_one();
}

std::unique_ptr<IoJob> IoQueue::take_back(IoJob& job) {
    const std::lock_guard lock(mutex_);
    if (job.taken_) return nullptr;
    job.unlink();
    return std::unique_ptr<IoJob>(&job);
}

void IoQueue::work() {
    IoScratch scratch;
    std::unique_lock lock(mutex_);
    while (true) {
        not_empty_.wait(lock, [this] { return !waiting_.empty() || stopping_; });
        if (waiting_.empty()) return;
        IoJob& job = waiting_.pop_front();
        job.taken_ = true;
        lock.unlock();
        job.perform(scratch);
        job.home_.deliver(job);
        lock.lock();
    }
}

IoQueue& IoThreads::journal(const std::string& directory) {
    const std::lock_guard lock(mutex_);
    auto& queue = journals_[directory];
    if (!queue) queue = std::make_unique<IoQueue>("ottla-journal", ThreadKind::prompt, 1);
    return *queue;
}

IoQueue& IoThreads::names() {
    const std::lock_guard lock(mutex_);
    if (!names_) names_ = std::make_unique<IoQueue>("ottla-names", ThreadKind::bulk, 1);
    return *names_;
}

}  // namespace ottla::io
