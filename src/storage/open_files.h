// SPDX-License-Identifier: Apache-2.0
// OpenFiles: the segment files that one shard keeps open in one log directory. A file is opened when
// somebody reads or writes it and stays open for the next one; when too many are, the one that was
// idle longest is closed. So an idle log holds no descriptor, and a process none beyond its limit.
//
// Never closed: a dirty file (what its write-back failed at is told to the descriptors that were open
// then, later ones may learn nothing), one that somebody holds by a copy of the pointer (an operation
// under way), a pinned one (its name is gone, nothing could open it again). Hence the bound can be
// passed by what is in use; that it is not passed by dirty files is the flusher's affair, which asks
// for a checkpoint when `is_crowded` and makes no more of them dirty when `is_full`. Belongs to one
// shard.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>

#include "ottla/file.h"
#include "ottla/op.h"

namespace ottla::storage {

class KeptFile;

class OpenFiles {
public:
    /// At least two: a cleaning may keep one dirty until it is done.
    explicit OpenFiles(size_t most) : files_(std::make_shared<Files>(std::max<size_t>(most, 2))) {}

    [[nodiscard]] size_t most() const { return files_->most; }
    [[nodiscard]] size_t count() const { return files_->open; }
    [[nodiscard]] size_t dirty() const { return files_->dirty; }
    /// A sync would give back many.
    [[nodiscard]] bool is_crowded() const { return files_->dirty * 2 >= files_->most; }
    [[nodiscard]] bool is_full() const { return files_->dirty >= files_->most; }

private:
    friend class KeptFile;
    /// Shared with the kept files: whoever still reads one may outlive its directory.
    struct Files {
        explicit Files(size_t limit) : most(limit) {}
        void close_idle();

        const size_t most;
        size_t open = 0;
        size_t dirty = 0;
        /// Clean ones, the longest unused first.
        LinkList<KeptFile> idle;
    };

    std::shared_ptr<Files> files_;
};

/// One file's place among them, and the file while it is open.
class KeptFile : public Link {
public:
    /// Null: it stays open until `release`.
    explicit KeptFile(OpenFiles* among) : among_(among == nullptr ? nullptr : among->files_) {}
    ~KeptFile() { release(); }

    /// Null while it is closed. Counts as a use.
    [[nodiscard]] std::shared_ptr<File> use();
    /// It was opened. Closes others.
    void keep(std::shared_ptr<File> file);
    [[nodiscard]] bool is_open() const { return file_ != nullptr; }

    void note_dirty();
    void note_synced();
    [[nodiscard]] bool is_dirty() const { return dirty_; }
    /// A sweep (sync_all) is about to begin, which covers what is dirty.
    void begin_sweep() {
        in_sweep_ = dirty_;
        dirty_since_ = false;
    }
    /// Of one that was covered: it is to be checked, and clean unless somebody wrote meanwhile.
    [[nodiscard]] bool is_swept() const { return in_sweep_ && dirty_; }
    void note_swept();

    /// From here on it is closed by `release` only.
    void pin();
    /// Lets go, dirty or not: nobody needs its bytes any more.
    void release();

private:
    friend struct OpenFiles::Files;
    /// To the end of the idle ones if it is one of them.
    void settle();

    const std::shared_ptr<OpenFiles::Files> among_;
    std::shared_ptr<File> file_;
    bool dirty_ = false;
    bool in_sweep_ = false;
    bool dirty_since_ = false;
    bool pinned_ = false;
};

}  // namespace ottla::storage
