// SPDX-License-Identifier: Apache-2.0
// SimDisk: one machine's file system as file.h's crash contract describes it: names, bytes, space,
// locks.
//
// Every operation here happens at once; SimFileSystem gives it a duration, a caller and partial
// effects. Each directory keeps its current names, its durable names and the log of changes between
// the two (contract 3). Versions count completed operations, so that a sync covers exactly what
// completed before it began. A power cut is `power_cut`: names and bytes that were not durable
// survive by chance. Tests may look at (`contents`) and damage (`flip_bit`) what is stored;
// `faults` shapes what goes wrong. pure
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "ottla/file.h"
#include "tests/sim/file_content.h"
#include "tests/sim/random.h"

namespace ottla::sim {

/// What becomes of direct files, but for the journal's.
enum class DirectIo : uint8_t {
    taken,
    opened_buffered,  ///< as where there is no O_DIRECT
    refused,          ///< they are opened, and every write is an invalid argument
};

/// What goes wrong by itself, and how long things take. Chances are per million operations.
struct DiskFaults {
    uint32_t write_error = 0;
    uint32_t read_error = 0;
    uint32_t sync_error = 0;  ///< of files and directories
    uint32_t write_back_error = 0;  ///< sync_all loses a file; only that file's next sync tells
    std::string only_under;         ///< where errors happen; everywhere if empty
    uint32_t cache_miss = 100'000;  ///< read_cached answers would_block
    DirectIo direct = DirectIo::taken;
    uint32_t slow_operation = 0;    ///< takes `slow_by` longer
    Duration slow_by = std::chrono::milliseconds(200);
    Duration operation = std::chrono::microseconds(20);  ///< typical; drawn from half to double
    Duration sync = std::chrono::microseconds(120);
    Duration per_mebibyte = std::chrono::microseconds(500);
};

/// The next operation of this kind on a path that contains `path` fails with `error`.
struct PlannedFailure {
    bool of_file = true;
    FileOp::Kind file_kind = FileOp::Kind::write;
    FileSystemOp::Kind name_kind = FileSystemOp::Kind::open;
    std::string path;
    ErrorCode error = ErrorCode::io_error;
};

/// For runs that strike at every point in turn: operation number `at` of those that change or sync
/// something fails, or the disk stands still there until the power goes or the process dies.
struct DiskStrike {
    enum class Kind : uint8_t { none, stand_still, io_error, no_space };
    Kind kind = Kind::none;
    uint64_t at = 0;
};

/// A file or a directory; names refer to it, open files keep it.
struct Node {
    struct NameChange {
        uint64_t version;
        std::string remove;          ///< empty: nothing goes
        std::string add;             ///< empty: nothing comes
        std::shared_ptr<Node> node;  ///< what `add` names
    };
    using Names = std::map<std::string, std::shared_ptr<Node>, std::less<>>;

    uint64_t id = 0;
    bool is_directory = false;
    bool write_back_failed = false;  ///< and nobody was told yet
    FileContent content;
    std::set<uint64_t> reserved;  ///< pages that have blocks
    Names names;
    Names durable_names;
    std::vector<NameChange> changes;
    uint32_t links = 0;  ///< current names
    uint32_t opens = 0;
    std::string path;  ///< as it was first called, for faults and traces
    WallTime modified{};
};
using NodeRef = std::shared_ptr<Node>;

class SimDisk {
public:
    SimDisk(uint64_t id, Random random);

    DiskFaults faults;
    DiskStrike strike;
    /// What was asked for, for tests that count: bytes read of a file, listings of a directory.
    std::map<std::string, uint64_t> read_bytes;
    std::map<std::string, uint64_t> listings;
    /// Of those that change or sync something, how many ended so far.
    [[nodiscard]] uint64_t operations() const { return operations_; }
    /// The strike came: nothing ends any more.
    [[nodiscard]] bool stands_still() const { return stands_still_; }
    /// The process that waited for it is gone.
    void go_on() { stands_still_ = false; }
    /// Who should have been told of a failed write-back is gone; the next one never learns of it.
    void forget_untold();
    void plan(PlannedFailure failure) { planned_.push_back(std::move(failure)); }

    // What the operations of file.h do, at once.
    Result<NodeRef> open(const std::string& path, const OpenOptions& options, WallTime now);
    Result<FileStatus> status(const std::string& path) const;
    Result<std::vector<DirectoryEntry>> list(const std::string& path) const;
    Status make_directory(const std::string& path);
    Status remove_directory(const std::string& path);
    Status rename(const std::string& from, const std::string& to);
    Status unlink(const std::string& path);
    Status sync_directory(const std::string& path, uint64_t version);
    void sync_all(uint64_t version);
    Status lock(const std::string& path, uint64_t holder, WallTime now);
    void unlock(const std::string& path, uint64_t holder);
    void release_locks(uint64_t holder);

    /// Writes what fits of `bytes`; the number of bytes written.
    size_t write(const NodeRef& node,
                 uint64_t position,
                 std::span<const std::byte> bytes,
                 uint64_t version,
                 WallTime now);
    Status allocate(const NodeRef& node, uint64_t position, uint64_t length, uint64_t version);
    void truncate(const NodeRef& node, uint64_t size, uint64_t version);
    void sync(const NodeRef& node, uint64_t version);
    void lose(const NodeRef& node, uint64_t version) { node->content.lose(version, random_); }
    void closed(const NodeRef& node);
    /// Drawn: does an operation on `path` go wrong that does so `per_million` times of a million?
    bool goes_wrong(uint32_t per_million, const std::string& path);
    /// Another operation is about to end: with which error, if it is struck.
    std::optional<ErrorCode> count_operation();

    uint64_t next_version() { return ++version_; }
    [[nodiscard]] uint64_t version() const { return version_; }
    std::optional<ErrorCode> planned_failure(bool of_file,
                                             FileOp::Kind file_kind,
                                             FileSystemOp::Kind name_kind,
                                             const std::string& path);

    // For machines and tests.
    /// The machine loses power: what survives is drawn, unless `survival` says it.
    void power_cut(std::optional<Survival> survival = {});
    void set_capacity(uint64_t bytes) { capacity_pages_ = bytes / FileContent::kPage; }
    [[nodiscard]] uint64_t free_space() const;
    [[nodiscard]] uint64_t capacity() const { return capacity_pages_ * FileContent::kPage; }
    /// Makes the directory and those above it, durable.
    void prepare_directory(const std::string& path);
    [[nodiscard]] bool exists(const std::string& path) const { return find(path) != nullptr; }
    [[nodiscard]] std::optional<std::string> contents(const std::string& path) const;
    /// Descriptors that are open on it.
    [[nodiscard]] uint32_t opens(const std::string& path) const;
    /// Puts a file there, durable, as if it had always been.
    void put(const std::string& path, std::string_view bytes);
    bool flip_bit(const std::string& path, uint64_t position, unsigned bit);
    /// Paths of all files, sorted.
    [[nodiscard]] std::vector<std::string> files() const;
    Random& random() { return random_; }
    [[nodiscard]] uint64_t id() const { return id_; }

private:
    struct Place {
        NodeRef directory;
        std::string name;
    };
    NodeRef find(std::string_view path) const;
    Result<Place> place(const std::string& path) const;
    NodeRef make_node(bool is_directory, const std::string& path);
    void change(const NodeRef& directory, Node::NameChange change);
    void dropped(const NodeRef& node);
    void release_space(Node& node);
    void mark_dirty(const NodeRef& node) { dirty_.try_emplace(node->id, node); }
    bool reserve(Node& node, uint64_t page);
    void settle_names(const NodeRef& directory, uint64_t version);
    void recount(const NodeRef& node);

    uint64_t id_;
    Random random_;
    NodeRef root_;
    uint64_t next_id_ = 1;
    uint64_t version_ = 0;
    uint64_t operations_ = 0;
    bool stands_still_ = false;
    uint64_t capacity_pages_ = uint64_t{1} << 28U;  // 1 TiB
    uint64_t used_pages_ = 0;
    /// Nodes with something that is not durable; they live by names and open files, not by this.
    std::map<uint64_t, std::weak_ptr<Node>> dirty_;
    std::map<std::string, uint64_t, std::less<>> locks_;
    std::vector<PlannedFailure> planned_;
    std::vector<std::weak_ptr<Node>> untold_;
};

}  // namespace ottla::sim
