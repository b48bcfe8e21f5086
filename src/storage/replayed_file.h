// SPDX-License-Identifier: Apache-2.0
// ReplayedFile: one segment file on its way to what the journal says: opened once, written in as many
// pieces as the replay brings, brought to its end, and after a sweep over all files (sync_all) asked
// whether everything arrived.
//
// Contract 5 of file.h rules it: a sync that failed in the last life may have left bytes and size in the page
// cache only, clean in its eyes. So bytes are written again whatever is there, and the size changes once: by the
// write that grows the file; where the file is as long already its last byte is cut off before it is
// written; one that nothing is written to grows by a byte and shrinks. As long as there are descriptors
// it stays open from its first write to the check, which is then asked where the writes went. Errors: corrupt,
// those of the file system.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "ottla/file.h"

namespace ottla::storage {

/// How many of them may stay open.
struct ReplayDescriptors {
    size_t most = 0;
    size_t open = 0;
};

class ReplayedFile {
public:
    ReplayedFile(FileSystem& files, std::string path, ReplayDescriptors& among)
        : files_(files), path_(std::move(path)), among_(among) {}
    ReplayedFile(const ReplayedFile&) = delete;
    ReplayedFile& operator=(const ReplayedFile&) = delete;
    ~ReplayedFile() { close(); }

    /// Makes it if there is none. It is open until the next `rest`.
    Task<Status> open();
    /// Closed if there are too many.
    void rest();

    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] uint64_t size() const { return size_; }
    /// While it is open.
    Task<Result<Buffer>> read(uint64_t position, uint64_t length);
    Task<Status> write(uint64_t position, Chain bytes);
    /// The bytes that end the file: what is behind them goes.
    Task<Status> write_end(uint64_t position, Chain bytes);
    /// Ends there; not behind its size.
    Task<Status> end_at(uint64_t size);

    /// After the sweep.
    Task<Status> check();

private:
    void close();
    Task<Status> resize(uint64_t size);

    FileSystem& files_;
    const std::string path_;
    ReplayDescriptors& among_;
    std::unique_ptr<File> file_;
    uint64_t size_ = 0;
    bool opened_ = false;
    /// The size is another one than the file was found with, or was meanwhile.
    bool resized_ = false;
};

}  // namespace ottla::storage
