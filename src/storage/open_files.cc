// SPDX-License-Identifier: Apache-2.0
#include "storage/open_files.h"

#include <utility>

namespace ottla::storage {

std::shared_ptr<File> KeptFile::use() {
    settle();
    return file_;
}

void KeptFile::keep(std::shared_ptr<File> file) {
    CHECK(file_ == nullptr, "a file is opened once");
    file_ = std::move(file);
    if (among_ == nullptr) return;
    ++among_->open;
    if (dirty_) ++among_->dirty;
    settle();
    // This one is held by whoever opened it, or else is the newest of them.
    const std::shared_ptr<File> held = file_;
    among_->close_idle();
}

void KeptFile::settle() {
    unlink();
    if (among_ != nullptr && file_ != nullptr && !dirty_ && !pinned_) among_->idle.push_back(*this);
}

void KeptFile::note_dirty() {
    dirty_since_ = true;
    if (std::exchange(dirty_, true) || among_ == nullptr || file_ == nullptr) return;
    ++among_->dirty;
    settle();
}

void KeptFile::note_synced() {
    if (!std::exchange(dirty_, false) || among_ == nullptr || file_ == nullptr) return;
    --among_->dirty;
    settle();
    among_->close_idle();
}

void KeptFile::note_swept() {
    in_sweep_ = false;
    if (!dirty_since_) note_synced();
}

void KeptFile::pin() {
    pinned_ = true;
    unlink();
}

void KeptFile::release() {
    unlink();
    if (file_ != nullptr && among_ != nullptr) {
        --among_->open;
        if (dirty_) --among_->dirty;
    }
    dirty_ = false;
    file_.reset();
}

void OpenFiles::Files::close_idle() {
    // Those in use go to the end: whoever uses a file makes it young.
    for (size_t looks = open - dirty; open > most && !idle.empty() && looks > 0; --looks) {
        KeptFile& oldest = idle.pop_front();
        if (oldest.file_.use_count() > 1) {
            idle.push_back(oldest);
        } else {
            oldest.release();
        }
    }
}

}  // namespace ottla::storage
